// The builders: a funnel of up to six steps, and who comes back to an event.

import { el, full } from "./charts.js";
import { counted, number, panel, percent, question, share } from "./panels.js";

const MAX_STEPS = 6;
const kept = { steps: [], start: null, again: null, within: "7" };  // what was chosen stays when the report changes
const markOf = (text) => (text ? JSON.parse(text) : null);
const titleOf = ({ type, name }) => (name ? `${name} (${type})` : type);

// The answer goes where ``host`` is; while it is looked for that says so.
async function show(host, wanted, draw) {
  host.replaceChildren(el("p", { class: "sub", role: "status" }, "Counting"));
  try {
    const answer = await question(wanted);
    host.replaceChildren(draw(answer), el("p", { class: "sub" }, counted(answer)));
    await host.firstChild.draw?.();
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

const span = ({ first, last, period, zone, by, game }) => ({ first, last, period, zone, by, game });

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
