/** The demo's page: the game tracks, the client sends, and the gateway says what it has stored. */

import { Client } from "./playsmart_client.js";
import { Tower } from "./game.js";

const [GAME, REWARD, SHOWN_EVENTS, SHOWN_LINES] = ["com.example.tower", 10, 600, 8];
const MISSING_MS = 30_000; // after which nothing that has left the browser is under way
const PREFIX = `playsmart/${GAME}/`;
const KEPT = "playsmart-demo";
const at = (id) => document.getElementById(id);
const trouble = { offline: false, lose: false, twice: false, dead: false };
let requests = 0;

// --- the network, which is as bad as the switches say

async function badFetch(url, options) {
  if (trouble.dead) return new Promise(() => {});
  if (trouble.offline) throw new TypeError("offline");
  const isBatch = options.method === "POST";
  requests += isBatch ? 1 : 0;
  const other = isBatch && trouble.twice ? fetch(url, options).catch(() => null) : null;
  requests += other ? 1 : 0;
  const answer = await fetch(url, options);
  await other;
  if (isBatch && trouble.lose) throw new TypeError("the answer was lost");
  return answer;
}

const sendBeacon = navigator.sendBeacon.bind(navigator);
navigator.sendBeacon = (...told) => !trouble.dead && !trouble.offline && sendBeacon(...told);

// --- who plays; what is tracked is counted beside the client, in the same breath

const randomHex = (bytes) =>
  [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** `lives` has of each load of the page the last event that it tracked. */
async function newPlayer() {
  const player = `demo-${randomHex(6)}`;
  return { player, position: (await ask("stored", { player })).position, lives: {} };
}

async function ask(what, query) {
  const answer = await fetch(`/demo/${what}?${new URLSearchParams(query)}`);
  if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
  return answer.json();
}

const remembered = () => JSON.parse(localStorage.getItem(KEPT) ?? "null");
const kept = remembered() ?? (await newPlayer());
const { token } = await ask("token", { player: kept.player });
const client = new Client({
  url: location.origin,
  userId: kept.player,
  gameId: GAME,
  token: () => token,
  fetch: badFetch,
  log: { debug: say, warn: say },
});
client.hurry = 20;
setInterval(() => client.flush(), 2_000);

const life = `life-${randomHex(4)}`;

function track(kind, data, name) {
  if (trouble.dead) return;
  const last = kept.lives[life] ?? { n: -1, levels: 0 };
  const mine = { life, n: last.n + 1, levels: last.levels + (kind === "LevelCompleted" ? 1 : 0) };
  client.track(kind, { ...data, ...mine }, name);
  count([mine]);
  show();
}

/** Of what is stored, too: a browser that is killed forgets what it had not written to the disk. */
function count(events) {
  const known = remembered() ?? kept;
  if (trouble.dead || known.player !== kept.player) return;
  // Another tab may have tracked, too, and may not have seen yet what this one wrote.
  for (const { life, n, levels } of [...Object.values(known.lives), ...events]) {
    if (n >= (kept.lives[life]?.n ?? 0)) kept.lives[life] = { life, n, levels };
  }
  localStorage.setItem(KEPT, JSON.stringify(kept));
}

addEventListener("storage", ({ key }) => {
  if (key === KEPT && remembered()?.player !== kept.player) location.reload();
});

function say(line) {
  const item = document.createElement("li");
  item.textContent = line.replace(/^[0-9a-f-]{28}/, "…");
  at("log").prepend(item);
  while (at("log").children.length > SHOWN_LINES) at("log").lastChild.remove();
}

// --- what is stored, as the gateway tells it

const nameOf = (life, n) => `${life} ${n}`;
const copies = new Map(); // of each event, by its name
let [position, coins, isReached, movedAt] = [kept.position, 0, true, performance.now()];

async function look() {
  try {
    for (let told = {}; !told.is_all; ) {
      told = await ask("stored", { player: kept.player, after: position });
      ({ position, coins } = told);
      if (told.events.length) movedAt = performance.now();
      count(told.events);
      for (const { life, n } of told.events) copies.set(nameOf(life, n), (copies.get(nameOf(life, n)) ?? 0) + 1);
    }
    isReached = true;
  } catch {
    isReached = false;
  }
  show();
  setTimeout(look, 1_000);
}

function waiting() {
  const files = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX) && key.endsWith(".ndjson"));
  return files.reduce((sum, key) => sum + (localStorage.getItem(key) ?? "").split("\n").length - 2, 0);
}

function show() {
  const stored = [...copies.values()].reduce((sum, each) => sum + each, 0);
  const doubled = [...copies.values()].filter((each) => each > 1).length;
  const lives = Object.values(kept.lives);
  const events = lives.flatMap((last) => Array.from({ length: last.n + 1 }, (_, n) => nameOf(last.life, n)));
  const tracked = events.length;
  const due = REWARD * lives.reduce((sum, last) => sum + last.levels, 0);
  const left = waiting();
  if (left) movedAt = performance.now();
  const isMissing = performance.now() - movedAt > MISSING_MS;
  const told = { tracked, stored, waiting: left, coins, due, requests, player: kept.player };
  told.share = `${stored} of ${tracked}`;
  for (const [id, value] of Object.entries(told)) at(id).textContent = value;
  at("score").textContent = `Height ${tower.height}, level ${tower.level}`;
  const isEqual = stored === tracked && !doubled && coins === due;
  if (doubled) judge("bad", `✗ ${doubled} are stored twice`);
  else if (!isReached) judge("bad", "The gateway does not answer");
  else if (isEqual) judge("good", "✓ All are stored, each once");
  else if (isMissing) judge("bad", "✗ Some are missing");
  else judge("wait", "Some are on their way");
  const shown = events.slice(-SHOWN_EVENTS);
  const squares = at("events");
  while (squares.children.length < shown.length) squares.append(document.createElement("li"));
  [...squares.children].forEach((square, place) => {
    square.className = ["", "stored"][copies.get(shown[place]) ?? 0] ?? "doubled";
  });
}

/** Say it once: who listens to the page need not hear it with every count. */
function judge(how, text) {
  const verdict = at("verdict");
  verdict.className = `status ${how}`;
  if (verdict.textContent !== text) verdict.textContent = text;
}

// --- the game and its buttons

const tower = new Tower(at("tower"), track);
const drop = () => tower.drop();
at("drop").addEventListener("click", drop);
at("tower").addEventListener("pointerdown", drop);
addEventListener("keydown", (event) => {
  const isTaken = event.target.closest("button, input, a") !== null;
  if (event.key !== " " || isTaken || event.repeat) return;
  event.preventDefault();
  drop();
});
at("auto").addEventListener("change", () => (tower.playsItself = at("auto").checked));
for (const id of ["offline", "lose", "twice"]) {
  at(id).checked = false;
  at(id).addEventListener("change", () => {
    trouble[id] = at(id).checked;
    if (id === "offline" && !trouble.offline) dispatchEvent(new Event("online"));
  });
}
at("auto").checked = false;
at("kill").addEventListener("click", () => {
  trouble.dead = true;
  location.reload();
});
at("anew").addEventListener("click", () => {
  trouble.dead = true;
  client.queue.close();
  for (const key of Object.keys(localStorage)) if (key === KEPT || key.startsWith(PREFIX)) localStorage.removeItem(key);
  location.reload();
});

track("AppOpen");
void look();
