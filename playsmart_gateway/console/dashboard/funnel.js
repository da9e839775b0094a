// The builders: a funnel of up to six steps, who comes back to an event, and what events say in a property.

import { el, full } from "./charts.js";
import { counted, number, panel, percent, question, share } from "./panels.js";

const MAX_STEPS = 6;
const kept = { steps: [], start: null, again: null, within: "7", event: "", property: "", beside: "" };  // what was chosen stays when the report changes
export const MEANINGS = [["platform", "platform"], ["app_version", "app version"], ["country", "country"]];
const COLORS = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"];
const markOf = (text) => (text ? JSON.parse(text) : null);
const titleOf = ({ type, name }) => (name ? `${name} (${type})` : type);

// The answer goes where ``host`` is; while it is looked for that says so.
async function show(host, wanted, draw) {
  host.replaceChildren(el("p", { class: "sub", role: "status" }, "Counting"));
  try {
    const answer = await question(wanted);
    const drawn = [draw(answer)].flat();
    host.replaceChildren(...drawn, el("p", { class: "sub" }, counted(answer)));
    await Promise.all(drawn.map((each) => each.draw?.()));
  } catch (error) {
    host.replaceChildren(el("p", { class: "empty" }, `No answer: ${error.message}`));
  }
}

function choice(answer, label, empty, chosen) {
  const listed = answer.names.map(({ type, name }) => [JSON.stringify(name === null ? { type } : { type, name }), titleOf({ type, name })]);
  const select = el("select", { "aria-label": label }, el("option", { value: "" }, empty), ...listed.map(([value, text]) => el("option", { value }, text)));
  if (listed.some(([value]) => value === chosen)) select.value = chosen;
  return select;
}

function builder(id, title, sub, form, host) {
  const section = panel({ id, title, sub, empty: "", head: [], rows: [], wide: true });
  section.querySelector(".body").replaceChildren(form, host);
  return section;
}

const span = ({ first, last, period, zone, by, game, where }) => ({ first, last, period, zone, by, game, ...(where ? { where } : {}) });

export function answerOfFunnel(wanted, answer) {
  const host = el("div", {}), steps = el("div", { class: "steps" });
  const within = el("input", { type: "number", min: "1", max: "90", value: kept.within, required: true });
  const selects = Array.from({ length: MAX_STEPS }, (_, n) => choice(answer, `Step ${n + 1}`, n < 2 ? `step ${n + 1}` : `step ${n + 1}, or none`, kept.steps[n]));
  steps.append(...selects);
  const form = el("form", { class: "builder" }, steps, el("label", {}, "all within ", within, " days"), el("button", {}, "Count"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    kept.steps = selects.map((select) => select.value);
    kept.within = within.value;
    const marks = kept.steps.map(markOf).filter(Boolean);
    if (marks.length < 2) {
      host.replaceChildren(el("p", { class: "empty" }, "A funnel has two steps at least."));
      return;
    }
    show(host, { ...span(wanted), type: "funnel", steps: marks, within_days: Number(within.value) }, ({ steps: found }) => {
      const rows = found.map((each, n) => [n + 1, titleOf(marks[n]), each.players, share(each.players, found[0].players), n ? 100 - share(each.players, found[n - 1].players) : null, each.median_seconds]);
      return panel({
        id: "funnel-answer", title: "How far they got", sub: `players whose first step is in this time; ${percent(share(found.at(-1).players, found[0].players))} did all`,
        empty: "", head: ["step", "event", "players", "of the first %", "drop-off %", "median seconds"], rows,
        show: ([n, name, players, part, drop, median]) => [n, name, full(players), percent(part), Number.isNaN(drop) ? "–" : percent(drop), number(median)],
        chart: {
          labels: rows.map(([n]) => `step ${n}`), titles: rows.map(([n, name]) => `${n}. ${name}`), unit: "players", axis: "step",
          series: [{ name: "players", color: "f0", values: found.map((each) => each.players) }], summary: `Funnel of ${found.length} steps`,
        },
      });
    });
  });
  return builder("funnel", "Funnel", "how many players did one thing after another; up to six steps, in this order", form, host);
}

