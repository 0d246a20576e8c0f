// What was spent: dollars by day as bars, by model and context as tables with shares. Unknown is shown as unknown.

const since = at("since");

function table(name, rows, key) {
  const most = Math.max(0, ...rows.map((row) => row.usd ?? 0));
  const cell = (words, more) => h("td", { class: "right" }, words, more);
  return h("section", { class: "stack", "aria-labelledby": "by-" + key }, h("h2", { id: "by-" + key }, name),
    rows.length ? h("div", { class: "wide", tabindex: 0, role: "group", "aria-labelledby": "by-" + key }, h("table", null,
      h("thead", null, h("tr", null, [[key], ["share", ""], ["cost", "right"], ["calls", "right"], ["failed", "right"], ["tokens in", "right"], ["out", "right"], ["cached", "right"]]
        .map(([words, side]) => h("th", { scope: "col", class: side }, words)))),
      h("tbody", null, rows.map((row) => h("tr", null,
        h("th", { scope: "row" }, row.key || h("span", { class: "soft" }, "none")),
        h("td", null, share(row.usd, most)), cell(sum(row.usd, row.unpriced_calls)), cell(count(row.calls)),
        cell(row.failed ? h("span", { class: "bad" }, count(row.failed)) : ""), cell(count(row.input)), cell(count(row.output)), cell(count(row.cached))))))) :
      h("p", { class: "soft" }, "Nothing."));
}

function show(found) {
  const total = found.total;
  at("none").hidden = total.calls > 0;
  const figure = (words, value, small) => h("div", { class: "figure" }, h("dt", null, words), h("dd", null, value), small && h("dd", { class: "soft small" }, small));
  put(at("view"), total.calls > 0 && [
    h("dl", { class: "figures" },
      figure("spent", sum(total.usd, total.unpriced_calls), total.unpriced_calls ? `${plural(total.unpriced_calls, "call")} of unknown price` : null),
      figure("calls", count(total.calls), total.failed ? `${count(total.failed)} failed` : null),
      figure("tokens in", count(total.input), total.cached ? `${count(total.cached)} of them cached` : null),
      figure("tokens out", count(total.output), total.reasoning ? `${count(total.reasoning)} of them reasoning` : null)),
    h("figure", { class: "stack" }, h("h2", null, "By day"), days(found.day, found.day_usd),
      h("figcaption", null, "Days are UTC. ", found.day.some((row) => row.unpriced_calls) && "A dashed box stands for calls whose price nobody knows."),
      h("details", null, h("summary", null, "as a table"), table("By day", [...found.day].reverse().filter((row) => row.calls), "day"))),
    table("By model", found.model, "model"),
    table("By context", found.context, "context"),
    table("By provider", found.provider, "provider"),
  ]);
}

async function refresh() {
  try {
    show(await way.call("/api/usage?" + new URLSearchParams({ since: since.value })));
    problem("");
  } catch (error) {
    problem(error.message);
  }
}

since.addEventListener("change", refresh);
refresh();
