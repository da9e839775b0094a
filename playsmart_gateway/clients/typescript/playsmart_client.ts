/**
 * Send the events of a game to a PlaySmart gateway. Copy this file; it needs no package.
 *
 * `Client.track` writes an event down and returns; the files are sent beside the game. So a page that
 * is closed or offline loses nothing, and one whose tab is killed neither; who kills the browser takes
 * what it had not written to the disk yet. Each event is stored once: a request names the run that
 * tracked its events (one life of a page or process) and the number of the first, and what comes twice
 * is known.
 *
 * Files, all in one `Store` (keys of localStorage in a browser): `<run>-<number of the first
 * event>.ndjson`, on the first line what a request says of the player, then an event a line. A file is
 * at most one request, and is deleted when the gateway has it. Names sort by time. `rejected/` has the
 * last 100 events that the gateway will never take; `opted-out` says that nothing is to be kept.
 * Tokens are never written or logged.
 */

export const VERSION = "1.0.0";
const [FILE_EVENTS, FILE_BYTES, FLUSH_EVENTS] = [100, 48_000, 50];
const [GZIP_FROM_BYTES, ANSWER_BYTES, REJECTED_FILES, REASON_CHARACTERS] = [1_000, 1_000_000, 100, 200];
const [CLOCK_SECONDS, FRONT_SECONDS, BACKGROUND_SECONDS, HOUR_SECONDS] = [60, 60, 900, 3_600];
const LEAVING_BYTES = 60_000; // of the 64 KiB that all that a closing page has under way share
const PREFLIGHT_SECONDS = 300; // every browser keeps it as long
const LEASE_SECONDS = 120;
const [OPTED_OUT, REJECTED] = ["opted-out", "rejected/"];
const FILE_NAME = /^[0-9a-f-]{36}-\d{8,}\.ndjson$/;
const ANY_FILE = /\.ndjson(\.tmp)?$/;

export type Data = Record<string, unknown>;

/** Writes on to a file, a line at once; `append` throws if it did not get there. */
export interface Appender {
  append(line: string): void;
  /** End it; false if it was not there any more. */
  close(): boolean;
}

/** Where files are kept. Text is ASCII, so that its length is its bytes. All may throw. */
export interface Store {
  /** How much may wait here, in bytes. */
  readonly maxBytes: number;
  /** Return the files of a folder ("" or "rejected/"), and how large they are. */
  sizes(folder: string): Map<string, number>;
  /** Return a file, null if there is none. */
  read(name: string): string | null;
  /** Write a file that is there whole or not at all. */
  write(name: string, text: string): void;
  /** Do the same, and return what writes on to it. */
  begin(name: string, text: string): Appender;
  /** Delete a file, if it is there. */
  remove(name: string): void;
  /** Say that this process writes a run, for as long as it lives. */
  hold(run: string): void;
  /** Take a file of another run; return its name from now on, null if somebody may write it yet. */
  claim(name: string): Promise<string | null>;
}

/** The time in seconds: of the day, and one that only goes forward. */
export interface Clock {
  wall(): number;
  monotonic(): number;
}

export interface Options {
  /** The gateway's address: `https://events.example.com`. */
  url: string;
  userId: string;
  gameId: string;
  /** Called with a player's id: a token of theirs, null if there is none. It may take its time. */
  token: (userId: string) => string | null | undefined | Promise<string | null | undefined>;
  appVersion?: string;
  /** Keys of localStorage, by default; where a page has none, events live as long as it does. */
  store?: Store;
  /** With false nothing is sent but by `flush`, `background` and `close`. */
  automatic?: boolean;
  /** Where lines are written; by default warnings go to the console, and nothing else. */
  log?: Pick<Console, "debug" | "warn">;
  clock?: Clock;
  fetch?: typeof fetch;
}

/** Events that the gateway took, and its last status; null if it was not asked, or is silent. */
export interface Flushed {
  sent: number;
  status: number | null;
}

/** What came back: status 0 for nothing whole, `told` is its JSON, `wait` in seconds. */
interface Answer {
  status: number;
  told?: any;
  wait?: number | undefined;
}

/** What the gateway asks its clients to keep to. */
interface Settings {
  enabled: boolean;
  hasGzip: boolean;
  flushSeconds: number;
  maxQueueBytes: number;
  sample: Map<string, number>;
}

