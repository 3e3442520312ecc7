// A recording in one view: energy against what is allowed, what is left, where the knob stood, and the answers.
"use strict";

const LENGTHS = [["days", 86400], ["hours", 3600], ["minutes", 60], ["seconds", 1], ["milliseconds", 1e-3]];

function timeOf(bins) {
  const end = bins[bins.length - 1].end_s;
  const [unit, size] = LENGTHS.find(([, each]) => end > 3 * each) ?? LENGTHS[LENGTHS.length - 1];
  return { unit, time: bins.map((bin) => bin.end_s / size), size };
}

// The mean since the start, from means of bins of windows.
function since(bins, key) {
  let total = 0, windows = 0;
  return bins.map((bin) => { total += bin[key] * bin.of; windows += bin.of; return total / windows; });
}

function energyRow(bins, time, axis) {
  const allowed = data.stream.allowed_j;
  const { unit, size } = unitOfRange(Math.max(...bins.map((bin) => bin.dynamic_j), allowed ?? 0));
  const each = data.stream.windows_per_bin > 1 ? `mean of ${data.stream.windows_per_bin} windows` : "each window";
  const traces = [
    { x: time, y: bins.map((bin) => bin.dynamic_j / size), name: each, mode: "markers", marker: { size: 4, color: colour("grey") }, yaxis: axis },
    { x: time, y: since(bins, "dynamic_j").map((value) => value / size), name: "mean since the start", mode: "lines", line: { color: colour("teal"), width: 2.5 }, yaxis: axis },
  ];
  if (allowed !== null) {
    traces.push({ x: [time[0], time[time.length - 1]], y: [allowed / size, allowed / size], name: "budget", mode: "lines", line: { color: colour("rust"), dash: "dash", width: 2 }, yaxis: axis });
  }
  return { traces, title: `dynamic energy<br>${unit} a window`, range: { rangemode: "tozero" } };
}

function leftRow(bins, time, axis) {
  const { unit, size } = unitOfRange(Math.max(...bins.map((bin) => bin.left_j)));
  return {
    traces: [{ x: time, y: bins.map((bin) => bin.left_j / size), name: "left", mode: "lines", line: { color: colour("green"), width: 2.5 }, yaxis: axis }],
    title: `energy left<br>${unit}`, range: {},
  };
}

function knobRow(bins, time, axis) {
  const skipped = bins.filter((bin) => bin.ran < bin.of);
  const bottom = Math.min(...bins.map((bin) => bin.knob?.low ?? Infinity));
  const traces = [{
    x: time, y: bins.map((bin) => bin.knob?.mean ?? null), name: "knob", mode: "markers", marker: { size: 5, color: colour("purple") }, yaxis: axis,
    error_y: { type: "data", symmetric: false, thickness: 1, width: 0, color: colour("purple"),
      array: bins.map((bin) => bin.knob ? bin.knob.high - bin.knob.mean : 0), arrayminus: bins.map((bin) => bin.knob ? bin.knob.mean - bin.knob.low : 0) },
  }];
  if (skipped.length) {
    traces.push({ x: skipped.map((bin) => time[bins.indexOf(bin)]), y: skipped.map(() => Number.isFinite(bottom) ? bottom : 0), name: "skipped windows", mode: "markers",
      marker: { symbol: "line-ns-open", size: 10, color: colour("rust") }, text: skipped.map((bin) => `${bin.of - bin.ran} of ${bin.of} skipped`), hoverinfo: "text", yaxis: axis });
  }
  return { traces, title: data.knob, range: {} };
}

