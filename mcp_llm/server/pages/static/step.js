// One thing that happened in a run, as a line of its log.

/** What says nothing that is not said elsewhere. */
function quiet(item, viewer) {
  if (item.kind === "start") return item.run === viewer.id;
  if (item.kind === "agent_start" || item.kind === "agent_end") return viewer.runs.has(item.event.child_run);
  if (item.kind === "finish") return true;
  return item.kind === "reply" && !item.open && !item.text && !item.thinking && !(item.event.calls || []).length;
}

/** One line of the log: `{title, body}`. */
function step(item, opened, viewer) {
  const { event } = item;
  const bold = (...words) => h("b", null, words), soft = (words, kind = "soft") => words && h("span", { class: `${kind} small` }, words);
  const more = (key, words, body) => h("details", { "data-key": key, open: opened.has(key) }, h("summary", null, words), body);
  switch (item.kind) {
    case "start":
      return { title: [bold("begins"), soft(named(event))], body: h("p", { class: "soft" }, event.prompt) };
    case "reply": {
      const facts = item.open ? "is speaking" : [event.usage && `${count(event.usage.input)} in, ${count(event.usage.output)} out`, event.cost && usd(event.cost.usd), event.latency_ms !== undefined && seconds(event.latency_ms / 1000)].filter(Boolean).join(" · ");
      return { title: [bold(named(event) || "model"), soft(facts, item.open ? "state running" : "soft")],
        body: [item.thinking && (item.open && !item.text ? h("p", { class: "thinking small" }, item.thinking.slice(-600)) : more("thinking", "what it thought", h("p", { class: "thinking small" }, item.thinking))),
          item.text && (item.text === viewer.said() && item.run === viewer.id ? soft("the answer, as above") : prose(item.text))] };
    }
    case "tool": {
      const end = item.end, args = item.event.args;
      const title = [bold(h("code", null, event.tool)), !end ? soft("is running", "state running") : end.is_error ? soft("failed", "bad") : null,
        end && end.latency_ms !== undefined && soft(seconds(end.latency_ms / 1000))];
      const line = brief(args);
      return { title, body: [
        line && h("p", { class: "mono soft" }, line),
        args && JSON.stringify(args).length > 100 && more("args", "arguments", h("pre", { tabindex: 0 }, json(args))),
        end && end.result !== undefined && (json(end.result).length < 160 && !json(end.result).includes("\n")
          ? h("p", { class: end.is_error ? "bad" : "" }, "→ ", json(end.result))
          : more("result", end.is_error ? "what went wrong" : `result, ${plural(json(end.result).length, "character")}`, h("pre", { tabindex: 0 }, json(end.result))))] };
    }
    case "task": {
      const end = item.end;
      const ended = end && { completed: ["done", "good"], failed: ["failed", "bad"], skipped: ["skipped", "soft"], cancelled: ["cancelled", "soft"] }[end.status];
      const said = end && end.result && typeof end.result.response === "string" ? end.result.response : null;
      const result = !said && end && end.result !== undefined && end.result !== null ? json(end.result) : "";
      return { title: [bold(event.task, event.item ? ` · ${first(event.item, 40)}` : ""), soft(event.method), ended ? soft(...ended) : soft("is running", "state running"),
          end && end.latency_ms !== undefined && soft(seconds(end.latency_ms / 1000)), end && end.attempts > 1 && soft(`${end.attempts} attempts`)],
        body: [end && end.error && h("p", { class: "bad" }, end.error), said && prose(said),
          result && (result.length < 160 && !result.includes("\n") ? h("p", null, "→ ", result) : more("result", `result, ${plural(result.length, "character")}`, h("pre", { tabindex: 0 }, result)))] };
    }
    case "job":
      return { title: [bold(`work of ${event.provider}`), soft(event.state), event.total > 0 && soft(`${count(event.done)} of ${count(event.total)}`)],
        body: event.message && h("p", { class: "soft" }, event.message) };
    case "approval": {
      const words = { asked: "waits for a yes", allowed: "was allowed", denied: "was denied" }[event.state];
      const by = { user: "by you", policy: "by your settings", deadline: "nobody answered in time" }[event.by];
      return { title: [bold(h("code", null, event.tool)), soft(words, event.state === "denied" ? "bad" : event.state === "asked" ? "warn" : "good"), soft(by)] };
    }
    case "agent_start":
      return { title: [bold(`asks ${event.agent}`)], body: !viewer.runs.has(event.child_run) && event.prompt && h("p", { class: "soft" }, event.prompt) };
    case "agent_end":
      return { title: [bold(event.agent), soft(event.status)], body: event.result && prose(json(event.result)) };
    case "budget":
      return { title: [bold(event.stopped ? "limit reached" : "limit near"), soft(event.limit, "warn")], body: event.message && h("p", null, event.message) };
    case "fallback":
      return { title: [bold("another model is asked"), soft(`${event.provider}:${event.model}`)], body: h("p", { class: "warn" }, event.message || event.error) };
    case "resumed":
      return { title: [bold("goes on"), soft(`attempt ${event.attempt}, after its process had gone`)] };
    case "compacted":
      return { title: [bold("history made shorter"), soft(event.reason)] };
    case "error":
      return { title: [bold(event.kind === "cancelled" ? "cancelled" : "failed")], body: h("p", { class: event.kind === "cancelled" ? "soft" : "bad" }, event.error) };
    default:
      return { title: [bold(item.kind)], body: null };
  }
}
