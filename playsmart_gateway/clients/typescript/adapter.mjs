/**
 * The client for TypeScript behind standard input, in node: `node adapter.mjs`.
 *
 * A line in is a JSON object, and its `do` is what to do; a line out is one with `ok` and, if that is
 * false, `error`. The manual's chapter `clients` has the commands, under "Prove a client".
 */

import { createInterface } from "node:readline";
import { Client } from "./playsmart_client.js";
import { FileStore } from "./playsmart_files.js";

const log = { debug: (line) => console.error(line), warn: (line) => console.error(line) };
const tokens = new Map();
let client, player, store, options, hurry;
let ahead = 0; // of the phone's clock, which somebody may set
const clock = { wall: () => Date.now() / 1000 + ahead, monotonic: () => performance.now() / 1000 };

/** Count the events that wait: of each file the lines but the first. */
function queued() {
  const files = [...store.sizes("").keys()].filter((name) => name.endsWith(".ndjson"));
  const lines = files.map((name) => (store.read(name) ?? "").split("\n").length - 2);
  return lines.reduce((sum, each) => sum + Math.max(0, each), 0);
}

/** Have a client; `automatic` is one that sends by itself, as in a game. */
function begin(automatic) {
  client?.queue.close();
  client = new Client({ ...options, automatic });
  client.hurry = hurry;
  client.answerSeconds /= hurry;
}

const commands = {
  init({ dir, url, user, game, token, ...more }) {
    player = user;
    tokens.clear();
    tokens.set(user, token);
    hurry = more.hurry ?? 1;
    store = new FileStore(dir);
    options = { url, userId: user, gameId: game, token: (id) => tokens.get(id), store, clock, log };
    begin(false);
  },
  alone: () => begin(true),
  track: ({ type, name, data }) => client.track(type, data, name),
  async flush() {
    const { sent, status } = await client.flush();
    return { sent, left: queued(), status };
  },
  token: ({ token }) => void tokens.set(player, token),
  background: async () => void (await client.background()),
  optout: () => client.optOut(),
  optin: () => client.optIn(),
  clock: ({ seconds }) => void (ahead += seconds),
  state: () => ({
    queued: queued(),
    run: client.queue.run,
    opted_out: client.optedOut,
    disabled: !client.settings.enabled,
  }),
  quit: () => client?.queue.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer, command;
  try {
    command = JSON.parse(line);
    const act = Object.hasOwn(commands, command.do) ? commands[command.do] : null;
    answer = act ? { ok: true, ...(await act(command)) } : { ok: false, error: "unsupported" };
  } catch (error) {
    answer = { ok: false, error: error.name };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
  if (answer.ok && command.do === "quit") break;
}
process.exit();
