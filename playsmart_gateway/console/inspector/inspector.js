"use strict";
// The list of requests: what the gateway remembers, and then what comes. For one of them see request.js.

const MAX_SHOWN = 1000;     // requests on the page; the oldest goes
const MAX_PAGES = 2;        // of memory, before somebody asks for more
const TOTALS_MS = 10000;    // between two looks at the totals, while the page is seen
const REDRAW_MS = 80;
const SILENCE_MS = 25000;   // the gateway sends something every 10 s

const list = $("requests");
const entries = new Map();  // by id of the request
const SENT_FILTERS = ["player", "game", "type", "outcome", "name", "version", "request_id", "reason"];
const memory = { next: null, now: 0, skew: 0, cleared_at: 0, asked: 0, may_replay: false, tries: [] };
const counts = { seen: 0, refused: 0, dropped: 0 };
let waiting = [];           // came since the last redraw, or while paused
let paused = false;
let connection = null;
let epoch = 0;
let redraw = null;

// ---- The stream ----

async function connect() {
  if (connection) connection.abort();
  const mine = connection = new AbortController();
  let wait = 500;
  while (!mine.signal.aborted) {
    let silence;
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    mine.signal.addEventListener("abort", stop, { once: true });
    const heard = () => { clearTimeout(silence); silence = setTimeout(stop, SILENCE_MS); };
    let problem = "the gateway does not answer";
    try {
      heard();
      const query = asked_for().toString();
      const answer = await fetch(`inspector/events${query ? `?${query}` : ""}`, { signal: attempt.signal, cache: "no-store" });
      if (answer.ok) {
        wait = 500;
        await listen(answer.body, heard);
        problem = "the gateway ended the stream";
      } else if (answer.status === 503) {
        problem = "as many inspectors are open as there may be; close one";
      } else {
        problem = answer.status === 401 ? "the operator token is not right; reload the page" : `the gateway answers ${answer.status}`;
      }
    } catch { /* the text above says it */ }
    clearTimeout(silence);
    mine.signal.removeEventListener("abort", stop);
    if (mine.signal.aborted) return;
    show_connection("lost", "reconnecting");
    notice(`Not connected: ${problem}. Trying again.`);
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, 5000);
  }
}

async function listen(body, heard) {
  epoch += 1;
  counts.dropped_before = counts.dropped;
  const here = epoch;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(part);
      if (match) hear(match[1], JSON.parse(match[2]), here);
    }
  }
}

function hear(name, data, here) {
  if (name === "hello") {
    show_connection("live", "live");
    notice("");
    recall();
  } else if (name === "request") {
    if (is_here(data)) return;
    waiting.push(data);
    counts.seen += 1;
    if (data.outcome === "refused") counts.refused += 1;
    if (waiting.length > MAX_SHOWN) waiting.shift();
    draw_soon();
  } else if (name === "fate") {
    for (const fate of data) settle(fate.id, fate);
  } else if (name === "dropped") {
    counts.dropped = counts.dropped_before + data;
    draw_soon();
  }
}

const is_here = (request) => entries.has(request.id) || waiting.some((each) => each.id === request.id);

function settle(key, fate) {
  const entry = entries.get(key);
  const request = entry ? entry.request : waiting.find((each) => each.id === key);
  if (!request) return;
  request.state = fate.state;
  request.coins = fate.coins;
  request.duplicates = fate.duplicates;
  if (entry) {
    entry.fate.replaceChildren(...chips(request));
    if (entry.state) entry.state.textContent = state_text(request);
  }
}

// ---- Memory ----

const asked_for = () => new URLSearchParams(filled().filter(([name]) => SENT_FILTERS.includes(name)));

