"use strict";
// What all pages share. Words of models, tools and people are only ever text: nothing here, or after here, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes by name, `on*` functions as listeners, `css` as style properties; texts become text nodes. */
function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

function put(place, ...children) {
  place.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return place;
}

const at = (id) => document.getElementById(id);

// Figures. Unknown is a question mark, never 0.

function usd(value) {
  if (value === null || value === undefined) return "?";
  if (value === 0) return "$0";
  if (value >= 1) return "$" + value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  if (value >= 0.01) return "$" + value.toFixed(value >= 0.1 ? 2 : 3);
  return "$" + Number(value.toPrecision(2)).toLocaleString("en", { maximumFractionDigits: 12 });
}

/** Dollars of a sum: what is known, and that some of it is not. */
function sum(known, unknown) {
  if (!unknown) return usd(known);
  return known === null || known === undefined || known === 0 ? "?" : usd(known) + " + ?";
}

const count = (value) => (value === null || value === undefined ? "?" : Math.round(value).toLocaleString("en"));
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

function seconds(value) {
  if (value === null || value === undefined) return "?";
  if (value < 0.9995) return Math.round(value * 1000) + " ms";
  if (value < 10) return value.toFixed(1) + " s";
  if (value < 90) return Math.round(value) + " s";
  if (value < 5400) return Math.round(value / 60) + " min";
  return (value / 3600).toFixed(1) + " h";
}

const percent = (value) => Math.round(value * 100) + " %";
const interval = (rate) => `${Math.round(rate.low * 100)}–${Math.round(rate.high * 100)}`;

function when(ms) {
  const date = new Date(ms);
  const today = new Date().toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  return today ? time : date.toLocaleDateString([], { day: "numeric", month: "short" }) + " " + time;
}

const first = (text, most) => {
  const line = String(text || "").trim().split("\n")[0];
  return line.length > most ? line.slice(0, most - 1) + "…" : line;
};

/** `provider:model`, as everywhere else. */
const named = (one) => (one.provider && one.model && !one.model.startsWith(one.provider + ":") && one.provider !== one.model ? `${one.provider}:${one.model}` : one.model);

/** What kind of run it is, in a word. */
const kind = (name) => ({ agent: "Agent", compare_models: "Comparison", generate: "Answer" }[name] || String(name).split(".")[0].replace(/_/g, " ").replace(/^./, (one) => one.toUpperCase()));

function state(word) {
  return h("span", { class: "state " + word }, word);
}

// Words

const LINK = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f]+[^\s<>"'`.,;:!?)\]}\u0000-\u001f]/g;

/** Text with its fenced code set apart and its web addresses as links; everything else stays as it was written. */
function prose(text) {
  const parts = String(text).split(/^```[^\n]*\n([\s\S]*?)^```[ \t]*$/m);
  const found = parts.map((part, index) =>
    index % 2 ? h("pre", null, h("code", null, part.replace(/\n$/, ""))) : part.trim() && h("div", null, linked(part.trim()))
  );
  return h("div", { class: "prose" }, found);
}

function linked(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    found.push(...marked(text.slice(end, match.index)), link(match[0], match[0]));
    end = match.index + match[0].length;
  }
  return [...found, ...marked(text.slice(end))];
}

/** `code` and **strong**, the two marks that models cannot do without. */
function marked(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part) => {
    if (/^`[^`\n]+`$/.test(part)) return h("code", null, part.slice(1, -1));
    if (/^\*\*[^*\n]+\*\*$/.test(part)) return h("strong", null, part.slice(2, -2));
    return part;
  });
}

/** A link that goes to the web and nowhere else, and tells nobody where it came from. */
function link(address, words) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    return document.createTextNode(words);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return document.createTextNode(words);
  const made = h("a", { href: url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, words);
  if (way.open) made.addEventListener("click", (event) => { event.preventDefault(); way.open(url.href); });
  return made;
}

/** JSON as text; marks that would turn the order of what a person reads are spelled out. */
const json = (value) => shown(typeof value === "string" ? value : JSON.stringify(value, null, 1));
const shown = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g, (one) => "\\u" + one.charCodeAt(0).toString(16));

/** Arguments in one line, as short as they can be. */
function brief(value, most = 120) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).map(([name, one]) => `${name}: ${typeof one === "string" ? one : JSON.stringify(one)}`).join(", ")
    : typeof value === "string" ? value : JSON.stringify(value);
  return shown(first(text.replace(/\s+/g, " "), most));
}

// Being told

/** Words for a screen reader, when something has changed that eyes would see. */
function announce(words) {
  const place = at("announcer");
  if (place && place.textContent !== words) place.textContent = words;
}

function problem(words) {
  const place = at("problem");
  put(place, words ? h("div", { class: "note bad", role: "alert" }, words) : null);
}

/** Do it with the button shut; what fails is told. Gives undefined then. */
async function press(button, work) {
  button.disabled = true;
  try {
    problem("");
    return await work();
  } catch (error) {
    problem(error.message);
    return undefined;
  } finally {
    button.disabled = false;
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
