// How a page on loopback gets its data: with a token that only this browser tab's origin knows, in a header.

const way = (() => {
  const KEY = "mcp-llm";

  async function open() {
    const code = location.hash.slice(1);
    if (code) {
      history.replaceState(null, "", location.pathname + location.search);
      const answer = await fetch("/api/enter", {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ code }),
      });
      if (answer.ok) localStorage.setItem(KEY, (await answer.json()).token);
      else if (!localStorage.getItem(KEY)) throw new Error((await answer.json()).error);
    }
  }

  const opened = open();

  async function call(path, body, signal) {
    await opened;
    let answer;
    try {
      answer = await fetch(path, {
        method: body === undefined ? "GET" : "POST",
        headers: { authorization: "Bearer " + localStorage.getItem(KEY), ...(body === undefined ? {} : { "content-type": "application/json" }) },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("mcp-llm ui does not answer: it was ended. Start it again, and open the address it prints.");
    }
    const data = await answer.json();
    if (answer.status === 401) localStorage.removeItem(KEY);
    if (!answer.ok) throw new Error(data.error || `the server answered ${answer.status}`);
    return data;
  }

  const run = (id) => "/api/runs/" + encodeURIComponent(id);
  return {
    home: "local",
    live: true,
    call,
    look: (id, after, wait) => call(`${run(id)}?${new URLSearchParams({ after, wait })}`),
    list: (status) => call("/api/runs?" + new URLSearchParams({ status })),
    cancel: (id) => call(run(id) + "/cancel", {}),
    resume: (id, again) => call(run(id) + "/resume", { again }),
    answer: (id, question, answer) => call(run(id) + "/answer", { question, answer }),
    address: (id) => "/run?" + new URLSearchParams({ id }),
  };
})();

document.addEventListener("DOMContentLoaded", () => {
  const links = [["Runs", "/"], ["Compare", "/compare"], ["Usage", "/usage"], ["Settings", "/settings"]];
  const here = location.pathname === "/run" ? "/" : location.pathname;
  document.body.prepend(
    h("a", { class: "skip", href: "#main" }, "Skip to the content"),
    h("header", { class: "bar" },
      h("strong", null, "mcp-llm"),
      h("nav", { "aria-label": "Pages" }, links.map(([words, href]) =>
        h("a", { href, "aria-current": here === href && (location.pathname === href ? "page" : "true") }, words))))
  );
});
