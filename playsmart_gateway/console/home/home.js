// What comes in, for who may see it; to all others the page says how the gateway is and where to go.

const ROOT = new URL("../", import.meta.url);
const SVG = "http://www.w3.org/2000/svg";
const POLL_MILLISECONDS = 2000, SHOWN_SECONDS = 120, MINUTE_SECONDS = 60;
const byId = (id) => document.getElementById(id);
const full = (n) => n.toLocaleString("en");
const seen = [];  // what was counted, at most two minutes of it

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// --- how it is: the light of the shell knows ---

function showState({ state, text }) {
  byId("state").dataset.state = state;
  byId("state-text").textContent = text.charAt(0).toUpperCase() + text.slice(1);
}
document.addEventListener("health", (event) => showState(event.detail));

// --- figures ---

const perSecond = (n) => (n < 10 ? Math.round(n * 10) / 10 : Math.round(n)).toLocaleString("en");

function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const found = units.findIndex(([, length]) => seconds >= length);
  if (found < 0) return `${Math.floor(seconds)} s`;
  const [unit, length] = units[found], [less, shorter] = units[found + 1] ?? ["s", 1];
  return `${Math.floor(seconds / length)} ${unit} ${Math.floor((seconds % length) / shorter)} ${less}`;
}

function rates(name) {
  return seen.slice(1).map((each, n) => ({ at: each.at, rate: Math.max(0, each[name] - seen[n][name]) / (each.at - seen[n].at) }));
}

function drawPlot(kind, title) {
  const points = rates(kind), now = seen.at(-1).at, most = Math.max(...points.map((each) => each.rate), 0);
  const x = (at) => 100 - (100 * (now - at)) / SHOWN_SECONDS, y = (rate) => 40 - (most ? (38 * rate) / most : 0);
  const line = points.map((each) => `${x(each.at).toFixed(2)},${y(each.rate).toFixed(2)}`).join(" ");
  const rate = points.length ? perSecond(points.at(-1).rate) : "–";
  const picture = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${rate} a second now, ${perSecond(most)} at most` })) picture.setAttribute(key, value);
  if (points.length > 1) {
    for (const [name, drawn] of [["area", `${x(points[0].at).toFixed(2)},40 ${line} 100,40`], ["line", line]]) {
      const shape = document.createElementNS(SVG, name === "area" ? "polygon" : "polyline");
      shape.setAttribute("class", name);
      shape.setAttribute("points", drawn);
      picture.append(shape);
    }
  }
  return el("div", { class: `plot ${kind === "received" ? "events" : "requests"}` },
    el("dl", {}, el("dt", {}, title), el("dd", {}, rate, el("small", {}, "/ s"))),
    picture, el("p", {}, points.length > 1 ? `at most ${perSecond(most)} / s` : "measuring"));
}

function before(name, reason) {
  const now = seen.at(-1), past = seen.find((each) => now.at - each.at <= MINUTE_SECONDS);
  return (now[name][reason] ?? 0) - (past[name][reason] ?? 0);
}

function drawRefusals(data) {
  const rows = [["refused", "requests"], ["rejected", "events"]].flatMap(([name, unit]) =>
    Object.entries(data[name]).filter(([, n]) => n).map(([reason, n]) => [reason, unit, n, before(name, reason)]));
  rows.sort((a, b) => b[2] - a[2]);
  const cells = (kind, [reason, unit, n, late]) => [el(kind, {}, reason), el(kind, {}, unit), el(kind, { class: "number" }, n), el(kind, { class: "number" }, late)];
  byId("refusals").querySelector(".body").replaceChildren(rows.length
    ? el("table", {}, el("thead", {}, el("tr", {}, ...cells("th", ["reason", "of", "refused", "lately"]))),
      el("tbody", {}, ...rows.map(([reason, unit, n, late]) => el("tr", {}, ...cells("td", [el("code", {}, ...reason.split(/(?<=:)/).flatMap((part, at) => (at ? [el("wbr", {}), part] : [part]))), unit, full(n), late ? `+${full(late)} in a minute` : "–"])))))
    : el("p", { class: "empty" }, "Nothing was refused since the start."));
}

function drawFacts(data) {
  const facts = [["Version", data.version], ["Up for", duration(data.uptime_seconds)], ["Received since then", `${full(data.received)} event${data.received === 1 ? "" : "s"}`],
    ["Stored since then", full(data.stored)], ["Waiting for the store", full(data.waiting)]];
  if (data.workers > 1) facts.splice(2, 0, ["Workers", data.workers_up === data.workers ? String(data.workers) : `${data.workers_up} of ${data.workers}`]);
  byId("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function drawFirst(data) {
  byId("first").hidden = data.received > 0;
  if (data.received || byId("curl").textContent) return;
  const player = data.token ? JSON.parse(atob(data.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub : "device-abc-123";
  const token = data.token ?? `$(playsmart-gateway token --sub ${player})`;
  const now = new Date().toISOString();
  byId("curl").textContent = [
    `curl -i ${new URL("ingest/events", ROOT)} \\`,
    `  -H "Authorization: Bearer ${token}" -H 'Content-Type: application/json' \\`,
    `  -d '{"user_id": "${player}", "game_id": "com.example.stackblaster", "events": [`,
    `        {"type": "LevelCompleted", "timestamp": "${now}",`,
    `         "customdata": {"level": 5, "score": 4800, "duration_seconds": 42}}]}'`,
  ].join("\n");
  byId("token-note").textContent = data.token
    ? "Development mode: the token in it is of this gateway, for one player, and good for a while."
    : "The token is minted on the machine of the gateway; add --config FILE where its keys are configured.";
  byId("copy").hidden = !navigator.clipboard;
}

byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("curl").textContent);
  byId("copy").textContent = "Copied";
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 1500);
});

// Files of panels are for operators, too: asked for by a stranger they would have the browser ask for a password.
function showPanels() {
  for (const panel of document.querySelectorAll("[data-panel][hidden]")) {
    panel.hidden = false;
    document.head.append(el("link", { rel: "stylesheet", href: panel.dataset.style }), el("script", { type: "module", src: panel.dataset.script }));
  }
}

function draw(data) {
  if (seen.length && (data.at < seen.at(-1).at || data.received < seen.at(-1).received)) seen.length = 0;  // it was started anew
  seen.push(data);
  while (data.at - seen[0].at > SHOWN_SECONDS) seen.shift();
  for (const id of ["facts", "rates", "refusals"]) byId(id).hidden = false;
  byId("sign-in").hidden = true;
  drawFacts(data);
  byId("rates").querySelector(".plots").replaceChildren(drawPlot("received", "Events"), drawPlot("requests", "Requests"));
  drawRefusals(data);
  drawFirst(data);
  showPanels();
}

const showAge = (isFresh) => { for (const id of ["facts", "rates", "refusals"]) byId(id).classList.toggle("stale", !isFresh); };

let timer = 0;

async function look() {
  clearTimeout(timer);
  let isOperator = true;
  try {
    const answer = await fetch(new URL("home/data", ROOT), { cache: "no-store" });
    if (answer.ok) draw(await answer.json());
    else if (answer.status < 500) isOperator = false;
    byId("sign-in").hidden = answer.status !== 401;
    showAge(answer.ok);
  } catch { showAge(false); }  // why, the light says
  clearTimeout(timer);
  if (isOperator && !document.hidden) timer = setTimeout(look, POLL_MILLISECONDS);
}

document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else look(); });
look();
