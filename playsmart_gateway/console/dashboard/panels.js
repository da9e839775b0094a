// What the report is made of: panels with a chart or a table or both, and the table as CSV; and how it asks.

import { bars, el, full, table, textsOf } from "./charts.js";

// What a spreadsheet would calculate gets a ' in front, unless it is a number; sums lose the dust of
// binary fractions (0.1 + 0.2).
const cell = (value) => {
  const text = String(typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(12)) : value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export const csv = (head, rows) => [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

export function download(name, text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const number = (value, unit = "") => (value === null || value === undefined || Number.isNaN(value) ? "–" : `${full(value)}${unit}`);
export const share = (part, whole) => (whole ? (100 * part) / whole : null);
export const percent = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(Math.abs(value) < 9.95 && value ? 1 : 0)} %`);

// spec: id, title, sub, empty; head and rows of plain values, show to print them; maybe chart, a spec of
// bars, className of the table, and wide.
export function panel(spec) {
  const id = `chart-${spec.id}`, section = el("section", { class: spec.wide ? "panel wide" : "panel", id: spec.id, "aria-labelledby": `title-${spec.id}` },
    el("h2", { id: `title-${spec.id}` }, spec.title), el("p", { class: "sub" }, spec.sub ?? ""));
  const body = el("div", { class: "body", id });
  section.append(body);
  if (!spec.rows.length) {
    body.append(el("p", { class: "empty" }, spec.empty));
    return section;
  }
  const printed = spec.rows.map((row) => (spec.show ? spec.show(row) : row.map((each) => (typeof each === "number" ? full(each) : each ?? "–"))));
  const grid = table(spec.head, printed, textsOf(spec.head, spec.rows));
  if (spec.className) grid.className = spec.className;
  const shown = el("div", { class: "scroll", tabindex: "0", "aria-label": `${spec.title}, table` }, grid);
  const save = el("button", { type: "button", class: "csv" }, "CSV");
  save.addEventListener("click", () => download(spec.id, csv(spec.head, spec.rows)));
  section.querySelector("h2").after(save);
  if (spec.chart) {
    const host = el("div", {});
    body.append(host);
    section.draw = () => bars(host, spec.chart);
    section.append(el("details", {}, el("summary", {}, "As a table"), shown));
  } else body.append(shown);
  return section;
}

export async function question(wanted) {
  const answer = await fetch(`${new URL("report/data", import.meta.url)}?${new URLSearchParams({ asked: JSON.stringify(wanted) })}`, { cache: "no-store" });
  const found = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(answer.status === 401 ? "the operator token is needed: reload the page" : found?.error?.message ?? `status ${answer.status}`);
  return found;
}

export function counted(answer) {
  const upto = answer.counted_up_to ? `Counted up to what was received at ${answer.counted_up_to.slice(0, 19).replace("T", " ")} UTC` : "Nothing is counted yet";
  return `${upto}${answer.looked_at ? `, ${full(answer.looked_at)} events one by one` : ""}${answer.from_lake ? "; from the lake, and what is stored behind it" : ""}.${answer.complete ? "" : " There are more: time or room ended first. Ask for a shorter time."}`;
}