/** A file: the events `first`, `first + 1` ... of a run, and the head of their request. */
interface Segment {
  name: string;
  run: string;
  first: number;
  head: Data & { user_id: string };
  top: string;
  lines: string[];
}

/** The files, of which one is written. */
export class Queue {
  run = "";
  private top = "";
  private next = 0;
  private open: { name: string; file: Appender; events: number; bytes: number } | null = null;
  private room = 0;
  private most = 0;

  constructor(
    readonly store: Store,
    private readonly warn: (what: string) => void,
  ) {}

  /** Begin a run: number from 0, under a name that nobody else has. */
  begin(head: Data): void {
    this.close();
    [this.run, this.top, this.next] = [newRun(), json(head) + "\n", 0];
    this.store.hold(this.run);
  }

  /** Write one event in one write. If that fails its number is used: the loss is seen. */
  append(line: string, mostBytes: number): void {
    const number = this.next++;
    if (this.open && (this.open.events >= FILE_EVENTS || this.open.bytes + line.length > FILE_BYTES)) this.close();
    if (this.open) {
      try {
        this.open.file.append(line);
        this.open.events += 1;
        this.open.bytes += line.length;
        return;
      } catch {
        this.close(); // another process has taken the file, or the disk is full: then it fails again
      }
    }
    const most = Math.min(mostBytes, this.store.maxBytes);
    const room = Math.max(FILE_BYTES, this.top.length + line.length);
    if (this.room < room || this.most !== most) this.bound(most, room);
    this.room -= room;
    const name = nameOf(this.run, number, 8);
    this.open = { name, file: this.store.begin(name, this.top + line), events: 1, bytes: line.length };
  }

  /** End the file that is being written, if there is one, so that it can be sent. */
  close(): void {
    const closed = this.open;
    this.open = null;
    if (!closed || closed.file.close()) return;
    this.warn(`${closed.name} is gone, with ${counted(closed.events)}: another process has sent it, or it is lost`);
  }

  /** Return the files to be sent, oldest first. */
  closed(): string[] {
    const names = [...this.store.sizes("").keys()].sort();
    return names.filter((name) => FILE_NAME.test(name) && name !== this.open?.name);
  }

  /** Return a file; null if it is gone, or is none and was set aside. */
  read(name: string): Segment | null {
    const text = this.store.read(name);
    if (text === null) return null;
    const [first = "", ...lines] = text.split("\n").slice(0, -1); // a kill tore what follows
    try {
      const head = JSON.parse(first);
      if (typeof head.user_id === "string" && lines.length) {
        return { name, run: name.slice(0, 36), first: Number(name.slice(37, -7)), head, top: json(head), lines };
      }
    } catch {
      // as one that says nothing of a player
    }
    this.warn(`${name} cannot be read, and is set aside`);
    this.setAside(name);
    return null;
  }

  /** Cut a file in two. First the copy: a kill in between leaves a repeat, and no hole. */
  halve({ name, run, first, top, lines }: Segment): string[] {
    if (this.store.read(name) === null) return []; // the player has opted out meanwhile, and in again
    const middle = lines.length >> 1;
    const copy = nameOf(run, first + middle, name.length - 44);
    this.store.write(copy, [top, ...lines.slice(middle), ""].join("\n"));
    this.store.write(name, [top, ...lines.slice(0, middle), ""].join("\n"));
    return [name, copy];
  }

  /** Keep what will never be taken, for somebody to look at. */
  setAside(name: string): void {
    const text = this.store.read(name);
    if (text !== null) this.store.write(REJECTED + name, text);
    this.store.remove(name);
    for (const [oldest] of this.files(REJECTED).slice(0, -REJECTED_FILES)) this.store.remove(oldest);
  }

  /** Delete all events, as far as each can be. */
  clear(): void {
    this.close();
    for (const [name] of [...this.files(""), ...this.files(REJECTED)]) this.removed(name);
  }

  /** Delete a file; false, and a line in the log, if that cannot be. */
  private removed(name: string): boolean {
    try {
      this.store.remove(name);
      return true;
    } catch {
      this.warn(`${name} is not deleted`);
      return false;
    }
  }

  /** Return all files of events in a folder and their sizes, oldest first. */
  private files(folder: string): [string, number][] {
    const files = [...this.store.sizes(folder)].filter(([name]) => ANY_FILE.test(name));
    return files.map(([name, size]): [string, number] => [folder + name, size]).sort();
  }

