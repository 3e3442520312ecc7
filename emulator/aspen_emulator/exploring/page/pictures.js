// Each picture with its table and note: a function of the data and of where the knob stands.
"use strict";

const COSTS = {
  total: { title: "Total energy", of: (index) => cost(index)?.total?.typical ?? null },
  dynamic: { title: "Dynamic energy", of: (index) => cost(index)?.dynamic?.typical ?? null },
  hidden_spikes: { title: "Hidden spikes", of: (index) => point(index).hidden_spikes },
};
const all = data.settings.map((_, index) => index);
const known = (name) => all.every((index) => COSTS[name].of(index) !== null);
const accuracies = all.map((index) => point(index).accuracy);
const best = accuracies.indexOf(Math.max(...accuracies));

// One unit for all settings, so that an axis stays while the knob turns.
function scaled(values) {
  const [unit, size] = unitOf(Math.max(...values.map((value) => value ?? 0)));
  return { unit, size };
}

function drawFront() {
  const name = known(state.cost) ? state.cost : Object.keys(COSTS).find(known);
  const values = all.map(COSTS[name].of);
  const { unit, size } = name === "hidden_spikes" ? { unit: "per inference", size: 1 } : scaled(values);
  const x = values.map((value) => value / size), y = all.map((index) => 100 * point(index).accuracy);
  const onFront = data.fronts[state.chip][name];
  const error = {
    type: "data", symmetric: false, thickness: 1, width: 0, color: colour("grey"),
    array: all.map((index) => 100 * (point(index).accuracy_high - point(index).accuracy)),
    arrayminus: all.map((index) => 100 * (point(index).accuracy - point(index).accuracy_low)),
  };
  const chosen = state.setting;
  const hover = "knob %{text}<br>%{y:.1f} %<br>%{x:.4g} " + unit + "<extra></extra>";
  const texts = all.map((index) => knobText(data.settings[index].knob));
  const traces = [
    { x: onFront.map((i) => x[i]), y: onFront.map((i) => y[i]), mode: "lines", name: "front", line: { shape: "hv", color: colour("teal"), width: 1.5 }, hoverinfo: "skip" },
    { x, y, error_y: error, text: texts, customdata: all, mode: "markers", name: "measured, 95 % interval", hovertemplate: hover,
      marker: { size: 11, color: all.map((i) => onFront.includes(i) ? colour("teal") : colour("card")), line: { color: colour("teal"), width: 2 } } },
    { x: [x[chosen]], y: [y[chosen]], mode: "markers", name: "chosen", hoverinfo: "skip",
      marker: { size: 20, color: "rgba(0,0,0,0)", line: { color: colour("rust"), width: 3.5 } } },
  ];
  const words = `Accuracy against ${COSTS[name].title.toLowerCase()}: at knob ${texts[chosen]} ${percent(point().accuracy)} at ` +
    `${name === "hidden_spikes" ? count(values[chosen]) + " spikes" : energy(values[chosen])}. The table below has all settings.`;
  draw("front-picture", traces, {
    xaxis: { title: { text: `${COSTS[name].title} (${unit})` }, range: [-0.03 * Math.max(...x), 1.06 * Math.max(...x)] },
    yaxis: { title: { text: "accuracy (%)" } },
    showlegend: !narrow(),
    annotations: [{ x: x[chosen], y: y[chosen], text: `knob ${texts[chosen]}`, showarrow: false, yshift: -24, bgcolor: colour("card"), borderpad: 1,
      font: { size: 14, color: colour("rust") } }],
  }, words);
  const reach = (Math.max(...values) - Math.min(...values)) / Math.max(...values);
  const part = name === "total" && reach < 0.01 ? ` The knob moves ${percent(reach, 2)} of the total on ${state.chip}: what it moves is the dynamic part.` : "";
  show("front-note", `${onFront.includes(chosen) ? "This setting is on the front: none is cheaper and as accurate." : "Another setting is cheaper and as accurate as this one."}` +
    ` Lines are steps: nothing was measured between the points.${part}`);
  frontTable();
}

