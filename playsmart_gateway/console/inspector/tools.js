"use strict";
// What can be done with a request: copy it as curl, send it once more, try its body.

const TEAK = /^\/v2\//;     // its secret is in the body
const MASK = "••••";

function actions(entry) {
  const request = entry.request;
  const box = el("div", "acts");
  const button = (text, act) => {
    const made = el("button", "act", text);
    made.type = "button";
    made.addEventListener("click", () => act(made));
    box.append(made);
  };
  if (request.path) button("Copy as curl", (made) => copy(curl(request), made));
  button("Copy request id", (made) => copy(request.request_id, made));
  if (memory.may_replay && request.may_replay) button("Send again", (made) => replay(request, made, told));
  if (sent_body(request) !== null && memory.tries.includes(request.path)) button("Try this body", () => open_trial(request.path, pretty(sent_body(request))));
  const told = el("div", "told");
  told.setAttribute("role", "status");
  if (request.path && curl(request).includes(MASK)) box.append(el("span", "faint", `What is masked (${MASK}) is yours to fill in.`));
  return el("div", "", box, told);
}

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {  // a page that is not of this machine and has no TLS may not
    const shown = button.parentElement.parentElement.querySelector(".told");
    shown.replaceChildren(el("pre", "", text));
    getSelection().selectAllChildren(shown.firstChild);
    button.textContent = "Select and copy";
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}