export function answerOfReturn(wanted, answer, retention) {
  const host = el("div", {});
  const start = choice(answer, "First", "any event", kept.start), again = choice(answer, "Again", "any event", kept.again);
  const form = el("form", { class: "builder" }, el("label", {}, "who did ", start), el("label", {}, "and came back to ", again), el("button", {}, "Count"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    [kept.start, kept.again] = [start.value, again.value];
    show(host, { ...span(wanted), type: "return", start: markOf(start.value), again: markOf(again.value) }, ({ cohorts }) =>
      retention(wanted, cohorts, { id: "return-answer", title: "Who came back", sub: "by the day on which they first did it in this time; those who came back so many days later" }));
  });
  return builder("return", "Return to an event", "of those who did one thing, who did another so many days later", form, host);
}

// --- what events say in a property ---

const said = (value) => value ?? "(nothing)";
const changed = (now, before) => (before ? (100 * (now - before)) / before : null);
const signed = (value) => (value === null ? "–" : `${value >= 0 ? "+" : "−"}${percent(Math.abs(value))}`);
const ofMark = ({ type, name }, event) => event.type === type && (name === undefined || event.name === name);

// The properties that the catalogue knows of an event, or of all.
export function propertiesOf(catalogue, mark = null) {
  const found = new Map();
  for (const event of catalogue) {
    if (mark && !ofMark(mark, event)) continue;
    for (const each of event.properties) found.set(each.name, [...(found.get(each.name) ?? []), ...each.examples]);
  }
  return found;
}

// Of which games a property is, where the catalogue is that of several.
function gamesOf(catalogue, mark, name) {
  const games = new Set(catalogue.filter((event) => (!mark || ofMark(mark, event)) && event.properties.some((each) => each.name === name)).map((event) => event.game_id));
  return games.size === 1 ? [...games][0] : `${games.size} games`;
}

export function optionsOf(catalogue, mark, empty, chosen) {
  const listed = [...propertiesOf(catalogue, mark).keys()].filter((name) => !MEANINGS.some(([key]) => key === name)).sort();
  if (chosen && !listed.includes(chosen) && !MEANINGS.some(([key]) => key === chosen)) listed.push(chosen);
  const option = ([value, text]) => el("option", { value, selected: value === chosen }, text);
  const known = new Set(propertiesOf(catalogue, mark).keys()), several = new Set(catalogue.map((event) => event.game_id)).size > 1;
  const titled = (name) => (several && known.has(name) ? `${name} (${gamesOf(catalogue, mark, name)})` : name);
  return [
    ...(empty === null ? [] : [el("option", { value: "" }, empty)]),
    el("optgroup", { label: "of players" }, ...MEANINGS.map(option)),
    ...(listed.length ? [el("optgroup", { label: "of events" }, ...listed.map((name) => option([name, titled(name)])))] : []),
  ];
}

function valuesPanel(asked, { rows, beside, distinct, events, events_before: before, players, numbers }) {
  const others = events - rows.reduce((sum, each) => sum + each.events, 0), named = beside.map((each) => said(each));
  const listed = rows.filter((each) => each.value !== null).slice(0, 20);
  const rest = (each) => each.events - each.beside.reduce((sum, n) => sum + n, 0);
  const sides = asked.beside ? [...named, ...(listed.some(rest) ? ["others"] : [])] : [];
  const series = asked.beside
    ? sides.map((name, n) => ({ name, color: COLORS[n % COLORS.length], values: listed.map((each) => each.beside[n] ?? rest(each)) }))
    : [{ name: "events", color: "f0", values: listed.map((each) => each.events) }];
  return panel({
    id: "values-answer", title: `Values of ${asked.property}`, empty: "No such event in this time.",
    sub: `${full(events)} events of ${full(players)} players, ${full(before)} events in the time before; ${full(distinct)} values${others ? `, the most frequent of them; ${full(others)} events have others` : ""}`,
    head: ["value", "events", "of all %", "players", "before", "change", ...sides],
    rows: rows.map((each) => [said(each.value), each.events, share(each.events, events), each.players, each.before, changed(each.events, each.before), ...sides.map((_, n) => each.beside[n] ?? rest(each))]),
    show: ([value, count, part, who, earlier, change, ...others_]) => [value, full(count), percent(part), full(who), full(earlier), signed(change), ...others_.map(full)],
    chart: listed.length && !numbers ? {
      labels: listed.map(({ value }) => (value.length > 12 ? `${value.slice(0, 11)}…` : value)), titles: listed.map(({ value }) => value), unit: "events", axis: asked.property,
      series, legend: series.length > 1, summary: `Events by ${asked.property}, ${listed.length} values`,
    } : null,
  });
}

