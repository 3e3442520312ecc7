// The knob, the choices and the theme: what a reader turns, and what is written and drawn anew for it.
"use strict";

const PICTURES = {
  front: drawFront, energy: drawEnergy, spikes: drawSpikes, raster: drawRaster, confusion: drawConfusion,
  rounding: drawRounding, cores: drawCores, rests: writeRests, stream: drawStream,
};
const ABSENT = {
  energy: () => state.chip === NO_CHIP, cores: () => state.chip === NO_CHIP, rests: () => state.chip === NO_CHIP,
  rounding: () => data.rounding === null, stream: () => data.stream === null, raster: () => !Object.keys(data.rasters.neurons).length,
};
const stale = new Set(), visible = new Set(["front"]);

function redraw(names = Object.keys(PICTURES)) {
  names.forEach((name) => stale.add(name));
  requestAnimationFrame(drawVisible);
}

function drawVisible(everything = false) {
  for (const name of [...stale]) {
    const absent = ABSENT[name]?.() ?? false;
    element(name).hidden = absent;
    if (!absent && everything !== true && !visible.has(name)) continue;
    if (!absent) PICTURES[name]();
    stale.delete(name);
  }
}

// Against the most accurate setting: what the knob saves.
function saved(now, then) {
  if (state.setting === best) return "the most accurate";
  if (!then) return "";
  const change = now / then - 1, places = Math.abs(change) < 0.01 ? 2 : 0;
  return `${change > 0 ? "+" : "−"}${percent(Math.abs(change), places)} beside knob ${knobText(data.settings[best].knob)}`;
}

function writeFigures() {
  const found = point(), now = cost(), then = cost(best);
  const figures = [figure("accuracy", "Accuracy", found.accuracy, percent(found.accuracy), `${percent(found.accuracy_low)} to ${percent(found.accuracy_high)}`)];
  const seen = now?.total ? ["total", `Energy on ${state.chip}`] : now?.dynamic ? ["dynamic", `Dynamic energy on ${state.chip}`] : null;
  if (seen !== null) {
    const [part, title] = seen;
    figures.push(figure(part, title, now[part].typical, energy(now[part].typical), saved(now[part].typical, then[part].typical)));
  }
  figures.push(figure("hidden_spikes", "Hidden spikes", found.hidden_spikes, count(found.hidden_spikes), saved(found.hidden_spikes, point(best).hidden_spikes)));
  show("figures", ...figures);
  const more = [];
  for (const part of ["dynamic", "static"]) {
    if (now !== null && seen?.[0] !== part) more.push(figure(part, `${part[0].toUpperCase()}${part.slice(1)} energy`, now[part]?.typical, energy(now[part]?.typical), span(now[part])));
  }
  more.push(
    figure("synaptic_operations", "Synaptic operations", found.synaptic_operations, count(found.synaptic_operations), `${count(found.hidden_synaptic_operations)} of hidden layers`),
    figure("steps", "Time steps", setting().steps, digits(setting().steps), `of ${data.steps}${setting().every > 1 ? `, one in ${setting().every} runs` : ""}`),
    figure("off", "Neurons off", sum(Object.values(setting().off)), count(sum(Object.values(setting().off))), `of ${count(sum(data.groups.map((group) => group.part === "input" ? 0 : group.neurons)))}`),
    figure("unanswered", "No answer", found.unanswered, percent(found.unanswered), "count as wrong"),
  );
  show("more", ...more);
}

function turnTo(index) {
  state.setting = Math.min(Math.max(index, 0), data.settings.length - 1);
  const knob = element("knob"), value = knobText(setting().knob);
  knob.value = String(state.setting);
  knob.setAttribute("aria-valuetext", value);
  element("knob-value").textContent = value;
  writeFigures();
  redraw(Object.keys(PICTURES).filter((name) => name !== "stream"));
}

function choices(id, names, chosen, choose) {
  const buttons = names.map(([value, title]) => {
    const button = make("button", title, { type: "button", "aria-pressed": String(value === chosen), "data-value": value });
    button.addEventListener("click", () => {
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      choose(value);
    });
    return button;
  });
  show(id, ...buttons);
}

function offerChips() {
  const place = element("chips");
  place.hidden = !chips.length;
  chips.forEach((name) => {
    const label = make("label"), radio = make("input", "", { type: "radio", name: "chip", value: name });
    radio.checked = name === state.chip;
    radio.addEventListener("change", () => { state.chip = name; offerCosts(); turnTo(state.setting); });
    label.append(radio, ` ${name}`);
    place.append(label);
  });
}

function offerCosts() {
  const offered = Object.keys(COSTS).filter(known);
  if (!offered.includes(state.cost)) [state.cost] = offered;
  choices("costs", offered.map((name) => [name, COSTS[name].title]), state.cost, (name) => { state.cost = name; redraw(["front"]); });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element("theme").setAttribute("aria-pressed", String(theme === "dark"));
  redraw();
}

const small = window.matchMedia(SMALL);
const preferred = window.matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme;

function begin() {
  document.title = `${data.name}: turn the knob`;
  element("title").textContent = data.name;
  const averaged = data.encodings > 1 ? `, ${data.encodings} encodings of each` : "";
  element("about").textContent = `${data.data}: ${count(data.samples)} samples of ${data.steps} steps${averaged}; ${count(data.synapses)} synapses, ${data.arithmetic}`;
  element("knob-label").textContent = data.knob[0].toUpperCase() + data.knob.slice(1);
  element("made").textContent = `Made by aspen ${data.aspen} explore; data of this page: ${data.format} version ${data.version}. Drawn by Plotly.js (MIT licence). Nothing on this page is fetched from a network.`;
  element("knob").max = String(data.settings.length - 1);
  if (data.settings.length <= 16) data.settings.forEach((each) => element("ticks").append(make("span", knobText(each.knob))));
  element("knob").addEventListener("input", (event) => turnTo(Number(event.target.value)));
  element("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
  small.addEventListener("change", () => redraw());
  preferred.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
  element("print").addEventListener("click", () => window.print());
  offerChips();
  offerCosts();
  choices("samples", data.rasters.labels.map((label, k) => [k, className(label)]), state.sample, (sample) => { state.sample = sample; redraw(["raster"]); });
  setTheme(preferred.matches ? "dark" : "light");
  turnTo(best);
  drawVisible();
  element("front-picture").on("plotly_click", (event) => {
    const [clicked] = event.points.filter((each) => each.customdata !== undefined);
    if (clicked) turnTo(clicked.customdata);
  });
  Object.keys(PICTURES).forEach((name) => watch.observe(element(name)));
}

const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) visible.add(target.id); else visible.delete(target.id);
  }
  requestAnimationFrame(drawVisible);
}, { rootMargin: "200px" });

// Paper is white, and has room for the tables.
const onScreen = { theme: "light", closed: [] };
window.addEventListener("beforeprint", () => {
  onScreen.theme = theme();
  onScreen.closed = [...document.querySelectorAll("details:not([open])")];
  setTheme("light");
  drawVisible(true);
  onScreen.closed.forEach((each) => { each.open = true; });
});
window.addEventListener("afterprint", () => {
  setTheme(onScreen.theme);
  onScreen.closed.forEach((each) => { each.open = false; });
});

begin();