  /** Delete the oldest files until there is room; look again after a tenth, there may be more. */
  private bound(mostBytes: number, room: number): void {
    const files = this.files("");
    let total = files.reduce((sum, [, size]) => sum + size, 0);
    for (const [name, size] of files) {
      if (total <= mostBytes - room) break;
      this.warn(`the queue is full: ${name} is lost`);
      if (this.removed(name)) total -= size;
    }
    this.room = Math.min(mostBytes - total, mostBytes / 10);
    this.most = mostBytes;
  }
}

/**
 * Tracks events of a player, and sends them and what is left of earlier runs in the store.
 *
 * Files are sent by a timer, or with `automatic: false` by whoever calls `flush`. Only the constructor
 * throws: a `TypeError` where `url` is none of http or https.
 */
export class Client {
  answerSeconds = 15; // for the whole of an answer
  hurry = 1; // by which pauses after failures are divided: a test has no time
  readonly queue: Queue;
  settings: Settings = {
    enabled: true,
    hasGzip: "CompressionStream" in globalThis,
    flushSeconds: 30,
    maxQueueBytes: 10_485_760,
    sample: new Map(),
  };
  private readonly url: string;
  private readonly askToken: Options["token"];
  private readonly isAutomatic: boolean;
  private readonly log: Pick<Console, "debug" | "warn">;
  private readonly clock: Clock;
  private readonly fetch: typeof fetch;
  private head: { user_id: string } & Data;
  private isOptedOut = false;
  private readonly tokens = new Map<string, string>();
  private readonly refused = new Map<string, { token: string | null; until: number }>();
  private readonly askedInVain = new Set<string>();
  private readonly answered = new Map<string, Answer>(); // what the disk did not let it settle
  private readonly beaconed = new Set<string>();
  private failures = 0;
  private hasAnswer = true;
  private quietUntil = -Infinity;
  private settingsDue = -Infinity;
  private preflightUntil = -Infinity;
  private serverAhead: number | null = null;
  private mostPause = FRONT_SECONDS;
  private fresh = 0;
  private drift = 0;
  private share = 0;
  private sending: Promise<unknown> = Promise.resolve();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isWoken = false;
  private isOver = false;
  private readonly listening: (() => void)[] = [];

  constructor(options: Options) {
    const url = new URL(options.url);
    if (!/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
      throw new TypeError("url is no address of a gateway, as https://events.example.com is");
    }
    this.url = (url.origin + url.pathname).replace(/\/$/, "").replace(/\/ingest\/events$/, "");
    this.askToken = options.token;
    this.isAutomatic = options.automatic !== false;
    this.log = options.log ?? { debug: () => undefined, warn: (line) => console.warn(line) };
    this.clock = options.clock ?? { wall: () => Date.now() / 1000, monotonic: () => performance.now() / 1000 };
    this.fetch = options.fetch ?? ((input, init) => fetch(input, init));
    const platform = "document" in globalThis ? "web" : ((globalThis as any).process?.platform ?? "unknown");
    const app = options.appVersion ? { app_version: options.appVersion } : {};
    const client: Data = { name: "playsmart-typescript", version: VERSION, platform, ...app };
    this.head = { user_id: options.userId, game_id: options.gameId, client };
    const store = options.store ?? new LocalStore(`playsmart/${options.gameId}/`);
    this.queue = new Queue(store, (what) => this.tell("warn", what));
    this.guard("no run has begun", () => this.begin());
    if (this.isAutomatic) {
      this.listen();
      this.wake();
    }
  }

  /** Whether nothing is kept or sent, by the word of this process or of another. */
  get optedOut(): boolean {
    try {
      this.isOptedOut = this.isOptedOut || this.queue.store.read(OPTED_OUT) !== null;
    } catch {
      return true;
    }
    return this.isOptedOut;
  }

