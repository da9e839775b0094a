// Asks for the numbers every two seconds while the page can be seen, and draws what changed.

import { bars, el, full, short, table, textsOf } from "./charts.js";
import { csv, download, question } from "./panels.js";

const POLL_MILLISECONDS = 2000;
const NAMES_MILLISECONDS = 300000;  // they are counted anew, one by one
const DAY = 86400;
const TYPES = [
  ["LevelCompleted", "f0"], ["AdImpression", "f1"], ["AppOpen", "f2"], ["GameEnd", "f3"],
  ["IAPPurchase", "f4"], ["Custom", "f5"],
];
const ALL_COLORS = 8;
const MAX_VERSIONS = 20;
const COLORS = ["f0", "f1", "f2", "f3", "f4", "f5", "f6"];
const RATES = [["minute", 60], ["hour", 3600], ["day", DAY]];  // the first by which the most is at least one
const base = location.pathname.replace(/\/$/, "");
const byId = (id) => document.getElementById(id);

// --- words for numbers ---

const two = (n) => String(n).padStart(2, "0");
const utc = (seconds) => new Date(seconds * 1000);
const clock = (seconds) => `${two(utc(seconds).getUTCHours())}:${two(utc(seconds).getUTCMinutes())}`;
const date = (seconds) => utc(seconds).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" });
const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(part / whole < 0.0995 && part ? 1 : 0)} %` : "–");

function latency(seconds) {
  if (seconds === null) return ["–", ""];
  if (seconds < 1) return [seconds < 0.01 ? (seconds * 1000).toFixed(1) : Math.round(seconds * 1000), "ms"];
  return [seconds.toFixed(1), "s"];
}

function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 2 * DAY) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / DAY)} d`;
}

// --- what the panels show ---

