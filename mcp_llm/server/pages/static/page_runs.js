// All runs, the newest first, kept fresh while somebody looks.

const body = at("rows"), filter = at("status");
let last = "";

function row(one, skew) {
  const words = first(one.prompt || one.says, 110) || kind(one.kind);
  return h("tr", null,
    h("td", null, state(one.status)),
    h("th", { scope: "row" }, h("a", { href: way.address(one.id), "data-focus": one.id }, words),
      h("div", { class: "soft small", css: { "font-weight": 400 } }, kind(one.kind), one.agent && ` · ${one.agent}`)),
    h("td", { class: "soft less" }, first(named(one), 60)),
    h("td", { class: "right nowrap" }, ["finished"].includes(one.status) ? usd(one.usd) : ""),
    h("td", { class: "right nowrap less" }, one.latency_ms !== undefined ? seconds(one.latency_ms / 1000) : ["running", "waiting"].includes(one.status) ? seconds((Date.now() - skew - one.created) / 1000) : seconds((one.updated - one.created) / 1000)),
    h("td", { class: "right nowrap soft" }, when(one.created)));
}

async function refresh() {
  try {
    const found = await way.list(filter.value);
    problem("");
    const now = JSON.stringify(found.runs) + (found.runs.some((one) => ["running", "waiting"].includes(one.status)) ? found.now : "");
    if (now === last) return;
    last = now;
    const focused = document.activeElement?.dataset?.focus;
    put(body, found.runs.map((one) => row(one, Date.now() - found.now)));
    if (focused) body.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    at("table").hidden = !found.runs.length;
    at("none").hidden = found.runs.length > 0 || filter.value !== "";
    at("nothing").hidden = found.runs.length > 0 || filter.value === "";
  } catch (error) {
    problem(error.message);
  }
}

filter.addEventListener("change", refresh);
(async () => {
  for (;;) {
    if (document.visibilityState === "visible") await refresh();
    await pause(2000);
  }
})();
