"use strict";
// What players sent becomes text nodes only: nothing here parses HTML.

const MAX_SHOWN = 300;      // requests on the page; the oldest goes
const FIRST_EVENTS = 20;    // of an opened request; the others on demand
const REDRAW_MS = 80;
const SILENCE_MS = 25000;   // the gateway sends something every 10 s

const $ = (id) => document.getElementById(id);
const list = $("requests");
const entries = new Map();  // by id of this connection and request
const counts = { seen: 0, refused: 0, dropped: 0 };
let waiting = [];           // came since the last redraw, or while paused
let paused = false;
let connection = null;
let epoch = 0;
let redraw = null;

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const bdi = (text) => el("bdi", "", text);
const plural = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;

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
      const query = new URLSearchParams(filled()).toString();
      const answer = await fetch(`/inspector/events${query ? `?${query}` : ""}`, { signal: attempt.signal, cache: "no-store" });
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
  } else if (name === "request") {
    data.key = `${here}.${data.id}`;
    waiting.push(data);
    counts.seen += 1;
    if (data.outcome === "refused") counts.refused += 1;
    if (waiting.length > MAX_SHOWN) waiting.shift();
    draw_soon();
  } else if (name === "fate") {
    for (const fate of data) settle(`${here}.${fate.id}`, fate);
  } else if (name === "dropped") {
    counts.dropped = counts.dropped_before + data;
    draw_soon();
  }
}

function settle(key, fate) {
  const entry = entries.get(key);
  const request = entry ? entry.request : waiting.find((each) => each.key === key);
  if (!request) return;
  request.state = fate.state;
  request.coins = fate.coins;
  request.duplicates = fate.duplicates;
  if (entry) {
    entry.fate.replaceChildren(...chips(request));
    if (entry.state) entry.state.textContent = state_text(request);
  }
}

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
    }
  }
  draw_counts();
  $("pause-text").textContent = !paused ? "Pause" : waiting.length ? `Resume · ${waiting.length} new` : "Resume";
  const shown = [...list.children].some((item) => !item.hidden);
  $("empty").hidden = shown;
  const filtering = [...filled()].length > 0;
  $("how").hidden = filtering;
  $("empty-title").textContent = filtering ? "Nothing matches yet" : "Waiting for requests";
  $("empty-text").textContent = filtering
    ? "The filter holds for what comes from now on, and for what is on this page."
    : "Each request appears here within a second, with what became of it and why. Send one:";
}

function draw_counts() {
  const parts = [[counts.seen, "seen", ""], [counts.refused, "refused", counts.refused ? "is-bad" : ""]];
  if (counts.dropped) parts.push([counts.dropped, "not shown: too many at once", "is-dropped"]);
  $("counts").replaceChildren(...parts.map(([n, text, kind]) => el("span", kind, el("b", "", n.toLocaleString("en")), ` ${text}`)));
}

function add(request) {
  const fate = el("span", "fate", ...chips(request));
  const row = el("button", "row",
    el("span", "time", clock(request.at)),
    el("span", "status", String(request.status)),
    el("span", "what", title(request), who(request)),
    fate,
    el("span", "ms", `${request.ms < 10 ? request.ms.toFixed(1) : Math.round(request.ms)} ms`));
  row.type = "button";
  row.setAttribute("aria-expanded", "false");
  const item = el("li", `fresh is-${request.outcome}`, row);
  item.dataset.key = request.key;
  const entry = { request, item, row, fate, state: null };
  entries.set(request.key, entry);
  row.addEventListener("click", () => toggle(entry));
  item.hidden = !matches(request);
  list.prepend(item);
}

function title(request) {
  if (request.outcome === "refused") {
    const first = request.details[0];
    const why = first && request.message.indexOf(first.message) < 0 ? `${first.path} ${first.message}` : "";
    const more = request.details.length > 1 ? ` and ${request.details.length - 1} more` : "";
    return el("div", "title", bdi(request.message || request.code || "refused"), why ? el("span", "why", "  ", bdi(why), more) : "");
  }
  if (!request.events) {
    const none = request.details.length ? "no event was taken" : "no events";
    return el("div", "title", request.count ? plural(request.count, "event") : none);
  }
  const kinds = new Map();
  for (const event of request.events) {
    const kind = event.name ? `${event.type} ${event.name}` : event.type;
    kinds.set(kind, (kinds.get(kind) || 0) + 1);
  }
  const named = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, n]) => n > 1 ? `${n} × ${kind}` : kind);
  return el("div", "title", bdi(named.slice(0, 6).join(", ") + (named.length > 6 ? ", …" : "")));
}

