// The panel "What a 202 means here": it fills every <section data-panel="promise"> of a page.
// Pictures are made of elements and attributes alone: the page may have no style of its own.

const SVG = "http://www.w3.org/2000/svg";
const EVERY_MS = 2_000;
const MARKS = { all: "kept", most: "mostly", nothing: "lost" };
const STATES = {
  done: "caught up", keeps_up: "keeps up", catching_up: "", falling_behind: "falls behind", unknown: "",
};
const PARTS = [
  ["stored", "stored", "c2"], ["duplicate", "duplicate", "c0"], ["rejected", "rejected", "c7"], ["waiting", "waiting", "c1"],
];

const count = (number) => number.toLocaleString("en-US");

export function size(bytes) {
  if (bytes === null) return "—";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1_024 && unit < units.length - 1) [bytes, unit] = [bytes / 1_024, unit + 1];
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function time(seconds) {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return "—";
  if (seconds < 1) return "less than 1 s";
  for (const [unit, length] of [["d", 86_400], ["h", 3_600], ["min", 60]]) {
    if (seconds >= 2 * length) return `about ${Math.round(seconds / length)} ${unit}`;
  }
  return `about ${Math.round(seconds)} s`;
}

export function pace(follower) {
  if (follower.behind === null) return "—";
  return STATES[follower.state] || time(follower.seconds);
}

const LARGE = 1_000_000; // what is shorter fits beside the picture, on a phone too
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const short = (number) => (number < LARGE ? count(number) : compact.format(number));

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

// Received on the left; what became of it on the right, each part as high as its share and as its name needs.
export function picture(law) {
  const [width, height, left, right, gap, least] = [640, 200, 150, 380, 6, 26];
  const box = draw("svg", { viewBox: `0 -6 ${width} ${height + 12}`, role: "img", class: "law" });
  const says = PARTS.map(([key, name]) => `${count(law[key])} ${name}`).join(" + ");
  box.setAttribute("aria-label", `${count(law.received)} received = ${says}`);
  const inner = height - gap * (PARTS.length - 1), room = inner - least * PARTS.length;
  const total = PARTS.reduce((sum, [key]) => sum + law[key], 0);
  const top = (height - inner) / 2, middle = (left + right) / 2;
  box.append(
    draw("rect", { x: left - 12, y: top, width: 12, height: inner, rx: 3, class: "all" }),
    draw("text", { x: left - 24, y: height / 2 - 6, "text-anchor": "end", class: "number" }, short(law.received)),
    draw("text", { x: left - 24, y: height / 2 + 18, "text-anchor": "end" }, "received"));
  let [from, to] = [top, 0];
  for (const [key, name, color] of PARTS) {
    const share = total ? law[key] / total : 0, thick = inner * share;
    const tall = least + room * (total ? share : 1 / PARTS.length);
    if (law[key]) {
      const band = `M${left} ${from} C${middle} ${from} ${middle} ${to} ${right} ${to} V${to + tall} `
        + `C${middle} ${to + tall} ${middle} ${from + thick} ${left} ${from + thick} Z`;
      box.append(draw("path", { d: band, class: `band ${color}` }), draw("rect", { x: right, y: to, width: 12, height: tall, rx: 3, class: color }));
    } else {
      box.append(draw("rect", { x: right, y: to + tall / 2 - 2, width: 12, height: 4, rx: 2, class: "none" }));
    }
    const text = draw("text", { x: right + 24, y: to + tall / 2 + 5 });
    text.append(draw("tspan", { class: "number" }, short(law[key])), draw("tspan", { dx: 7 }, name));
    box.append(text);
    [from, to] = [from + thick, to + tall + gap];
  }
  return box;
}

function fates(promise) {
  return make("dl", { class: "fates" }, ...promise.fates.map((fate) => make("div", { "data-kept": fate.kept, "data-fault": fate.name },
    make("dt", {}, make("span", { class: "mark" }, MARKS[fate.kept]), fate.fault),
    make("dd", {}, fate.words))));
}

function followers(told) {
  const head = make("tr", {}, ...["After the 202", "Behind", "Until it has caught up"].map((name) => make("th", { scope: "col" }, name)));
  const rows = told.followers.map((each) => make("tr", { "data-follower": each.name, "data-state": each.state },
    make("th", { scope: "row" }, each.does),
    make("td", {}, each.behind === null ? "—" : `${count(each.behind)} ${each.behind === 1 ? each.unit.slice(0, -1) : each.unit}`),
    make("td", {}, pace(each))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function settings(told) {
  const names = { journal: "Journal", store: "Store", processes: "Processes", lake: "Lake", kept: "Kept" };
  const pairs = told.promise.settings.map((each) => [names[each.name] ?? each.name, each.words]);
  if (told.journal_bytes !== null) pairs.push(["Journal on disk", size(told.journal_bytes)]);
  if (told.store_log_bytes !== null) pairs.push(["Database's log (WAL)", size(told.store_log_bytes)]);
  return make("dl", { class: "settings" }, ...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function show(section, told) {
  const open = section.querySelector("details")?.open ?? true;
  const missing = told.law.missing === 0 ? [] : [make("p", { class: "trouble", role: "alert" },
    `${count(told.law.missing)} events are not accounted for: that is a bug, please report it.`)];
  section.replaceChildren(
    make("h2", {}, "What a 202 means here"),
    make("p", { class: "headline" }, told.promise.headline),
    ...missing,
    make("div", { class: "beside" },
      make("div", {},
        make("figure", {}, picture(told.law), make("figcaption", {}, "received = stored + duplicate + rejected + waiting, in events since the start")),
        make("div", { class: "scroll" }, followers(told))),
      settings(told)),
    make("details", open ? { open: "" } : {}, make("summary", {}, "Fault by fault"), fates(told.promise)),
  );
  section.dataset.state = "told";
}

async function look(sections, url) {
  try {
    const answer = await fetch(url, { headers: { accept: "application/json" } });
    if (answer.status === 401 || answer.status === 404) return false; // it is for operators
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    for (const section of sections) {
      const focused = section.contains(document.activeElement) && document.activeElement.tagName === "SUMMARY";
      show(section, told);
      if (focused) section.querySelector("summary").focus();
    }
  } catch {
    for (const section of sections) section.dataset.state = "gone"; // what it showed stays, and pales
  }
  return true;
}

const sections = document.querySelectorAll('section[data-panel="promise"]');
if (sections.length) {
  const url = new URL("data", import.meta.url);
  const again = async () => {
    if (document.hidden || await look(sections, url)) setTimeout(again, EVERY_MS);
  };
  again();
}
