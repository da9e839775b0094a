// Asks one question at a time and draws its answer; what is asked is in the address of the page.

import { cents, el, full, short } from "./charts.js";
import { answerOfFunnel, answerOfReturn, answerOfValues, optionsOf, propertiesOf } from "./funnel.js";
import { counted, number, panel, percent, question, share } from "./panels.js";

const DAY = 86400000, RETAINED = [1, 3, 7, 14, 30], BACK = 28;
const MAX_GAMES = 8;  // whose properties are offered together
const byId = (id) => document.getElementById(id);
const iso = (when) => new Date(when).toISOString().slice(0, 10);
// Which day it is in a zone; where there is no such zone that is said elsewhere.
function today(zone) {
  try { return new Date().toLocaleDateString("sv", { timeZone: zone }); } catch { return iso(Date.now()); }
}
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// --- what is asked ---

function asked() {
  const found = {
    type: "report", first: byId("first").value, last: byId("last").value, zone: byId("zone").value.trim() || "UTC",
    period: document.querySelector("[name=period]:checked").value, by: byId("by").value, game: byId("game").value || null,
  };
  const value = byId("value").value.trim();
  if (byId("meaning").value && value) found.where = { [byId("meaning").value]: value };
  if (byId("one_by_one").checked) found.one_by_one = true;
  return found;
}

let dated = false, catalogue = [];

function filterBy(chosen) {
  byId("meaning").replaceChildren(...optionsOf(catalogue, null, "anything is said", chosen));
  byId("meaning").value = chosen;
}

// The events of the game and their properties, as the catalogue has them; of the busiest games if it is none.
async function learn(game) {
  const told = async (of) => (await (await fetch(`../catalogue/data?${new URLSearchParams(of ? { game: of } : {})}`, { cache: "no-store" })).json()).catalogue;
  try {
    const first = await told(game), busy = [...(first?.games_known ?? [])].sort((a, b) => b.events - a.events);
    const others = game ? [] : [...new Set(busy.map((each) => each.game_id))].filter((each) => each !== first.game_id).slice(0, MAX_GAMES - 1);
    const found = await Promise.all([first, ...others.map((each) => told(each).catch(() => null))]);
    catalogue = found.flatMap((each) => each?.events ?? []);
  } catch { catalogue = []; }
  filterBy(byId("meaning").value);
}

function restore() {
  const now = Date.now();
  let known = {};
  try { known = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}"); } catch { /* somebody's own */ }
  // Of other pages there is a game, and a range or days; what somebody sent along behind # comes first.
  const query = new URLSearchParams(location.search), days = { "1h": 1, "24h": 1, "7d": 7, "30d": 30 }[query.get("range")] ?? BACK;
  const isDay = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") ? text : null);
  known = { game: query.get("game"), first: isDay(query.get("from")), last: isDay(query.get("to")), ...known };
  dated = Boolean(known.first && known.last && !query.get("range"));
  byId("last").value = known.last ?? today(known.zone ?? "UTC");
  byId("first").value = known.first ?? iso(now - (days - 1) * DAY);
  byId("zone").value = known.zone ?? "UTC";
  byId("by").value = known.by ?? "received";
  byId("one_by_one").checked = Boolean(known.one_by_one);
  const [[meaning, value] = ["", ""]] = Object.entries(known.where ?? {});
  filterBy(meaning);
  byId("value").value = value;
  const period = document.querySelector(`[name=period][value="${CSS.escape(known.period ?? "day")}"]`);
  if (period) period.checked = true;
  if (known.game) byId("game").append(el("option", { value: known.game, selected: true }, known.game));
  if (known.zone || known.by || known.where || known.one_by_one) byId("more").open = known.zone !== "UTC" || known.by !== "received" || Boolean(known.where) || Boolean(known.one_by_one);
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  byId("zones").replaceChildren(...["UTC", own, ...Intl.supportedValuesOf("timeZone")].map((zone) => el("option", { value: zone })));
}

// What other pages shall show, too: the days only where somebody chose them.
function kept({ game, first, last }) {
  const query = new URLSearchParams(location.search);
  query.delete("game");
  if (game) query.set("game", game);
  if (dated) {
    query.delete("range");
    query.set("from", first);
    query.set("to", last);
  }
  return query;
}

// --- words ---