const named = { query: null, at: 0, names: [], complete: true };
const PANELS = [
  {
    id: "events", title: "Events received", wide: true,
    sub: (view) => `by the time the server received them, in buckets of ${duration(view.range.bucket_seconds)}; what is hatched is still filling`,
    empty: "No events in this time range.",
    pick: ({ range, now, sources, figures }) => {
      const width = range.bucket_seconds;
      const first = (Math.floor(now / width) + 1) * width - range.seconds;
      const starts = Array.from({ length: range.seconds / width }, (_, i) => first + i * width);
      const others = Object.values(sources).map((name, i) => [name, `f${(TYPES.length + i) % ALL_COLORS}`]);
      const series = [...TYPES, ...others].map(([name, color]) => ({ name, color, events: starts.map(() => 0) }));
      for (const count of figures.counts) {
        const name = sources[count.source] ?? count.type;
        const one = series.find((each) => each.name === name);
        const place = (count.start - first) / width;
        if (one && place in starts) one.events[place] += count.events;
      }
      const shown = series.filter((one) => one.events.some(Boolean));
      const known = countedUntil({ now, figures });
      return { starts, width, series: shown, filling: Math.floor((known - first) / width) };
    },
    isEmpty: (picked) => !picked.series.length,
    draw: (host, { starts, width, series, filling }) => {
      const title = (s) => (width >= DAY ? date(s) : `${date(s)}, ${clock(s)} – ${clock(s + width)}`);
      const most = Math.max(...starts.map((_, i) => sum(series.map((one) => one.events[i]))));
      const [unit, seconds] = RATES.find(([, span]) => (most * span) / width >= 1);
      bars(host, {
        labels: starts.map((s) => (s % DAY ? clock(s) : date(s))), titles: starts.map(title), ...(width < DAY ? { starts, width } : {}), filling, whole: false, height: 280,
        series: series.map((one) => ({ ...one, values: one.events.map((n) => (seconds * n) / width) })),
        unit: `events per ${unit}`, axis: width >= DAY ? "day (UTC)" : "time (UTC)",
        summary: `Events per ${unit} by type, ${full(sum(series.flatMap((one) => one.events)))} events in all`,
      });
    },
    table: ({ starts, width, series }) => [
      ["from (UTC)", ...series.map((one) => one.name)],
      starts.map((s, i) => [utc(s).toISOString(), ...series.map((one) => one.events[i])])
        .filter((_, i) => series.some((one) => one.events[i])).reverse(),
      ([from, ...values]) => [`${width >= 900 ? `${date(Date.parse(from) / 1000)} ` : ""}${clock(Date.parse(from) / 1000)}`, ...values],
    ],
  },
  dayPanel({
    id: "players", title: "Players active per day", unit: "players",
    series: [
      { name: "new", color: "f2", of: (day) => day.new_players },
      { name: "back again", color: "f0", of: (day) => day.players - day.new_players },
    ],
    empty: "Nobody played in these days.",
  }),
  dayPanel({
    id: "sessions", title: "Sessions per day", unit: "sessions",
    sub: "AppOpen, and Played of Teak",
    series: [{ name: "sessions", color: "f0", of: (day) => day.sessions }],
    empty: "No AppOpen in these days: games send it when they are opened.",
  }),
  {
    id: "retention", title: "Retention",
    sub: (view) => `of the players who were new on a day, those who came back 1 and 7 days later; ${span(view)}`,
    byDay: true, empty: "Nobody was new in these days.",
    pick: (view) => ({
      today: Math.floor(countedUntil(view) / DAY),
      cohorts: view.figures.days.filter((day) => day.new_players && day.day >= shownDays(view)[0]).reverse(),
    }),
    isEmpty: ({ cohorts }) => !cohorts.length,
    draw: (host, { today, cohorts }) => {
      const facts = el("dl", { class: "facts" });
      for (const [name, days, key] of [["D1", 1, "retained_1"], ["D7", 7, "retained_7"]]) {
        const whole = cohorts.filter((each) => each.day + days < today);
        const players = sum(whole.map((each) => each.new_players));
        const text = players ? percent(sum(whole.map((each) => each[key])), players) : "not known yet";
        facts.append(el("div", {}, el("dt", {}, `${name}, complete days`), el("dd", {}, text)));
      }
      const cell = (each, days, key) => {
        if (each.day + days > today) return "–";
        const so_far = each.day + days === today ? " so far" : "";
        const share = each[key] / each.new_players;
        const text = el("span", { class: "heat", title: `${full(each[key])} of ${full(each.new_players)}` }, percent(each[key], each.new_players) + so_far);
        text.style.background = `color-mix(in srgb, var(--c2) ${Math.round(10 + 60 * share)}%, transparent)`;
        return text;
      };
      const grid = table(["first day (UTC)", "new", "D1", "D7"], cohorts.map((each) => [
        date(each.day * DAY), full(each.new_players), cell(each, 1, "retained_1"), cell(each, 7, "retained_7"),
      ]));
      grid.className = "cohort";
      host.replaceChildren(facts, el("div", { class: "scroll", tabindex: "0", "aria-label": "Cohorts by first day" }, grid));
    },
    csv: ({ today, cohorts }) => [["first day (UTC)", "new", "D1", "D7"], cohorts.map((each) => [
      dayOf(each.day), each.new_players, each.day + 1 < today ? each.retained_1 : null, each.day + 7 < today ? each.retained_7 : null,
    ])],
  },
  levelPanel({
    id: "funnel", title: "Level funnel", unit: "players", axis: "level",
    sub: "players who completed a level for the first time in these days",
    empty: "No LevelCompleted with customdata.level in these days.",
    series: [{ name: "players", color: "f0", of: (level) => level.players }],
    keep: (level) => level.completions,
  }),
  levelPanel({
    id: "difficulty", title: "Level difficulty", unit: "attempts", axis: "level",
    sub: "completed, or failed: a GameEnd that names the level, or a custom LevelFailed or FAIL",
    empty: "No attempts at levels in these days: put level into customdata.",
    series: [
      { name: "completed", color: "f2", of: (level) => level.completions },
      { name: "failed", color: "f1", of: (level) => level.failures },
    ],
    keep: () => true,
  }),
  levelPanel({
    id: "duration", title: "Time to complete a level", unit: "seconds, mean", axis: "level",
    sub: "customdata.duration_seconds of LevelCompleted",
    empty: "No LevelCompleted with customdata.duration_seconds in these days.",
    series: [{ name: "mean", color: "f3", of: (level) => (level.timed ? level.seconds / level.timed : 0) }],
    keep: (level) => level.timed, whole: false,
  }),
  {
    id: "coins", title: "Coins out per day", byDay: true,
    sub: (view) => `earned by events, by game; ${span(view)}`,
    empty: "No coins were earned in these days: games pay when they have a rule ([[games]], coins_enabled).",
    pick: (view) => {
      const days = shownDays(view), totals = new Map();
      for (const each of view.figures.coins) totals.set(each.game_id, (totals.get(each.game_id) ?? 0) + each.coins);
      const games = [...totals].sort((a, b) => b[1] - a[1]).map(([game]) => game);
      const named = games.slice(0, 6);
      const series = named.map((name, i) => ({ name, color: COLORS[i], values: days.map(() => 0) }));
      const others = { name: `${games.length - 6} other games`, color: "f6", values: days.map(() => 0) };
      for (const each of view.figures.coins) {
        const place = days.indexOf(each.day);
        if (place >= 0) (series[named.indexOf(each.game_id)] ?? others).values[place] += each.coins;
      }
      return { days, series: games.length > 6 ? [...series, others] : series };
    },
    isEmpty: ({ series }) => !series.length,
    draw: (host, { days, series }) => {
      drawDays(host, days, series, "coins", `Coins earned per day, ${full(sum(series.flatMap((one) => one.values)))} in all`, { legend: true });
    },
    table: ({ days, series }) => dayTable(days, series),
  },
  dayPanel({
    id: "ads", title: "Ad impressions per day", unit: "impressions",
    series: [{ name: "impressions", color: "f1", of: (day) => day.ads }],
    empty: "No AdImpression in these days.",
  }),
  dayPanel({
    id: "purchases", title: "Purchases per day", unit: "purchases",
    series: [{ name: "purchases", color: "f4", of: (day) => day.purchases }],
    empty: "No IAPPurchase in these days.",
  }),
  {
    id: "names", title: "Events by name", byDay: true,
    sub: (view) => `${named.complete ? "the most frequent" : "of the first events of this time only: there are more than can be counted by name now"}; ${span(view)}`,
    empty: "No events in these days.",
    pick: () => named.names,
    isEmpty: (names) => !names.length,
    draw: (host, names) => host.replaceChildren(el("div", { class: "scroll", tabindex: "0", "aria-label": "Events by name" },
      printed(["type", "name", "events"], names.map((each) => [each.type, each.name, each.events])))),
    csv: (names) => [["type", "name", "events"], names.map((each) => [each.type, each.name, each.events])],
  },
  {
    id: "refused", title: "Refused, by reason", wide: true, sub: () => "since the start of the process; live",
    empty: "Nothing was refused since the start.",
    pick: ({ live }) => ({ requests: sorted(live.refused_requests), events: sorted(live.rejected) }),
    isEmpty: ({ requests, events }) => !requests.length && !events.length,
    draw: (host, picked) => host.replaceChildren(printed(...refusals(picked))),
    csv: (picked) => refusals(picked),
  },
  {
    id: "losses", title: "Events that never arrived", wide: true, byDay: true,
    sub: (view) => {
      const losses = view.figures?.losses ?? [], numbers = sum(losses.map((each) => each.numbers));
      const all = numbers ? `${lossShare({ numbers, lost: sum(losses.map((each) => each.lost)) })} of ${full(numbers)} events that clients numbered` : "of what clients numbered";
      return `${all} in ${byId("game").value || "all games"}; by app version; ${span(view)}, without the last hour`;
    },
    empty: "No runs to count in these days: a run of a client that sends run and seq counts when nothing of it has come for an hour.",
    pick: ({ figures }) => figures.losses,
    isEmpty: (losses) => !losses.length,
    draw: (host, losses) => {
      const versions = new Map();
      for (const { app_version: name, numbers, lost } of losses) {
        const known = versions.get(name) ?? { numbers: 0, lost: 0 };
        versions.set(name, { numbers: known.numbers + numbers, lost: known.lost + lost });
      }
      const shown = [...versions].sort((a, b) => b[1].numbers - a[1].numbers).slice(0, MAX_VERSIONS)
        .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
      bars(host, {
        labels: shown.map(([name]) => cut(name)), unit: "% of events", axis: "app version", whole: false,
        titles: shown.map(([name, each]) => `${name}: ${full(each.lost)} of ${full(each.numbers)}`),
        series: [{ name: "never arrived, %", color: "f7", values: shown.map(([, each]) => (100 * each.lost) / each.numbers) }],
        summary: `Share of events that never arrived, by app version, ${shown.length} versions`,
      });
    },
    table: (losses) => [
      ["app version", "platform", "events", "never arrived", "share %"],
      losses.map((each) => [each.app_version, each.platform, each.numbers, each.lost, (100 * each.lost) / each.numbers]),
      ([version, platform, numbers, lost]) => [version, platform, numbers, lost, lossShare({ numbers, lost })],
    ],
  },
  {
    id: "actions", title: "Teak actions", optional: true, byDay: true, sub: (view) => `sums by action type; ${span(view)}`,
    pick: ({ figures }) => figures.actions,
    isEmpty: (actions) => !actions.length,
    draw: (host, actions) => host.replaceChildren(el("div", { class: "scroll", tabindex: "0", "aria-label": "Teak actions" }, printed(...actionTable(actions)))),
    csv: (actions) => actionTable(actions),
  },
  {
    id: "fields", title: "Lynes metadata", optional: true, sub: () => "of the newest Lynes events, in any time range: at most 1,000, among the newest 20,000 requests of all kinds",
    pick: ({ figures }) => figures.fields,
    isEmpty: (fields) => !fields.length,
    draw: (host, fields) => host.replaceChildren(el("div", { class: "scroll", tabindex: "0", "aria-label": "Lynes metadata" },
      printed(...fieldTable(fields)))),
    csv: (fields) => fieldTable(fields),
  },
];

