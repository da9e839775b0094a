"use strict";
// One request: its row, and all that is told of it. What players sent becomes text nodes only: nothing here parses HTML.

const FIRST_EVENTS = 20;    // of an opened request; the others on demand
const $ = (id) => document.getElementById(id);

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const bdi = (text) => el("bdi", "", text);
const plural = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;

function title(request) {
  if (request.outcome === "refused" && request.why) return el("div", "title", el("span", "why", bdi(request.why)));
  if (request.outcome === "refused") {
    const first = request.details[0];
    const why = first && request.message.indexOf(first.message) < 0 ? `${first.path} ${first.message}` : request.told;
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
  const parts = [player, request.game, asked(request)].filter(Boolean);
  return el("div", "who", ...parts.map(bdi));
}

const asked = (request) => request.method === "POST" && request.path ? request.path : `${request.method} ${request.path || "(nothing of it is known)"}`.trim();

function chips(request) {
  const made = [];
  if (request.replay_of) made.push(el("span", "chip replay", "replay"));
  for (const unit of ["coin", "point"]) {
    const earned = request[`${unit}s`];
    if (earned) made.push(el("span", "chip coins", `+${plural(earned, unit)}`));
  }
  const is_repeat = request.duplicates > 0 && request.duplicates === request.count;
  if (request.duplicates && !is_repeat) made.push(el("span", "chip again", `${request.duplicates} of ${request.count} duplicate`));
  if (request.rejected) made.push(el("span", "chip partly", `${request.rejected} of ${request.count + request.rejected} refused`));
  else if (request.outcome === "accepted" && request.details.length) made.push(el("span", "chip partly", `${plural(request.details.length, "problem")}`));
  const state = request.state === "refused" && request.reason ? `refused · ${request.reason}` : request.state;
  made.push(is_repeat ? el("span", "chip again", "duplicate") : el("span", `chip ${request.state}`, state));
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

// ---- Times: of this browser, or UTC; each says which it is ----

let in_utc = false;
const two = (n) => String(n).padStart(2, "0");
const offset = (when) => {
  const minutes = -when.getTimezoneOffset();
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
};
const utc_text = (when) => when.toISOString().replace("T", " ").replace("Z", " UTC");
const local_text = (when) => `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${when.toLocaleTimeString("en-GB")} (${offset(when)})`;

function clock(at) {
  const when = new Date(at);
  return in_utc ? when.toISOString().slice(11, 23) : `${when.toLocaleTimeString("en-GB")}.${String(when.getMilliseconds()).padStart(3, "0")}`;
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
  fact("Path", `${request.method} ${request.path || "(not known)"}`, "code");
  fact("Player", request.player, "code");
  fact("Game", request.game, "code");
  fact("Came, in UTC", utc_text(new Date(request.at)));
  fact("Came, by the time here", local_text(new Date(request.at)));
  fact("Took", `${request.ms} ms`);
  fact("Events", request.count);
  fact("Run", request.run, "code");
  if (request.run) fact("Numbers", numbers(request));
  fact("Client", request.client);
  fact("Reason", request.reason, "code");
  fact("More", request.told);
  fact("Why", request.why);
  fact("Repeat of", request.replay_of, "code");
  fact("Request id", request.request_id, "code");
  fact("Batch", request.batch, "code");
  if (request.outcome === "refused" || request.details.length) {
    const problems = el("ul", "problems", ...request.details.map((each) => el("li", "", each.path ? el("code", "", bdi(each.path)) : "", bdi(each.message))));
    const wrong = request.rejected ? `${request.rejected} of ${plural(request.count + request.rejected, "event")} refused` : plural(request.details.length, "problem");
    const heading = request.outcome === "refused" ? request.message || "refused" : `${wrong}${request.count ? "; the other events were taken" : ""}`;
    box.append(el("div", "refusal", el("p", "", request.code ? el("code", "", request.code) : "", bdi(heading)), problems));
  }
  box.append(facts, actions(entry));
  if (request.let_go) box.append(el("p", "faint", "Its contents were let go: what the inspector remembers is bounded."));
  if (request.events) box.append(el("section", "", el("h2", "", plural(request.events.length, "event")), events(request.events)));
  else if (request.count && !request.let_go) box.append(el("p", "", `${plural(request.count, "event")}, too large to show here.`));
  if (request.body !== undefined) box.append(el("section", "", el("h2", "", "Sent"), el("pre", "", pretty(request.body))));
  box.append(el("section", "", el("h2", "", "Answer"), el("pre", "", pretty(request.answer))));
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
      event.player ? el("span", "", bdi(event.player)) : "", el("span", "time", event.time.replace(/Z$/, " UTC"))),
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
