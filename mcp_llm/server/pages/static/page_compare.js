// A comparison asked for here: it becomes a run, and its page shows the answers as they come.

function model(name = "") {
  const number = at("models").childElementCount + 1;
  const item = h("li", { class: "model" },
    h("input", { "aria-label": `Model ${number}`, placeholder: "provider:model, alias or tier", value: name, list: "names", autocomplete: "off", spellcheck: "false" }),
    h("button", { type: "button", class: "plain", "aria-label": `Remove model ${number}`, onclick: () => { item.remove(); at("add").focus(); } }, "Remove"));
  at("models").append(item);
  return item;
}

model();
model();
at("add").addEventListener("click", () => model().querySelector("input").focus());

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const found = await press(at("go"), () => way.call("/api/compare", {
    prompt: at("prompt").value,
    models: [...at("models").querySelectorAll("input")].map((one) => one.value.trim()).filter(Boolean),
    system: at("system").value.trim(),
    expect: at("expect").value.trim() ? { contains: at("expect").value.trim() } : null,
    judge: at("judge").checked,
    budget_usd: at("budget").value ? Number(at("budget").value) : null,
  }));
  if (found) location.assign(way.address(found.id));
});

way.call("/api/settings").then(
  (settings) => put(at("names"), settings.names.map((name) => h("option", { value: name }))),
  (error) => problem(error.message),
);
