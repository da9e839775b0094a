/** What the client for TypeScript does with strange files, tokens and keys; `node --test` runs it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { pathToFileURL } from "node:url";

const from = (name) => import(pathToFileURL(join(process.env.CLIENT, name)));
const { Client, LocalStore } = await from("playsmart_client.js");
const { FileStore } = await from("playsmart_files.js");

const RUN = "01900000-0000-7000-8000-000000000000";
const HEAD = '{"user_id":"p","game_id":"g"}\n';
const EVENT = '{"type":"AppOpen"}\n';
const folders = [];
afterEach(() => folders.splice(0).forEach((each) => rmSync(each, { recursive: true })));

function folder() {
  folders.push(mkdtempSync(join(tmpdir(), "units-")));
  return folders.at(-1);
}

/** Keys as localStorage has them, which can be full. */
function keys(isFull = () => false) {
  const map = new Map();
  return {
    map,
    get length() {
      return map.size;
    },
    key: (place) => [...map.keys()][place] ?? null,
    getItem: (key) => map.get(key) ?? null,
    setItem(key, text) {
      if (isFull()) throw new DOMException("full", "QuotaExceededError");
      map.set(key, text);
    },
    removeItem: (key) => map.delete(key),
  };
}

/** A client whose gateway takes all that comes; its time goes when it is told to. */
function game(store, options = {}) {
  const batches = [];
  const lines = [];
  const time = { seconds: 1_000 };
  const clock = { wall: () => 1_700_000_000 + time.seconds, monotonic: () => time.seconds };
  const client = new Client({
    url: "http://127.0.0.1:1", userId: "p", gameId: "g", token: (id) => `token-of-${id}`,
    store, clock, automatic: false, log: { debug: (each) => lines.push(each), warn: (each) => lines.push(each) },
    fetch: async (url, { body }) => {
      if (!body) return new Response("{}", { status: 404 });
      batches.push(JSON.parse(typeof body === "string" ? body : new TextDecoder().decode(body)));
      return new Response('{"success": true}', { status: 202 });
    },
    ...options,
  });
  return { client, batches, lines, time };
}

test("what is no address is refused at once", () => {
  for (const url of ["http://[", "http://a:99999", "a.example.com", "ftp://a", "http://u:p@a", "http://a?x", ""]) {
    assert.throws(() => game(new LocalStore("", keys()), { url }), TypeError, url);
  }
});

test("of what a game tracks nothing is thrown at it", async () => {
  const { client, batches, lines } = game(new LocalStore("", keys()));
  const circle = {};
  circle.again = circle;
  for (const data of [{ n: NaN }, { n: -Infinity }, { n: 1n }, circle, "text", [1], 7]) client.track("AppOpen", data);
  assert.equal(lines.length, 7);
  client.track("AppOpen", { text: "über \ud800 \u2028" });
  await client.flush();
  assert.deepEqual(batches[0].events[0].customdata, { text: "über \ud800 \u2028" });
});

test("a token that no header can have is not sent, and holds up no other player", async () => {
  const store = new LocalStore("", keys());
  store.write(`${RUN}-00000000.ndjson`, HEAD + EVENT);
  const { client, batches, lines } = game(store, { userId: "q", token: (id) => (id === "p" ? "a\nb: c" : "token") });
  client.track("AppOpen");
  assert.deepEqual(await client.flush(), { sent: 1, status: 202 });
  assert.deepEqual(batches.map((each) => each.user_id), ["q"]);
  assert.ok(!lines.join().includes("b: c"));
});

test("first lines that cannot be read are set aside", async () => {
  const heads = ["[".repeat(100_000), `{"user_id":"p","a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`];
  heads.push('{"user_id":NaN}', "7", "null", "[]", "{}", '{"user_id":7}', "", '{"user_id":"p"}\ntorn');
  for (const head of heads) {
    const store = new FileStore(folder());
    store.write(`${RUN}-00000000.ndjson`, head.includes("torn") ? head : `${head}\n${EVENT}`);
    const { client, batches } = game(store);
    await client.flush();
    const found = [batches.length, store.sizes("").size, store.sizes("rejected/").size];
    assert.deepEqual(found, [0, 0, 1], head.slice(0, 40));
  }
});