const FORMATS = { day: { day: "numeric", month: "short" }, week: { day: "numeric", month: "short" }, month: { month: "short", year: "numeric" } };
const named = (start, period) => new Date(`${start}T00:00:00Z`).toLocaleDateString("en", { ...FORMATS[period], timeZone: "UTC" });
const money = (revenue) => Object.entries(revenue).sort((a, b) => b[1] - a[1]).map(([currency, amount]) => `${cents(amount)} ${currency}`).join(", ") || "–";
const currenciesOf = (answer) => Object.keys(answer.total.revenue);  // of most purchases first
const duration = (seconds) => (seconds === null || Number.isNaN(seconds) ? "–" : seconds < 120 ? `${full(Math.round(seconds))} s` : seconds < 7200 ? `${full(Math.round(seconds / 60))} min` : `${full(Math.round(seconds / 360) / 10)} h`);

function change(now, before) {
  if (!before) return now ? "nothing before" : "";
  const by = (100 * (now - before)) / before;
  return `${by >= 0 ? "+" : "−"}${percent(Math.abs(by))} against ${short(before)} before`;
}

// The day after the last of a period.
function endOf(start, period) {
  const day = new Date(`${start}T00:00:00Z`);
  if (period === "month") day.setUTCMonth(day.getUTCMonth() + 1);
  else day.setUTCDate(day.getUTCDate() + (period === "week" ? 7 : 1));
  return iso(day);
}

// --- panels ---

// Of periods: series by name, and all of them in the table.
function overTime(wanted, answer, { id, title, sub, unit, empty, series, whole, columns }) {
  const { periods } = answer, now = today(wanted.zone);
  const named_ = periods.map((each) => named(each.start, wanted.period));
  const filling = periods.findIndex((each) => endOf(each.start, wanted.period) > now);
  const shown = series.filter((one) => periods.some(one.of));
  const table = columns ?? series;
  return panel({
    id, title, sub, empty,
    head: [`${wanted.period} from`, ...table.map((one) => one.name)],
    rows: shown.length ? periods.map((each) => [each.start, ...table.map((one) => one.of(each))]).reverse() : [],
    show: ([start, ...values]) => [named(start, wanted.period), ...values.map((value, n) => (table[n].print ?? number)(value))],
    chart: {
      labels: named_, titles: named_.map((text, n) => (wanted.period === "day" ? text : `${wanted.period} from ${text}${periods[n].start > now ? ", to come" : ""}`)),
      ...(filling >= 0 ? { filling } : {}), unit, axis: `${wanted.period} (${wanted.zone})`, whole,
      series: shown.map((one) => ({ name: one.name, color: one.color, values: periods.map((each) => one.of(each) ?? 0) })),
      summary: `${title}, ${periods.length} periods`, legend: shown.length > 1,
    },
  });
}

function retention(wanted, cohorts, { id = "retention", title = "Retention", sub } = {}) {
  const rows = cohorts.filter((each) => each.players).reverse();
  const cell = ([of, came]) => {
    if (!of) return "–";
    const text = el("span", { class: "heat", title: `${full(came)} of ${full(of)}` }, percent(share(came, of)));
    text.style.background = `color-mix(in srgb, var(--c2) ${Math.round(10 + (60 * came) / of)}%, transparent)`;
    return text;
  };
  const all = RETAINED.map((_, n) => [sum(rows.map((each) => each.back[n][0])), sum(rows.map((each) => each.back[n][1]))]);
  const listed = rows.length > 1 ? [{ start: "all", players: sum(rows.map((each) => each.players)), back: all }, ...rows] : rows;
  return panel({
    id, title, sub: sub ?? "of players who were new, those who came back so many days later; of days that are over",
    className: "cohort", empty: "Nobody was new in this time.", head: ["first day in", "players", ...RETAINED.map((n) => `D${n} %`)],
    rows: listed.map((each) => [each.start, each.players, ...each.back.map(([of, came]) => share(came, of))]),
    show: ([start]) => {
      const each = listed.find((one) => one.start === start);
      return [start === "all" ? "all" : named(start, wanted.period), full(each.players), ...each.back.map(cell)];
    },
  });
}

function groups(answer, meaning, title) {
  const rows = answer.groups.filter((each) => each.meaning === meaning), currencies = currenciesOf(answer);
  const players = rows.some((each) => each.players !== null);
  return panel({
    id: meaning, title, sub: answer.source === "events" ? "purchases of those who say it, and players who said it at any time" : "purchases of those who say it",
    empty: "No purchase in this time.", head: [title.replace("Revenue by ", ""), "purchases", "payers", ...currencies, ...(players ? ["players"] : [])],
    rows: rows.map((each) => [each.value, each.purchases, each.payers, ...currencies.map((currency) => each.revenue[currency] ?? 0), ...(players ? [each.players ?? 0] : [])]),
    show: ([value, ...rest]) => [value, ...rest.map((each, n) => (n > 1 && n < 2 + currencies.length ? cents(each) : full(each)))],
  });
}

