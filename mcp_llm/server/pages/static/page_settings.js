// Settings: keys go in and never come out; everything else is what the user's file says, with what holds beside it.

let settings = null;
const TIERS = ["pro", "balanced", "lite"];
const MONEY = { call_usd: "Dollars a call", day_usd: "Dollars a day", day_calls: "Calls a day", day_tokens: "Tokens a day",
  unknown_usd: "Dollars that a call of unknown price counts as", confirm_usd: "Dollars from which a comparison is only quoted" };
const AGENTS = { usd: "Dollars a run, with its delegates", turns: "Replies a run", seconds: "Seconds a run", approval_s: "Seconds a question waits" };

function said(place, words, kind = "good") {
  put(place, words && h("span", { class: `${kind} small` }, words));
  if (words) announce(words);
}

// Providers

function provider(one) {
  const id = "key-" + one.id;
  const told = h("p", { class: "small told" });
  const input = h("input", { id, type: "password", autocomplete: "off", spellcheck: "false", placeholder: one.mask ? "put another in its place" : "paste the key",
    onkeydown: (event) => { if (event.key === "Escape") input.value = ""; } });
  const save = async (button, name, value, done) => {
    const found = await press(button, () => way.call("/api/keys", { provider: one.id, name, value }));
    if (!found) return;
    input.value = "";
    const fresh = provider(found.provider);
    item.replaceWith(fresh.item);
    const wins = value !== null && found.provider.where && !found.provider.own && name === found.provider.variable;
    said(fresh.told, wins ? `saved, but the one from ${found.provider.where} comes first` : `${done}; servers that run take it up at their next start`, wins ? "warn" : "good");
    fresh.input.focus();
  };
  const test = h("button", { type: "button", onclick: async (event) => {
    said(told, "asking…", "soft");
    const found = await press(event.currentTarget, () => way.call("/api/check", { provider: one.id }));
    said(told, found ? found.text : "", found && found.available ? "good" : found && found.available === null ? "warn" : "bad");
  } }, "Test");
  const item = h("li", { class: "provider", "data-id": one.id },
    h("div", { class: "row apart" },
      h("div", null, h("h3", null, one.name), h("p", { class: "soft small" },
        one.local ? "on this machine" : one.mask ? ["key ", h("code", null, one.mask), ` from ${one.where}`] : one.required ? "no key" : "needs no key",
        one.disabled && " · disabled", one.url && [" · ", link(one.url, "get a key")])),
      (one.set || one.local) && !one.retired && test),
    one.retired && h("p", { class: "small warn" }, one.retired),
    one.problem && h("p", { class: "small bad" }, one.problem),
    !one.retired && h("form", { class: "row keyed", onsubmit: (event) => { event.preventDefault(); if (input.value.trim()) save(event.submitter, one.variable, input.value, "saved"); } },
      h("label", { for: id, class: "mono small" }, one.variable), input,
      h("button", { type: "submit" }, "Save"),
      one.own && h("button", { type: "button", class: "plain", onclick: (event) => save(event.currentTarget, one.variable, null, "taken out of .env") }, "Remove")),
    one.needs.map((need) => {
      const field = h("input", { id: `${id}-${need.name}`, value: need.value, autocomplete: "off", spellcheck: "false" });
      return h("form", { class: "row keyed", onsubmit: (event) => { event.preventDefault(); save(event.submitter, need.name, field.value.trim() || null, "saved"); } },
        h("label", { for: field.id, class: "mono small" }, need.name), field, h("button", { type: "submit" }, "Save"));
    }),
    told);
  return { item, told, input };
}

function providers() {
  const words = at("find").value.trim().toLowerCase();
  const shown = settings.providers.filter((one) => words ? (one.id + " " + one.name).toLowerCase().includes(words) : one.set || one.problem || one.rank <= 20);
  put(at("providers"), shown.map((one) => provider(one).item));
  const rest = settings.providers.length - shown.length;
  at("rest").textContent = words ? plural(shown.length, "provider") : rest > 0 ? `${rest} more: type a name above` : "";
}

