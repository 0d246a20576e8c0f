// A comparison: what may be concluded, the figures, the frontier, how the judges did, and the answers side by side.

/** `data` is the result of compare_models, whole or as lean as the tool shows it; `prompts` are texts where known. */
function comparison(data, prompts = []) {
  const results = data.results || [];
  if (!results.length) return h("div", { class: "stack" }, data.response && prose(data.response), notes(data));
  const models = data.models || standings(results);
  return [
    conclusion(data, models, results),
    h("section", { class: "stack", "aria-label": "Figures" }, h("h2", null, "Figures"), figures(models), doubts(data)),
    frontier(data, models),
    ...byPrompt(results, prompts),
    data.omitted > 0 && h("p", { class: "note small" }, `${plural(data.omitted, "more answer")}: mcp-llm runs read ${data.run_id}`),
  ];
}

/** What can be said of the models from the answers alone. */
function standings(results) {
  const mean = (values) => (values.every((one) => one !== null && one !== undefined) && values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
  return [...new Set(results.map((one) => one.model))].map((model) => {
    const own = results.filter((one) => one.model === model), good = own.filter((one) => !one.error);
    return {
      model, answers: good.length, failed: own.length - good.length,
      usd: mean(good.map((one) => one.cost?.usd ?? null)),
      seconds: mean(good.map((one) => (one.latency_ms === undefined ? null : one.latency_ms / 1000))),
      output_tokens: mean(good.map((one) => one.usage?.output ?? null)),
    };
  });
}

function conclusion(data, models, results) {
  const done = results.filter((one) => !one.error).length;
  const words = data.verdict ? data.verdict.words : null;
  return h("section", { class: "stack", "aria-label": "Verdict" },
    words && h("p", { class: "verdict" }, words[0].toUpperCase() + words.slice(1).replace(/[.]?$/, ".")),
    h("p", { class: "facts" },
      h("span", null, plural(models.length, "model")),
      h("span", null, `${done} of ${plural(results.length, "answer")}`),
      data.verdict && h("span", null, `decided by ${data.verdict.basis === "judges" ? "judges" : "exact checks"} over ${plural(data.verdict.prompts, "prompt")}`),
      data.verdict && data.verdict.p !== undefined && data.verdict.p !== null && h("span", null, `p = ${Number(data.verdict.p.toPrecision(2))}`),
      h("span", null, data.cost && data.cost.usd !== null && data.cost.usd !== undefined ? usd(data.cost.usd) + " in all" : "cost unknown"),
      way.home === "app" && data.latency_ms !== undefined && h("span", null, seconds(data.latency_ms / 1000)),
      way.home === "app" && data.run_id && h("span", { class: "mono" }, data.run_id)),
    notes(data));
}

function notes(data) {
  return (data.warnings || []).map((words) => h("p", { class: "note small" }, words));
}

function rate(found, words) {
  if (!found) return h("span", { class: "soft" }, "–");
  return h("span", { class: "rate" }, range(found), h("span", null, percent(found.value)),
    h("span", { class: "soft small" }, interval(found)), h("span", { class: "hush" }, `${words}, 95 % interval, ${count(found.n)} prompts`));
}

function figures(models) {
  const checked = models.some((row) => row.passed), judged = models.some((row) => row.win_rate);
  const beaten = models.some((row) => (row.dominated_by || []).length);
  const head = (words, side) => h("th", { scope: "col", class: side }, words);
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Figures of the models" },
    h("table", null,
      h("thead", null, h("tr", null,
        head("model"), head("answers", "right"), head("cost each", "right"), head("time", "right"), head("tokens out", "right"),
        checked && head("checks passed, 95 %"), judged && head("win rate, 95 %"), beaten && head("dominated by"))),
      h("tbody", null, models.map((row) => h("tr", null,
        h("th", { scope: "row" }, row.model, row.target && row.target !== row.model && h("div", { class: "soft small" }, row.target)),
        h("td", { class: "right nowrap" }, `${row.answers}/${row.answers + row.failed}`,
          row.failed > 0 && h("span", { class: "bad" }, ` ${row.failed} failed`)),
        h("td", { class: "right" }, row.answers ? usd(row.usd) : "–"),
        h("td", { class: "right nowrap" }, row.answers ? seconds(row.seconds) : "–"),
        h("td", { class: "right" }, row.answers ? count(row.output_tokens) : "–"),
        checked && h("td", null, rate(row.passed, "checks passed")),
        judged && h("td", null, rate(row.win_rate, "win rate")),
        beaten && h("td", { class: "soft" }, (row.dominated_by || []).join(", ") || h("span", { class: "good" }, "nobody")))))));
}

function doubts(data) {
  const said = [];
  const judging = data.judging;
  if (judging) {
    for (const judge of judging.judges || []) {
      let words = `${judge.model} gave ${judge.asked - judge.failed} of ${plural(judge.asked, "verdict")}`;
      if (judge.flips) words += `, changed it with the order in ${percent(judge.flips.value)} of pairs (${interval(judge.flips)})`;
      said.push(["judge", words]);
    }
    if (judging.flips) said.push(["flip rate", `${percent(judging.flips.value)} (${interval(judging.flips)}), ${plural(judging.flips.n, "pair")}`]);
    if (judging.kappa !== undefined && judging.kappa !== null) said.push(["judges agree", `${judging.kappa_of === "fleiss" ? "Fleiss’" : "Cohen’s"} kappa ${judging.kappa.toFixed(2)}`]);
    if (judging.length) said.push(["length", `the longer answer won ${percent(judging.length.longer_won)} of ${plural(judging.length.decided, "decided pair")}${judging.length.suspect ? " – suspect" : ""}`]);
    for (const words of judging.failures || []) said.push(["failed", words]);
  }
  if (data.agreement) said.push(["agreement", `equal in ${percent(data.agreement.same)} of cases, ${percent(data.agreement.similarity)} alike in wording`]);
  if (!said.length) return null;
  return h("dl", { class: "doubts small" }, said.map(([name, words]) => [h("dt", { class: "soft" }, name), h("dd", null, words)]));
}