function levels(answer) {
  const rows = answer.levels.map((each, n) => {
    const before = answer.levels[n - 1]?.players;
    return [each.level, each.players, before ? Math.max(100 - share(each.players, before), 0) : null, each.attempts, share(each.failures, each.attempts), each.timed ? each.seconds / each.timed : null, each.stands_out ? "stands out" : ""];
  });
  const hard = rows.filter((row) => row[6]).map((row) => row[0]);
  return panel({
    id: "levels", title: "Levels", wide: true,
    sub: `${answer.levels_game ? `${answer.levels_game}: ` : ""}who first completed each, who of them was lost since the level before, which part of attempts failed${hard.length ? `; more of them than around it in level ${hard.join(", ")}` : ""}`,
    empty: "No attempts at levels in this time: put level into customdata.",
    head: ["level", "players", "drop-off %", "attempts", "failed %", "mean seconds", "difficulty"], rows,
    show: ([level, players, drop, attempts, failed, mean, mark]) => [level, full(players), percent(drop), full(attempts), percent(failed), number(mean && Math.round(mean * 10) / 10, " s"), mark ? el("strong", { class: "mark" }, mark) : ""],
    chart: {
      labels: rows.map(([level]) => (level.length > 12 ? `${level.slice(0, 11)}…` : level)), titles: rows.map(([level]) => `Level ${level}`), unit: "attempts", axis: "level",
      series: [{ name: "completed", color: "f2", values: answer.levels.map((each) => each.attempts - each.failures) }, { name: "failed", color: "f1", values: answer.levels.map((each) => each.failures) }],
      summary: `Attempts at ${rows.length} levels`,
    },
  });
}

