// Bars by Plotly, which an installed package brings along; a table follows each chart.

const HEIGHT = 220;
const MAX_LETTERS = 33;  // in the headings of five columns on a phone
const MINUTE = 60, HOUR = 3600, DAY = 86400;
const ROUND = [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY];
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const price = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const short = (n) => compact.format(n);
export const full = (n) => plain.format(n);
export const cents = (n) => price.format(n);

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// MapLibre, inside Plotly, looks for this id before it adds a style element, which the page's policy
// forbids. Nothing here is a map; where the id changes, the browser notes what it did not apply.
const MAPLIBRE_STYLE = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

// The page does not wait for it: 1.5 MB, and figures are there before charts are.
const library = new Promise((resolve, reject) => {
  const script = el("script", { id: MAPLIBRE_STYLE, src: new URL("plotly.min.js", import.meta.url) });
  script.addEventListener("load", () => resolve(window.Plotly));
  script.addEventListener("error", () => reject(new Error("plotly.min.js cannot be loaded")));
  document.head.append(script);
});

const specs = new WeakMap();    // what each chart shows now
const pointed = new WeakMap();  // the place whose values it shows in a box, which stays when they change

// spec: labels of the axis, titles, series [{name, values, color}], unit, axis, summary; maybe starts and
// width of times in seconds, filling (from which place on more may come), whole, height, legend.
export async function bars(host, spec) {
  let chart = host.querySelector(".plot");
  if (!chart) {
    chart = el("div", { class: "plot", role: "img", tabindex: "0" });
    listen(chart);
    host.replaceChildren(chart);
  }
  specs.set(chart, spec);
  chart.setAttribute("aria-label", `${spec.summary}. Arrow keys read the values; a table follows.`);
  chart.style.height = `${spec.height ?? HEIGHT}px`;
  host.querySelector(".legend")?.remove();
  if (spec.legend || spec.series.length > 1) host.prepend(legend(spec.series));
  try {
    const plotly = await library;
    if (specs.get(chart) !== spec || !chart.isConnected) return;
    const isNew = !chart.data, place = pointed.get(chart);
    await plotly.react(chart, ...figure(chart, spec));
    if (isNew) {
      chart.on("plotly_hover", ({ points }) => pointed.set(chart, points[0].pointIndex));
      chart.on("plotly_unhover", () => pointed.delete(chart));
    } else if (place !== undefined) point(chart, place);
  } catch (error) {
    host.replaceChildren(el("p", { class: "empty" }, `No chart: ${error.message}. The table has its values.`));
  }
}

// Plotly reads <a>, <b> and entities in texts, and players choose some of ours.
const literal = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const total = (spec, i) => spec.series.reduce((sum, one) => sum + one.values[i], 0);
const title = (spec, i) => spec.titles[i] + (i >= spec.filling ? " (so far)" : "");

function figure(chart, spec) {
  const style = getComputedStyle(chart), color = (name) => style.getPropertyValue(`--${name}`).trim();
  const width = chart.clientWidth, height = spec.height ?? HEIGHT, places = spec.titles.map((_, i) => i), last = places.length - 1;
  // The places are categories, as the name of a category is the title of the box that shows its values.
  const x = places.map((i) => literal(title(spec, i)) + (spec.series.length > 1 ? `<br>${full(total(spec, i))} ${spec.unit}` : ""));
  const hatched = { fillmode: "overlay", shape: places.map((i) => (i >= spec.filling ? "/" : "")), fgcolor: color("card"), fgopacity: 0.5, size: 6, solidity: 0.25 };
  const data = spec.series.map((one) => ({
    type: "bar", name: literal(one.name), x, y: spec.series.length > 3 ? one.values.map((value) => value || null) : one.values,
    marker: { color: color(one.color.replace("f", "c")), cornerradius: 2, line: { width: 0 }, pattern: hatched },
    hovertemplate: "%{y:,.2~f}<extra>%{fullData.name}</extra>",
  }));
  const axis = (text) => ({ title: { text, standoff: 8, font: { size: 12 } }, fixedrange: true, automargin: true, gridcolor: color("grid"), zerolinecolor: color("line") });
  const few = (spec.whole ?? true) && Math.max(...places.map((i) => total(spec, i))) < 5;
  const layout = {
    width, height, margin: { l: 8, r: 8, t: 8, b: 8 }, barmode: "stack", bargap: 0.2, dragmode: false, showlegend: false,
    paper_bgcolor: color("card"), plot_bgcolor: color("card"), font: { family: style.fontFamily, size: 12, color: color("soft") },
    hovermode: "x unified", hoverlabel: { bgcolor: color("card"), bordercolor: color("line"), font: { color: color("ink") }, namelength: -1 },
    xaxis: { ...axis(spec.axis), ...ticks(spec, width - 60), type: "category", range: [-0.5, last + 0.5], tickangle: 0, ticklabelstandoff: 8, showgrid: false, spikecolor: color("soft"), spikethickness: 1 },
    yaxis: { ...axis(spec.unit), rangemode: "tozero", nticks: 5, exponentformat: "SI", separatethousands: true, ...(few ? { dtick: 1 } : {}) },
    shapes: spec.filling > last ? [] : [spec.filling].filter((from) => from !== undefined).map((from) => (
      { type: "rect", layer: "below", yref: "paper", y0: 0, y1: 1, x0: Math.max(from, 0) - 0.5, x1: last + 0.5, fillcolor: color("hover"), line: { width: 0 } })),
  };
  return [data, layout, { displayModeBar: false, doubleClick: false, showTips: false }];
}