// Rows of plain values as they are printed; the CSV has the values themselves.
function printed(head, rows, show = (row) => row) {
  return table(head, rows.map((row) => show(row).map((each) => (typeof each === "number" ? full(each) : each ?? "–"))), textsOf(head, rows));
}

function refusals({ requests, events }) {
  const rows = [["requests", requests], ["events", events]].flatMap(([of, counts]) => counts.map(([reason, n]) => [reason, of, n]));
  return [["reason", "of", "refused"], rows];
}

function actionTable(actions) {
  return [["action", "events", "occurrences", "value", "mean"], actions.map((each) => [
    each.action, each.events, each.occurrences, each.value, each.occurrences ? each.value / each.occurrences : null,
  ])];
}

function fieldTable(fields) {
  return [["field", "values", "distribution"], fields.map((each) => [
    each.name, each.values,
    each.kind === "number"
      ? `${full(each.least)} to ${full(each.most)}, mean ${full(each.mean)}`
      : each.common.map(([value, n]) => `${value} ${percent(n, each.values)}`).join(", "),
  ])];
}

function dayOf(day) { return utc(day * DAY).toISOString().slice(0, 10); }
function sum(numbers) { return numbers.reduce((a, b) => a + b, 0); }
function sorted(counts) { return Object.entries(counts).filter(([, n]) => n).sort((a, b) => b[1] - a[1]); }