function numbersPanel(asked, { numbers }) {
  const { bins } = numbers, from = ({ least, most }) => (Number.isInteger(least) && most - least === 1 ? full(least) : `${full(least)} – ${full(most)}`);
  const mean = numbers.mean_before === null ? "" : `, ${full(numbers.mean_before)} before`;
  return panel({
    id: "numbers-answer", title: `How ${asked.property} is spread`, empty: "",
    sub: `${full(numbers.events)} numbers from ${full(numbers.least)} to ${full(numbers.most)}; mean ${full(numbers.mean)}${mean}; median ${full(numbers.median)}; the first and the last bar have what is beyond`,
    head: ["from", "to below", "events", "before"], rows: bins.map((each) => [each.least, each.most, each.events, each.before]),
    chart: {
      labels: bins.map(({ least }) => full(least)), titles: bins.map(from), unit: "events", axis: asked.property,
      series: [{ name: "events", color: "f3", values: bins.map((each) => each.events) }], summary: `Histogram of ${asked.property}, ${bins.length} bars`,
    },
  });
}

export function answerOfValues(wanted, answer, catalogue, overTime) {
  const host = el("div", {}), event = choice(answer, "Event", "any event", kept.event);
  const property = el("select", { "aria-label": "Property" }), beside = el("select", { "aria-label": "Beside" });
  const fill = () => {
    property.replaceChildren(...optionsOf(catalogue, markOf(event.value), null, kept.property));
    beside.replaceChildren(...optionsOf(catalogue, markOf(event.value), "nothing else", kept.beside));
  };
  fill();
  event.addEventListener("change", fill);
  const form = el("form", { class: "builder" }, el("label", {}, "of ", event), el("label", {}, "by ", property), el("label", {}, "and by ", beside), el("button", {}, "Count"));
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    [kept.event, kept.property, kept.beside] = [event.value, property.value, beside.value];
    const asked = { ...span(wanted), type: "values", property: property.value, mark: markOf(event.value), beside: beside.value || null };
    show(host, asked, (found) => {
      const listed = found.rows.slice(0, COLORS.length - 1), periods = found.starts.map((start, n) => ({ start, n }));
      return [
        ...(found.numbers ? [numbersPanel(asked, found)] : []),
        valuesPanel(asked, found),
        ...(periods.length > 1 ? [overTime(wanted, { periods }, found.numbers ? {
          id: "values-time", title: `Mean ${asked.property} a ${wanted.period}`, sub: "of events that say a number", unit: asked.property, empty: "Nobody said a number.", whole: false,
          series: [{ name: "mean", color: "f3", of: (period) => found.numbers.means[period.n] }],
        } : {
          id: "values-time", title: `${asked.property} a ${wanted.period}`, sub: "events by value, the most frequent", unit: "events", empty: "No such event in this time.",
          series: listed.map((each, n) => ({ name: said(each.value), color: COLORS[n], of: (period) => each.periods[period.n] })),
        })] : []),
      ];
    });
  });
  return builder("property", "Any event by any property", "what events say in a property that the catalogue knows: how often which value, and how numbers are spread", form, host);
}