function all(wanted, answer) {
  const currencies = currenciesOf(answer), [main] = currencies;
  const stickiness = answer.active.map((each) => [each.day, each.players_day, each.players_week, each.players_month, share(each.players_day, each.players_month)]);
  const stickinessOn = new Map(stickiness.map((row) => [row[0], row[4]])), now = today(wanted.zone), days = [];
  // Days on which nobody played are in the chart, too, and none to come; a week may end behind the chosen day.
  const last = [stickiness.at(-1)?.[0] ?? "", [wanted.last, now].sort()[0]].sort()[1];
  for (let at = Date.parse(answer.periods[0].start); iso(at) <= last; at += DAY) days.push(iso(at));
  const time = (spec) => overTime(wanted, answer, spec);
  return [
    time({
      id: "players", title: `Players a ${wanted.period}`, unit: "players", empty: "Nobody played in this time.",
      series: [{ name: "new", color: "f2", of: (each) => each.new_players }, { name: "back again", color: "f0", of: (each) => Math.max(each.players - each.new_players, 0) }],
    }),
    time({
      id: "revenue", title: `Revenue a ${wanted.period}`, sub: main ? `the chart is of ${main}; the table has every currency` : "price and currency of IAPPurchase",
      unit: main ?? "", whole: false, empty: "No IAPPurchase with a price in this time.",
      series: main ? [{ name: main, color: "f4", of: (each) => each.revenue[main] ?? 0 }] : [],
      columns: [...currencies.map((currency) => ({ name: currency, of: (each) => each.revenue[currency] ?? 0, print: cents })),
        { name: "purchases", of: (each) => each.purchases }, { name: "payers", of: (each) => each.payers },
        { name: "conversion %", of: (each) => share(each.payers, each.players), print: percent },
        ...currencies.map((currency) => ({ name: `${currency} a player`, of: (each) => (each.players ? (each.revenue[currency] ?? 0) / each.players : null) }))],
    }),
    groups(answer, "country", "Revenue by country"),
    groups(answer, "app_version", "Revenue by app version"),
    groups(answer, "platform", "Revenue by platform"),
    retention(wanted, answer.cohorts),
    panel({
      id: "active", title: "Active players", sub: "on a day, in the 7 and the 30 days that end with it; stickiness is the first of the last",
      empty: "Nobody played in this time.", head: ["day", "DAU", "WAU", "MAU", "stickiness %"], rows: [...stickiness].reverse(),
      show: ([day, ...counts]) => [named(day, "day"), ...counts.slice(0, 3).map(full), percent(counts[3])],
      chart: {
        ...(days.at(-1) === now ? { filling: days.length - 1 } : {}),
        labels: days.map((day) => named(day, "day")), titles: days.map((day) => named(day, "day")), unit: "stickiness, %", axis: `day (${wanted.zone})`, whole: false,
        series: [{ name: "stickiness, %", color: "f3", values: days.map((day) => stickinessOn.get(day) ?? 0) }], summary: `Stickiness, ${days.length} days`,
      },
    }),
    time({
      id: "sessions", title: `Sessions a ${wanted.period}`, sub: answer.source === "events" ? "AppOpen, and Played of Teak; a visit ends with half an hour of nothing" : "AppOpen, and Played of Teak; how long they take is counted event by event (More)",
      unit: "sessions", empty: "No AppOpen in this time: games send it when they are opened.",
      series: [{ name: "sessions", color: "f0", of: (each) => each.sessions }],
      columns: [{ name: "sessions", of: (each) => each.sessions }, { name: "a player", of: (each) => (each.players ? each.sessions / each.players : null) },
        ...(answer.source === "events" ? [{ name: "visits", of: (each) => each.visits }, { name: "mean visit, s", of: (each) => (each.visits ? each.visit_seconds / each.visits : null), print: (value) => duration(value ?? NaN) }] : [])],
    }),
    time({
      id: "ads", title: `Ad impressions a ${wanted.period}`, unit: "impressions", empty: "No AdImpression in this time.",
      series: [{ name: "impressions", color: "f1", of: (each) => each.ads }],
      columns: [{ name: "impressions", of: (each) => each.ads }, { name: "a player", of: (each) => (each.players ? each.ads / each.players : null) }],
    }),
    ...(answer.source === "sums" ? [time({
      id: "coins", title: `Coins a ${wanted.period}`, unit: "coins", empty: "No coins were earned in this time: games pay when they have a rule.",
      sub: `earned by events; by hand, in all games, ${full(answer.coins_given)} given and ${full(answer.coins_taken)} taken; ${full(answer.coin_players)} ${answer.coin_players === 1 ? "player holds" : "players hold"} ${full(answer.coins_held)} now`,
      series: [{ name: "earned", color: "f5", of: (each) => each.coins }],
    }), panel({
      id: "versions", title: "Events that never arrived", sub: "of what clients numbered, by app version; without the last hour",
      empty: "No runs to count in this time: a run of a client that sends run and seq counts when nothing of it has come for an hour.",
      head: ["app version", "platform", "events", "never arrived", "lost %"],
      rows: answer.versions.map((each) => [each.app_version, each.platform, each.events, each.lost, share(each.lost, each.events)]),
      show: ([version, platform, events, lost, part]) => [version, platform, full(events), full(lost), lost && part < 0.01 ? "< 0.01 %" : `${full(part)} %`],
    })] : []),
    panel({
      id: "names", title: "Events by name", sub: answer.names_complete ? "the most frequent" : "of the first events of this time only: there are more than can be counted by name now", empty: "No events in this time.",
      head: ["type", "name", "events", "a player"], rows: answer.names.map((each) => [each.type, each.name, each.events, answer.total.players ? each.events / answer.total.players : null]),
    }),
    levels(answer),
  ];
}

function tiles(wanted, { total, total_before: before, active }) {
  const [main] = Object.keys(total.revenue);
  const mean = active.length ? sum(active.map((each) => each.players_day)) / active.length : 0;
  const sticky = active.length ? sum(active.map((each) => share(each.players_day, each.players_month))) / active.length : null;
  const shown = [
    ["Players", short(total.players), change(total.players, before.players)],
    ["New players", short(total.new_players), change(total.new_players, before.new_players)],
    ["A day, mean", number(Math.round(mean)), `stickiness ${percent(sticky)}`],
    ["Sessions", short(total.sessions), change(total.sessions, before.sessions)],
    ["Revenue", main ? `${(Math.abs(total.revenue[main]) < 100000 ? cents : short)(total.revenue[main])} ${main}` : "–", main ? change(total.revenue[main], before.revenue[main] ?? 0) : ""],
    ["A player", main && total.players ? `${number(Math.round((1000 * total.revenue[main]) / total.players) / 1000)} ${main}` : "–", "revenue by players"],
    ["Payers", short(total.payers), total.players ? [`${percent(share(total.payers, total.players))} of players`, change(total.payers, before.payers)].filter(Boolean).join("; ") : ""],
    ["Ads a player", total.players ? number(total.ads / total.players) : "–", change(total.ads, before.ads)],
  ];
  byId("tiles").replaceChildren(...shown.map(([name, value, note]) => el("dl", { class: "tile" }, el("dt", {}, name), el("dd", { class: "value" }, value), el("dd", { class: "note" }, note))));
}