function cut(text) { return text.length > 12 ? `${[...text].slice(0, 11).join("")}…` : text; }

function lossShare({ numbers, lost }) {
  const share = (100 * lost) / numbers;
  return lost && share < 0.01 ? "< 0.01 %" : `${full(share)} %`;
}

function shownDays({ range, now }) {
  const count = range.seconds > 7 * DAY ? 30 : 7;
  const today = Math.floor(now / DAY);
  return Array.from({ length: count }, (_, i) => today - count + 1 + i);
}

const hasDays = ({ range }) => range.seconds >= 7 * DAY;

function span(view) { return `the last ${shownDays(view).length} days`; }

function drawDays(host, days, series, unit, summary, more = {}) {
  const labels = days.map((day) => date(day * DAY));
  bars(host, {
    labels, titles: labels, filling: days.length - 1, series, unit, axis: "day (UTC)", summary, ...more,
  });
}

function dayTable(days, series) {
  return [["day (UTC)", ...series.map((one) => one.name)],
    days.map((day, i) => [dayOf(day), ...series.map((one) => one.values[i])]).reverse(),
    ([day, ...values]) => [date(Date.parse(day) / 1000), ...values]];
}

function dayPanel({ id, title, unit, series, empty, sub }) {
  return {
    id, title, empty, byDay: true,
    sub: (view) => [sub, span(view)].filter(Boolean).join("; "),
    pick: (view) => {
      const days = shownDays(view), known = new Map(view.figures.days.map((day) => [day.day, day]));
      return { days, series: series.map((one) => ({ name: one.name, color: one.color, values: days.map((day) => (known.has(day) ? one.of(known.get(day)) : 0)) })) };
    },
    isEmpty: (picked) => !picked.series.some((one) => one.values.some(Boolean)),
    draw: (host, picked) => drawDays(host, picked.days, picked.series, unit, `${title}, ${full(sum(picked.series.flatMap((one) => one.values)))} ${unit} in all`),
    table: (picked) => dayTable(picked.days, picked.series),
  };
}