function frontTable() {
  const head = [data.knob, "accuracy", "95 % interval", "hidden spikes", "synaptic operations", "total", "dynamic", "static", "steps", "no answer"];
  const rows = all.map((index) => {
    const found = point(index), parts = cost(index);
    return [knobText(data.settings[index].knob), percent(found.accuracy), `${percent(found.accuracy_low)} to ${percent(found.accuracy_high)}`,
      count(found.hidden_spikes), count(found.synaptic_operations), energy(parts?.total?.typical), energy(parts?.dynamic?.typical),
      energy(parts?.static?.typical), digits(data.settings[index].steps), percent(found.unanswered)];
  });
  const on = state.chip === NO_CHIP ? "" : `, energies on ${state.chip}`;
  show("front-table", table(`Means per inference${on}`, head, rows, state.setting));
}

// Colour and pattern of each kind of event: no two differ by their colour alone.
const LOOKS = {
  synaptic_operation: ["teal", ""], multiply_accumulate: ["green", "/"], neuron_update_active: ["rust", "\\"],
  neuron_update_inactive: ["amber", "."], spike: ["purple", "x"], spike_packet: ["grey", "-"], hop_east_west: ["grey", "|"],
  hop_north_south: ["soft", "+"], crossbar_operation: ["teal", "."], leak_operation: ["amber", "x"], program_step: ["soft", "x"],
  clock_cycle: ["green", "x"], wake_up: ["soft", "-"],
};

function drawEnergy() {
  const now = cost();
  const parts = ["dynamic", "static", "total"].filter((name) => now[name] !== null);
  const unknown = ["total", "static", "dynamic"].filter((name) => now[name] === null);
  show("energy-note", `${now.headline.replaceAll(" uJ", " µJ")}.${unknown.length ? ` Unknown: ${unknown.join(", ")}.` : ""} Lines go from the lowest to the highest figures; the axes stay as the knob turns.`);
  element("parts-picture").hidden = !parts.length;
  element("events-picture").hidden = now.dynamic === null;
  if (parts.length) drawParts(now, parts);
  if (now.dynamic !== null) drawEvents();
  eventsTable();
}

function drawParts(now, parts) {
  const most = Math.max(...all.flatMap((index) => parts.map((name) => cost(index)[name].high)));
  const { unit, size } = unitOfRange(most);
  const looks = { total: "grey", static: "soft", dynamic: "teal" };
  draw("parts-picture", [{
    type: "bar", orientation: "h", y: parts, x: parts.map((name) => now[name].typical / size), width: 0.6,
    text: parts.map((name) => energy(now[name].typical)), textposition: "none",
    marker: { color: parts.map((name) => colour(looks[name])) },
    error_x: { type: "data", symmetric: false, color: colour("ink"), thickness: 1.2, width: 5,
      array: parts.map((name) => (now[name].high - now[name].typical) / size),
      arrayminus: parts.map((name) => (now[name].typical - now[name].low) / size) },
    customdata: parts.map((name) => span(now[name])), hovertemplate: "%{y}: %{text}<br>%{customdata}<extra></extra>",
  }], { xaxis: { title: { text: `${unit} per inference` }, range: [0, 1.05 * most / size] },
    yaxis: { tickvals: parts, ticktext: parts.map((name) => `${name} <b>${energy(now[name].typical)}</b> `) } },
  `Energy of an inference on ${state.chip}: ${parts.map((name) => `${name} ${energy(now[name].typical)}`).join(", ")}.`);
}

const unitOfRange = (most) => { const [unit, size] = unitOf(most); return { unit, size }; };

function drawEvents() {
  const places = [...new Set(cost().events.map((each) => each.where))];
  const at = (index) => places.map((where) => sum(cost(index).events.filter((each) => each.where === where).map((each) => each.joules?.typical ?? 0)));
  const most = Math.max(...all.flatMap(at));
  const { unit, size } = unitOfRange(most);
  const kinds = data.chips[state.chip].events;
  const traces = Object.keys(kinds).flatMap((event) => {
    const found = cost().events.filter((each) => each.event === event && each.joules?.typical);
    if (!found.length) return [];
    const [tone, shape] = LOOKS[event];
    return [{ type: "bar", orientation: "h", name: kinds[event], y: found.map((each) => plain(each.where)), x: found.map((each) => each.joules.typical / size),
      text: found.map((each) => energy(each.joules.typical)), textposition: "none", customdata: found.map((each) => count(each.count)),
      hovertemplate: "%{y}<br>%{customdata} %{fullData.name}<br>%{text}<extra></extra>",
      marker: { color: colour(tone), line: { color: colour("card"), width: 1 }, pattern: { shape, fgcolor: colour("card"), fillmode: "overlay", size: 7, solidity: .25 } } }];
  });
  const words = `Dynamic energy on ${state.chip} by place and kind of event; the table below has the figures.`;
  draw("events-picture", traces, {
    barmode: "stack", xaxis: { title: { text: `dynamic energy (${unit} per inference)` }, range: [0, 1.05 * most / size] },
    yaxis: { autorange: "reversed", categoryorder: "array", categoryarray: places.map(plain) },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 }, traceorder: "normal" },
  }, words);
}

