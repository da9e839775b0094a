// Asks for the catalogue every two seconds while the page can be seen, and draws what changed.

const POLL_MILLISECONDS = 2000;
const KINDS = {
  new_event: "new event", vanished_event: "vanished", new_property: "new property",
  vanished_property: "vanished", type_changed: "type changed", near_miss: "near miss",
  clock: "wrong clock", version_stopped: "version stopped", undefined: "not as defined",
};
const NEWS = new Set(["new_event", "new_property"]);
const base = location.pathname.replace(/\/$/, "");
const byId = (id) => document.getElementById(id);
const opened = new Set();
let shown = "";
let latest = null;

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "width") made.style.width = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const full = (n) => n.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;
const minute = (instant) => (instant ? instant.slice(0, 16).replace("T", " ") : "–");
const bar = (share) => el("div", { class: "share", "aria-hidden": "true" }, el("span", { width: `${100 * share}%` }));

function table(headings, rows) {
  const cell = (kind, text, name) => el(kind, { class: name }, text);
  return el("div", { class: "wide-table" }, el("table", { class: "folds" },
    el("thead", {}, el("tr", {}, ...headings.map(([text, name = ""]) => cell("th", text, name)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((value, place) => {
      const made = cell("td", value, headings[place][1] ?? "");
      made.dataset.name = headings[place][0];
      return made;
    })))),
  ));
}

const MISSPELT = {
  kind: "near_miss", event: "customdata", since: "",
  text: "has another name (customData, custom_data) in requests since the start; what is in it is not read",
};

function drawOdd(findings, misspelt) {
  if (!findings.length && !misspelt) return el("p", { class: "empty" }, "Nothing is odd.");
  const quiet = misspelt ? [{ ...MISSPELT, text: MISSPELT.text.replace("in requests", `in ${full(misspelt)} requests`) }] : [];
  return el("ul", { class: "odd" }, ...[...quiet, ...findings].map((each) => el("li", {},
    el("span", { class: NEWS.has(each.kind) ? "kind news" : "kind" }, KINDS[each.kind] ?? each.kind),
    el("span", { class: "what" },
      el("b", {}, [each.event, each.property].filter(Boolean).join(" · ") || each.game_id), ` ${each.text}`),
    el("time", { class: "when" }, each.since ? minute(each.since) : "now"),
  )));
}

function drawLetters(letters) {
  return table(
    [["Game"], ["Reason"], ["Requests", "number"], ["Events", "number"], ["Last buried", "when"]],
    letters.map((each) => [each.game_id, each.reason, full(each.letters), full(each.events), minute(each.last)]),
  );
}

function values(property) {
  const parts = property.least === null ? [] : [`${property.least} … ${property.most}`];
  return [...parts, ...property.examples].join(", ");
}

function drawProperties(event) {
  if (!event.properties.length) return el("p", { class: "empty" }, "No properties in those that were looked at.");
  return table(
    [["Property"], ["In", "number"], ["Types"], ["Values"], ["Last seen", "when"]],
    event.properties.map((each) => [
      each.name, percent(each.share),
      Object.entries(each.types).map(([kind, share]) => (share > 0.9995 ? kind : `${kind} ${percent(share)}`)).join(", "),
      values(each), minute(each.last_seen),
    ]),
  );
}

function drawInside(event) {
  const inside = el("div", { class: "inside" }, drawProperties(event));
  if (event.versions.length) {
    inside.append(table(
      [["Version"], ["Of the events", "number"], ["First seen", "when"], ["Last seen", "when"]],
      event.versions.map((each) => [each.version, percent(each.share), minute(each.first_seen), minute(each.last_seen)]),
    ));
  }
  inside.append(el("p", { class: "soft" },
    `First seen ${minute(event.first_seen)}; ${full(event.looked_at)} of ${full(event.events)} looked at.`));
  return inside;
}

