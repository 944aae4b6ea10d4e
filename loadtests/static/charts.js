"use strict";
// Live charts: asks for the lines of the time series that are new and appends them.

const STAGES = ["clean", "insert", "capture", "process", "update"];
const COLOURS = { clean: "#4477aa", insert: "#ee6677", capture: "#228833", process: "#aa8a00", update: "#8844aa" };
const PERIOD_MS = 1000;

const perStage = (pick, names) => (names || STAGES).map((name) => ({
  name, colour: COLOURS[name], of: (line) => pick(line.stages.find((stage) => stage.name === name)),
}));

const CHARTS = [
  { title: "Rows a second, by stage", series: perStage((stage) => stage.rate) },
  { title: "Rows offered, uploaded, finished", series: [
    { name: "offered", colour: "#888888", of: (line) => line.load.offered_rows },
    { name: "uploaded", colour: "#4477aa", of: (line) => line.load.uploaded_rows },
    { name: "finished", colour: "#228833", of: (line) => line.load.finished_rows } ] },
  { title: "Rows unfinished", series: [
    { name: "unfinished", colour: "#ee6677", of: (line) => line.load.unfinished_rows } ] },
  { title: "Messages queued and in flight",
    series: perStage((stage) => stage.queued + stage.in_flight, ["insert", "process", "update"]) },
  { title: "Backlog age, s", series: [
    ...perStage((stage) => stage.queue_age),
    { name: "oldest file", colour: "#888888", of: (line) => line.load.oldest_seconds } ] },
  { title: "Dead letters", series: perStage((stage) => stage.dlq) },
];

const FIGURES = [
  ["files uploaded", (line) => line.load.uploaded_files],
  ["uploads failed", (line) => line.load.failed_files],
  ["files finished", (line) => line.load.finished_files],
  ["rows finished", (line) => line.load.finished_rows],
  ["rows unfinished", (line) => line.load.unfinished_rows],
  ["insert rows/s", (line) => Math.round(line.stages[1].rate)],
  ["oldest file, s", (line) => line.load.oldest_seconds.toFixed(1)],
  ["dead letters", (line) => line.stages.reduce((sum, stage) => sum + stage.dlq, 0)],
];

let position = 0;
const times = [];
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function layout(title) {
  const ink = dark.matches ? "#e4e8ec" : "#1c2126", line = dark.matches ? "#313940" : "#d8dde2";
  return {
    title: { text: title, font: { size: 14 }, x: 0.01 }, font: { color: ink, size: 11 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 55, r: 10, t: 34, b: 32 }, legend: { orientation: "h", y: 1.12, x: 1, xanchor: "right" },
    xaxis: { gridcolor: line, ticksuffix: " s" }, yaxis: { gridcolor: line, rangemode: "tozero", zeroline: false },
    showlegend: true,
  };
}

function build() {
  const place = document.getElementById("charts");
  // All places first: a chart takes the width that its place has when it is drawn.
  for (const chart of CHARTS) {
    chart.node = place.appendChild(Object.assign(document.createElement("div"), { className: "chart" }));
  }
  for (const chart of CHARTS) {
    const traces = chart.series.map((one) => (
      { x: [], y: [], name: one.name, mode: "lines", line: { color: one.colour, width: 1.8 } }));
    Plotly.newPlot(chart.node, traces, layout(chart.title), { displayModeBar: false, responsive: true });
  }
}

function clear() {
  times.length = 0;
  for (const chart of CHARTS) {
    Plotly.restyle(chart.node, { x: chart.series.map(() => []), y: chart.series.map(() => []) });
  }
}

function append(lines) {
  const x = lines.map((line) => line.elapsed);
  times.push(...x);
  for (const chart of CHARTS) {
    const y = chart.series.map((one) => lines.map(one.of));
    Plotly.extendTraces(chart.node, { x: y.map(() => x), y }, chart.series.map((_, i) => i));
  }
}

function show(line) {
  const place = document.getElementById("figures");
  place.replaceChildren(...FIGURES.map(([name, of]) => {
    const box = document.createElement("div"), value = of(line);
    box.append(
      Object.assign(document.createElement("b"), { textContent: Number(value).toLocaleString("en") }),
      Object.assign(document.createElement("span"), { textContent: name }));
    return box;
  }));
}

async function refresh() {
  const state = document.getElementById("state");
  try {
    const answer = await (await fetch(`pipeline/series?after=${position}`)).json();
    if (answer.position < position) clear();
    position = answer.position;
    if (answer.lines.length) {
      append(answer.lines);
      show(answer.lines[answer.lines.length - 1]);
    }
    state.textContent = times.length ? `${times.length} looks, the last at ${times[times.length - 1].toFixed(0)} s`
      : "waiting for a load";
  } catch (error) {
    state.textContent = `Locust does not answer: ${error.message}`;
  }
  setTimeout(refresh, PERIOD_MS);
}

build();
dark.addEventListener("change", () => CHARTS.forEach((chart) => Plotly.relayout(chart.node, layout(chart.title))));
refresh();