test("what is no file holds up nothing, and an opt-out deletes all others", async () => {
  const place = folder();
  mkdirSync(join(place, `${RUN}-00000000.ndjson`));
  execFileSync("mkfifo", [join(place, `${RUN}-00000001.ndjson`)]);
  const { client, batches } = game(new FileStore(place));
  client.track("AppOpen");
  await client.flush();
  assert.equal(batches.length, 1);
  client.track("AppOpen");
  client.optOut();
  assert.equal(readdirSync(place).filter((each) => !each.startsWith(RUN)).join(), "opted-out");
});

test("what was taken and cannot be deleted is sent no second time, holds up no other, and is deleted later", async () => {
  const store = new LocalStore("", keys());
  const { client, batches, lines, time } = game(store);
  store.remove = () => {
    throw new Error("read-only");
  };
  for (let flush = 0; flush < 3; flush += 1) {
    client.track("AppOpen");
    assert.equal((await client.flush()).sent, 0);
    assert.deepEqual(await client.flush(), { sent: 0, status: null }); // it waits
    time.seconds += 61;
  }
  assert.deepEqual(batches.map((each) => each.seq), [0, 1, 2]);
  assert.match(lines.at(-1), /ndjson, 1 event: 202, Error, kept, next try in /);
  delete store.remove; // that of its class is there again
  assert.deepEqual([(await client.flush()).sent, batches.length, client.queue.closed()], [3, 3, []]);
});

test("a folder that is deleted meanwhile is said, and the next event is kept in a new one", async () => {
  const place = folder();
  const { client, batches, lines } = game(new FileStore(join(place, "queue")));
  client.track("AppOpen");
  rmSync(join(place, "queue"), { recursive: true });
  client.track("AppOpen");
  await client.flush();
  assert.deepEqual(batches.map((each) => each.seq), [1]);
  assert.match(lines[0], /ndjson is gone, with 1 event: another process/);
});

test("where nothing can be set aside what is refused is sent once", async () => {
  const place = folder();
  writeFileSync(join(place, "rejected"), "");
  let sent = 0;
  const refuse = async (_, { body }) => new Response('{"error": {}}', { status: body ? (sent++, 400) : 404 });
  const { client, time } = game(new FileStore(place), { fetch: refuse });
  client.track("AppOpen");
  for (let flush = 0; flush < 5; flush += 1) {
    await client.flush();
    time.seconds += 61;
  }
  assert.equal(sent, 1);
});