function who(request) {
  const players = new Set((request.events || []).map((event) => event.player).filter(Boolean));
  const player = request.player || (players.size === 1 ? [...players][0] : players.size ? plural(players.size, "player") : "");
  const parts = [player, request.game, request.path].filter(Boolean);
  return el("div", "who", ...parts.map(bdi));
}

function chips(request) {
  const made = [];
  for (const unit of ["coin", "point"]) {
    const earned = request[`${unit}s`];
    if (earned) made.push(el("span", "chip coins", `+${plural(earned, unit)}`));
  }
  const is_repeat = request.duplicates > 0 && request.duplicates === request.count;
  if (request.duplicates && !is_repeat) made.push(el("span", "chip again", `${request.duplicates} of ${request.count} duplicate`));
  if (request.rejected) made.push(el("span", "chip partly", `${request.rejected} of ${request.count + request.rejected} refused`));
  else if (request.outcome === "accepted" && request.details.length) made.push(el("span", "chip partly", `${plural(request.details.length, "problem")}`));
  made.push(is_repeat ? el("span", "chip again", "duplicate") : el("span", `chip ${request.state}`, request.state));
  return made;
}

function state_text(request) {
  const earned = ["coin", "point"].filter((unit) => request[`${unit}s`]).map((unit) => `, earned ${plural(request[`${unit}s`], unit)}`).join("");
  return {
    buffered: "buffered: in the journal, waits for the store",
    stored: !request.duplicates ? `stored${earned}`
      : request.duplicates === request.count ? "a repeat: all of it had come before, and nothing was stored or paid again"
      : `stored but for ${request.duplicates} of ${request.count}, which had come before${earned}`,
    buried: "buried: the store can never take it; it is in dead_letters",
    refused: "refused: nothing of it was kept",
    answered: "answered: there were no events to store",
  }[request.state];
}

function clock(at) {
  const when = new Date(at);
  return `${when.toLocaleTimeString("en-GB")}.${String(when.getMilliseconds()).padStart(3, "0")}`;
}

// ---- One request ----

function toggle(entry) {
  const open = entry.row.getAttribute("aria-expanded") !== "true";
  entry.row.setAttribute("aria-expanded", String(open));
  if (open) {
    entry.item.append(detail(entry));
  } else {
    entry.item.lastElementChild.remove();
    entry.state = null;
  }
}

function detail(entry) {
  const request = entry.request;
  const box = el("div", "detail");
  entry.state = el("dd", "", state_text(request));
  const facts = el("dl", "facts");
  const fact = (name, value, kind) => {
    if (value || value === 0) facts.append(el("div", "", el("dt", "", name), value instanceof Node ? value : el("dd", kind || "", bdi(String(value)))));
  };
  fact("State", entry.state);
  fact("Path", `POST ${request.path}`, "code");
  fact("Player", request.player, "code");
  fact("Game", request.game, "code");
  fact("Came", new Date(request.at).toLocaleString("en-GB"));
  fact("Took", `${request.ms} ms`);
  fact("Events", request.count);
  fact("Run", request.run, "code");
  if (request.run) fact("Numbers", numbers(request));
  fact("Client", request.client);
  fact("Request id", request.request_id, "code");
  fact("Batch", request.batch, "code");
  if (request.outcome === "refused" || request.details.length) {
    const problems = el("ul", "problems", ...request.details.map((each) => el("li", "", each.path ? el("code", "", bdi(each.path)) : "", bdi(each.message))));
    const wrong = request.rejected ? `${request.rejected} of ${plural(request.count + request.rejected, "event")} refused` : plural(request.details.length, "problem");
    const heading = request.outcome === "refused" ? request.message || "refused" : `${wrong}${request.count ? "; the other events were taken" : ""}`;
    box.append(el("div", "refusal", el("p", "", request.code ? el("code", "", request.code) : "", bdi(heading)), problems));
  }
  box.append(facts);
  if (request.events) box.append(el("section", "", el("h3", "", plural(request.events.length, "event")), events(request.events)));
  else if (request.count) box.append(el("p", "", `${plural(request.count, "event")}, too large to show here.`));
  if (request.body !== undefined) box.append(el("section", "", el("h3", "", "Sent"), el("pre", "", pretty(request.body))));
  box.append(el("section", "", el("h3", "", "Answer"), el("pre", "", pretty(request.answer))));
  return box;
}