function levelPanel({ id, title, unit, axis, sub, empty, series, keep, whole }) {
  return {
    id, title, empty, byDay: true,
    sub: (view) => [sub, view.figures?.levels_game, span(view)].filter(Boolean).join("; "),
    pick: ({ figures }) => figures.levels.filter(keep),
    isEmpty: (levels) => !levels.length,
    draw: (host, levels) => bars(host, {
      labels: levels.map((each) => cut(each.level)),
      titles: levels.map((each) => `Level ${each.level}${unit === "attempts" ? `, ${percent(each.completions, each.completions + each.failures)} completed` : ""}`),
      series: series.map((one) => ({ ...one, values: levels.map(one.of) })), unit, axis, whole,
      summary: `${title}, ${levels.length} levels`,
    }),
    table: (levels) => [
      ["level", "players", "attempts", "completed", "rate %", "mean seconds"],
      levels.map((each) => [each.level, each.players, each.completions + each.failures, each.completions,
        (100 * each.completions) / (each.completions + each.failures), each.timed ? each.seconds / each.timed : null]),
      ([level, players, attempts, done, , mean]) => [level, players, attempts, done, percent(done, attempts), mean],
    ],
  };
}

// --- the page ---

function build() {
  for (const panel of PANELS) {
    const body = el("div", { class: "body", id: `chart-${panel.id}` });
    const section = el("section", { class: panel.wide ? "panel wide" : "panel", "aria-labelledby": `title-${panel.id}`, hidden: true, id: panel.id },
      el("h2", { id: `title-${panel.id}` }, panel.title), el("p", { class: "sub" }), body);
    const save = el("button", { type: "button", class: "csv", hidden: true }, "CSV");
    save.addEventListener("click", () => download(panel.id, csv(...(panel.csv ?? panel.table)(save.picked).slice(0, 2))));
    section.querySelector("h2").after(save);
    if (panel.table) section.append(el("details", {}, el("summary", {}, "As a table"), el("div", { class: "scroll", tabindex: "0", "aria-label": `${panel.title}, table` })));
    byId("charts").append(section);
  }
}

const drawn = new Map();

function drawPanel(panel, view) {
  const section = byId(panel.id), body = byId(`chart-${panel.id}`);
  const picked = view.figures || panel.id === "refused" ? panel.pick(view) : null;
  const isEmpty = picked === null || panel.isEmpty(picked);
  section.hidden = picked === null || (panel.optional && isEmpty) || (panel.byDay && !hasDays(view));
  if (section.hidden) return;
  const key = JSON.stringify([picked, body.clientWidth, panel.sub(view)]);
  if (drawn.get(panel.id) === key) return;
  drawn.set(panel.id, key);
  section.querySelector(".sub").textContent = panel.sub(view);
  const focused = body.contains(document.activeElement), save = section.querySelector(".csv");
  save.picked = picked;
  save.hidden = isEmpty;
  if (isEmpty) body.replaceChildren(el("p", { class: "empty" }, panel.empty));
  else panel.draw(body, picked);
  if (focused && !body.contains(document.activeElement)) body.querySelector("[tabindex]")?.focus({ preventScroll: true });
  const details = section.querySelector("details");
  if (!details) return;
  details.hidden = isEmpty;
  if (!isEmpty) details.querySelector(".scroll").replaceChildren(printed(...panel.table(picked)));
}