// Asks for a page of what is remembered; `before` is where the page before ended.
async function page_of_memory(before, limit = 100) {
  const query = asked_for();
  const [since, until] = span();
  query.set("limit", limit);
  query.set("since", Math.floor(Math.max(since, memory.cleared_at)));
  if (until < Infinity) query.set("until", Math.floor(until));
  if (before) query.set("before", before);
  const answer = await fetch(`inspector/memory?${query}`, { cache: "no-store", signal: AbortSignal.timeout(SILENCE_MS) });
  if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
  const told = await answer.json();
  memory.skew = told.now - Date.now();
  return told;
}

async function recall(pages = MAX_PAGES, before = null) {
  const mine = memory.asked += 1;
  try {
    for (let page = 0; page < pages; page += 1) {
      const told = await page_of_memory(before);
      if (mine !== memory.asked) return;
      for (const request of told.requests) {
        if (request.at <= memory.cleared_at || is_here(request)) continue;
        if (paused) waiting.push(request);
        else add(request);
      }
      before = memory.next = told.next;
      about(told);
      draw();
      if (!before) return;
    }
  } catch (error) {
    if (mine === memory.asked) notice(`What the gateway remembers is not shown: ${error.message}`);
  }
}

function about(told) {
  memory.may_replay = told.may_replay;
  memory.tries = told.tries;
  $("bodies").textContent = told.shows_bodies
    ? "In development mode the bodies of refused requests are shown, and requests can be sent once more."
    : "Bodies of refused requests are shown in development mode only.";
  const { taken, refused, bytes } = told.remembered, { left_out } = told.totals;
  const { asked, silent } = told.workers;
  $("memory").textContent = `Remembered now, in memory: ${taken.toLocaleString("en")} taken and ${refused.toLocaleString("en")} refused, `
    + `${Math.ceil(bytes / 1024).toLocaleString("en")} KiB${asked > 1 ? `, of ${asked} workers` : ""}. `
    + (left_out ? `${left_out.toLocaleString("en")} came too fast to be kept one by one, and are counted only. ` : "")
    + "A restart begins with nothing.";
  if (silent) notice(`${silent} of ${asked} workers did not say what they remember; load the page again`);
  show_reasons(told.totals);
}

function show_reasons({ taken, refused, reasons }) {
  const wanted = $("filter").elements.namedItem("reason").value;
  const chip = ([reason, count]) => {
    const button = el("button", "reason", bdi(reason), " ", el("b", "", count.toLocaleString("en")));
    button.type = "button";
    button.setAttribute("aria-pressed", String(reason === wanted));
    button.addEventListener("click", () => {
      $("filter").elements.namedItem("reason").value = reason === $("filter").elements.namedItem("reason").value ? "" : reason;
      filter_changed();
    });
    return button;
  };
  const told = `Since the start ${taken.toLocaleString("en")} taken, ${refused.toLocaleString("en")} refused${refused ? ":" : ""}`;
  const focused = document.activeElement?.closest?.("#reasons button")?.textContent.split(" ")[0];
  $("reasons").replaceChildren(el("span", "faint", told), ...Object.entries(reasons).map(chip));
  $("reasons").hidden = !taken && !refused;
  if (focused) [...$("reasons").querySelectorAll("button")].find((each) => each.textContent.startsWith(`${focused} `))?.focus();
  $("reason-names").replaceChildren(...Object.keys(reasons).map((reason) => { const option = el("option", ""); option.value = reason; return option; }));
}

setInterval(async () => {
  if (document.hidden || $("connection").dataset.state !== "live") return;
  try { show_reasons((await page_of_memory(null, 1)).totals); } catch { /* the stream says what is wrong */ }
}, TOTALS_MS);

// ---- Drawing ----

function draw_soon() {
  if (redraw === null) redraw = setTimeout(draw, REDRAW_MS);
}