// Everything else

function field(id, words, value, placeholder, more = {}) {
  return h("div", { class: "field" }, h("label", { for: id }, words), h("input", { id, value: value ?? "", placeholder: placeholder ?? "", autocomplete: "off", spellcheck: "false", ...more }));
}

const listed = (values) => (values || []).join(", ");
const split = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

function context(one = { name: "", model: "", local_only: false }) {
  const number = at("contexts").childElementCount;
  const item = h("li", { class: "context" },
    h("input", { "aria-label": `Context ${number + 1}: name or glob`, placeholder: "notes.*", value: one.name, "data-part": "name" }),
    h("input", { "aria-label": `Context ${number + 1}: model`, placeholder: "provider:model, alias or tier", value: one.model || "", list: "names", "data-part": "model" }),
    h("label", { class: "row" }, h("input", { type: "checkbox", checked: one.local_only, "data-part": "local" }), "this machine only"),
    h("button", { type: "button", class: "plain", "aria-label": `Remove context ${one.name || number + 1}`, onclick: () => { item.remove(); at("add").focus(); } }, "Remove"));
  return item;
}

function form() {
  const { own, force } = settings;
  put(at("names"), settings.names.map((name) => h("option", { value: name })));
  put(at("defaults"),
    field("default", "Model where nothing else decides", own.default, force.default, { list: "names" }),
    field("prefer", "Providers in order of preference", listed(own.prefer), listed(force.prefer) || "the built-in order"),
    field("fallbacks", "Asked when the model fails before its first word", listed(own.fallbacks), listed(force.fallbacks) || "nobody"));
  put(at("tiers"), TIERS.map((tier) => field("tier-" + tier, tier, own.tiers[tier], force.tiers[tier] || "the first provider's", { list: "names" })));
  put(at("contexts"));
  for (const one of own.contexts) at("contexts").append(context(one));
  const numbers = (group, words, place) => put(at(place), Object.entries(words).map(([name, label]) => {
    const held = force[group][name];
    return field(`${group}-${name}`, label, own[group][name], held === null ? (name === "unknown_usd" ? "refused" : "no limit") : String(held), { inputmode: "decimal", type: "number", min: 0, step: "any" });
  }));
  numbers("budget", MONEY, "budget");
  numbers("agents", AGENTS, "agents");
  at("force").textContent = settings.model;
  put(at("files"), "Keys are kept in ", h("code", null, settings.files[0]), ", the rest in ", h("code", null, settings.files[1]), ". Comments and lines of yours stay as they are.");
  put(at("notes"), settings.problems.map((words) => h("p", { class: "note warn small" }, words)));
}

function body() {
  const figures = (group, words) => Object.fromEntries(Object.keys(words).map((name) => [name, at(`${group}-${name}`).value]));
  return {
    default: at("default").value.trim(), prefer: split(at("prefer").value), fallbacks: split(at("fallbacks").value),
    tiers: Object.fromEntries(TIERS.map((tier) => [tier, at("tier-" + tier).value.trim()])),
    contexts: [...at("contexts").children].map((item) => {
      const part = (name) => item.querySelector(`[data-part="${name}"]`);
      return { name: part("name").value.trim(), model: part("model").value.trim(), local_only: part("local").checked };
    }),
    budget: figures("budget", MONEY), agents: figures("agents", AGENTS),
  };
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const found = await press(at("save"), () => way.call("/api/settings", body()));
  said(at("told"), "");
  if (!found) return;
  settings = found;
  form();
  said(at("told"), "Saved. Servers that run take it up at their next start.");
});
at("add").addEventListener("click", () => { const item = context(); at("contexts").append(item); item.querySelector("input").focus(); });
at("find").addEventListener("input", providers);

(async () => {
  try {
    settings = await way.call("/api/settings");
    providers();
    form();
    at("whole").hidden = false;
  } catch (error) {
    problem(error.message);
  }
})();