function frontier(data, models) {
  const rows = models.filter((row) => row.answers);
  const judged = rows.some((row) => row.win_rate);
  const quality = (row) => (judged ? row.win_rate : row.passed);
  const measured = rows.filter(quality);
  const dollars = { name: "dollars an answer", words: usd }, time = { name: "seconds", words: (value) => String(Number(value.toPrecision(3))) };
  const beaten = (row) => (row.dominated_by || []).length > 0;
  let plots;
  if (measured.length > 1) {
    const y = { steps: [0, 0.25, 0.5, 0.75, 1], words: percent };
    const points = (x) => measured.map((row) => ({ name: row.model, x: x(row), y: quality(row).value, low: quality(row).low, high: quality(row).high, beaten: beaten(row) }));
    const name = judged ? "win rate" : "checks passed";
    plots = [
      [`${name} against cost`, scatter({ points: points((row) => row.usd ?? null), x: dollars, y, title: `${name} against cost; the table has the figures` })],
      [`${name} against time`, scatter({ points: points((row) => row.seconds ?? null), x: time, y, title: `${name} against time; the table has the figures` })],
    ];
  } else {
    const timed = rows.filter((row) => row.seconds !== null && row.seconds !== undefined);
    if (timed.length < 2) return null;
    const ys = steps(Math.max(...timed.map((row) => row.seconds)));
    const points = timed.map((row) => ({ name: row.model, x: row.usd ?? null, y: ys.at(-1) - row.seconds, beaten: false }));
    // Up is better in every plot: the axis of time runs downwards.
    const y = { steps: ys, words: (value) => String(Number((ys.at(-1) - value).toPrecision(3))) };
    plots = [["seconds (fast is up) against cost; nothing measures quality here", scatter({ points, x: dollars, y, title: "time against cost; the table has the figures" })]];
  }
  return h("section", { class: "stack", "aria-label": "Frontier" },
    h("h2", null, "Frontier"),
    h("div", { class: "plots" }, plots.map(([words, plot]) => h("figure", null, h("figcaption", null, words), plot))),
    measured.length > 1 && h("p", { class: "soft small" }, "Filled: nobody is cheaper, faster and better at once. Hollow: somebody is. Lines are 95 % intervals; ? is a cost nobody knows."));
}

function byPrompt(results, prompts) {
  const numbers = [...new Set(results.map((one) => one.prompt || 0))];
  const samples = results.some((one) => one.sample);
  return numbers.map((number) => h("section", { class: "stack", "aria-label": numbers.length > 1 ? `Answers to prompt ${number + 1}` : "Answers" },
    h("h2", null, numbers.length > 1 ? `Prompt ${number + 1}` : "Answers"),
    prompts[number] && (numbers.length > 1 || prompts[number].length > 140) && (prompts[number].length < 300 ? h("p", { class: "prose" }, prompts[number])
      : h("details", null, h("summary", null, first(prompts[number], 200)), h("div", { class: "prose" }, prompts[number]))),
    h("ul", { class: "answers", tabindex: 0, "aria-label": "Answers side by side" }, results.filter((one) => (one.prompt || 0) === number).map((one) => answer(one, samples)))));
}

function answer(one, samples) {
  const check = one.check;
  const mark = check && (check.passed === true ? h("span", { class: "mark good" }, "✓ passed")
    : check.passed === false ? h("span", { class: "mark bad", title: (check.failed || []).join("; ") }, "✗ failed") : h("span", { class: "mark warn" }, "not checked"));
  const facts = [
    one.usage && one.usage.output !== undefined && `${one.usage.estimated ? "~" : ""}${count(one.usage.output)} tokens`,
    !one.error && usd(one.cost ? one.cost.usd : null),
    one.latency_ms !== undefined && seconds(one.latency_ms / 1000),
    one.finish_reason && !["stop", "tool_calls"].includes(one.finish_reason) && !one.error && `stopped: ${one.finish_reason}`,
  ].filter(Boolean);
  return h("li", null,
    h("div", { class: "row apart" }, h("span", { class: "who" }, one.model, samples && h("span", { class: "soft" }, ` · sample ${one.sample + 1}`)), mark),
    facts.length > 0 && h("div", { class: "facts small" }, facts.map((words) => h("span", null, words))),
    one.error && h("p", { class: "note bad small" }, one.error.message),
    check && check.passed === false && (check.failed || []).length > 0 && h("p", { class: "small bad" }, check.failed.join("; ")),
    one.response ? h("div", { class: "words", tabindex: 0, role: "group", "aria-label": `The answer of ${one.model}` }, prose(one.response)) : !one.error && h("p", { class: "soft" }, "(no text)"));
}
