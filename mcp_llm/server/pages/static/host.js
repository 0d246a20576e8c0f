// How a page in a host gets its data: JSON-RPC over postMessage with the window around it, as MCP Apps has it
// (extension io.modelcontextprotocol/ui, version 2026-01-26). Looking is reading resources; only acting calls a tool.

const way = (() => {
  const VERSION = "2026-01-26";
  const waiting = new Map();
  const heard = { input: [], result: [], cancelled: [] };
  const kept = {};
  let number = 0;
  let context = {};
  let abilities = {};
  let over = false;

  const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");

  function ask(method, params, timeout = 60000) {
    const id = ++number;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new Error("the host does not answer"));
      }, timeout);
      waiting.set(id, { resolve, reject, timer });
      send({ id, method, params });
    });
  }

  function tell(kind, value) {
    kept[kind] = value;
    for (const one of heard[kind]) one(value);
  }

  window.addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== parent || !message || message.jsonrpc !== "2.0") return;
    if (message.method === undefined) {
      const one = waiting.get(message.id);
      if (!one) return;
      waiting.delete(message.id);
      clearTimeout(one.timer);
      if (message.error) one.reject(new Error(String(message.error.message || "the host refused")));
      else one.resolve(message.result);
      return;
    }
    const params = message.params || {};
    switch (message.method) {
      case "ui/notifications/tool-input": tell("input", params.arguments || {}); break;
      case "ui/notifications/tool-result": tell("result", params); break;
      case "ui/notifications/tool-cancelled": tell("cancelled", params.reason || ""); break;
      case "ui/notifications/host-context-changed": dress(params); break;
      case "ui/resource-teardown": over = true; send({ id: message.id, result: {} }); break;
      case "ping": send({ id: message.id, result: {} }); break;
      default:
        if (message.id !== undefined) send({ id: message.id, error: { code: -32601, message: "not known here" } });
    }
  });

  // The host's colours, where it gives all that ours stand for; some of them beside ours may not be readable.
  const COLOURS = {
    "--bg": "--color-background-primary", "--raised": "--color-background-secondary", "--text": "--color-text-primary",
    "--soft": "--color-text-secondary", "--line": "--color-border-primary",
  };
  const FONTS = { "--sans": "--font-sans", "--mono": "--font-mono" };

  function dress(changes) {
    context = { ...context, ...changes };
    const root = document.documentElement;
    if (context.theme === "dark" || context.theme === "light") root.style.setProperty("color-scheme", context.theme);
    const given = (context.styles && context.styles.variables) || {};
    const whole = Object.values(COLOURS).every((name) => given[name]);
    for (const [own, name] of Object.entries(COLOURS)) root.style.setProperty(own, whole ? String(given[name]) : "");
    for (const [own, name] of Object.entries(FONTS)) root.style.setProperty(own, given[name] ? String(given[name]) : "");
    const modes = context.availableDisplayModes || [];
    const button = at("larger");
    if (button) button.hidden = !(modes.includes("fullscreen") && context.displayMode !== "fullscreen");
  }

  function measure() {
    let before = "";
    const tellSize = () => {
      const { width, height } = document.documentElement.getBoundingClientRect();
      const size = { width: Math.ceil(width), height: Math.ceil(height) };
      if (JSON.stringify(size) === before) return;
      before = JSON.stringify(size);
      send({ method: "ui/notifications/size-changed", params: size });
    };
    new ResizeObserver(() => requestAnimationFrame(tellSize)).observe(document.documentElement);
  }

  const opened = (async () => {
    const found = await ask("ui/initialize", {
      protocolVersion: VERSION,
      appInfo: { name: "mcp-llm", version: "1" },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    });
    abilities = found.hostCapabilities || {};
    dress(found.hostContext || {});
    send({ method: "ui/notifications/initialized", params: {} });
    measure();
  })();

  async function read(uri) {
    await opened;
    if (over) throw new Error("the page was closed");
    const found = await ask("resources/read", { uri });
    return JSON.parse(found.contents[0].text);
  }

  async function act(given) {
    await opened;
    const found = await ask("tools/call", { name: "runs", arguments: given });
    if (found.isError) throw new Error((found.content || []).map((one) => one.text || "").join("\n") || "it failed");
    return found.structuredContent || {};
  }

  const query = (values) => {
    const found = Object.entries(values).filter(([, value]) => value !== "" && value !== undefined)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return found.length ? "?" + found.join("&") : "";
  };

  return {
    home: "app",
    opened,
    get live() { return abilities.serverResources !== undefined && !over; },
    get closed() { return over; },
    get acts() { return abilities.serverTools !== undefined; },
    on(kind, work) {
      heard[kind].push(work);
      if (kind in kept) work(kept[kind]);
    },
    look: (id, after, wait) => read(`view://run/${encodeURIComponent(id)}` + query({ after, wait: Math.min(wait, 8) })),
    list: (status, kind) => read("view://runs" + query({ kind, status })),
    cancel: (id) => act({ action: "cancel", run_id: id, wait_s: 5 }),
    resume: (id, again) => act({ action: "resume", run_id: id, again, wait_s: 0.5 }),
    answer: (id, question, answer) => act({ action: "answer", run_id: id, question, answer }),
    open: (url) => ask("ui/open-link", { url }).catch((error) => problem(error.message)),
    larger: () => ask("ui/request-display-mode", { mode: "fullscreen" }).then((found) => dress({ displayMode: found.mode })),
  };
})();

document.addEventListener("DOMContentLoaded", () => {
  const larger = h("button", { id: "larger", type: "button", class: "plain", hidden: true, onclick: () => way.larger() }, "Full screen");
  at("main").append(larger);
});