  /**
   * Keep an event: `type`, `customdata`, and `customEventName` if it is `Custom`.
   *
   * What is no JSON, or finds no room, is dropped with a line in the log.
   */
  track(kind: string, data?: Data | null, name?: string | null): void {
    this.guard("an event is lost", () => {
      if (typeof (data ?? {}) !== "object" || Array.isArray(data)) throw new TypeError("data is no object");
      const said = data && Object.keys(data).length ? { customdata: data } : {};
      const named = name ? { customEventName: name } : {};
      const line = json({ type: kind, timestamp: this.now(), ...said, ...named }) + "\n";
      if (Math.abs(this.drifted() - this.drift) > CLOCK_SECONDS) this.begin();
      const { sample, maxQueueBytes } = this.settings;
      if (this.optedOut || this.share >= (sample.get(name || kind) ?? sample.get(kind) ?? 1)) return;
      this.mostPause = FRONT_SECONDS;
      this.fresh += 1;
      this.queue.append(line, maxQueueBytes);
    });
    if (this.fresh >= FLUSH_EVENTS) this.wake();
  }

  /** Send what waits, oldest first, unless the gateway said to wait; it may take its time. */
  flush(): Promise<Flushed> {
    const flushed: Flushed = { sent: 0, status: null };
    const done = this.sending.then(() => this.flushNow(flushed)).catch((error) => this.failed("nothing is sent", error));
    this.sending = done;
    return done.then(() => flushed);
  }

  /** Send what waits, as the game may end; until it tracks again, try less often. */
  background(): Promise<Flushed> {
    this.mostPause = BACKGROUND_SECONDS;
    return this.flush();
  }

  /** Send what waits and end; what takes longer than that is sent at the next start. */
  async close(seconds = 5): Promise<void> {
    this.isOver = true;
    clearTimeout(this.timer);
    this.listening.forEach((stop) => stop());
    await Promise.race([this.background(), new Promise((resolve) => this.later(resolve, seconds))]);
    this.guard("a file was not closed", () => this.queue.close());
  }

  /** Track for another player. What the last one did is sent with their own token only. */
  changePlayer(userId: string): void {
    this.head = { ...this.head, user_id: userId };
    this.guard("a file was not closed", () => this.begin());
  }

  /** Delete what waits, and keep and send nothing more, also after a restart. */
  optOut(): void {
    this.isOptedOut = true;
    this.guard("the opt-out holds until a restart", () => this.queue.store.write(OPTED_OUT, ""));
    this.guard("not all is deleted", () => this.queue.clear());
  }

  /** Track again, in a new run. */
  optIn(): void {
    this.guard("still opted out", () => {
      this.queue.store.remove(OPTED_OUT);
      this.isOptedOut = false;
      this.begin();
    });
  }

  /** Return the gateway's time, to a second; null before its first answer. */
  serverTime(): Date | null {
    return this.serverAhead === null ? null : new Date((this.clock.monotonic() + this.serverAhead) * 1000);
  }

  private begin(): void {
    this.drift = this.drifted();
    this.fresh = 0;
    this.queue.begin(this.head);
    this.share = shareOf(this.queue.run);
  }

  /** Flush by itself, one at a time, and again after a while. */
  private wake(): void {
    if (!this.isAutomatic || this.isWoken || this.isOver) return;
    this.isWoken = true; // until that flush begins
    const begun = this.sending.then(() => (this.isWoken = false));
    void begun
      .then(() => this.flush())
      .then(() => {
        if (this.isOver) return;
        clearTimeout(this.timer);
        const quiet = this.quietUntil - this.clock.monotonic();
        this.timer = this.later(() => this.wake(), quiet > 0 ? quiet : this.settings.flushSeconds);
      });
  }

  /** Call back after a while, for which no process of node is kept alive. */
  private later(call: (_: unknown) => void, seconds: number): ReturnType<typeof setTimeout> {
    const timer: any = setTimeout(call, seconds * 1000);
    timer.unref?.();
    return timer;
  }

  /** Hear of a page that is left, and of a network that is back. */
  private listen(): void {
    const on = (target: any, event: string, call: () => void): void => {
      target?.addEventListener?.(event, call);
      this.listening.push(() => target?.removeEventListener?.(event, call));
    };
    const { document, window } = globalThis as any;
    on(window, "pagehide", () => this.leave());
    on(document, "visibilitychange", () => (document.visibilityState === "hidden" ? this.leave() : this.wake()));
    on(window, "online", () => {
      const soon = this.clock.monotonic() + Math.random() * 2;
      if (!this.hasAnswer) this.quietUntil = Math.min(this.quietUntil, soon);
      this.later(() => this.wake(), 2);
    });
  }

