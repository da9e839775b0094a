// Beside each page: the health light, the game and the time that are kept from page to page, and the keys.

const ROOT = new URL("../", import.meta.url);
const POLL_MILLISECONDS = 5000, PATIENCE_MILLISECONDS = 5000, PREFIX_MILLISECONDS = 1500;
const KEPT = ["game", "range", "from", "to"];
const STORED = "playsmart-kept";
const DAY = 86400000;
const byId = (id) => document.getElementById(id);

// --- what is kept from page to page: in the address while it is shown, and beside it for the tab ---

const own = (document.body.dataset.keeps ?? "").split(" ").filter(Boolean);
let kept = {};
try { kept = JSON.parse(sessionStorage.getItem(STORED)) ?? {}; } catch { /* there is none, or may be none */ }

function inAddress() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(KEPT.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

// A page that knows no days shows the range that they would fit into.
function rangeOf({ from, to }) {
  const days = (Date.parse(to) - Date.parse(from)) / DAY + 1;
  return days <= 1 ? "24h" : days <= 7 ? "7d" : "30d";
}

function adopt() {
  const asked = inAddress();
  if (asked.range) kept = { ...kept, from: undefined, to: undefined };
  if (asked.from && asked.to) kept = { ...kept, range: undefined };
  kept = { ...kept, ...asked };
  const query = new URLSearchParams(location.search);
  for (const name of own) if (kept[name] && !query.get(name)) query.set(name, kept[name]);
  const implied = own.includes("range") && !own.includes("from") && !query.get("range") && kept.from && kept.to ? rangeOf(kept) : null;
  if (implied) query.set("range", implied);
  const search = query.size ? `?${query}` : "";
  if (search !== location.search) history.replaceState(null, "", location.pathname + search + location.hash);
  return implied;
}

const implied = adopt();

function keep() {
  const shown = inAddress();
  if (own.includes("game")) kept.game = shown.game;
  if (own.includes("from") && shown.from && shown.to) kept = { ...kept, from: shown.from, to: shown.to, range: undefined };
  else if (own.includes("range") && shown.range && shown.range !== implied) kept = { game: kept.game, range: shown.range };
  try { sessionStorage.setItem(STORED, JSON.stringify(kept)); } catch { /* then the links alone have it */ }
  for (const link of document.querySelectorAll("a[data-keeps]")) {
    const query = new URLSearchParams(link.dataset.keeps.split(" ").filter((name) => kept[name]).map((name) => [name, kept[name]]));
    link.search = query.size ? `?${query}` : "";
  }
}

keep();
for (const moment of ["pointerdown", "focusin", "click", "auxclick", "contextmenu"]) addEventListener(moment, keep, { capture: true });
addEventListener("pagehide", keep);

// --- is the gateway well ---

const health = byId("health");
let answered = null, timer = 0;

const clock = (when) => when.toLocaleTimeString("en-GB");

function light(state, text) {
  health.hidden = false;
  health.dataset.state = state;
  if (byId("health-text").textContent !== text) byId("health-text").textContent = text;
  document.dispatchEvent(new CustomEvent("health", { detail: { state, text } }));
  health.title = answered ? `The last answer of /readyz was at ${clock(answered)}` : "/readyz has not answered yet";
}

async function look() {
  clearTimeout(timer);
  try {
    const answer = await fetch(new URL("readyz", ROOT), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) });
    if (answer.status !== 200 && answer.status !== 503) throw new Error(String(answer.status));
    const told = await answer.json();
    answered = new Date();
    if (answer.ok) light("ready", "ready");
    else light("not-ready", `not ready: ${(told.error?.details ?? []).map((each) => `${each.path} ${each.message}`).join(", ") || told.error?.message}`);
  } catch {
    light("gone", answered ? `no answer since ${clock(answered)}` : "no answer");
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, POLL_MILLISECONDS);
}

document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else look(); });
look();

// --- keys ---

const links = [...document.querySelectorAll(".shell a[data-key]")];
let prefixed = 0;

function shortcuts() {
  let dialog = byId("shortcuts");
  if (!dialog) {
    const made = (name, text, ...children) => { const element = document.createElement(name); element.append(text, ...children); return element; };
    const row = (name, ...keys) => [made("dt", "", ...keys.flatMap((key) => [made("kbd", key), " "])), made("dd", name)];
    dialog = document.createElement("dialog");
    dialog.id = "shortcuts";
    dialog.setAttribute("aria-labelledby", "shortcuts-title");
    const title = made("h2", "Keyboard shortcuts"), list = document.createElement("dl"), close = made("button", "Close");
    title.id = "shortcuts-title";
    close.type = "button";
    close.addEventListener("click", () => dialog.close());
    list.append(...links.flatMap((link) => row(link.textContent, "g", link.dataset.key)), ...row("these keys", "?"));
    const ofPage = byId("page-keys");
    if (ofPage) list.append(ofPage.content.cloneNode(true));
    dialog.append(title, list, close);
    document.body.append(dialog);
  }
  dialog.showModal();
}

byId("keys").hidden = false;
byId("keys").addEventListener("click", shortcuts);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
  const led = performance.now() - prefixed < PREFIX_MILLISECONDS;
  prefixed = 0;
  if (event.key === "?") shortcuts();
  else if (led) {
    const link = links.find((each) => each.dataset.key === event.key);
    if (!link) return;
    keep();
    link.click();
  } else if (event.key === "g") prefixed = performance.now();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