test("the deadline is for the whole of an answer that drips", async () => {
  const server = createServer((_, answer) => {
    const drip = setInterval(() => answer.write(" "), 20);
    answer.on("close", () => clearInterval(drip));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const { client } = game(new LocalStore("", keys()), { url, fetch });
  client.answerSeconds = 0.2;
  client.track("AppOpen");
  assert.deepEqual(await client.flush(), { sent: 0, status: null });
  server.close();
  server.closeAllConnections();
});

test("the share of a run is that of SHA-256", () => {
  const { client } = game(new LocalStore("", keys()));
  for (let player = 0; player < 50; player += 1) {
    client.changePlayer(`p${player}`);
    const hash = createHash("sha256").update(client.queue.run).digest();
    assert.equal(client.share, hash.readUInt32BE() / 2 ** 32);
  }
});

test("what another process has taken goes on in a new file, and no line is lost", async () => {
  const place = folder();
  const [one, two] = [game(new FileStore(place)), game(new FileStore(place))];
  one.client.track("AppOpen", { n: 0 });
  await two.client.flush();
  one.client.track("AppOpen", { n: 1 });
  one.client.track("AppOpen", { n: 2 });
  await one.client.flush();
  const came = [...two.batches, ...one.batches].map((each) => [each.run, each.seq, each.events.length]);
  assert.deepEqual(came, [[one.client.queue.run, 0, 1], [one.client.queue.run, 1, 2]]);
});

test("a line that is written to a file as it is taken is there twice, not never", async () => {
  const place = folder();
  const store = new FileStore(place);
  const file = store.begin(`${RUN}-00000000.ndjson`, HEAD + EVENT);
  const taken = await store.claim(`${RUN}-00000000.ndjson`);
  assert.throws(() => file.append(EVENT));
  assert.equal(store.read(taken), HEAD + EVENT + EVENT);
  assert.equal(await store.claim(taken), taken);
  file.close();
});

test("keys are bounded at a MB, and the oldest go first", async () => {
  const store = new LocalStore("game/", keys());
  const { client, batches, lines } = game(store);
  for (let n = 0; n < 200; n += 1) client.track("AppOpen", { n, text: "x".repeat(10_000) });
  const size = [...store.sizes("").values()].reduce((sum, each) => sum + each, 0);
  assert.ok(size <= 1_000_000 && size > 800_000, size);
  assert.ok(lines.every((each) => each.startsWith("the queue is full")));
  await client.flush();
  const came = batches.flatMap((each) => each.events.map((event) => event.customdata.n));
  assert.deepEqual(came, [...Array(200).keys()].slice(-came.length));
});

test("where the browser has no room an event is lost, its number is used, and the game goes on", async () => {
  let isFull = false;
  const { client, batches } = game(new LocalStore("", keys(() => isFull)));
  client.track("AppOpen", { n: 0 });
  isFull = true;
  client.track("AppOpen", { n: 1 });
  isFull = false;
  client.track("AppOpen", { n: 2 });
  await client.flush();
  assert.deepEqual(batches.map((each) => [each.seq, each.events[0].customdata.n]), [[0, 0], [2, 2]]);
});

test("tabs leave alone what another one writes, and take what it has left", async () => {
  const shared = keys();
  const [one, two] = [game(new LocalStore("", shared)), game(new LocalStore("", shared))];
  one.client.track("AppOpen");
  await two.client.flush();
  assert.equal(two.batches.length, 0);
  shared.map.set(`${one.client.queue.run}.lease`, "1"); // long ago
  await two.client.flush();
  assert.equal(two.batches.length, 1);
  one.client.track("AppOpen"); // it lives after all
  await one.client.flush();
  assert.deepEqual([one.batches[0].seq, one.batches[0].events.length], [0, 2]);
});

test("an opt-out in one tab holds in the others", async () => {
  const shared = keys();
  const [one, two] = [game(new LocalStore("", shared)), game(new LocalStore("", shared))];
  one.client.track("AppOpen");
  two.client.optOut();
  one.client.track("AppOpen");
  await one.client.flush();
  assert.ok(one.client.optedOut);
  assert.deepEqual([one.batches.length, [...shared.map.keys()].filter((each) => each.includes("ndjson"))], [0, []]);
});

test("of who opts out meanwhile nothing is sent, and nothing comes back", async () => {
  const optOutAndIn = () => (client.optOut(), client.optIn());
  let { client, batches } = game(new LocalStore("", keys()), { token: () => (optOutAndIn(), "token") });
  client.track("AppOpen");
  await client.flush();
  assert.deepEqual([batches, client.queue.closed()], [[], []]);
  const refuse = async (_, { body }) => {
    if (!body) return new Response("{}", { status: 404 });
    optOutAndIn();
    return new Response('{"error": {}}', { status: 400 });
  };
  ({ client } = game(new LocalStore("", keys()), { fetch: refuse }));
  client.track("AppOpen");
  client.track("AppOpen");
  await client.flush();
  assert.deepEqual(client.queue.closed(), []);
});

test("what does itself flushes at the start, at fifty events, and ends", async () => {
  const store = new LocalStore("", keys());
  store.write(`${RUN}-00000000.ndjson`, HEAD + EVENT);
  const { client, batches } = game(store, { automatic: true });
  const arrive = async (count) => {
    while (batches.flatMap((each) => each.events).length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await arrive(1);
  for (let n = 0; n < 50; n += 1) client.track("AppOpen");
  await arrive(51);
  client.track("AppOpen");
  await client.close(30);
  assert.equal(batches.flatMap((each) => each.events).length, 52);
});