  /** Send what this run has without waiting for anything: the page may be gone with the next line. */
  private leave(): void {
    this.mostPause = BACKGROUND_SECONDS;
    this.guard("nothing is sent", () => {
      const told = this.tokens.get(this.head.user_id) ?? this.askToken(this.head.user_id);
      void Promise.resolve(told).catch(() => undefined); // there is no time to wait for one
      const token = tokenOf(told);
      if (!token || this.optedOut || !this.settings.enabled || this.isQuiet()) return;
      this.queue.close();
      let room = LEAVING_BYTES;
      for (const name of this.queue.closed().filter((each) => each.startsWith(this.queue.run))) {
        const segment = this.beaconed.has(name) || this.answered.has(name) ? null : this.queue.read(name);
        if (!segment) continue;
        const body = this.body(segment, { access_token: token });
        room -= body.length;
        if (room < 0) break;
        this.beaconed.add(name);
        if (this.clock.monotonic() < this.preflightUntil) {
          const sent = this.deliver(segment, token, { sent: 0, status: null }, undefined, true);
          this.sending = Promise.allSettled([this.sending, sent]);
        } else {
          navigator.sendBeacon(this.url + "/ingest/events", body); // nobody is told: it is sent again
          this.tell("debug", `${name}, ${counted(segment.lines.length)}: a beacon`);
        }
      }
    });
  }

  private async flushNow(flushed: Flushed): Promise<void> {
    this.fresh = 0;
    this.askedInVain.clear();
    this.beaconed.clear();
    if (this.optedOut || this.isQuiet()) return;
    await this.refreshSettings();
    const seen = new Set<string>();
    for (const hasOpen of [false, true]) {
      // once each: meanwhile the game may track on and on
      if (!this.settings.enabled) break;
      if (hasOpen) this.queue.close();
      const waiting = this.queue.closed().filter((name) => !seen.has(name));
      for (let name = waiting.shift(); name; name = waiting.shift()) {
        seen.add(name);
        try {
          const again = await this.send(name, flushed, seen);
          if (again === null) return;
          waiting.unshift(...again);
        } catch (error) {
          this.failed(`${name} is left for later`, error);
        }
      }
    }
  }

  /** Send a file; return the files to go on with, null to stop. */
  private async send(found: string, flushed: Flushed, seen: Set<string>): Promise<string[] | null> {
    const name = found.startsWith(this.queue.run) ? found : await this.queue.store.claim(found);
    if (name === null) return [];
    seen.add(name);
    const segment = this.queue.read(name);
    const answer = this.answered.get(name);
    const token = segment && (answer ? "" : await this.token(segment.head.user_id));
    if (this.optedOut || this.queue.store.read(name) === null) return []; // while there was no token yet
    return segment && token !== null ? this.deliver(segment, token, flushed, answer) : [];
  }

  private async deliver(segment: Segment, token: string, flushed: Flushed, before?: Answer, isLeaving = false) {
    const { name, lines } = segment;
    const answer = before ?? (await this.post(segment, token, isLeaving));
    this.answered.delete(name);
    let [what, again] = ["", [] as string[] | null];
    try {
      [what, again] = this.settle(segment, token, answer);
    } catch (error) {
      this.answered.set(name, answer); // later, and it is sent no second time
      what = `${nameOfError(error)}, ${this.pause("kept")}`;
    }
    const isBad = what === "set aside" || this.answered.has(name);
    const why = what === "set aside" ? this.why(answer) : "";
    this.tell(isBad ? "warn" : "debug", `${name}, ${counted(lines.length)}: ${answer.status}, ${what}${why}`);
    if (what === "stored") flushed.sent += lines.length;
    flushed.status = answer.status || null;
    return again;
  }

  /** Do with a file what its answer says; return what, and the files to go on with, null to stop. */
  private settle(segment: Segment, token: string, answer: Answer): [string, string[] | null] {
    const { name, lines, head } = segment;
    const { status, told } = answer;
    if (this.optedOut) return ["deleted", []];
    this.hasAnswer = status !== 0;
    if (status === 202 && told?.success === true) {
      this.refused.delete(head.user_id);
      this.queue.store.remove(name);
      this.failures = 0;
      return ["stored", []];
    }
    if (status === 413 || ((status === 400 || status === 422) && (told?.error ?? null) !== null)) {
      if (lines.length > 1) return ["halved", this.queue.halve(segment)];
      this.queue.setAside(name);
      return ["set aside", []];
    }
    if (status === 415 && this.settings.hasGzip) {
      this.settings = { ...this.settings, hasGzip: false };
      return ["once more, as it is", [name]];
    }
    if (status === 401 || status === 403) {
      const before = this.refused.get(head.user_id); // a second one: wait with any
      const until = this.clock.monotonic() + this.backOff();
      this.refused.set(head.user_id, { token: !before || before.token === token ? token : null, until });
      this.tokens.delete(head.user_id);
      return ["waits for another token", [name]];
    }
    return [this.pause("kept", [404, 405, 410, 415].includes(status) ? HOUR_SECONDS : answer.wait), null];
  }