function answersRow(bins, time, axis) {
  const names = [...data.classes, ...(bins.some((bin) => bin.answers[data.classes.length]) ? ["no answer"] : [])];
  const share = names.map((_, k) => bins.map((bin) => bin.answers[k] / bin.of));
  return {
    traces: [{ type: "heatmap", x: time, y: names.map((_, k) => k), z: share, zmin: 0, zmax: 1, showscale: false, yaxis: axis,
      colorscale: [[0, colour("pale")], [1, colour("teal")]], customdata: names.map((name) => bins.map(() => plain(name))),
      hovertemplate: "%{customdata}: %{z:.0%}<extra></extra>" }],
    title: "answers", weight: 2, range: { ...namesAlong(names), autorange: "reversed", showgrid: false, tickfont: { size: names.length > 12 ? 8 : 10 } },
  };
}

function drawStream() {
  const { bins } = data.stream, { unit, time, size } = timeOf(bins);
  const makers = [energyRow, ...(bins.every((bin) => bin.left_j !== null) ? [leftRow] : []), knobRow, answersRow];
  const rows = makers.map((maker, k) => maker(bins, time, k ? `y${k + 1}` : "y"));
  const heights = rows.map((row) => row.weight ?? 1), whole = sum(heights), axes = {};
  let top = 1;
  rows.forEach((row, k) => {
    const bottom = top - heights[k] / whole;
    axes[k ? `yaxis${k + 1}` : "yaxis"] = {
      gridcolor: colour("line"), zerolinecolor: colour("line"), automargin: true, fixedrange: true, ...row.range,
      title: { text: row.title, font: { size: narrow() ? 10 : 12 } }, domain: [Math.max(bottom + 0.02, 0), top - 0.02],
    };
    top = bottom;
  });
  const summary = streamSummary();
  draw("stream-picture", rows.flatMap((row) => row.traces), {
    ...axes, showlegend: !narrow(), xaxis: { title: { text: `time (${unit})` }, range: [0, 1.01 * time[time.length - 1]], anchor: rows.length > 1 ? `y${rows.length}` : "y", fixedrange: false },
  }, `A recording that holds ${data.stream.goal}: ${summary.map(([, title, , text]) => `${title} ${text}`).join(", ")}.`);
  show("stream-figures", ...summary.map((each) => figure(...each)));
  const bin = data.stream.windows_per_bin;
  show("stream-note", `It holds ${data.stream.goal}, on ${data.stream.chip}; a window each ${seconds(data.stream.window_seconds)}.` +
    (bin > 1 ? ` Each mark is ${bin} windows: energies are their mean, the knob's line goes from its lowest place to its highest.` : " Each mark is a window.") +
    ` Of the energy the thick line is the mean since the start${data.stream.allowed_j === null ? "" : ", and the broken one the budget"}.`);
  const head = [`time (${unit})`, "windows", "run", "dynamic", "total", "left", "knob", "answered most", "right"];
  show("stream-table", table("Means of a window", head, bins.map((each) => [
    digits(each.end_s / size, 4), String(each.of), String(each.ran), energy(each.dynamic_j), energy(each.total_j), each.left_j === null ? "" : energy(each.left_j),
    each.knob === null ? "" : knobText(each.knob.mean), className(each.answers.indexOf(Math.max(...each.answers)) === data.classes.length ? -1 : each.answers.indexOf(Math.max(...each.answers))),
    each.labelled ? `${each.right} of ${each.labelled}` : "",
  ])));
}

function streamSummary() {
  const of = data.stream, spent = of.dynamic_j / of.windows;
  return [
    ["stream_windows", "Windows", of.windows, count(of.windows), `${count(of.skipped)} skipped, ${count(of.cut_short)} cut short`],
    ["stream_total", "Total energy", of.dynamic_j + of.static_j, energy(of.dynamic_j + of.static_j), `static ${energy(of.static_j)}`],
    ["stream_dynamic", "Dynamic, a window", spent, energy(spent), of.allowed_j === null ? "" : `${percent(spent / of.allowed_j)} of ${energy(of.allowed_j)} that the budget leaves`],
    ...(of.accuracy === null ? [] : [["stream_accuracy", "Right answers", of.accuracy, percent(of.accuracy), "of labelled windows"]]),
  ];
}