function eventsTable() {
  const kinds = data.chips[state.chip].events;
  const rows = cost().events.filter((each) => each.count).map((each) => [each.where, kinds[each.event], count(each.count),
    each.joules === null ? "elsewhere or unknown" : energy(each.joules.typical), each.joules === null ? "" : span(each.joules)]);
  show("energy-table", table(`Dynamic energy per inference on ${state.chip}, knob ${knobText(setting().knob)}`,
    ["place", "event", "count", "typical", "range"], rows));
}

// Spikes in a step: means where one value stands for several steps, of which the last value may have fewer.
const runsOf = (each) => Math.floor(data.steps / each.every);
function courseOf(group, each = setting()) {
  return each.spikes[group.name].map((value, k) => value / Math.min(data.together, Math.max(runsOf(each) - k * data.together, 1)));
}
const stepsUntil = (k, course) => (k + 1 < course.length ? (k + 1) * data.together : Math.max(runsOf(setting()), k * data.together + 1)) * setting().every;

// Step by step, as a function takes no more than some hundred thousand arguments.
const busiest = data.settings.flatMap((each) => data.groups.flatMap((group) => courseOf(group, each)))
  .reduce((most, value) => Math.max(most, value), 0);

function drawSpikes() {
  const spikes = data.groups.map((group) => sum(setting().spikes[group.name]));
  const most = Math.max(...data.settings.flatMap((each) => data.groups.map((group) => sum(each.spikes[group.name]))));
  const off = (group) => setting().off[group.name] ?? 0;
  const texts = data.groups.map((group, k) => ` ${count(spikes[k])}${off(group) ? `, ${count(off(group))} of ${group.neurons} off` : ""}`);
  draw("spikes-picture", [{
    type: "bar", orientation: "h", y: data.groups.map((group) => plain(group.name)), x: spikes, text: texts, textposition: "outside", cliponaxis: false,
    marker: { color: data.groups.map(colourOf) }, hovertemplate: "%{y}:%{text}<extra></extra>",
  }], { xaxis: { title: { text: "spikes per inference" }, range: [0, 1.35 * most] }, yaxis: { autorange: "reversed" } },
  `Spikes per inference: ${data.groups.map((group, k) => `${group.name} ${count(spikes[k])}`).join(", ")}.`);
  draw("course-picture", data.groups.map((group) => ({
    x: setting().spikes[group.name].map((_, k, course) => stepsUntil(k, course)), y: courseOf(group), name: plain(group.name), mode: "lines",
    line: { color: colourOf(group), width: 2, dash: group.part === "input" ? "dot" : group.part === "output" ? "dash" : "solid" },
    hovertemplate: "step %{x}: %{y:.3g}<extra>%{fullData.name}</extra>",
  })), { xaxis: { title: { text: "time step" } }, yaxis: { title: { text: data.together > 1 ? `spikes in a step, means of ${data.together}` : "spikes in a step" }, range: [0, 1.05 * busiest] } },
  "Spikes of each population in each time step, mean over the samples.");
  spikesTable(spikes, off);
}

function spikesTable(spikes, off) {
  const groups = data.groups.map((group, k) => [group.name, group.part, count(group.neurons), count(off(group)), count(spikes[k]), digits(spikes[k] / group.neurons)]);
  const operations = Object.entries(setting().operations).map(([name, each]) => [name, count(each)]);
  show("spikes-table",
    table(`Populations at knob ${knobText(setting().knob)}, per inference`, ["population", "part", "neurons", "off", "spikes", "spikes of a neuron"], groups),
    table("Connections, per inference", ["connection", "synaptic operations"], operations));
}