  /** Return what goes behind "set aside" in the log: no token, whatever an answer repeats. */
  private why(answer: Answer): string {
    const reason = reasonOf(answer);
    if (!reason || [...this.tokens.values()].some((token) => reason.includes(token))) return "";
    return ": " + reason.slice(0, REASON_CHARACTERS).replace(/[^ -~]+/g, "?");
  }

  /** Send nothing for a while: what is younger does not overtake what waits. */
  private pause(what: string, seconds?: number): string {
    const pause = this.backOff(seconds);
    this.quietUntil = this.clock.monotonic() + pause;
    return `${what}, next try in ${pause.toFixed(1)} s`;
  }

  private backOff(seconds?: number): number {
    this.failures = Math.min(this.failures + 1, 16);
    return seconds ?? (Math.random() * Math.min(this.mostPause, 2 ** this.failures)) / this.hurry;
  }

  /** Return a token to try; null if there is none but one that was refused a moment ago. */
  private async token(userId: string): Promise<string | null> {
    if (this.askedInVain.has(userId)) return null;
    const refused = this.refused.get(userId);
    const waits = refused !== undefined && this.clock.monotonic() < refused.until;
    let token = this.tokens.get(userId) ?? null;
    if (!token && !(waits && refused.token === null)) {
      try {
        token = tokenOf(await this.askToken(userId));
      } catch (error) {
        token = null;
        this.failed("there is no token", error);
      }
    }
    if (token && !(waits && token === refused.token)) return token;
    this.askedInVain.add(userId); // nothing of theirs overtakes what waits
    return null;
  }

  private async refreshSettings(): Promise<void> {
    if (this.clock.monotonic() < this.settingsDue) return;
    const answer = await this.exchange("/v1/app-settings", {});
    if (answer.told === undefined && answer.status !== 404) return;
    this.settingsDue = this.clock.monotonic() + HOUR_SECONDS;
    this.settings = settingsOf(answer, this.settings);
  }

  /** Send a batch. A page that is left calls `fetch` before this returns, so it packs nothing. */
  private async post(segment: Segment, token: string, isLeaving: boolean): Promise<Answer> {
    const headers: Record<string, string> = {
      "Content-Type": "application/json",
      Authorization: `Bearer ${token}`,
    };
    this.tokens.set(segment.head.user_id, token);
    let body: BodyInit = this.body(segment);
    if (!isLeaving && this.settings.hasGzip && body.length > GZIP_FROM_BYTES) {
      const packed = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
      body = await new Response(packed).arrayBuffer();
      headers["Content-Encoding"] = "gzip";
    }
    const answer = await this.exchange("/ingest/events", { method: "POST", headers, body, keepalive: isLeaving });
    if (answer.status) this.preflightUntil = this.clock.monotonic() + PREFLIGHT_SECONDS;
    return answer;
  }

  private body({ run, first, head, lines }: Segment, more: Data = {}): string {
    // of an earlier run the clock may have been another
    const at = run === this.queue.run ? { sent_at: this.now() } : {};
    return `${json({ ...more, ...head, run, seq: first, ...at }).slice(0, -1)},"events":[${lines.join(",")}]}`;
  }

