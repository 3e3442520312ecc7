// What the page is made of: the data, where the knob stands, and how figures, tables and colours are written.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const NO_CHIP = "none";
const chips = Object.keys(data.chips);
const state = { setting: 0, chip: chips[0] ?? NO_CHIP, cost: "total", sample: 0 };

const setting = () => data.settings[state.setting];
const point = (index = state.setting, chip = state.chip) => data.settings[index].points[chip];
const cost = (index = state.setting, chip = state.chip) => data.settings[index].costs[chip] ?? null;
const element = (id) => document.getElementById(id);

// Figures: three digits and the unit that suits them; what is not known is said in words.
const UNITS = [["J", 1], ["mJ", 1e-3], ["µJ", 1e-6], ["nJ", 1e-9], ["pJ", 1e-12]];

function digits(value, count = 3) {
  const written = Number(value.toPrecision(count));
  return written.toLocaleString("en", { maximumSignificantDigits: Math.max(count, String(Math.trunc(written)).length) });
}

const unitOf = (joules) => UNITS.find(([, size]) => Math.abs(joules) >= size) ?? UNITS[UNITS.length - 1];

function energy(joules) {
  if (joules === null || joules === undefined) return "unknown";
  if (joules === 0) return "0 J";
  const [unit, size] = unitOf(joules);
  return `${digits(joules / size)} ${unit}`;
}

const span = (range) => range === null ? "" : range.low === range.high ? "" : `${energy(range.low)} to ${energy(range.high)}`;
const percent = (share, places = 1) => `${(100 * share).toFixed(places)} %`;
const count = (value) => value < 1000 ? digits(value) : Math.round(value).toLocaleString("en");
const knobText = (value) => String(Number(value.toPrecision(4)));
const sum = (values) => values.reduce((total, value) => total + value, 0);

function seconds(value) {
  const [unit, size] = [["s", 1], ["ms", 1e-3], ["µs", 1e-6]].find(([, each]) => value >= each) ?? ["ns", 1e-9];
  return `${digits(value / size)} ${unit}`;
}

// Names come from users. As text of an element they are harmless; Plotly reads tags and %{...} in its texts.
const plain = (name) => String(name).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%\{/g, "%\u200b{");

function make(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// A table beside a picture: head and rows are texts; a row may be marked as that of the chosen setting.
function table(caption, head, rows, chosen = -1) {
  const made = make("table");
  made.append(make("caption", caption));
  const top = made.createTHead().insertRow();
  head.forEach((title) => top.append(make("th", title, { scope: "col" })));
  const body = made.createTBody();
  rows.forEach((cells, index) => {
    const row = body.insertRow();
    if (index === chosen) row.className = "chosen";
    cells.forEach((cell, column) => row.append(column ? make("td", cell) : make("th", cell, { scope: "row" })));
  });
  return made;
}

const show = (id, ...parts) => element(id).replaceChildren(...parts);

// A figure with its number as data, so that it can be read back.
function figure(name, title, value, text, beside = "") {
  const made = make("div");
  made.append(make("dt", title));
  const shown = make("dd", text, { class: "value", "data-figure": name, "data-value": value ?? "" });
  made.append(shown, make("dd", beside, { class: "beside" }));
  return made;
}

// Colours are those of the style sheet, so that pictures follow the theme.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const HIDDEN = ["teal", "purple", "amber", "rust"];

function colourOf(group) {
  if (group.part !== "hidden") return colour(group.part === "input" ? "grey" : "green");
  const hidden = data.groups.filter((each) => each.part === "hidden");
  return colour(HIDDEN[hidden.indexOf(group) % HIDDEN.length]);
}

const SMALL = "(max-width: 44rem)";  // as in the style sheet
const narrow = () => window.matchMedia(SMALL).matches;

function layout(changes) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true, fixedrange: true };
  const { xaxis = {}, yaxis = {}, ...rest } = changes;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: narrow() ? 11 : 13, color: colour("ink") },
    margin: { l: 10, r: 16, t: 10, b: 10 }, separators: ".,",
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

// Draw, and say in words what is drawn.
function draw(id, traces, changes, words) {
  const place = element(id);
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", words);
  const kept = { displaylogo: false, responsive: true, displayModeBar: false };
  return Plotly.react(place, traces, layout(changes), kept);
}