function drawTiles({ live, figures, now }) {
  const { window } = live;
  const since = window.since_start ? "since the start" : `last ${duration(window.seconds)}`;
  const today = figures?.days.find((day) => day.day === Math.floor(now / DAY));
  const coins = figures ? sum(figures.coins.filter((each) => each.day === Math.floor(now / DAY)).map((each) => each.coins)) : null;
  const rate = window.received / Math.max(window.seconds, 1);
  const [p50, unit50] = latency(window.request_p50), [p99, unit99] = latency(window.request_p99);
  const [f50, funit50] = latency(window.flush_p50), [f99, funit99] = latency(window.flush_p99);
  const whole = (n) => (n === null || n === undefined ? "–" : n < 100000 ? full(n) : short(n));
  const tiles = [
    ["Events received", rate < 1000 ? full(Math.round(rate * 10) / 10) : short(rate), "/ s", since],
    ["Players today", whole(figures && (today?.players ?? 0)), "", figures ? `${full(today?.new_players ?? 0)} new` : ""],
    ["Sessions today", whole(figures && (today?.sessions ?? 0)), "", "UTC day"],
    ["Coins out today", whole(coins), "", "earned by events"],
    ["Request, p50", p50, unit50, `p99 ${p99} ${unit99}, ${since}`],
    ["Flush, p50", f50, funit50, `p99 ${f99} ${funit99}, ${since}`],
    ["Waiting for the store", whole(live.buffered), "events", `of ${short(live.buffer_max_events)}; oldest ${live.buffered ? `${live.oldest_age.toFixed(1)} s` : "–"}`],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, unit, note]) => el("dl", { class: "tile" },
    el("dt", {}, name), el("dd", { class: "value" }, String(value), unit ? el("small", {}, unit) : null), el("dd", { class: "note" }, note))));
}

function drawLaw({ live }) {
  const rejected = sum(Object.values(live.rejected));
  const parts = [
    ["stored", live.stored, "f2"], ["waiting", live.buffered, "f0"], ["duplicate", live.duplicate, "f6"], ["rejected", rejected, "f7"],
  ];
  const known = sum(parts.map(([, n]) => n)), difference = live.received - known;
  const body = byId("law").querySelector(".body");
  if (!live.received) {
    body.replaceChildren(el("p", { class: "empty" }, "No events since the process started."));
    return;
  }
  const track = (items) => el("div", { class: "track" }, ...items.filter(([, n]) => n).map(([name, n, color]) => {
    const part = el("span", { class: color, title: `${name}: ${full(n)}` });
    part.style.width = `${(100 * n) / Math.max(live.received, known)}%`;
    return part;
  }));
  const row = (name, items) => el("div", { class: "row" }, el("span", {}, name), track(items));
  const facts = el("dl", { class: "facts" });
  const add = (name, n, color) => facts.append(el("div", {},
    el("dt", {}, color ? el("span", { class: `swatch ${color}` }) : null, name), el("dd", {}, full(n))));
  add("received", live.received, "f3");
  parts.forEach(([name, n, color]) => add(name, n, color));
  add("not accounted for", difference, null);
  const flow = el("div", { class: "flow", role: "img", "aria-label": `received ${full(live.received)}: ${parts.map(([name, n]) => `${name} ${full(n)}`).join(", ")}` },
    row("received", [["received", live.received, "f3"]]), row("became", parts));
  body.replaceChildren(flow, facts);
}

function countedUntil({ now, figures }) {
  const { followed, counted_until: until } = figures;
  return followed.position < followed.end && until ? Math.min(now, Date.parse(until) / 1000) : now;
}

function drawFreshness(view) {
  const { figures, live, now, trouble } = view;
  const parts = ["Rates, latencies, waiting and refused are live."];
  if (figures) {
    const batches = figures.followed.end - figures.followed.position;
    parts.push(batches
      ? `Everything else is counted up to ${clock(countedUntil(view))} (${duration(now - countedUntil(view))} ago; ${full(batches)} batches to go).`
      : "Everything else counts all that is stored.");
  }
  byId("freshness").textContent = parts.join(" ");
  const problems = [...live.not_ready.map((text) => `Not ready: ${text}`), trouble ? `No figures: ${trouble}` : null].filter(Boolean);
  byId("notice").hidden = !problems.length;
  if (byId("notice").textContent !== problems.join(". ")) byId("notice").textContent = problems.join(". ");
}