  private async exchange(path: string, request: RequestInit): Promise<Answer> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.answerSeconds * 1000);
    try {
      const answer = await this.fetch(this.url + path, {
        ...request,
        signal: deadline.signal,
        redirect: "manual", // the token goes nowhere else
        credentials: "omit",
        cache: "no-store",
      });
      const told = parsed(await textOf(answer));
      const date = Date.parse(answer.headers.get("Date") ?? "");
      if (date) this.serverAhead = date / 1000 - this.clock.monotonic();
      const after = answer.headers.get("Retry-After") ?? "";
      const wait = /^\d+$/.test(after) ? Math.min(Number(after), HOUR_SECONDS) : undefined;
      return { status: answer.status, told, wait };
    } catch {
      return { status: 0 };
    } finally {
      clearTimeout(timer);
    }
  }

  private isQuiet(): boolean {
    return this.clock.monotonic() < this.quietUntil;
  }

  private drifted(): number {
    return this.clock.wall() - this.clock.monotonic();
  }

  private now(): string {
    return new Date(this.clock.wall() * 1000).toISOString();
  }

  /** Go on behind it, whatever it throws: the game does. */
  private guard(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.failed(what, error);
    }
  }

  /** Say so, by the error's name alone: what it says may have a token or an event in it. */
  private failed(what: string, error: unknown): void {
    this.tell("warn", `${what}: ${nameOfError(error)}`);
  }

  private tell(level: "debug" | "warn", line: string): void {
    try {
      this.log[level](line);
    } catch {
      // what writes the log is the game's
    }
  }
}

function nameOfError(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** What a page keeps files in, as localStorage has it. */
export type Keys = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

/** Files in localStorage, a key each. Tabs share it: a lock says which runs are being written. */
export class LocalStore implements Store {
  readonly maxBytes = 1_000_000;
  private readonly locks: LockManager | undefined = (globalThis as any).navigator?.locks;
  private readonly held = new Set<string>();
  private renewed = 0;

  constructor(
    private readonly prefix: string,
    private readonly keys: Keys = localKeys(),
  ) {
    (globalThis as any).window?.addEventListener?.("pagehide", () => {
      for (const run of this.held) this.remove(run + ".lease");
    });
  }

  sizes(folder: string): Map<string, number> {
    const sizes = new Map<string, number>();
    const start = this.prefix + folder;
    for (let place = 0; place < this.keys.length; place += 1) {
      const key = this.keys.key(place) ?? "";
      const name = key.slice(start.length);
      if (key.startsWith(start) && !name.includes("/")) sizes.set(name, this.keys.getItem(key)?.length ?? 0);
    }
    return sizes;
  }

  read(name: string): string | null {
    return this.keys.getItem(this.prefix + name);
  }

  write(name: string, text: string): void {
    this.renew();
    this.keys.setItem(this.prefix + name, text);
  }

  begin(name: string, text: string): Appender {
    this.write(name, text);
    return {
      append: (line) => {
        this.write(name, text + line); // whole, so it is there again if another tab has sent it
        text += line;
      },
      close: () => true,
    };
  }

  remove(name: string): void {
    this.keys.removeItem(this.prefix + name);
  }

  hold(run: string): void {
    this.held.add(run);
    this.renewed = 0;
    if (this.locks) void this.locks.request(this.prefix + run, () => new Promise(() => undefined)).catch(() => undefined);
  }

  async claim(name: string): Promise<string | null> {
    const run = name.slice(0, 36);
    if (this.held.has(run)) return name;
    if (this.locks) {
      const held = (await this.locks.query()).held ?? [];
      return held.some((lock) => lock.name === this.prefix + run) ? null : name;
    }
    const lease = run + ".lease";
    if (Math.abs(Date.now() - Number(this.read(lease))) < LEASE_SECONDS * 1000) return null;
    this.remove(lease);
    return name;
  }

  /** Where a browser has no locks, a time says that this tab lives. */
  private renew(): void {
    const now = Date.now();
    if (this.locks || Math.abs(now - this.renewed) < 10_000) return;
    this.renewed = now;
    for (const run of this.held) this.keys.setItem(this.prefix + run + ".lease", String(now));
  }
}

/** Return localStorage; where it is closed to a page, keys that live as long as the page does. */
function localKeys(): Keys {
  try {
    if (localStorage.length >= 0) return localStorage;
  } catch {
    // a frame of another site, or a browser that keeps nothing
  }
  const map = new Map<string, string>();
  return {
    get length() {
      return map.size;
    },
    key: (place) => [...map.keys()][place] ?? null,
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, text) => void map.set(key, text),
    removeItem: (key) => void map.delete(key),
  };
}

