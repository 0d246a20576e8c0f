// The page of a comparison in a host: the answers as the tool gave them at once, the figures as soon as they are read.

const place = at("view");
let asked = [];

function show(data) {
  const models = new Set((data.results || []).map((one) => one.model)).size;
  const title = asked.length === 1 ? first(asked[0], 140) : `Comparison of ${plural(models, "model")}`;
  put(place, h("h1", null, title), h("div", { class: "gaps" }, comparison(data, asked)));
}

async function whole(data) {
  for (let after = "", tries = 0; tries < 600 && way.live; tries++) {
    try {
      const found = await way.look(data.run_id, after, data.status ? 8 : 0);
      after = found.after;
      if (found.result && found.result.results) return show(found.result);
      if (found.run && ["failed", "cancelled", "interrupted"].includes(found.run.status)) {
        return put(place, h("h1", null, "Comparison"), state(found.run.status), found.result && h("p", { class: "note bad" }, found.result.error));
      }
      if (found.run && found.partial) put(place, h("h1", null, "Comparing"), state("running"), prose(found.partial));
    } catch (error) {
      if (tries > 2) return problem(error.message);
      await pause(300);
    }
  }
  return undefined;
}

way.on("input", (given) => {
  asked = given.prompts || (typeof given.prompt === "string" ? [given.prompt] : []);
  const models = given.models || [];
  put(place, h("h1", null, "Asking ", plural(models.length, "model")), h("ul", { class: "facts" }, models.map((one) => h("li", null, state("running"), " ", String(one)))));
});
way.on("result", async (result) => {
  await way.opened;
  const data = result.structuredContent || {};
  const text = (result.content || []).filter((one) => one.type === "text").map((one) => one.text).join("\n\n");
  if (result.isError) return put(place, h("p", { class: "note bad" }, text));
  if (data.results) show(data);
  else put(place, h("div", { class: "answer" }, prose(data.response || data.partial || text)));
  return data.run_id && !data.quote?.quoted && (data.results || data.status) ? whole(data) : undefined;
});
way.on("cancelled", () => put(place, h("p", { class: "soft" }, "The call was cancelled.")));
way.opened.catch((error) => problem(error.message));