// As many labels as fit beside each other: of round times where a bar begins, of days back from the last.
function ticks({ labels, starts, width, filling }, room) {
  const slot = room / labels.length, widest = Math.max(...labels.map((label) => label.length)) * 7.5 + 12;
  const step = ROUND.find((seconds) => (seconds / width) * slot >= widest), every = Math.ceil(widest / slot);
  const shown = labels.map((_, i) => i).filter((i) => (starts ? starts[i] % step === 0 : (filling ?? 0) % every === i % every));
  // A hair beside its place, as otherwise the label would be the title of the box that shows its values.
  return { tickvals: shown.map((i) => i - (starts ? 0.5 : 0.03)), ticktext: shown.map((i) => literal(labels[i])) };
}

function point(chart, place) {
  pointed.set(chart, place);  // Plotly tells of what a pointer does only
  window.Plotly.Fx.hover(chart, { xval: place }, "xy");
}

function hide(chart) {
  pointed.delete(chart);
  if (chart.data) window.Plotly.Fx.unhover(chart);
}

function listen(chart) {
  let place = Infinity;
  chart.addEventListener("blur", () => hide(chart));
  document.addEventListener("pointerdown", (event) => chart.contains(event.target) || hide(chart));  // a finger leaves nothing
  chart.addEventListener("keydown", (event) => {
    const spec = specs.get(chart), last = spec.titles.length - 1;
    if (event.key === "Escape") hide(chart);
    if (!chart.data) return;
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    place = Math.min(Math.max(next, 0), last);
    point(chart, place);
    const read = spec.series.filter((one) => one.values[place] || spec.series.length <= 3).map((one) => `${one.name} ${full(one.values[place])}`);
    if (spec.series.length > 1) read.push(`all ${full(total(spec, place))}`);
    document.getElementById("spoken").textContent = `${title(spec, place)}: ${read.join(", ")}`;
  });
}

export function legend(series) {
  return el("ul", { class: "legend" }, ...series.map((one) =>
    el("li", {}, el("span", { class: `swatch ${one.color}` }), one.name)));
}

// Which columns of plain values have texts: these begin on the left.
export const textsOf = (head, rows) => head.map((_, i) => rows.some((row) => row[i] !== null) && rows.every((row) => row[i] === null || typeof row[i] === "string"));

const longest = (text) => Math.max(...text.split(" ").map((word) => word.length));
const fits = (head) => head.length < 5 || (head.length === 5 && head.reduce((sum, text) => sum + longest(text), 0) <= MAX_LETTERS);

// A row of more columns than fit a phone becomes a block there; the roles stay.
export function table(head, rows, texts = []) {
  const kind = (i) => (i && texts[i] ? "text" : null);
  const cell = (content, i) => el("td", { role: "cell", class: kind(i), "data-name": head[i] }, content instanceof Node ? content : String(content));
  return el("table", { role: "table", class: fits(head) ? null : "folds" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head.map((text, i) => el("th", { role: "columnheader", scope: "col", class: kind(i) }, text)))),
    el("tbody", { role: "rowgroup" }, ...rows.map((row) => el("tr", { role: "row" }, ...row.map(cell)))));
}