/** Return what an answer says; what cannot be read changes nothing. */
function settingsOf(answer: Answer, before: Settings): Settings {
  if (answer.status === 404) return { ...before, hasGzip: false }; // from before there were settings and gzip
  try {
    const told = answer.told.data[0].ingest ?? {};
    const encodings = told.encodings === undefined ? [] : told.encodings;
    const sample = told.sample === undefined ? {} : told.sample;
    if (typeof told !== "object" || typeof sample !== "object") return before;
    return {
      enabled: told.enabled !== false,
      hasGzip: "CompressionStream" in globalThis && encodings.includes("gzip"),
      flushSeconds: Math.min(Math.max(1, number(told.flush_seconds ?? 30)), HOUR_SECONDS),
      maxQueueBytes: Math.floor(number(told.max_queue_bytes ?? 10_485_760)),
      sample: new Map(Object.entries(sample).map(([name, share]): [string, number] => [name, number(share)])),
    };
  } catch {
    return before;
  }
}

/** Return what an answer says is wrong: its first detail, else its message; "" if it has neither. */
function reasonOf(answer: Answer): string {
  const error = answer.told?.error;
  if (typeof error?.message !== "string") return "";
  const first = Array.isArray(error.details) ? error.details[0] : null;
  const isTold = typeof first?.path === "string" && typeof first.message === "string";
  return isTold ? `${first.path} ${first.message}`.trim() : error.message;
}

function counted(events: number): string {
  return events === 1 ? "1 event" : `${events} events`;
}

/** Return a token if it is one: a promise has none yet, and a header takes not every letter. */
function tokenOf(told: unknown): string | null {
  const token = typeof told === "string" ? told.trim() : "";
  if (/[^\x21-\x7e]/.test(token)) throw new TypeError("no token has such letters");
  return token || null;
}

function number(value: unknown): number {
  const read = typeof value === "string" && value.trim() ? Number(value) : value;
  if (typeof read !== "number" || !Number.isFinite(read)) throw new TypeError("no number");
  return read;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Read an answer, of which nobody needs more than a MB. */
async function textOf(answer: Response): Promise<string> {
  const reader = answer.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (text.length > ANSWER_BYTES) {
      await reader.cancel();
      break;
    }
  }
  return text;
}

/** Return JSON in ASCII. */
function json(value: unknown): string {
  const text = JSON.stringify(value, (_, each) => {
    if (typeof each === "number" && !Number.isFinite(each)) throw new RangeError("no number of JSON");
    return each;
  });
  return text.replace(/[\u007f-\uffff]/g, (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
}

function nameOf(run: string, first: number, digits: number): string {
  return `${run}-${String(first).padStart(digits, "0")}.ndjson`;
}

/** Return a UUID of version 7, which sorts by time. */
function newRun(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  const chance = [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[parseInt(chance.slice(3, 4), 16) & 3];
  return [
    time.slice(0, 8),
    time.slice(8),
    "7" + chance.slice(0, 3),
    variant + chance.slice(4, 7),
    chance.slice(8),
  ].join("-");
}

/** Return the first 32 bits of SHA-256 of a run's name as a share of 1; FIPS 180-4, for one block. */
function shareOf(run: string): number {
  const words = Array.from({ length: 16 }, () => 0);
  const word = (place: number): number => words[place] ?? 0;
  [...run, "\x80"].forEach((letter, place) => {
    words[place >> 2] = word(place >> 2) | (letter.charCodeAt(0) << (24 - 8 * (place & 3)));
  });
  words[15] = 8 * run.length;
  const primes: number[] = [];
  for (let each = 2; primes.length < 64; each += 1) if (primes.every((prime) => each % prime)) primes.push(each);
  const bits = (root: number): number => Math.floor((root - Math.floor(root)) * 2 ** 32);
  const turn = (value: number, by: number): number => (value >>> by) | (value << (32 - by));
  const start = primes.slice(0, 8).map((prime) => bits(Math.sqrt(prime)) | 0);
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = start;
  primes.forEach((prime, round) => {
    if (round >= 16) {
      const [early, late] = [word(round - 15), word(round - 2)];
      const one = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
      const two = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
      words[round] = (word(round - 16) + one + word(round - 7) + two) | 0;
    }
    const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + bits(Math.cbrt(prime)) + word(round);
    const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [a, b, c, d, e, f, g, h] = [(one + two) | 0, a, b, c, (d + one) | 0, e, f, g];
  });
  return ((a + (start[0] ?? 0)) >>> 0) / 2 ** 32;
}