// The recorded setting that is nearest: what is shown was recorded, at that setting and no other.
function nearestRaster() {
  const apart = (raster) => Math.abs(raster.setting - state.setting);
  return data.rasters.recorded.reduce((nearest, raster) => apart(raster) < apart(nearest) ? raster : nearest);
}

const className = (label) => label < 0 ? "no answer" : data.classes[label];

// A mark fills most of the height of a neuron's row, and part of the width of a time step.
function markOf(place, shown) {
  const rows = sum(shown.map((group) => data.rasters.neurons[group.name].length + 4)), between = (low, value, high) => Math.min(Math.max(low, value), high);
  return { wide: between(2.5, 0.4 * place.clientWidth / data.steps, 14), high: between(1.2, 0.75 * place.clientHeight / rows, 5) };
}

function drawRaster() {
  const raster = nearestRaster(), spikes = raster.samples[state.sample], { every } = data.settings[raster.setting];
  const steps = raster.steps[state.sample] * every, whole = Math.floor(data.steps / every) * every;
  const shown = data.groups.filter((group) => group.name in data.rasters.neurons);
  const { wide, high } = markOf(element("raster-picture"), shown);
  let ground = 0;
  const traces = [], ticks = [], lines = [], rows = [], thinned = [];
  for (const group of shown) {
    const neurons = data.rasters.neurons[group.name], places = spikes[group.name], start = ground;
    traces.push({
      x: places.map((place) => (Math.floor(place / neurons.length) + 1) * every), y: places.map((place) => start + place % neurons.length),
      customdata: places.map((place) => neurons[place % neurons.length]), mode: "markers", name: plain(group.name), showlegend: false,
      marker: { symbol: "line-ew-open", size: wide, color: colourOf(group), line: { width: high } },
      hovertemplate: "step %{x}, neuron %{customdata}<extra>%{fullData.name}</extra>",
    });
    ticks.push([start + neurons.length / 2, group.name]);
    ground += neurons.length + 4;
    lines.push(ground - 2.5);
    const left = neurons.length < group.neurons, part = left ? `${neurons.length} of ${group.neurons}` : `${group.neurons}`;
    if (left) thinned.push(`${part} neurons of ${group.name}`);
    rows.push([group.name, part, count(places.length), digits(places.length / neurons.length)]);
  }
  const knob = knobText(data.settings[raster.setting].knob), label = data.rasters.labels[state.sample];
  draw("raster-picture", traces, {
    xaxis: { title: { text: "time step" }, range: [0.3, data.steps + 0.7], fixedrange: false },
    yaxis: { tickvals: ticks.map(([place]) => place), ticktext: ticks.map(([, name]) => plain(name)), range: [ground - 2, -3], showgrid: false, zeroline: false },
    shapes: [
      ...lines.slice(0, -1).map((y) => ({ type: "line", x0: 0, x1: 1, xref: "paper", y0: y, y1: y, line: { color: colour("line"), width: 1 } })),
      ...(steps < whole ? [{ type: "line", x0: steps + .5, x1: steps + .5, y0: 0, y1: 1, yref: "paper", line: { color: colour("rust"), width: 2, dash: "dash" } }] : []),
    ],
  }, `Spikes of a sample of class ${className(label)}, recorded at knob ${knob}: ${rows.map(([name, , n]) => `${name} ${n}`).join(", ")} spikes.`);
  const here = raster.setting === state.setting ? `Recorded at this setting, knob ${knob}.`
    : `Recorded at knob ${knob}, the nearest of ${data.rasters.recorded.length} settings that were; the knob stands at ${knobText(setting().knob)}.`;
  const given = raster.answers[state.sample];
  const ended = steps < whole ? ` It ended after ${steps} of ${data.steps} steps.` : "";
  const right = given === label ? ", right" : given < 0 ? "" : ", wrong";
  show("raster-note", `${here} Class ${className(label)}; the network ${given < 0 ? "has no answer" : `says ${className(given)}`}${right}.${ended}${thinned.length ? ` Shown are ${thinned.join(", ")}.` : ""}`);
  show("raster-table", table(`Sample ${data.rasters.samples[state.sample]}, knob ${knob}`, ["population", "neurons shown", "spikes", "spikes of a neuron"], rows));
}