function drawWelcome({ figures }) {
  const empty = Boolean(figures) && !figures.followed.end;
  byId("welcome").hidden = !empty;
  byId("law").hidden = empty;
  if (!empty || byId("curl").textContent) return;
  byId("curl").textContent = `TOKEN=$(.venv/bin/playsmart-gateway token --sub device-abc-123)
curl -i ${location.origin}/ingest/events \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{"user_id": "device-abc-123", "game_id": "com.example.stackblaster", "events": [
        {"type": "AppOpen", "timestamp": "${new Date().toISOString()}"},
        {"type": "LevelCompleted", "timestamp": "${new Date().toISOString()}",
         "customdata": {"level": 5, "score": 4800, "duration_seconds": 42}}]}'`;
}

function drawGames({ figures }) {
  const select = byId("game");
  if (!figures || document.activeElement === select) return;
  const known = [...select.options].slice(1).map((option) => option.value);
  const games = figures.games.map((game) => game.game_id);
  if (select.value && !games.includes(select.value)) games.push(select.value);
  if (JSON.stringify(known) === JSON.stringify(games)) return;
  const chosen = select.value;
  select.replaceChildren(el("option", { value: "" }, "All games"), ...games.map((game) => el("option", { value: game }, game)));
  select.value = chosen;
}

function draw(view) {
  byId("version").textContent = view.version;
  drawWelcome(view);
  drawTiles(view);
  drawLaw(view);
  byId("charts").hidden = !byId("welcome").hidden;
  if (!byId("charts").hidden) PANELS.forEach((panel) => drawPanel(panel, view));
  byId("by-day").hidden = byId("charts").hidden || hasDays(view);
  drawGames(view);
  drawFreshness(view);
}

function setStatus(kind, text) {
  const status = byId("status");
  status.className = `status ${kind}`;
  if (status.textContent !== text) status.textContent = text;
}

// --- asking ---

// The game and the range are in the address, from where the links to other pages take them.
function restore() {
  const query = new URLSearchParams(location.search), game = query.get("game");
  if (game) byId("game").append(el("option", { value: game, selected: true }, game));
  const range = document.querySelector(`[name=range][value="${CSS.escape(query.get("range") ?? "")}"]`);
  if (range) range.checked = true;
}

function chosen() {
  const query = new URLSearchParams({ range: document.querySelector("[name=range]:checked").value });
  if (byId("game").value) query.set("game", byId("game").value);
  return query;
}

let latest = null, timer = 0, asking = 0;

// Events by name are counted one by one, so they are asked for when something is chosen, and seldom after.
async function askForNames() {
  const query = chosen().toString(), days = shownDays(latest).map(dayOf);
  if (!hasDays(latest) || (named.query === query && Date.now() - named.at < NAMES_MILLISECONDS)) return;
  Object.assign(named, { query, at: Date.now(), names: named.query === query ? named.names : [] });
  try {
    const found = await question({ type: "names", first: days[0], last: days.at(-1), game: byId("game").value || null });
    if (named.query !== query) return;
    Object.assign(named, { names: found.names, complete: found.complete });
    draw(latest);
  } catch { named.at = 0; }  // it is told of beside all else that is not there; the next look asks again
}

async function ask() {
  clearTimeout(timer);
  const turn = (asking += 1);
  try {
    const answer = await fetch(`${base}/data?${chosen()}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status === 401 ? "the operator token is needed: reload the page" : `status ${answer.status}`);
    const view = await answer.json();
    if (turn !== asking) return;
    latest = view;
    draw(view);
    askForNames();
    setStatus(view.live.not_ready.length ? "bad" : "good", view.live.not_ready.length ? "Not ready" : "Live, every 2 s");
    document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn ?? 0) + 1);
  } catch (error) {
    if (turn !== asking) return;
    setStatus("bad", `No answer from the gateway (${error.message}); trying again`);
  }
  if (!document.hidden) timer = setTimeout(ask, POLL_MILLISECONDS);
}

build();
restore();
byId("filters").addEventListener("change", () => {
  history.replaceState(null, "", `?${chosen()}`);
  ask();
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (document.hidden) setStatus("", "Paused while hidden");
  else ask();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  drawn.clear();
  if (latest) draw(latest);
});
new ResizeObserver(() => latest && draw(latest)).observe(byId("charts"));
ask();