function drawEvent(event, most) {
  const id = JSON.stringify([event.source, event.type, event.name]);
  const versions = event.versions.slice(0, 3).map((each) => each.version).join(", ");
  const few = event.versions.length === 1 ? "version" : "versions";
  const count = event.properties.length;
  const made = el("details", { class: "event" }, el("summary", {},
    el("span", { class: "name" }, event.label),
    bar(event.events / most),
    el("span", { class: "number" }, full(event.events)),
    el("span", { class: "soft" }, `${count} ${count === 1 ? "property" : "properties"}${versions && `, ${few} ${versions}`}`),
    el("time", { class: "when", title: "last seen" }, minute(event.last_seen)),
  ));
  const fill = () => { if (made.children.length === 1) made.append(drawInside(event)); };
  if (opened.has(id)) { made.open = true; fill(); }
  made.addEventListener("toggle", () => {
    if (made.open) { opened.add(id); fill(); } else opened.delete(id);
  });
  return made;
}

function draw() {
  const { catalogue } = latest;
  const wanted = byId("find").value.trim().toLowerCase();
  const fits = (text) => (text ?? "").toLowerCase().includes(wanted);
  const key = JSON.stringify([catalogue, wanted, latest.customdata_misspelt]);
  if (key === shown) return;
  shown = key;
  const games = [...new Set([...catalogue.games_known].sort((a, b) => b.events - a.events).map((each) => each.game_id))];
  const select = byId("game");
  if (games.join("\n") !== [...select.options].map((each) => each.value).join("\n")) {
    select.replaceChildren(...games.map((each) => el("option", { value: each }, each)));
  }
  select.value = catalogue.game_id ?? "";
  byId("odd").replaceChildren(drawOdd(catalogue.findings.filter((each) => fits(each.event) || fits(each.property)), latest.customdata_misspelt));
  byId("letters-panel").hidden = !catalogue.dead_letters.length;
  byId("letters").replaceChildren(drawLetters(catalogue.dead_letters));
  const events = catalogue.events.filter(
    (each) => fits(each.label) || fits(each.type) || each.properties.some((one) => fits(one.name)));
  const most = Math.max(1, ...events.map((each) => each.events));
  byId("events").replaceChildren(...(events.length
    ? events.map((each) => drawEvent(each, most))
    : [el("p", { class: "empty" }, wanted ? "None goes by that." : "Nothing is learned yet: send some events.")]));
  const dropped = catalogue.games.reduce((sum, each) => sum + each.events_of_other_names, 0);
  byId("events-sub").textContent = `${full(catalogue.events.length)} names, the most frequent first; open one for its properties.`
    + (dropped ? ` ${full(dropped)} events have other names, too rare to be kept.` : "");
}

async function poll() {
  const chosen = new URLSearchParams(location.search).get("game");
  const query = chosen ? `?game=${encodeURIComponent(chosen)}` : "";
  const status = byId("status");
  try {
    const answer = await fetch(`${base}/data${query}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
    latest = await answer.json();
    byId("version").textContent = latest.version;
    byId("notice").hidden = !latest.trouble;
    byId("notice").textContent = latest.trouble ?? "";
    if (latest.catalogue) {
      const behind = latest.catalogue.followed.end - latest.catalogue.followed.position;
      byId("freshness").textContent = behind > 0
        ? `${full(behind)} requests are stored and not learned from yet.` : "All that is stored is learned from.";
      draw();
    }
    status.textContent = latest.trouble ? "No catalogue" : "Live";
    status.className = latest.trouble ? "status bad" : "status good";
  } catch (error) {
    status.textContent = `Not reachable: ${error.message}`;
    status.className = "status bad";
  }
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("find").addEventListener("input", () => { if (latest?.catalogue) draw(); });
byId("game").addEventListener("change", (event) => {
  history.replaceState(null, "", `?game=${encodeURIComponent(event.target.value)}`);
  poll();
});
async function again() {
  if (!document.hidden) await poll();
  setTimeout(again, POLL_MILLISECONDS);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
again();