// As many names as there is room for; the table has all.
const MOST_NAMES = 24;

function namesAlong(names) {
  const apart = Math.ceil(names.length / MOST_NAMES), shown = names.map((_, k) => k).filter((k) => k % apart === 0);
  return { tickvals: shown, ticktext: shown.map((k) => plain(names[k])) };
}

function drawConfusion() {
  const found = setting().confusion, silent = found.some((row) => row[row.length - 1]);
  const others = data.classes.length - data.confused.length;
  const names = [...data.confused.map((label) => data.classes[label]), ...(others ? [`${others} others`] : [])];
  const answers = [...names, ...(silent ? ["no answer"] : [])];
  const counts = found.map((row) => row.slice(0, answers.length));
  const share = counts.map((row) => row.map((each) => each / Math.max(sum(row), 1)));
  const few = answers.length <= (narrow() ? 10 : 16);
  const total = sum(counts.map(sum)), right = Math.round(total * point().accuracy);
  draw("confusion-picture", [{
    type: "heatmap", z: share, x: answers.map((_, k) => k), y: counts.map((_, k) => k), zmin: 0, zmax: 1, showscale: false, xgap: few ? 2 : 0, ygap: few ? 2 : 0,
    colorscale: [[0, colour("pale")], [1, colour("teal")]], text: counts.map((row) => row.map((each) => each ? String(each) : "")),
    ...(few ? { texttemplate: "%{text}" } : {}), customdata: counts.map((row, k) => row.map((_, j) => [plain(names[k]), plain(answers[j])])),
    hovertemplate: "%{customdata[0]} answered %{customdata[1]}<br>%{text}, %{z:.1%} of the class<extra></extra>",
  }], {
    xaxis: { title: { text: "answer" }, ...namesAlong(answers), showgrid: false, zeroline: false },
    yaxis: { title: { text: "class" }, ...namesAlong(names), autorange: "reversed", showgrid: false, zeroline: false },
  }, `Answers by class: ${right} of ${total} right.`);
  show("confusion-note", others ? `The ${names.length - 1} of ${data.classes.length} classes that are mixed up most over the whole knob; all others are one row and one column.` : "");
  show("confusion-table", table(`Inferences by class and answer, knob ${knobText(setting().knob)}`, ["class", ...answers],
    counts.map((row, k) => [names[k], ...row.map(String)])));
}

function drawRounding() {
  const rounded = data.settings.map((each) => each.rounded), now = setting().rounded;
  element("rounding-picture").hidden = now === null;
  show("rounding-table", ...roundingParts(), ...(now === null ? [] : [roundedTable(rounded)]));
  if (now === null) return;
  const line = (name, key, tone, symbol, dash) => ({
    x: all, y: rounded.map((each) => 100 * each[key]), name, mode: "lines+markers", line: { color: colour(tone), dash, width: 2 },
    marker: { symbol, size: all.map((index) => index === state.setting ? 14 : 7), color: colour(tone) }, hovertemplate: "%{y:.1f} %<extra>%{fullData.name}</extra>",
  });
  draw("rounding-picture", [line("floating point", "accuracy_float", "amber", "diamond", "dot"), line("integers", "accuracy_integers", "teal", "circle", "solid")], {
    xaxis: { title: { text: data.knob }, tickvals: all, ticktext: data.settings.map((each) => knobText(each.knob)) }, yaxis: { title: { text: "accuracy (%)" } },
  }, `Accuracy in floating point ${percent(now.accuracy_float)}, in integers ${percent(now.accuracy_integers)}.`);
  show("rounding-note", `At knob ${knobText(setting().knob)}: ${percent(now.accuracy_float)} in floating point, ${percent(now.accuracy_integers)} in ${data.arithmetic}; ` +
    `${percent(now.alike)} of the answers are alike; ${count(now.hidden_spikes_float)} and ${count(now.hidden_spikes_integers)} hidden spikes. Inferences with all their steps, both.`);
}