function numbers(request) {
  const last = request.seq + request.count + request.rejected - 1;
  return last > request.seq ? `${request.seq} to ${last}` : String(request.seq);
}

function events(all) {
  const listed = el("ol", "events");
  const put = (some) => listed.append(...some.map((event) => el("li", "",
    el("div", "head", el("b", "", bdi(event.type)), event.name ? el("span", "", bdi(event.name)) : "",
      event.player ? el("span", "", bdi(event.player)) : "", el("span", "time", event.time)),
    event.data === null ? "" : el("pre", "", pretty(event.data)))));
  put(all.slice(0, FIRST_EVENTS));
  const box = el("div", "", listed);
  if (all.length > FIRST_EVENTS) {
    const more = el("button", "more", `Show ${all.length - FIRST_EVENTS} more`);
    more.type = "button";
    more.addEventListener("click", () => { put(all.slice(FIRST_EVENTS)); more.remove(); });
    box.append(more);
  }
  return box;
}

// Lays out JSON without reading it, so that numbers stay as they were sent; other text stays as it is.
function pretty(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+|"/g) || [];
  if (!/^[{[]/.test(text) || tokens.length > 20000) return text;
  let at = 0;
  const value = (indent) => {
    const token = tokens[at++];
    if (token !== "{" && token !== "[") return token ?? "";
    const close = token === "{" ? "}" : "]";
    const parts = [];
    while (at < tokens.length && tokens[at] !== close) {
      let part = value(`${indent}  `);
      if (tokens[at] === ":") { at += 1; part += `: ${value(`${indent}  `)}`; }
      if (tokens[at] === ",") at += 1;
      else if (tokens[at] !== close) throw new SyntaxError(part);
      parts.push(part);
    }
    if (tokens[at++] !== close) throw new SyntaxError(token);
    const line = parts.join(", ");
    if (line.length <= 76 && !line.includes("\n")) return token + line + close;
    return `${token}\n${indent}  ${parts.join(`,\n${indent}  `)}\n${indent}${close}`;
  };
  try {
    const laid_out = value("");
    return at === tokens.length ? laid_out : text;
  } catch {
    return text;  // it is no JSON, which may be why it was refused
  }
}

// ---- Filter, keys, buttons ----

function filled() {
  return [...new FormData($("filter"))].filter(([, value]) => value);
}

function matches(request) {
  const { player = "", game = "", type = "", outcome = "" } = Object.fromEntries(filled());
  if (outcome && request.outcome !== outcome) return false;
  const body = request.body || "";
  const all = request.events || [];
  const holds = (text, ...places) => !text || places.some((place) => (place || "").includes(text));
  return holds(player, request.player, body, ...all.map((event) => event.player))
    && holds(game, request.game, body)
    && (!type || holds(type, body) || !request.events && request.count > 0 || all.some((event) => holds(type, event.type, event.name)));
}

let typing = null;
function filter_changed() {
  for (const entry of entries.values()) entry.item.hidden = !matches(entry.request);
  const query = new URLSearchParams(filled()).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
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

$("curl").textContent = [
  "TOKEN=$(.venv/bin/playsmart-gateway token --sub device-abc-123)",
  `curl -i ${location.origin}/ingest/events \\`,
  "  -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\",
  "  -d '{\"user_id\": \"device-abc-123\", \"game_id\": \"com.example.stackblaster\", \"events\": [",
  "        {\"type\": \"LevelCompleted\", \"timestamp\": \"2026-04-22T14:30:00+00:00\",",
  "         \"customdata\": {\"level\": 5, \"score\": 4800}}]}'",
].join("\n");
if (navigator.clipboard) {
  $("copy").hidden = false;
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
  });
}
for (const [name, value] of new URLSearchParams(location.search)) {
  const field = $("filter").elements.namedItem(name);
  if (field) field.value = value;
}
draw();
connect();
