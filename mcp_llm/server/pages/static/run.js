// A run as it happens: its agents, what they do, what was spent of what may be, what waits for a yes, and the answer.

/** Shows one run in `place` and keeps looking at it until it has ended. */
class Viewer {
  constructor(place) {
    this.parts = { head: h("div", { class: "head" }), asks: h("div", { class: "stack" }), body: h("div", null) };
    put(place, this.parts.head, this.parts.asks, this.parts.body);
    place.classList.add("viewer");
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && this.only) this.choose(null); });
    this.place = place;
    this.only = null;
  }

  async watch(id) {
    Object.assign(this, { id, after: "", runs: new Map(), order: [], items: [], view: null, asked: "", shown: "" });
    let failures = 0;
    while (!way.closed) {
      try {
        const found = await way.look(id, this.after, this.view && this.view.live ? 20 : 0);
        failures = 0;
        problem("");
        if (found.run) this.take(found);
        this.after = found.after;
        if (found.more) continue;
        if (found.run && !this.view.live) return;
        await pause(found.run ? 120 : 0); // what comes in one moment is shown in one go
        if (found.run === undefined && !this.view) return;
      } catch (error) {
        // A run that was answered in one go is on disk a moment after its answer.
        if (++failures > (this.view ? 30 : 3)) {
          if (!this.view) put(this.parts.head, h("h1", null, "No such run"));
          problem(error.message);
          return;
        }
        if (this.view) problem(error.message);
        await pause(Math.min(5000, 300 * failures));
      }
    }
  }

  /** Show what one agent did, or what all of them did. */
  choose(id) {
    this.only = this.only === id ? null : id;
    this.render();
  }

  // Folding

  take(found) {
    const before = this.view;
    this.view = { ...found, live: ["running", "waiting"].includes(found.run.status), skew: Date.now() - found.now };
    for (const row of found.tree) {
      const known = this.runs.get(row.id);
      this.runs.set(row.id, { ...(known || fresh()), row });
      if (!known) this.order.push(row.id);
    }
    for (const event of found.events) this.event(event);
    if (before && before.run.status !== found.run.status) {
      for (const item of this.items) item.changed = item.changed || item.kind === "reply";
      announce(`The run is ${found.run.status}.`);
    }
    this.render();
  }

  event(event) {
    const run = this.runs.get(event.run_id);
    const add = (item) => {
      this.items.push({ run: event.run_id, ts: event.ts, kind: event.event, ...item });
      return this.items.at(-1);
    };
    switch (event.event) {
      case "start":
        run.name = event.persona || run.name;
        Object.assign(run, { start: event.ts, prompt: event.prompt, after: event.continued, again: event.rerun_of });
        add({ event });
        break;
      case "model_start":
        run.model = named(event) || run.model;
        run.reply = add({ kind: "reply", event, text: "", thinking: "", open: true });
        break;
      case "text":
      case "thinking": {
        if (run.tasked) break; // a workflow says in words what its tasks say in full
        const reply = run.reply && run.reply.open ? run.reply : (run.reply = add({ kind: "reply", event, text: "", thinking: "", open: true }));
        if (event.event === "text") reply.text += event.text;
        else reply.thinking += event.summary;
        reply.changed = true;
        break;
      }
      case "model_end": {
        if (run.tasked) break; // a workflow says in words what its tasks say in full
        const reply = run.reply && run.reply.open ? run.reply : add({ kind: "reply", event });
        Object.assign(reply, { event, text: event.text || "", thinking: event.thinking || "", open: false, changed: true });
        run.turns += 1;
        spend(run, event);
        break;
      }
      case "tool_start":
        run.tools.set(event.call_id, add({ kind: "tool", event, open: true }));
        break;
      case "tool_end": {
        const item = run.tools.get(event.call_id) || add({ kind: "tool", event });
        if (event.latency_ms !== undefined) run.calls += 1;
        Object.assign(item, { end: event, open: false, changed: true });
        break;
      }
      case "task_start": {
        const place = `task ${event.task} ${event.item ?? ""}`, known = run.tools.get(place);
        run.tasked = true;
        if (known) Object.assign(known, { event, open: true, changed: true });
        else run.tools.set(place, add({ kind: "task", event, open: true }));
        break;
      }
      case "task_end": {
        const item = run.tools.get(`task ${event.task} ${event.item ?? ""}`) || add({ kind: "task", event });
        Object.assign(item, { end: event, open: false, changed: true });
        break;
      }
      case "job": {
        const item = run.job || (run.job = add({ event }));
        Object.assign(item, { event, changed: true });
        break;
      }
      case "agent_end": {
        const child = event.child_run && this.runs.get(event.child_run);
        if (!child && event.cost) spend(run, event); // it ran elsewhere: what is known of it is what it reported
        add({ event });
        break;
      }
      case "finish":
      case "error":
        run.end = event.ts;
        if (run.reply) Object.assign(run.reply, { open: false, changed: true });
        run.reply = null;
        add({ event });
        break;
      default:
        add({ event });
    }
  }

  // Showing

  render() {
    const { run, result } = this.view;
    put(this.parts.head, this.head(run));
    this.questions();
    if (run.kind === "compare_models" && result && result.results) {
      put(this.parts.body, h("div", { class: "gaps" }, comparison(result, run.prompts || [])));
      return;
    }
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.focus : null;
    const bottom = innerHeight + scrollY > document.documentElement.scrollHeight - 80;
    const { side, answer, log } = this.frame();
    put(side, this.tree(), this.meters());
    side.hidden = !side.childElementCount;
    put(answer, this.answer());
    this.log(log);
    if (focused) this.place.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    if (way.home === "local" && this.view.live && bottom && scrollY > 0) scrollTo(0, document.documentElement.scrollHeight);
  }

  /** The places that stay while what is in them changes. */
  frame() {
    if (!this.framed || !this.framed.cols.isConnected) {
      const side = h("div", { class: "side" }), answer = h("div", { class: "stack" });
      const log = { title: h("h2"), none: h("p", { class: "soft" }, "Nothing yet."), list: h("ol", { class: "log" }) };
      log.section = h("section", { class: "stack", "aria-label": "What happens" }, log.title, log.none, log.list);
      const cols = h("div", { class: "cols" }, side, h("div", { class: "gaps" }, answer, log.section));
      put(this.parts.body, cols);
      this.framed = { cols, side, answer, log };
    }
    return this.framed;
  }

  /** The answer, once there is one. */
  said() {
    return this.view.live || !this.view.result ? null : this.view.result.response;
  }

  head(run) {
    const what = kind(run.kind);
    const total = this.total(), compared = run.kind === "compare_models" && this.view.result && this.view.result.models;
    const own = this.runs.get(run.id) || {}, name = own.name || run.agent;
    const took = run.latency_ms !== undefined ? run.latency_ms / 1000 : ((this.view.live ? this.view.now : run.updated) - run.created) / 1000;
    return [
      h("div", { class: "row apart" },
        h("h1", null, first(run.prompt || own.prompt, 140) || (compared ? `Comparison of ${plural(compared.length, "model")}` : `${what} by ${named(run) || "a model"}`)),
        this.view.live && (way.home === "local" || way.acts) && h("button", { type: "button", class: "danger", "data-focus": "cancel", onclick: (event) => this.cancel(event.currentTarget) }, "Cancel run")),
      h("div", { class: "facts" },
        state(run.status),
        h("span", null, [what, name && name !== "agent" && name].filter(Boolean).join(" · ")),
        run.model && !compared && h("span", null, named(run)),
        h("span", null, when(run.created)),
        h("span", null, seconds(took)),
        run.kind !== "compare_models" && (total.priced || total.unpriced || run.usd !== undefined) &&
          h("span", null, total.priced || total.unpriced ? sum(total.usd, total.unpriced) : usd(run.usd)),
        [["goes on with", own.after], ["again", own.again]].map(([words, id]) => id && h("span", null, words, " ",
          way.address ? h("a", { class: "mono", href: way.address(id) }, id.slice(0, 8)) : h("span", { class: "mono" }, id.slice(0, 8)))),
        h("span", { class: "mono" }, run.id)),
      run.prompt && run.prompt.trim().length > first(run.prompt, 140).length &&
        h("details", { "data-key": "prompt" }, h("summary", null, "the whole task"), h("div", { class: "prose" }, run.prompt)),
      run.status === "interrupted" && h("div", { class: "note warn row" }, h("span", null, "Its process has gone. Nothing is lost: it can go on where it stood."),
        (way.home === "local" || way.acts) && h("button", { type: "button", "data-focus": "resume", onclick: (event) => this.resume(event.currentTarget) }, this.again ? "Resume all the same" : "Resume")),
    ];
  }

  total() {
    const found = { usd: 0, priced: 0, unpriced: 0, input: 0, output: 0, turns: 0, calls: 0 };
    for (const run of this.runs.values()) for (const name of Object.keys(found)) found[name] += run[name];
    return found;
  }

  questions() {
    const asked = JSON.stringify([this.view.questions, way.acts]);
    if (asked === this.asked) return;
    this.asked = asked;
    put(this.parts.asks, this.view.questions.map((one) => this.question(one)));
    if (this.view.questions.length) announce(`The run waits for an answer: ${this.view.questions[0].message || ""}`);
  }

  question(one) {
    const give = (answer) => (event) => press(event.currentTarget, async () => {
      await way.answer(this.id, one.id, answer);
      announce("answered");
    });
    const left = h("span", { class: "soft small" });
    const tick = () => {
      if (!left.isConnected && left.dataset.on) return;
      left.dataset.on = "1";
      const rest = (one.deadline - (Date.now() - this.view.skew)) / 1000;
      left.textContent = rest > 0 ? `no answer in ${seconds(rest)} means no` : "the time for an answer is over";
      setTimeout(tick, 1000);
    };
    if (one.deadline) requestAnimationFrame(tick);
    const may = way.home === "local" || way.acts;
    return h("section", { class: "ask", "aria-label": "Waits for an answer" },
      h("h2", null, one.tool ? ["May ", h("code", null, one.tool), one.server ? ` of the server ${one.server}` : "", " be called?"] : one.message || "The run asks"),
      one.destructive && h("p", { class: "bad small" }, "It says that it changes or destroys something."),
      one.args !== undefined && h("pre", { tabindex: 0, "aria-label": "Arguments" }, json(one.args)),
      one.description && h("p", { class: "small soft" }, "It says of itself: ", one.description),
      may && h("div", { class: "row" },
        h("button", { type: "button", class: "main", onclick: give(true) }, "Allow once"),
        h("button", { type: "button", onclick: give("always") }, "Allow for this run"),
        h("button", { type: "button", class: "danger", onclick: give(false) }, "Deny"), left));
  }

  cancel(button) {
    return press(button, async () => {
      const told = await way.cancel(this.id);
      announce((told && told.words) || "asked to end");
    });
  }

  /** Go on with it; where something may be paid twice the server says so first, and the second press means it. */
  async resume(button) {
    button.disabled = true;
    try {
      await way.resume(this.id, this.again === true);
      this.again = false;
      problem("");
      this.watch(this.id);
    } catch (error) {
      this.again = error.message.includes("again=true");
      problem(error.message);
      button.disabled = false;
      button.textContent = this.again ? "Resume all the same" : "Resume";
    }
  }

  tree() {
    if (this.order.length < 2) return null;
    const below = (parent) => this.order.filter((id) => this.runs.get(id).row.parent === parent && id !== this.id);
    const node = (id) => {
      const run = this.runs.get(id), children = below(id);
      const button = h("button", { type: "button", "data-focus": "run-" + id, "aria-pressed": String(this.only === id),
        onclick: () => this.choose(id) },
        h("span", { class: "row apart", css: { "flex-wrap": "nowrap" } }, h("span", { class: "name" }, run.name || run.row.agent || "agent"), state(run.row.status)),
        h("span", { class: "soft small" }, [run.model || run.row.model, plural(run.turns, "turn"), run.priced || run.unpriced ? sum(run.usd, run.unpriced) : null].filter(Boolean).join(" · ")));
      return h("li", null, button, children.length > 0 && h("ul", null, children.map(node)));
    };
    return h("section", { class: "stack tree", "aria-label": "Agents" }, h("h2", null, "Agents"), h("ul", null, node(this.id)),
      this.only && h("button", { type: "button", class: "plain", onclick: () => this.choose(null) }, "Show what all of them did"));
  }

  meters() {
    const budget = this.view.budget;
    if (!budget) return null;
    const total = this.total(), own = this.runs.get(this.id), limits = budget.limits;
    const spent = (this.view.live ? this.view.now : own.end || this.view.run.updated) - (own.start || this.view.run.created);
    const rows = [
      ["Dollars", total.usd, limits.usd, usd, budget.held_usd, total.unpriced ? sum(total.usd, total.unpriced) : usd(total.usd)],
      ["Tokens", total.input + total.output, limits.tokens, count],
      ["Turns", own.turns, limits.turns, count],
      ["Tool calls", own.calls, limits.calls, count],
      ["Time", spent / 1000, limits.seconds, seconds],
    ].filter(([, , cap]) => cap !== undefined && cap !== null);
    return h("section", { class: "stack", "aria-label": "Spent and allowed" }, h("h2", null, "Spent of what it may"),
      h("div", { class: "meters" }, rows.map(([name, used, cap, words, held, said]) => {
        const part = cap > 0 ? Math.min(1, used / cap) : 1;
        const shown = said || words(used);
        return h("div", { class: "meter" + (part >= 1 ? " over" : part >= 0.8 ? " near" : "") },
          h("span", null, name), h("span", null, `${shown} of ${words(cap)}`),
          h("span", { class: "track", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": cap, "aria-valuenow": Math.min(used, cap), "aria-valuetext": `${shown} of ${words(cap)}` },
            h("span", { class: "used", css: { width: part * 100 + "%" } }),
            held > 0 && h("span", { class: "held", css: { width: Math.min(1 - part, held / cap) * 100 + "%" } })),
          held > 0 && h("span", { class: "soft small" }, `${usd(held)} held by calls under way`));
      })));
  }

  answer() {
    const { run, result, partial, live } = this.view;
    if (live) return run.kind === "agent" || !partial ? null : h("section", { class: "answer", "aria-label": "So far" }, h("h2", null, "So far"), prose(partial));
    if (!result) return null;
    const words = [];
    if (result.error) words.push(h("p", { class: "note bad" }, typeof result.error === "string" ? result.error : result.error.message));
    const text = result.response || result.partial;
    if (result.stop_reason === "budget") words.push(h("p", { class: "note warn" }, "A limit ended it; this is what there was."));
    if (text) words.push(prose(text));
    if (result.parsed !== undefined && result.parsed !== null) words.push(h("details", null, h("summary", null, "as JSON"), h("pre", { tabindex: 0 }, json(result.parsed))));
    if (result.thinking && run.kind !== "agent") words.push(h("details", null, h("summary", null, "what it thought"), h("p", { class: "soft prose" }, result.thinking)));
    const usage = result.usage || {};
    const receipt = [
      result.provider && result.model_used ? `${result.provider}:${result.model_used}` : result.model,
      usage.input !== undefined || usage.output !== undefined ? `${usage.estimated ? "~" : ""}${count(usage.input)} in, ${count(usage.output)} out` : null,
      result.cost ? usd(result.cost.usd) : null,
      result.latency_ms !== undefined ? seconds(result.latency_ms / 1000) : null,
      result.first_token_ms !== undefined ? `first word after ${seconds(result.first_token_ms / 1000)}` : null,
    ].filter(Boolean);
    if (!words.length) words.push(h("p", { class: "soft" }, run.status === "cancelled" ? "It was cancelled before it said anything." : "(no text)"));
    return h("section", { class: "answer", "aria-label": "Answer" }, h("h2", null, run.status === "finished" ? "Answer" : run.status === "cancelled" ? "Cancelled" : "Why there is none"), words,
      (result.fallbacks || []).map((one) => h("p", { class: "note warn small" }, `${one.provider}:${one.model} was asked first: ${one.message}`)),
      (result.warnings || []).map((one) => h("p", { class: "note small" }, one)),
      receipt.length > 1 && h("p", { class: "facts small receipt" }, receipt.map((one) => h("span", null, one))));
  }

  log({ section, title, none, list }) {
    const items = this.items.filter((item) => (!this.only || item.run === this.only) && !quiet(item, this));
    section.hidden = !items.length && !this.view.live;
    none.hidden = items.length > 0;
    title.textContent = this.only ? `What ${this.runs.get(this.only).name || "it"} did` : this.view.live ? "What happens" : "How it went";
    const many = this.order.length > 1;
    if (many !== this.many) for (const item of this.items) item.changed = true;
    this.many = many;
    sync(list, items.map((item) => this.node(item)));
  }

  /** The item's element: made once, and again only when the item has changed, so that reading and focus are left alone. */
  node(item) {
    if (item.node && !item.changed) return item.node;
    const opened = new Set([...(item.node ? item.node.querySelectorAll("details[open]") : [])].map((one) => one.dataset.key));
    const shown = step(item, opened, this);
    const who = this.many && h("span", { class: "tag" }, this.runs.get(item.run).name || "agent");
    item.changed = false;
    item.node = h("li", null,
      h("time", { title: new Date(item.ts).toLocaleString() }, "+" + seconds((item.ts - this.items[0].ts) / 1000)),
      h("div", { class: "what" }, h("div", { class: "title" }, shown.title, who), shown.body));
    return item.node;
  }
}

/** Make the children of `parent` these, moving none that stands where it should. */
function sync(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] || null);
  });
}

function fresh() {
  return { turns: 0, calls: 0, usd: 0, priced: 0, unpriced: 0, input: 0, output: 0, tools: new Map(), reply: null };
}

function spend(run, event) {
  const cost = event.cost && event.cost.usd;
  if (cost === null || cost === undefined) run.unpriced += 1;
  else { run.usd += cost; run.priced += 1; }
  run.input += (event.usage && event.usage.input) || 0;
  run.output += (event.usage && event.usage.output) || 0;
}
