// Small charts in SVG, drawn at the width they have, with a table beside each. No dependencies.

const SVG = "http://www.w3.org/2000/svg";
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

export const short = (n) => compact.format(n);
export const full = (n) => plain.format(n);

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Round steps, at most five of them, so that an axis can be read.
export function scale(most, whole) {
  if (!(most > 0)) return { top: 1, step: 1 };
  const raw = most / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw * 0.999);
  if (whole) step = Math.max(1, Math.ceil(step));
  return { top: Math.ceil(most / step - 1e-9) * step, step };
}

// spec: labels, titles, series [{name, values, color}], unit, axis, format, filling, summary
export function bars(host, spec) {
  const width = Math.max(200, host.clientWidth), height = spec.height ?? 200;
  const margin = { left: 46, right: 6, top: 20, bottom: 38 };
  const count = spec.labels.length;
  const inner = width - margin.left - margin.right, tall = height - margin.top - margin.bottom;
  const totals = spec.labels.map((_, i) => spec.series.reduce((sum, one) => sum + one.values[i], 0));
  const whole = spec.whole ?? true;
  const { top, step } = spec.top ? { top: spec.top, step: spec.top / 4 } : scale(Math.max(...totals), whole);
  const y = (value) => margin.top + tall * (1 - value / top);
  const slot = inner / count, gap = Math.min(slot * 0.25, 6), bar = Math.min(slot - gap, 46);
  const x = (i) => margin.left + i * slot + (slot - bar) / 2;
  const format = spec.format ?? short;

  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`, height, role: "img", tabindex: "0",
    "aria-label": `${spec.summary}. Arrow keys read the values; a table follows.`,
  });
  svg.append(shape("text", { x: 0, y: 10, class: "unit" }, spec.unit));
  for (let value = 0; value <= top * 1.0001; value += step) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(shape("line", { x1: margin.left, x2: width - margin.right, y1: at, y2: at, class: value ? "gridline" : "axis" }));
    svg.append(shape("text", { x: margin.left - 7, y: at + 4, "text-anchor": "end" }, format(value)));
  }
  const widest = Math.max(...spec.labels.map((label) => label.length)) * 6.8 + 24;
  const every = Math.max(1, Math.ceil(widest / slot));
  spec.labels.forEach((label, i) => {
    if (!label || i % every !== (spec.anchor === "end" ? (count - 1) % every : 0)) return;
    const at = x(i) + bar / 2, half = label.length * 3.2;
    const middle = Math.min(Math.max(at, margin.left - 30 + half), width - half);
    svg.append(shape("text", { x: middle, y: height - 21, "text-anchor": "middle" }, label));
  });
  svg.append(shape("text", { x: margin.left + inner / 2, y: height - 4, "text-anchor": "middle" }, spec.axis));
  if (spec.filling !== undefined && spec.filling < count) {
    const id = `late-${host.id}`;
    const pattern = shape("pattern", { id, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    pattern.append(shape("line", { x1: 0, y1: 0, x2: 0, y2: 7, class: "hatch" }));
    svg.append(pattern);
    const from = margin.left + Math.max(0, spec.filling) * slot;
    svg.append(shape("rect", { x: from, y: margin.top, width: width - margin.right - from, height: tall, fill: `url(#${id})` }));
  }
  const cursor = shape("rect", { class: "cursor", x: 0, y: margin.top, width: slot, height: tall, visibility: "hidden" });
  svg.append(cursor);
  for (let i = 0; i < count; i += 1) {
    let below = 0;
    for (const { values, color } of spec.series) {
      if (!values[i]) continue;
      const low = y(below), high = y(below + values[i]);
      below += values[i];
      svg.append(shape("rect", { x: x(i), y: high, width: bar, height: Math.max(low - high, 0.8), class: color, rx: Math.min(bar / 4, 2) }));
    }
  }
  if (spec.series.length > 1) host.append(legend(spec.series));
  host.append(svg);

  const told = (i) => spec.series.map((one) => [one, one.values[i]]);
  const point = (i, at) => {
    cursor.setAttribute("x", margin.left + i * slot);
    cursor.setAttribute("visibility", "visible");
    const rows = told(i).filter(([, value]) => value || spec.series.length <= 3);
    if (spec.series.length > 1 && !spec.apart) rows.push([{ name: "all" }, totals[i]]);
    const suffix = spec.filling !== undefined && i >= spec.filling ? " (so far)" : "";
    showTip(spec.titles[i] + suffix, rows, spec.exact ?? full, at);
    return `${spec.titles[i]}${suffix}: ${rows.map(([one, value]) => `${one.name} ${(spec.exact ?? full)(value)}`).join(", ")}`;
  };
  const hide = () => { cursor.setAttribute("visibility", "hidden"); hideTip(); };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const i = Math.floor((event.clientX - box.left - margin.left) / slot);
    if (i >= 0 && i < count) point(i, { x: event.clientX, y: event.clientY });
    else hide();
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  let place = count;
  svg.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { hide(); return; }
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: count - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    place = Math.min(Math.max(next, 0), count - 1);
    const box = svg.getBoundingClientRect();
    const text = point(place, { x: box.left + x(place) + bar / 2, y: box.top + margin.top });
    document.getElementById("spoken").textContent = text;
  });
}

export function legend(series) {
  return el("ul", { class: "legend" }, ...series.map((one) =>
    el("li", {}, el("span", { class: `swatch ${one.color}` }), one.name)));
}

export function table(head, rows) {
  return el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) =>
      cell instanceof Node ? el("td", {}, cell) : el("td", {}, String(cell)))))));
}

function showTip(title, rows, format, at) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(el("strong", {}, title), el("table", {}, el("tbody", {}, ...rows.map(([one, value]) => el("tr", {},
    el("td", {}, one.color ? el("span", { class: `swatch ${one.color}` }) : ""),
    el("td", {}, one.name), el("td", {}, format(value)))))));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = at.x + 16 + width > innerWidth ? at.x - width - 12 : at.x + 16;
  tip.style.left = `${Math.max(6, left)}px`;
  tip.style.top = `${Math.max(6, Math.min(at.y - 12, innerHeight - height - 6))}px`;
}

export function hideTip() {
  document.getElementById("tip").hidden = true;
}