function draw() {
  redraw = null;
  if (!paused) {
    for (const request of waiting) add(request);
    waiting = [];
    while (list.children.length > MAX_SHOWN) {
      entries.delete(list.lastElementChild.dataset.key);
      list.lastElementChild.remove();
      memory.next = null;
    }
  }
  draw_counts();
  $("pause-text").textContent = !paused ? "Pause" : waiting.length ? `Resume · ${waiting.length} new` : "Resume";
  const shown = [...list.children].some((item) => !item.hidden);
  $("empty").hidden = shown;
  $("older").hidden = !memory.next;
  const filtering = [...filled()].length > 0;
  $("how").hidden = filtering;
  $("empty-title").textContent = filtering ? "Nothing matches yet" : "Waiting for requests";
  $("empty-text").textContent = filtering
    ? "The filter holds for what is remembered, and for what comes from now on."
    : "Each request appears here within a second, with what became of it and why. Send one:";
}

function draw_counts() {
  const parts = !counts.seen ? [] : [[counts.seen, "seen", ""], [counts.refused, "refused", counts.refused ? "is-bad" : ""]];
  if (counts.dropped) parts.push([counts.dropped, "not shown: too many at once", "is-dropped"]);
  $("counts").replaceChildren(...parts.map(([n, text, kind]) => el("span", kind, el("b", "", n.toLocaleString("en")), ` ${text}`)));
}

function add(request) {
  if (entries.has(request.id)) return;
  const fate = el("span", "fate", ...chips(request));
  const row = el("button", "row",
    el("time", "time", clock(request.at)),
    el("span", "status", String(request.status)),
    el("span", "what", title(request), who(request)),
    fate,
    el("span", "ms", `${request.ms < 10 ? request.ms.toFixed(1) : Math.round(request.ms)} ms`));
  row.type = "button";
  row.setAttribute("aria-expanded", "false");
  const item = el("li", `is-${request.outcome}`, row);
  item.dataset.key = request.id;
  const entry = { request, item, row, fate, state: null };
  entries.set(request.id, entry);
  row.addEventListener("click", () => toggle(entry));
  item.hidden = !matches(request);
  place(item, request.at);
}

// The newest is first; what comes is newer than nearly all, what is remembered older than nearly all.
function place(item, at) {
  const at_of = (other) => entries.get(other.dataset.key).request.at;
  if (!list.firstElementChild || at >= at_of(list.firstElementChild)) {
    item.classList.add("fresh");
    return list.prepend(item);
  }
  let behind = list.lastElementChild;
  while (behind && at_of(behind) < at) behind = behind.previousElementSibling;
  behind ? behind.after(item) : list.prepend(item);
}

// ---- Filter, keys, buttons ----

function filled() {
  return [...new FormData($("filter"))].filter(([name, value]) => value && (!["since", "until"].includes(name) || $("filter").elements.namedItem("last").value === "span"));
}

// Of which times requests are shown, by the clock of the gateway, in milliseconds.
function span() {
  const chosen = Object.fromEntries(filled());
  if (!chosen.last) return [0, Infinity];
  if (chosen.last !== "span") return [Date.now() + memory.skew - chosen.last * 60000, Infinity];
  return [of_field(chosen.since) ?? 0, of_field(chosen.until) ?? Infinity];
}

// A field has a time without a zone; which one it is in is said on the button beside.
function of_field(text) {
  const at = text ? Date.parse(in_utc ? `${text}Z` : text) : NaN;
  return Number.isNaN(at) ? null : at;
}