// --- the page ---

// Two columns of much the same height, so that a short panel leaves no hole beside a long one: the
// highest is placed first. The order is kept in each; on a phone there is one.
async function arrange(shown) {
  const columns = [el("div", { class: "column" }), el("div", { class: "column" })];
  const isWide = (section) => section.classList.contains("wide"), narrow = matchMedia("(max-width: 760px)").matches;
  columns[0].append(...shown.filter((section) => !isWide(section)));
  byId("charts").replaceChildren(...(narrow ? shown : [el("div", { class: "columns" }, ...columns), ...shown.filter(isWide)]));
  const drawn = shown.map((section) => section.draw?.());
  const heights = new Map([...columns[0].children].map((section) => [section, section.offsetHeight])), sums = [0, 0], second = new Set();
  for (const [section, height] of [...heights].sort((a, b) => b[1] - a[1])) {
    if (sums[1] < sums[0]) second.add(section);
    sums[second.has(section) ? 1 : 0] += height;
  }
  columns[1].append(...[...heights.keys()].filter((section) => second.has(section)));
  await Promise.all(drawn);
}

let turn = 0, latest = null, panels = [];

function games(known) {
  const select = byId("game"), chosen = select.value;
  const listed = [...new Set([...known, ...(chosen ? [chosen] : [])])];
  select.replaceChildren(el("option", { value: "" }, "All games"), ...listed.map((game) => el("option", { value: game }, game)));
  select.value = chosen;
}

async function ask() {
  const own = (turn += 1), wanted = asked();
  if (!wanted.first || !wanted.last) return;
  byId("is").hidden = !byId("meaning").value;
  byId("status").className = "status";
  byId("status").textContent = "Counting";
  history.replaceState(null, "", `?${kept(wanted)}#${encodeURIComponent(JSON.stringify(wanted))}`);
  try {
    const [answer] = await Promise.all([question(wanted), learn(wanted.game)]);
    if (own !== turn) return;
    latest = { wanted, answer };
    tiles(wanted, answer);
    const meaning = byId("meaning").value, ofPlayers = answer.groups.filter((each) => each.meaning === meaning).map((each) => each.value);
    const values = new Set([...ofPlayers, ...(propertiesOf(catalogue).get(meaning) ?? [])]);
    byId("values").replaceChildren(...[...values].map((value) => el("option", { value })));
    const shown = [...all(wanted, answer), answerOfValues(wanted, answer, catalogue, overTime), answerOfFunnel(wanted, answer), answerOfReturn(wanted, answer, retention)];
    panels = shown;
    await arrange(shown);
    byId("notice").hidden = answer.complete;
    byId("notice").textContent = answer.complete ? "" : "Not everything is counted: see the foot of the page.";
    byId("freshness").textContent = `${counted(answer)} Days are those of ${wanted.zone}, by when things ${wanted.by === "received" ? "came" : "happened"}.`;
    byId("status").className = answer.complete ? "status good" : "status";
    byId("status").textContent = answer.complete ? "Counted" : "Counted in part";
    document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn ?? 0) + 1);
  } catch (error) {
    if (own !== turn) return;
    byId("status").className = "status bad";
    byId("status").textContent = `No answer: ${error.message}`;
  }
}

restore();
byId("filters").addEventListener("change", (event) => { if (["first", "last"].includes(event.target.id)) dated = true; if (event.target.id !== "meaning" || !event.target.value || byId("value").value) ask(); else byId("is").hidden = false; });
byId("filters").addEventListener("submit", (event) => event.preventDefault());
fetch("data?range=30d", { cache: "no-store" }).then((answer) => answer.json()).then(({ figures }) => games((figures?.games ?? []).map((each) => each.game_id))).catch(() => {});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => latest && ask());
let width = document.documentElement.clientWidth;
new ResizeObserver(() => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  arrange(panels);
}).observe(document.documentElement);
ask();
