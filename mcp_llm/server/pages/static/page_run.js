// The page of one run: by its address on loopback, by the tool's result in a host.

const viewer = new Viewer(at("view"));
let watched = null;

function watch(id) {
  if (watched === id) return;
  watched = id;
  viewer.watch(id).catch((error) => problem(error.message));
}

function listed(all) {
  const rows = all.filter((row) => !row.parent); // parts are shown with the run that they belong to
  put(at("view"), h("h1", null, "Runs"), rows.length
    ? h("ul", { class: "stack" }, rows.map((row) => h("li", { class: "row" },
        h("button", { type: "button", class: "plain wrap", onclick: () => { put(at("view"), viewer.parts.head, viewer.parts.asks, viewer.parts.body); watch(row.run_id); } }, first(row.says || row.run_id, 80)),
        state(row.status), h("span", { class: "soft small" }, [row.kind, row.model, row.age].filter(Boolean).join(" · ")))))
    : h("p", { class: "soft" }, "No runs."));
}

/** While the tool still runs the host has no run id: it is the newest run that was asked the same. */
async function find(prompt) {
  const since = Date.now() - 15000;
  for (let tries = 0; tries < 600 && !watched && way.live; tries++) {
    try {
      const found = await way.list("", "agent");
      const skew = Date.now() - found.now;
      const row = found.runs.find((one) => one.created + skew > since && one.prompt && prompt.startsWith(one.prompt.slice(0, 290)));
      if (row && !watched) return watch(row.id);
    } catch {
      return undefined; // the result will come all the same
    }
    await pause(Math.min(2000, 300 + tries * 100));
  }
  return undefined;
}

if (way.home === "local") {
  const id = new URLSearchParams(location.search).get("id");
  if (id) watch(id);
  else put(at("view"), h("h1", null, "No run is named"), h("p", null, h("a", { href: "/" }, "All runs")));
} else {
  way.on("input", async (given) => {
    await way.opened;
    if (watched) return;
    if (given.run_id && given.action !== "answer") { if (way.live) watch(String(given.run_id).split(".")[0]); return; }
    if (typeof given.prompt === "string") {
      put(viewer.parts.head, h("h1", null, first(given.prompt, 140)), h("div", { class: "facts" }, state("running")));
      if (way.live) find(given.prompt);
    }
  });
  way.on("result", async (result) => {
    await way.opened;
    const data = result.structuredContent || {};
    if (data.runs) return listed(data.runs);
    if (data.run_id && way.live && !result.isError) return watch(String(data.run_id).split(".")[0]);
    if (watched) return undefined;
    const text = (result.content || []).filter((one) => one.type === "text").map((one) => one.text).join("\n\n");
    watched = data.run_id || "-";
    put(at("view"), result.isError ? h("p", { class: "note bad" }, text) : h("section", { class: "answer" }, prose(text)));
    return undefined;
  });
  way.on("cancelled", () => { if (!watched) put(at("view"), h("p", { class: "soft" }, "The call was cancelled.")); });
  way.opened.catch((error) => problem(error.message));
}
