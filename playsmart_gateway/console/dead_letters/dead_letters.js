// Asks for the letters every five seconds while the page can be seen. What players sent becomes text nodes only.

const POLL_MILLISECONDS = 5000;
const base = location.pathname.replace(/\/$/, "");
const byId = (id) => document.getElementById(id);
const full = (n) => n.toLocaleString("en");
const plural = (n, one) => `${full(n)} ${one}${n === 1 ? "" : "s"}`;
const when = (instant) => (instant ? instant.slice(0, 19).replace("T", " ") : "–");
const bdi = (text) => el("bdi", {}, text);
const kept = new Map();  // what was read of letters that are open
let shown = "", turn = 0, timer = 0;

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// --- what is chosen is in the address; a game may be named there, too, of which there is no letter ---

function chosen() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(["game", "reason"].filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
}

function choose(wanted) {
  const query = new URLSearchParams(Object.entries({ ...chosen(), ...wanted }).filter(([, value]) => value !== null));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  shown = "";
  ask();
}

// A player chose the game, and a terminal takes control characters as keys.
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const escaped = (found) => [...new TextEncoder().encode(found)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

function quoted(text) {
  if (/^[\w./:][\w.:/-]*$/.test(text)) return text;
  if (text.search(CONTROLS) < 0) return `'${text.replaceAll("'", "'\\''")}'`;
  return `$'${text.replace(/[\\']/g, "\\$&").replace(CONTROLS, escaped)}'`;
}

function command(...parts) {
  return ["playsmart-gateway dead-letters", ...parts].join(" ");
}

function copyable(text, copy) {
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  return copy;
}

// --- drawing ---

function drawCounts(counts) {
  if (!counts.length) return el("p", { class: "empty" }, "There are none: all that was taken is stored, or waits for the store.");
  const { game, reason } = chosen();
  const heads = [["Reason"], ["Game"], ["Requests", "number"], ["Events", "number"], ["First buried", "when"], ["Last buried", "when"]];
  return el("div", { class: "scroll" }, el("table", { class: "folds" },
    el("thead", {}, el("tr", {}, ...heads.map(([text, kind = ""]) => el("th", { class: kind }, text)))),
    el("tbody", {}, ...counts.map((each) => {
      const pick = el("button", { type: "button", title: "Show these" }, bdi(each.reason));
      pick.addEventListener("click", () => choose({ game: each.game_id, reason: each.reason }));
      const cells = [pick, bdi(each.game_id || "none"), full(each.letters), full(each.events), when(each.first), when(each.last)];
      const row = el("tr", each.game_id === game && each.reason === reason ? { "aria-current": "true" } : {});
      row.append(...cells.map((cell, n) => el("td", { class: heads[n][1] ?? "", "data-name": heads[n][0] }, cell)));
      return row;
    }))));
}

function drawChoice(id, all, values, current) {
  const select = byId(id);
  if (document.activeElement === select) return;
  const listed = [...new Set([...values, ...(current === undefined ? [] : [current])])].sort();
  select.replaceChildren(el("option", { value: "" }, all), ...listed.filter(Boolean).map((each) => el("option", { value: each }, each)));
  select.value = current ?? "";
}

function drawInside(letter, read) {
  const facts = el("dl", { class: "facts" });
  for (const [name, value] of [["Id", letter.id], ["Source", letter.source], ["Received", when(letter.received_at)], ["Size", `${full(letter.size)} bytes`]]) {
    facts.append(el("div", {}, el("dt", {}, name), el("dd", {}, value || "–")));
  }
  const inside = el("div", { class: "inside" }, facts);
  if (read.trouble) inside.append(el("p", {}, `What is in it cannot be read: ${read.trouble}`));
  else if (read.events) {
    inside.append(...read.events.map((event) => el("div", { class: "event" },
      el("p", {}, el("b", {}, bdi([event.type, event.name].filter(Boolean).join(" · "))), ` ${event.time} `, bdi(event.player || "")),
      ...(event.data === null ? [] : [el("pre", { tabindex: "0" }, event.data)]))));
  } else if (read.text !== null && read.text !== undefined) inside.append(el("pre", { tabindex: "0" }, read.text));
  else inside.append(el("p", {}, "Too large to show here: ", el("code", {}, command("show", letter.id))));
  const replay = el("pre", { tabindex: "0" }, command("replay", "--dry-run", letter.id));
  if (letter.source !== "nats") inside.append(el("div", { class: "copied" }, replay, copyable(() => replay.textContent, el("button", { type: "button" }, "Copy"))));
  return inside;
}

async function open(details, letter) {
  if (details.children.length > 1) return;
  let read = kept.get(letter.id);
  if (!read) {
    try {
      const answer = await fetch(`${base}/one?${new URLSearchParams({ id: letter.id })}`, { cache: "no-store" });
      read = answer.ok ? await answer.json() : { trouble: answer.status === 404 ? "it is gone meanwhile" : `the gateway answers ${answer.status}` };
      if (!read.trouble) kept.set(letter.id, read);
    } catch (error) { read = { trouble: error.message }; }
  }
  if (details.open && details.children.length === 1) details.append(drawInside(letter, read));
}

function drawLetter(letter) {
  const details = el("details", {}, el("summary", {},
    el("time", { class: "when" }, when(letter.buried_at || letter.received_at)),
    el("span", { class: "who" }, bdi([letter.game_id, letter.user_id].filter(Boolean).join(" · ") || letter.source)),
    el("span", { class: "why" }, bdi(letter.reason)),
    el("span", { class: "number" }, plural(letter.event_count, "event"))));
  details.addEventListener("toggle", () => {
    if (details.open) open(details, letter);
    else { kept.delete(letter.id); details.lastElementChild.remove(); }
  });
  details.open = kept.has(letter.id);
  return el("li", { class: "letter" }, details);
}

function draw(data) {
  const key = JSON.stringify([data, chosen()]);
  if (key === shown) return;
  shown = key;
  const { game, reason } = chosen();
  byId("counts").replaceChildren(drawCounts(data.counts));
  drawChoice("game", "All games", data.counts.map((each) => each.game_id), game);
  drawChoice("reason", "All reasons", data.counts.filter((each) => game === undefined || each.game_id === game).map((each) => each.reason), reason);
  const fitting = data.counts.filter((each) => (game === undefined || each.game_id === game) && (reason === undefined || each.reason === reason));
  const all = fitting.reduce((sum, each) => sum + each.letters, 0);
  byId("replay").hidden = !data.counts.length;
  byId("command").textContent = command("replay", "--dry-run", ...(game ? ["--game", quoted(game)] : []), ...(reason ? ["--reason", quoted(reason)] : []));
  byId("listed").hidden = !data.counts.length;
  byId("letters-sub").textContent = data.letters.length < all
    ? `The last ${full(data.letters.length)} of ${full(all)}; the command dead-letters list prints all.` : `${plural(data.letters.length, "letter")}; open one for what is in it.`;
  const there = new Set(data.letters.map((each) => each.id));
  for (const id of kept.keys()) if (!there.has(id)) kept.delete(id);
  byId("letters").replaceChildren(...(data.letters.length ? data.letters.map(drawLetter) : [el("li", { class: "empty" }, "None of these.")]));
}

// --- asking ---

function status(kind, text) {
  byId("status").className = `status ${kind}`;
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

async function ask() {
  clearTimeout(timer);
  const own = (turn += 1);
  try {
    const answer = await fetch(`${base}/data?${new URLSearchParams(chosen())}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
    const data = await answer.json();
    if (own !== turn) return;
    byId("notice").hidden = !data.trouble;
    byId("notice").textContent = data.trouble ? `The store cannot be read now: ${data.trouble}` : "";
    if (!data.trouble) draw(data);
    status(data.trouble ? "bad" : "good", data.trouble ? "Not readable" : "Live, every 5 s");
  } catch (error) {
    if (own !== turn) return;
    status("bad", `No answer: ${error.message}; trying again`);
  }
  if (!document.hidden) timer = setTimeout(ask, POLL_MILLISECONDS);
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["game", "reason"]) byId(id).addEventListener("change", (event) => choose({ [id]: event.target.value || null }));
copyable(() => byId("command").textContent, byId("copy"));
document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else ask(); });
ask();