function roundingParts() {
  const { columns, populations, notes } = data.rounding, keys = Object.keys(columns);
  const cell = (key, value) => key === "exponent" ? String(value) : key === "max scale" ? value.toFixed(1) : `${digits(100 * value)} %`;
  const list = make("ul");
  keys.forEach((key) => list.append(make("li", `${key}: ${columns[key]}`)));
  notes.forEach((note) => list.append(make("li", note)));
  return [
    table(`Largest errors, compiled for ${data.rounding.chip}`, ["population", ...keys], Object.entries(populations).map(([name, each]) => [name, ...keys.map((key) => cell(key, each[key]))])),
    list,
  ];
}

function roundedTable(rounded) {
  return table("Integers beside floating point, all steps", [data.knob, "floating point", "integers", "alike", "hidden spikes, floating point", "integers"],
      rounded.map((each, index) => [knobText(data.settings[index].knob), percent(each.accuracy_float), percent(each.accuracy_integers), percent(each.alike),
        count(each.hidden_spikes_float), count(each.hidden_spikes_integers)]), state.setting);
}

const FEW_CORES = 12;

function drawCores() {
  const { cores, limits, use, cores_used: used, chips_used: needed, left_out: left } = data.chips[state.chip].placement;
  const groups = data.groups.filter((group) => cores.some((core) => core.slices.some((part) => part.population === group.name)));
  const held = (core, group) => sum(core.slices.filter((part) => part.population === group.name).map((part) => part.stop - part.start));
  const few = cores.length <= FEW_CORES, [along, across] = few ? ["x", "y"] : ["y", "x"];
  element("cores-picture").style.height = few ? `${8 + 2.2 * cores.length}rem` : "";
  const axes = { [along]: { title: { text: "neurons" } }, [across]: { title: { text: "core" }, ...(few ? { dtick: 1, autorange: "reversed" } : {}) } };
  draw("cores-picture", groups.map((group) => ({
    type: "bar", orientation: few ? "h" : "v", name: plain(group.name), [across]: cores.map((_, index) => index), [along]: cores.map((core) => held(core, group)),
    marker: { color: colourOf(group), line: { color: colour("card"), width: 1 } },
    customdata: cores.map((core) => [count(core.synapses), count(core.input_axons)]),
    hovertemplate: `core %{${across}}: %{${along}} neurons of %{fullData.name}<br>%{customdata[0]} synapses, %{customdata[1]} input axons on the core<extra></extra>`,
  })), { barmode: "stack", bargap: 0.2, showlegend: true, xaxis: axes.x, yaxis: axes.y, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" } }, `${used} core${used > 1 ? "s" : ""} in use on ${state.chip}; the table below has what each holds.`);
  const of = limits.cores > 1 ? ` of ${count(limits.cores)}` : "";
  const full = Object.entries(use).filter(([name]) => name !== "cores").map(([name, share]) => `${name.replaceAll("_", " ").replace(" per core", "")} ${percent(share)}`);
  show("cores-note", `${used}${of} core${used > 1 || of ? "s" : ""} in use${needed > 1 ? `, on ${needed} chips` : ""}.${full.length ? ` Fullest core: ${full.join(", ")}.` : ""}${left ? ` ${left} more are not shown.` : ""}`);
  const rows = cores.map((core, index) => [String(index), core.slices.map((part) => `${part.population} ${part.start} to ${part.stop - 1}`).join(", "),
    count(core.neurons), count(core.synapses), count(core.memory_bits), count(core.input_axons), count(core.output_axons), String(core.thresholds)]);
  show("cores-table", table(`Cores of ${state.chip}`, ["core", "neurons held", "neurons", "synapses", "synaptic memory, bits", "input axons", "output axons", "thresholds"], rows));
}

function writeRests() {
  const chip = data.chips[state.chip], parts = [];
  const said = { "Assumed": [...chip.assumed, ...cost().told], "In another line": chip.elsewhere, "No figure for": chip.missing, "Not covered": chip.not_covered };
  for (const [title, lines] of Object.entries(said)) {
    if (!lines.length) continue;
    const list = make("ul");
    lines.forEach((line) => list.append(make("li", line)));
    parts.push(make("h3", `${title}: ${state.chip}`), list);
  }
  show("rests-on", ...parts);
}