// The body as it was sent, or as it is made of the events that were kept of it; null if nothing is known of it.
function sent_body(request) {
  if (request.sent !== undefined) return request.sent;
  if (request.body !== undefined && /^\s*[{[]/.test(request.body)) return request.body;
  if (!request.events || request.path !== "/ingest/events") return null;
  const text = (value) => JSON.stringify(value);
  const events = request.events.map((event) => {
    const parts = [`"type": ${text(event.type)}`];
    if (event.name !== null) parts.push(`"customEventName": ${text(event.name)}`);
    parts.push(`"timestamp": ${text(event.time)}`);
    if (event.data !== null) parts.push(`"customdata": ${event.data}`);
    return `{${parts.join(", ")}}`;
  });
  const run = request.run && !request.headers?.["idempotency-key"] ? `, "run": ${text(request.run)}, "seq": ${request.seq}` : "";
  return `{"user_id": ${text(request.player)}, "game_id": ${text(request.game)}${run}, "events": [${events.join(", ")}]}`;
}

// A stranger chose much of it, and a terminal takes control characters as keys: end of paste, clear the line, Enter.
const CONTROLS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const escaped = (found) => [...new TextEncoder().encode(found)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

function quoted(text) {
  if (text.search(CONTROLS) < 0) return `'${text.replace(/'/g, "'\\''")}'`;
  return `$'${text.replace(/[\\']/g, "\\$&").replace(CONTROLS, escaped)}'`;
}

function curl(request) {
  // Part by part, or a path like ///elsewhere.example would name another host, and [1-9] many requests.
  const path = request.path.replace(/^\//, "").split("/").map(encodeURIComponent).join("/");
  const url = new URL(".", location.href).href + path;
  const method = request.method || "GET";
  const lines = [`curl -i${method === "GET" ? "" : ` -X ${method}`} ${quoted(url)}`];
  if (method === "POST") {
    if (!TEAK.test(request.path)) lines.push("-H \"Authorization: Bearer $TOKEN\"");
    const headers = { "content-type": "application/json", ...request.headers };
    for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
    const body = sent_body(request);
    lines.push(body === null ? "--data-binary @body.json" : `--data-binary ${quoted(body)}`);
  }
  return lines.join(" \\\n  ");
}

// ---- Once more ----

async function post(name, content) {
  const answer = await fetch(`inspector/${name}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content), signal: AbortSignal.timeout(SILENCE_MS),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error?.message ?? `the gateway answers ${answer.status}`);
  return told;
}

async function replay(request, button, shown) {
  button.disabled = true;
  shown.replaceChildren(el("p", "faint", "Sent again; waiting for the store …"));
  try {
    const told = await post("replay", { id: request.id });
    shown.replaceChildren(
      el("p", told.status < 400 ? "good" : "bad", el("b", "", String(told.status)), " ", bdi(became(told))),
      el("pre", "", pretty(told.answer)));
  } catch (error) {
    shown.replaceChildren(el("p", "bad", `It was not sent again: ${error.message}`));
  }
  button.disabled = false;
}

function became(told) {
  if (told.status >= 400) return `refused again: ${told.reason}`;
  if (!told.count) return "answered; there was no event to store";
  if (told.state === "buried") return "taken, and buried: the store can never take it";
  if (told.state === "buffered") return "taken; the store has not said yet whether it is new";
  if (!told.is_named) return `new: ${plural(told.count, "event")} stored once more, as nothing in the request names it (run and seq, or Idempotency-Key)`;
  if (told.duplicates === undefined) return "stored; whether it is a duplicate is not known here";
  if (told.duplicates === told.count) return `duplicate: all of it had come before (${plural(told.count, "event")}), and nothing was stored or paid again`;
  return told.duplicates ? `in part a duplicate: ${told.duplicates} of ${told.count} had come before` : `new: ${plural(told.count, "event")} stored`;
}

// ---- To try a body ----

function open_trial(path = "", body = null) {
  const choice = $("trial-path");
  choice.replaceChildren(...memory.tries.map((each) => { const option = el("option", "", `POST ${each}`); option.value = each; return option; }));
  if (path) choice.value = path;
  if (body !== null) $("trial-body").value = body;
  if (!$("trial-body").value) $("trial-body").value = pretty(JSON.stringify({
    user_id: "device-abc-123", game_id: "com.example.stackblaster",
    events: [{ type: "LevelCompleted", timestamp: "2026-04-22T14:30:00+00:00", customdata: { level: 5, score: 4800 } }],
  }));
  $("verdict").replaceChildren();
  show_size();
  $("trial").showModal();
  $("trial-body").focus();
}

function show_size() {
  $("trial-size").textContent = `${new Blob([$("trial-body").value]).size.toLocaleString("en")} of at most 262,144 bytes`;
}

async function check() {
  $("trial-check").disabled = true;
  try {
    const told = await post("validate", { path: $("trial-path").value, body: $("trial-body").value });
    $("verdict").replaceChildren(...verdict(told));
  } catch (error) {
    $("verdict").replaceChildren(el("p", "bad", `It could not be tried: ${error.message}`));
  }
  $("trial-check").disabled = false;
}

function verdict(told) {
  const data = told.status < 400 ? JSON.parse(told.answer).data : null;
  const problem = (each) => el("li", "", each.path ? el("code", "", bdi(each.path)) : "", bdi(each.message));
  if (!data) {
    return [el("p", "bad", el("b", "", String(told.status)), " ", bdi(told.message || told.code || "refused"), "; nothing of it would be taken"),
      el("ul", "problems", ...told.details.map(problem))];
  }
  const wrong = data.rejected ?? [];
  const paid = data.coins === undefined ? "" : `, which alone would pay ${data.coins_most === undefined ? plural(data.coins, "coin") : `${data.coins} to ${data.coins_most} coins`}`;
  const right = data.events || !wrong.length ? `${plural(data.events, "event")} right${paid}` : "no event is right";
  const more = wrong.length ? `; ${plural(wrong.length, "event")} wrong. Without “Prefer: handling=lenient” PlaySmart’s endpoint takes nothing of it` : "";
  return [el("p", wrong.length ? "bad" : "good", bdi(`${right}${$("trial-path").value === "/ingest/events" ? more : wrong.length ? `; ${plural(wrong.length, "event")} wrong` : ""}`)),
    el("ol", "verdicts", ...wrong.map((each) => el("li", "", el("b", "", `Event ${each.index} `, "(the first is 0)"), el("ul", "problems", ...each.details.map(problem)))))];
}

$("try").addEventListener("click", () => open_trial());
$("trial-body").addEventListener("input", show_size);
$("trial-form").addEventListener("submit", (event) => { event.preventDefault(); check(); });
$("trial-body").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); check(); }
});

// ---- The first request ----

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
  $("copy").addEventListener("click", () => copy($("curl").textContent, $("copy")));
}