function to_field(at) {
  const when = new Date(at);
  return new Date(in_utc ? at : at - when.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function matches(request) {
  const { player = "", game = "", type = "", outcome = "", name = "", version = "", request_id = "", reason = "" } = Object.fromEntries(filled());
  if (outcome && request.outcome !== outcome) return false;
  if (reason && request.reason !== reason) return false;
  if (!request.request_id.includes(request_id)) return false;
  const [since, until] = span();
  if (request.at < since || request.at > until) return false;
  const body = request.body || "";
  const all = request.events || [];
  const is_unseen = !request.events && request.count > 0;
  const holds = (text, ...places) => !text || places.some((place) => (place || "").includes(text));
  return holds(player, request.player, body, ...all.map((event) => event.player))
    && holds(game, request.game, body)
    && (is_unseen || holds(type, body, ...all.flatMap((event) => [event.type, event.name])))
    && (is_unseen || holds(name, body, ...all.map((event) => event.name)))
    && (is_unseen || holds(version, request.client, body, ...all.map((event) => event.data)));
}

// What the address says: times as they are in UTC, so that it means the same to everybody.
function to_address() {
  const query = new URLSearchParams(location.search);
  const chosen = Object.fromEntries(filled());
  for (const { name } of $("filter").elements) if (name) query.delete(name);
  for (const [name, value] of Object.entries(chosen)) query.set(name, ["since", "until"].includes(name) ? new Date(of_field(value)).toISOString() : value);
  const search = query.toString();
  history.replaceState(null, "", search ? `?${search}` : location.pathname);
}

function from_address() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = $("filter").elements.namedItem(name);
    if (field) field.value = ["since", "until"].includes(name) && !Number.isNaN(Date.parse(value)) ? to_field(Date.parse(value)) : value;
  }
  const is_rare = filled().some(([name]) => !["player", "game", "type", "outcome"].includes(name));
  if (is_rare) $("more").open = true;
  show_span();
}

function show_span() {
  const chosen = $("filter").elements.namedItem("last").value;
  for (const field of document.querySelectorAll("#more .span")) field.hidden = chosen !== "span";
}

let typing = null;
function filter_changed() {
  for (const entry of entries.values()) entry.item.hidden = !matches(entry.request);
  show_span();
  to_address();
  for (const chip of document.querySelectorAll("#reasons button")) {
    chip.setAttribute("aria-pressed", String(chip.textContent.startsWith(`${$("filter").elements.namedItem("reason").value} `)));
  }
  memory.next = null;
  draw();
  clearTimeout(typing);
  typing = setTimeout(connect, 250);
}

function set_paused(value) {
  paused = value;
  $("pause").setAttribute("aria-pressed", String(paused));
  draw();
}

function move(step) {
  const rows = [...entries.values()].filter((entry) => !entry.item.hidden).map((entry) => entry.row).reverse();
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.parentElement.contains(document.activeElement));
  rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("dialog, textarea, select")) return;
  const field = event.target.closest("input");
  if (event.key === "Escape" && field) return field.blur();
  if (field && (field.type === "radio" || event.key !== "ArrowDown" || field.hasAttribute("list"))) return;
  if (event.key === "/") $("player").focus();
  else if (event.key === "p") set_paused(!paused);
  else if (event.key === "ArrowDown") move(1);
  else if (event.key === "ArrowUp") move(-1);
  else if (event.key === "Escape") {
    const entry = entries.get(document.activeElement.closest("#requests > li")?.dataset.key);
    if (entry && entry.row.getAttribute("aria-expanded") === "true") { toggle(entry); entry.row.focus(); }
    return;
  } else return;
  event.preventDefault();
});

$("filter").addEventListener("input", filter_changed);
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("pause").addEventListener("click", () => set_paused(!paused));
$("clear").addEventListener("click", () => {
  memory.cleared_at = Date.now() + memory.skew;
  memory.next = null;
  list.replaceChildren();
  entries.clear();
  waiting = [];
  Object.assign(counts, { seen: 0, refused: 0, dropped: 0, dropped_before: 0 });
  draw();
  connect();
});

function show_connection(state, text) {
  $("connection").dataset.state = state;
  $("connection-text").textContent = text;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

$("zone").addEventListener("click", () => {
  const times = ["since", "until"].map((name) => $("filter").elements.namedItem(name)).map((field) => [field, of_field(field.value)]);
  in_utc = !in_utc;
  for (const [field, at] of times) if (at !== null) field.value = to_field(at);
  show_zone();
});

function show_zone() {
  $("zone").textContent = in_utc ? "Times: UTC" : `Times: local (${offset(new Date())})`;
  for (const { row, request } of entries.values()) row.querySelector(".time").textContent = clock(request.at);
}

$("older").firstElementChild.addEventListener("click", () => recall(1, memory.next));
show_zone();
from_address();
draw();
connect();
