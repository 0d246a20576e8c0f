// Plots as SVG made here: a scatter with intervals and a frontier, bars by day, bars by name. Each has its numbers as text too.

/** Round steps from 0 to at least `most`. */
function steps(most, wanted = 4) {
  if (!(most > 0)) return [0, 1]; // nothing but zeros: the axis has to have some length
  const raw = most / wanted;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * size >= raw * 0.999) * size;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}

/**
 * Points `{name, x, y, low?, high?, beaten}`; x null is unknown and stands in a column of its own at the right.
 * `edge` draws the line that nobody passes. Less x is better, more y is better.
 */
function scatter({ points, x, y, title }) {
  const W = innerWidth < 640 ? 340 : 520, H = 250, left = 46, top = 10, bottom = 40;
  const unknown = points.some((one) => one.x === null);
  const right = unknown ? W - 64 : W - 16;
  const xs = steps(Math.max(0, ...points.map((one) => one.x ?? 0)) * 1.02);
  const ys = y.steps;
  const px = (value) => left + (value / xs.at(-1)) * (right - left - 4);
  const py = (value) => top + (1 - (value - ys[0]) / (ys.at(-1) - ys[0])) * (H - top - bottom);
  const place = (one) => (one.x === null ? right + 34 : px(one.x));
  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  for (const value of ys) {
    svg.append(
      s("line", { class: value === ys[0] ? "axis" : "grid", x1: left, x2: W - 8, y1: py(value), y2: py(value) }),
      s("text", { x: left - 8, y: py(value) + 4, "text-anchor": "end" }, y.words(value))
    );
  }
  const zeros = points.every((one) => !one.x);
  for (const value of zeros ? [0] : xs) svg.append(s("text", { x: px(value), y: H - bottom + 16, "text-anchor": "middle" }, x.words(value)));
  if (unknown) svg.append(s("text", { x: right + 34, y: H - bottom + 16, "text-anchor": "middle" }, "?"));
  svg.append(s("text", { x: (left + right) / 2, y: H - 6, "text-anchor": "middle" }, x.name));
  const front = points.filter((one) => one.x !== null && !one.beaten).sort((a, b) => a.x - b.x || a.y - b.y);
  const line = [];
  for (const one of front) if (!line.length || one.y > line.at(-1).y) line.push(one);
  if (line.length > 1) {
    const path = line.map((one, index) => (index ? `H${px(one.x)}V${py(one.y)}` : `M${px(one.x)},${py(one.y)}`)).join("");
    svg.append(s("path", { class: "edge", d: path }));
  }
  const taken = [];
  for (const one of [...points].sort((a, b) => b.y - a.y)) {
    const cx = place(one), cy = py(one.y), beaten = one.beaten ? " beaten" : "";
    if (one.low !== undefined) svg.append(s("line", { class: "whisker" + beaten, x1: cx, x2: cx, y1: py(one.low), y2: py(one.high) }));
    svg.append(s("circle", { class: "dot" + beaten, cx, cy, r: 5 }, s("title", null, one.name)));
    const words = first(one.name, 26), width = words.length * 6.4 + 10;
    const before = cx + width > W - 4;
    const box = (up) => ({ x: before ? cx - 9 - width : cx + 9, y: cy + 4 - up });
    const lifts = cy > H - bottom - 12 ? [11, 25, 39, 53, 67] : cy < top + 12 ? [0, -14, -28, -42, -56] : [0, 14, -14, 28, -28, 42, -42];
    const free = lifts.find((up) =>
      taken.every((other) => Math.abs(other.y - box(up).y) > 12 || other.x > box(up).x + width || box(up).x > other.x + other.width));
    const put = box(free ?? lifts[0]);
    taken.push({ ...put, width });
    svg.append(s("text", { class: "name", x: before ? cx - 9 : cx + 9, y: put.y, "text-anchor": before ? "end" : "start" }, words));
  }
  return svg;
}

/** One bar a day: `{key, usd, unpriced_calls, calls}`; calls of unknown price are a dashed box on top, never nothing. */
function days(rows, limit) {
  const W = 1080, H = 190, left = 52, top = 14, bottom = 24;
  const most = Math.max(0, ...rows.map((row) => row.usd ?? 0), limit && limit < 4 * Math.max(...rows.map((row) => row.usd ?? 0)) ? limit : 0);
  const ys = steps(most, 3);
  const py = (value) => top + (1 - value / ys.at(-1)) * (H - top - bottom);
  const each = (W - left - 8) / rows.length;
  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Dollars by day; the table below has the figures" });
  for (const value of most > 0 ? ys : [0]) {
    svg.append(
      s("line", { class: value ? "grid" : "axis", x1: left, x2: W - 8, y1: py(value), y2: py(value) }),
      s("text", { x: left - 8, y: py(value) + 4, "text-anchor": "end" }, usd(value))
    );
  }
  const every = Math.ceil(rows.length / 10);
  rows.forEach((row, index) => {
    const x = left + index * each, width = Math.max(1, Math.min(28, each * 0.7)), at = x + (each - width) / 2;
    const known = row.usd ?? 0, height = py(0) - py(known);
    const words = `${row.key}: ${sum(row.usd, row.unpriced_calls)}, ${plural(row.calls, "call")}`;
    const bar = s("g", null, s("title", null, words));
    if (known > 0) bar.append(s("rect", { class: "fill", x: at, width, y: py(0) - Math.max(1.5, height), height: Math.max(1.5, height), rx: Math.min(2, width / 3) }));
    if (row.unpriced_calls) bar.append(s("rect", { class: "open", x: at + 0.75, width: Math.max(1, width - 1.5), y: py(known) - 14, height: 12, rx: 2 }));
    svg.append(bar);
    if ((rows.length - 1 - index) % every === 0) {
      svg.append(s("text", { x: at + width / 2, y: H - 6, "text-anchor": "middle" },
        new Date(row.key + "T12:00:00Z").toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" })));
    }
  });
  if (limit && limit <= ys.at(-1)) {
    svg.append(
      s("line", { class: "limit", x1: left, x2: W - 8, y1: py(limit), y2: py(limit) }),
      s("text", { x: W - 8, y: py(limit) - 4, "text-anchor": "end" }, `${usd(limit)} a day at most`)
    );
  }
  return svg;
}

/** A thin bar in a table's cell: what share of the greatest this is. */
function share(value, most) {
  const width = most > 0 && value ? Math.max(1, (value / most) * 100) : 0;
  return s("svg", { viewBox: "0 0 100 8", width: 100, height: 8, "aria-hidden": "true", preserveAspectRatio: "none" },
    s("rect", { class: "fill", x: 0, y: 1, width, height: 6, rx: 1 }));
}

/** An interval from 0 to 1 as a line with its value marked. */
function range(rate) {
  return s("svg", { viewBox: "0 0 80 10", width: 80, height: 10, "aria-hidden": "true" },
    s("line", { class: "grid", x1: 0, x2: 80, y1: 5, y2: 5 }),
    s("line", { class: "grid", x1: 40, x2: 40, y1: 1, y2: 9 }),
    s("line", { class: "whisker", x1: rate.low * 80, x2: rate.high * 80, y1: 5, y2: 5, "stroke-width": 3 }),
    s("circle", { class: "dot", cx: Math.min(76, Math.max(4, rate.value * 80)), cy: 5, r: 3.5 }));
}
