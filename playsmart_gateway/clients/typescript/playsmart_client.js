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
const [FILE_EVENTS, FILE_BYTES, FLUSH_EVENTS] = [100, 48000, 50];
const [GZIP_FROM_BYTES, ANSWER_BYTES, REJECTED_FILES, REASON_CHARACTERS] = [1000, 1000000, 100, 200];
const [CLOCK_SECONDS, FRONT_SECONDS, BACKGROUND_SECONDS, HOUR_SECONDS] = [60, 60, 900, 3600];
const LEAVING_BYTES = 60000; // of the 64 KiB that all that a closing page has under way share
const PREFLIGHT_SECONDS = 300; // every browser keeps it as long
const LEASE_SECONDS = 120;
const [OPTED_OUT, REJECTED] = ["opted-out", "rejected/"];
const FILE_NAME = /^[0-9a-f-]{36}-\d{8,}\.ndjson$/;
const ANY_FILE = /\.ndjson(\.tmp)?$/;
/** The files, of which one is written. */
export class Queue {
    constructor(store, warn) {
        this.store = store;
        this.warn = warn;
        this.run = "";
        this.top = "";
        this.next = 0;
        this.open = null;
        this.room = 0;
        this.most = 0;
    }
    /** Begin a run: number from 0, under a name that nobody else has. */
    begin(head) {
        this.close();
        [this.run, this.top, this.next] = [newRun(), json(head) + "\n", 0];
        this.store.hold(this.run);
    }
    /** Write one event in one write. If that fails its number is used: the loss is seen. */
    append(line, mostBytes) {
        const number = this.next++;
        if (this.open && (this.open.events >= FILE_EVENTS || this.open.bytes + line.length > FILE_BYTES))
            this.close();
        if (this.open) {
            try {
                this.open.file.append(line);
                this.open.events += 1;
                this.open.bytes += line.length;
                return;
            }
            catch {
                this.close(); // another process has taken the file, or the disk is full: then it fails again
            }
        }
        const most = Math.min(mostBytes, this.store.maxBytes);
        const room = Math.max(FILE_BYTES, this.top.length + line.length);
        if (this.room < room || this.most !== most)
            this.bound(most, room);
        this.room -= room;
        const name = nameOf(this.run, number, 8);
        this.open = { name, file: this.store.begin(name, this.top + line), events: 1, bytes: line.length };
    }
    /** End the file that is being written, if there is one, so that it can be sent. */
    close() {
        const closed = this.open;
        this.open = null;
        if (!closed || closed.file.close())
            return;
        this.warn(`${closed.name} is gone, with ${counted(closed.events)}: another process has sent it, or it is lost`);
    }
    /** Return the files to be sent, oldest first. */
    closed() {
        const names = [...this.store.sizes("").keys()].sort();
        return names.filter((name) => FILE_NAME.test(name) && name !== this.open?.name);
    }
    /** Return a file; null if it is gone, or is none and was set aside. */
    read(name) {
        const text = this.store.read(name);
        if (text === null)
            return null;
        const [first = "", ...lines] = text.split("\n").slice(0, -1); // a kill tore what follows
        try {
            const head = JSON.parse(first);
            if (typeof head.user_id === "string" && lines.length) {
                return { name, run: name.slice(0, 36), first: Number(name.slice(37, -7)), head, top: json(head), lines };
            }
        }
        catch {
            // as one that says nothing of a player
        }
        this.warn(`${name} cannot be read, and is set aside`);
        this.setAside(name);
        return null;
    }
    /** Cut a file in two. First the copy: a kill in between leaves a repeat, and no hole. */
    halve({ name, run, first, top, lines }) {
        if (this.store.read(name) === null)
            return []; // the player has opted out meanwhile, and in again
        const middle = lines.length >> 1;
        const copy = nameOf(run, first + middle, name.length - 44);
        this.store.write(copy, [top, ...lines.slice(middle), ""].join("\n"));
        this.store.write(name, [top, ...lines.slice(0, middle), ""].join("\n"));
        return [name, copy];
    }
    /** Keep what will never be taken, for somebody to look at. */
    setAside(name) {
        const text = this.store.read(name);
        if (text !== null)
            this.store.write(REJECTED + name, text);
        this.store.remove(name);
        for (const [oldest] of this.files(REJECTED).slice(0, -REJECTED_FILES))
            this.store.remove(oldest);
    }
    /** Delete all events, as far as each can be. */
    clear() {
        this.close();
        for (const [name] of [...this.files(""), ...this.files(REJECTED)])
            this.removed(name);
    }
    /** Delete a file; false, and a line in the log, if that cannot be. */
    removed(name) {
        try {
            this.store.remove(name);
            return true;
        }
        catch {
            this.warn(`${name} is not deleted`);
            return false;
        }
    }
    /** Return all files of events in a folder and their sizes, oldest first. */
    files(folder) {
        const files = [...this.store.sizes(folder)].filter(([name]) => ANY_FILE.test(name));
        return files.map(([name, size]) => [folder + name, size]).sort();
    }
    /** Delete the oldest files until there is room; look again after a tenth, there may be more. */
    bound(mostBytes, room) {
        const files = this.files("");
        let total = files.reduce((sum, [, size]) => sum + size, 0);
        for (const [name, size] of files) {
            if (total <= mostBytes - room)
                break;
            this.warn(`the queue is full: ${name} is lost`);
            if (this.removed(name))
                total -= size;
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
    constructor(options) {
        this.answerSeconds = 15; // for the whole of an answer
        this.hurry = 1; // by which pauses after failures are divided: a test has no time
        this.settings = {
            enabled: true,
            hasGzip: "CompressionStream" in globalThis,
            flushSeconds: 30,
            maxQueueBytes: 10485760,
            sample: new Map(),
        };
        this.isOptedOut = false;
        this.tokens = new Map();
        this.refused = new Map();
        this.askedInVain = new Set();
        this.answered = new Map(); // what the disk did not let it settle
        this.beaconed = new Set();
        this.failures = 0;
        this.hasAnswer = true;
        this.quietUntil = -Infinity;
        this.settingsDue = -Infinity;
        this.preflightUntil = -Infinity;
        this.serverAhead = null;
        this.mostPause = FRONT_SECONDS;
        this.fresh = 0;
        this.drift = 0;
        this.share = 0;
        this.sending = Promise.resolve();
        this.isWoken = false;
        this.isOver = false;
        this.listening = [];
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
        const platform = "document" in globalThis ? "web" : (globalThis.process?.platform ?? "unknown");
        const app = options.appVersion ? { app_version: options.appVersion } : {};
        const client = { name: "playsmart-typescript", version: VERSION, platform, ...app };
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
    get optedOut() {
        try {
            this.isOptedOut = this.isOptedOut || this.queue.store.read(OPTED_OUT) !== null;
        }
        catch {
            return true;
        }
        return this.isOptedOut;
    }
    /**
     * Keep an event: `type`, `customdata`, and `customEventName` if it is `Custom`.
     *
     * What is no JSON, or finds no room, is dropped with a line in the log.
     */
    track(kind, data, name) {
        this.guard("an event is lost", () => {
            if (typeof (data ?? {}) !== "object" || Array.isArray(data))
                throw new TypeError("data is no object");
            const said = data && Object.keys(data).length ? { customdata: data } : {};
            const named = name ? { customEventName: name } : {};
            const line = json({ type: kind, timestamp: this.now(), ...said, ...named }) + "\n";
            if (Math.abs(this.drifted() - this.drift) > CLOCK_SECONDS)
                this.begin();
            const { sample, maxQueueBytes } = this.settings;
            if (this.optedOut || this.share >= (sample.get(name || kind) ?? sample.get(kind) ?? 1))
                return;
            this.mostPause = FRONT_SECONDS;
            this.fresh += 1;
            this.queue.append(line, maxQueueBytes);
        });
        if (this.fresh >= FLUSH_EVENTS)
            this.wake();
    }
    /** Send what waits, oldest first, unless the gateway said to wait; it may take its time. */
    flush() {
        const flushed = { sent: 0, status: null };
        const done = this.sending.then(() => this.flushNow(flushed)).catch((error) => this.failed("nothing is sent", error));
        this.sending = done;
        return done.then(() => flushed);
    }
    /** Send what waits, as the game may end; until it tracks again, try less often. */
    background() {
        this.mostPause = BACKGROUND_SECONDS;
        return this.flush();
    }
    /** Send what waits and end; what takes longer than that is sent at the next start. */
    async close(seconds = 5) {
        this.isOver = true;
        clearTimeout(this.timer);
        this.listening.forEach((stop) => stop());
        await Promise.race([this.background(), new Promise((resolve) => this.later(resolve, seconds))]);
        this.guard("a file was not closed", () => this.queue.close());
    }
    /** Track for another player. What the last one did is sent with their own token only. */
    changePlayer(userId) {
        this.head = { ...this.head, user_id: userId };
        this.guard("a file was not closed", () => this.begin());
    }
    /** Delete what waits, and keep and send nothing more, also after a restart. */
    optOut() {
        this.isOptedOut = true;
        this.guard("the opt-out holds until a restart", () => this.queue.store.write(OPTED_OUT, ""));
        this.guard("not all is deleted", () => this.queue.clear());
    }
    /** Track again, in a new run. */
    optIn() {
        this.guard("still opted out", () => {
            this.queue.store.remove(OPTED_OUT);
            this.isOptedOut = false;
            this.begin();
        });
    }
    /** Return the gateway's time, to a second; null before its first answer. */
    serverTime() {
        return this.serverAhead === null ? null : new Date((this.clock.monotonic() + this.serverAhead) * 1000);
    }
    begin() {
        this.drift = this.drifted();
        this.fresh = 0;
        this.queue.begin(this.head);
        this.share = shareOf(this.queue.run);
    }
    /** Flush by itself, one at a time, and again after a while. */
    wake() {
        if (!this.isAutomatic || this.isWoken || this.isOver)
            return;
        this.isWoken = true; // until that flush begins
        const begun = this.sending.then(() => (this.isWoken = false));
        void begun
            .then(() => this.flush())
            .then(() => {
            if (this.isOver)
                return;
            clearTimeout(this.timer);
            const quiet = this.quietUntil - this.clock.monotonic();
            this.timer = this.later(() => this.wake(), quiet > 0 ? quiet : this.settings.flushSeconds);
        });
    }
    /** Call back after a while, for which no process of node is kept alive. */
    later(call, seconds) {
        const timer = setTimeout(call, seconds * 1000);
        timer.unref?.();
        return timer;
    }
    /** Hear of a page that is left, and of a network that is back. */
    listen() {
        const on = (target, event, call) => {
            target?.addEventListener?.(event, call);
            this.listening.push(() => target?.removeEventListener?.(event, call));
        };
        const { document, window } = globalThis;
        on(window, "pagehide", () => this.leave());
        on(document, "visibilitychange", () => (document.visibilityState === "hidden" ? this.leave() : this.wake()));
        on(window, "online", () => {
            const soon = this.clock.monotonic() + Math.random() * 2;
            if (!this.hasAnswer)
                this.quietUntil = Math.min(this.quietUntil, soon);
            this.later(() => this.wake(), 2);
        });
    }
    /** Send what this run has without waiting for anything: the page may be gone with the next line. */
    leave() {
        this.mostPause = BACKGROUND_SECONDS;
        this.guard("nothing is sent", () => {
            const told = this.tokens.get(this.head.user_id) ?? this.askToken(this.head.user_id);
            void Promise.resolve(told).catch(() => undefined); // there is no time to wait for one
            const token = tokenOf(told);
            if (!token || this.optedOut || !this.settings.enabled || this.isQuiet())
                return;
            this.queue.close();
            let room = LEAVING_BYTES;
            for (const name of this.queue.closed().filter((each) => each.startsWith(this.queue.run))) {
                const segment = this.beaconed.has(name) || this.answered.has(name) ? null : this.queue.read(name);
                if (!segment)
                    continue;
                const body = this.body(segment, { access_token: token });
                room -= body.length;
                if (room < 0)
                    break;
                this.beaconed.add(name);
                if (this.clock.monotonic() < this.preflightUntil) {
                    const sent = this.deliver(segment, token, { sent: 0, status: null }, undefined, true);
                    this.sending = Promise.allSettled([this.sending, sent]);
                }
                else {
                    navigator.sendBeacon(this.url + "/ingest/events", body); // nobody is told: it is sent again
                    this.tell("debug", `${name}, ${counted(segment.lines.length)}: a beacon`);
                }
            }
        });
    }
    async flushNow(flushed) {
        this.fresh = 0;
        this.askedInVain.clear();
        this.beaconed.clear();
        if (this.optedOut || this.isQuiet())
            return;
        await this.refreshSettings();
        const seen = new Set();
        for (const hasOpen of [false, true]) {
            // once each: meanwhile the game may track on and on
            if (!this.settings.enabled)
                break;
            if (hasOpen)
                this.queue.close();
            const waiting = this.queue.closed().filter((name) => !seen.has(name));
            for (let name = waiting.shift(); name; name = waiting.shift()) {
                seen.add(name);
                try {
                    const again = await this.send(name, flushed, seen);
                    if (again === null)
                        return;
                    waiting.unshift(...again);
                }
                catch (error) {
                    this.failed(`${name} is left for later`, error);
                }
            }
        }
    }
    /** Send a file; return the files to go on with, null to stop. */
    async send(found, flushed, seen) {
        const name = found.startsWith(this.queue.run) ? found : await this.queue.store.claim(found);
        if (name === null)
            return [];
        seen.add(name);
        const segment = this.queue.read(name);
        const answer = this.answered.get(name);
        const token = segment && (answer ? "" : await this.token(segment.head.user_id));
        if (this.optedOut || this.queue.store.read(name) === null)
            return []; // while there was no token yet
        return segment && token !== null ? this.deliver(segment, token, flushed, answer) : [];
    }
    async deliver(segment, token, flushed, before, isLeaving = false) {
        const { name, lines } = segment;
        const answer = before ?? (await this.post(segment, token, isLeaving));
        this.answered.delete(name);
        let [what, again] = ["", []];
        try {
            [what, again] = this.settle(segment, token, answer);
        }
        catch (error) {
            this.answered.set(name, answer); // later, and it is sent no second time
            what = `${nameOfError(error)}, ${this.pause("kept")}`;
        }
        const isBad = what === "set aside" || this.answered.has(name);
        const why = what === "set aside" ? this.why(answer) : "";
        this.tell(isBad ? "warn" : "debug", `${name}, ${counted(lines.length)}: ${answer.status}, ${what}${why}`);
        if (what === "stored")
            flushed.sent += lines.length;
        flushed.status = answer.status || null;
        return again;
    }
    /** Do with a file what its answer says; return what, and the files to go on with, null to stop. */
    settle(segment, token, answer) {
        const { name, lines, head } = segment;
        const { status, told } = answer;
        if (this.optedOut)
            return ["deleted", []];
        this.hasAnswer = status !== 0;
        if (status === 202 && told?.success === true) {
            this.refused.delete(head.user_id);
            this.queue.store.remove(name);
            this.failures = 0;
            return ["stored", []];
        }
        if (status === 413 || ((status === 400 || status === 422) && (told?.error ?? null) !== null)) {
            if (lines.length > 1)
                return ["halved", this.queue.halve(segment)];
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
    why(answer) {
        const reason = reasonOf(answer);
        if (!reason || [...this.tokens.values()].some((token) => reason.includes(token)))
            return "";
        return ": " + reason.slice(0, REASON_CHARACTERS).replace(/[^ -~]+/g, "?");
    }
    /** Send nothing for a while: what is younger does not overtake what waits. */
    pause(what, seconds) {
        const pause = this.backOff(seconds);
        this.quietUntil = this.clock.monotonic() + pause;
        return `${what}, next try in ${pause.toFixed(1)} s`;
    }
    backOff(seconds) {
        this.failures = Math.min(this.failures + 1, 16);
        return seconds ?? (Math.random() * Math.min(this.mostPause, 2 ** this.failures)) / this.hurry;
    }
    /** Return a token to try; null if there is none but one that was refused a moment ago. */
    async token(userId) {
        if (this.askedInVain.has(userId))
            return null;
        const refused = this.refused.get(userId);
        const waits = refused !== undefined && this.clock.monotonic() < refused.until;
        let token = this.tokens.get(userId) ?? null;
        if (!token && !(waits && refused.token === null)) {
            try {
                token = tokenOf(await this.askToken(userId));
            }
            catch (error) {
                token = null;
                this.failed("there is no token", error);
            }
        }
        if (token && !(waits && token === refused.token))
            return token;
        this.askedInVain.add(userId); // nothing of theirs overtakes what waits
        return null;
    }
    async refreshSettings() {
        if (this.clock.monotonic() < this.settingsDue)
            return;
        const answer = await this.exchange("/v1/app-settings", {});
        if (answer.told === undefined && answer.status !== 404)
            return;
        this.settingsDue = this.clock.monotonic() + HOUR_SECONDS;
        this.settings = settingsOf(answer, this.settings);
    }
    /** Send a batch. A page that is left calls `fetch` before this returns, so it packs nothing. */
    async post(segment, token, isLeaving) {
        const headers = {
            "Content-Type": "application/json",
            Authorization: `Bearer ${token}`,
        };
        this.tokens.set(segment.head.user_id, token);
        let body = this.body(segment);
        if (!isLeaving && this.settings.hasGzip && body.length > GZIP_FROM_BYTES) {
            const packed = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
            body = await new Response(packed).arrayBuffer();
            headers["Content-Encoding"] = "gzip";
        }
        const answer = await this.exchange("/ingest/events", { method: "POST", headers, body, keepalive: isLeaving });
        if (answer.status)
            this.preflightUntil = this.clock.monotonic() + PREFLIGHT_SECONDS;
        return answer;
    }
    body({ run, first, head, lines }, more = {}) {
        // of an earlier run the clock may have been another
        const at = run === this.queue.run ? { sent_at: this.now() } : {};
        return `${json({ ...more, ...head, run, seq: first, ...at }).slice(0, -1)},"events":[${lines.join(",")}]}`;
    }
    async exchange(path, request) {
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
            if (date)
                this.serverAhead = date / 1000 - this.clock.monotonic();
            const after = answer.headers.get("Retry-After") ?? "";
            const wait = /^\d+$/.test(after) ? Math.min(Number(after), HOUR_SECONDS) : undefined;
            return { status: answer.status, told, wait };
        }
        catch {
            return { status: 0 };
        }
        finally {
            clearTimeout(timer);
        }
    }
    isQuiet() {
        return this.clock.monotonic() < this.quietUntil;
    }
    drifted() {
        return this.clock.wall() - this.clock.monotonic();
    }
    now() {
        return new Date(this.clock.wall() * 1000).toISOString();
    }
    /** Go on behind it, whatever it throws: the game does. */
    guard(what, act) {
        try {
            act();
        }
        catch (error) {
            this.failed(what, error);
        }
    }
    /** Say so, by the error's name alone: what it says may have a token or an event in it. */
    failed(what, error) {
        this.tell("warn", `${what}: ${nameOfError(error)}`);
    }
    tell(level, line) {
        try {
            this.log[level](line);
        }
        catch {
            // what writes the log is the game's
        }
    }
}
function nameOfError(error) {
    return error instanceof Error ? error.name : typeof error;
}
/** Files in localStorage, a key each. Tabs share it: a lock says which runs are being written. */
export class LocalStore {
    constructor(prefix, keys = localKeys()) {
        this.prefix = prefix;
        this.keys = keys;
        this.maxBytes = 1000000;
        this.locks = globalThis.navigator?.locks;
        this.held = new Set();
        this.renewed = 0;
        globalThis.window?.addEventListener?.("pagehide", () => {
            for (const run of this.held)
                this.remove(run + ".lease");
        });
    }
    sizes(folder) {
        const sizes = new Map();
        const start = this.prefix + folder;
        for (let place = 0; place < this.keys.length; place += 1) {
            const key = this.keys.key(place) ?? "";
            const name = key.slice(start.length);
            if (key.startsWith(start) && !name.includes("/"))
                sizes.set(name, this.keys.getItem(key)?.length ?? 0);
        }
        return sizes;
    }
    read(name) {
        return this.keys.getItem(this.prefix + name);
    }
    write(name, text) {
        this.renew();
        this.keys.setItem(this.prefix + name, text);
    }
    begin(name, text) {
        this.write(name, text);
        return {
            append: (line) => {
                this.write(name, text + line); // whole, so it is there again if another tab has sent it
                text += line;
            },
            close: () => true,
        };
    }
    remove(name) {
        this.keys.removeItem(this.prefix + name);
    }
    hold(run) {
        this.held.add(run);
        this.renewed = 0;
        if (this.locks)
            void this.locks.request(this.prefix + run, () => new Promise(() => undefined)).catch(() => undefined);
    }
    async claim(name) {
        const run = name.slice(0, 36);
        if (this.held.has(run))
            return name;
        if (this.locks) {
            const held = (await this.locks.query()).held ?? [];
            return held.some((lock) => lock.name === this.prefix + run) ? null : name;
        }
        const lease = run + ".lease";
        if (Math.abs(Date.now() - Number(this.read(lease))) < LEASE_SECONDS * 1000)
            return null;
        this.remove(lease);
        return name;
    }
    /** Where a browser has no locks, a time says that this tab lives. */
    renew() {
        const now = Date.now();
        if (this.locks || Math.abs(now - this.renewed) < 10000)
            return;
        this.renewed = now;
        for (const run of this.held)
            this.keys.setItem(this.prefix + run + ".lease", String(now));
    }
}
/** Return localStorage; where it is closed to a page, keys that live as long as the page does. */
function localKeys() {
    try {
        if (localStorage.length >= 0)
            return localStorage;
    }
    catch {
        // a frame of another site, or a browser that keeps nothing
    }
    const map = new Map();
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
function settingsOf(answer, before) {
    if (answer.status === 404)
        return { ...before, hasGzip: false }; // from before there were settings and gzip
    try {
        const told = answer.told.data[0].ingest ?? {};
        const encodings = told.encodings === undefined ? [] : told.encodings;
        const sample = told.sample === undefined ? {} : told.sample;
        if (typeof told !== "object" || typeof sample !== "object")
            return before;
        return {
            enabled: told.enabled !== false,
            hasGzip: "CompressionStream" in globalThis && encodings.includes("gzip"),
            flushSeconds: Math.min(Math.max(1, number(told.flush_seconds ?? 30)), HOUR_SECONDS),
            maxQueueBytes: Math.floor(number(told.max_queue_bytes ?? 10485760)),
            sample: new Map(Object.entries(sample).map(([name, share]) => [name, number(share)])),
        };
    }
    catch {
        return before;
    }
}
/** Return what an answer says is wrong: its first detail, else its message; "" if it has neither. */
function reasonOf(answer) {
    const error = answer.told?.error;
    if (typeof error?.message !== "string")
        return "";
    const first = Array.isArray(error.details) ? error.details[0] : null;
    const isTold = typeof first?.path === "string" && typeof first.message === "string";
    return isTold ? `${first.path} ${first.message}`.trim() : error.message;
}
function counted(events) {
    return events === 1 ? "1 event" : `${events} events`;
}
/** Return a token if it is one: a promise has none yet, and a header takes not every letter. */
function tokenOf(told) {
    const token = typeof told === "string" ? told.trim() : "";
    if (/[^\x21-\x7e]/.test(token))
        throw new TypeError("no token has such letters");
    return token || null;
}
function number(value) {
    const read = typeof value === "string" && value.trim() ? Number(value) : value;
    if (typeof read !== "number" || !Number.isFinite(read))
        throw new TypeError("no number");
    return read;
}
function parsed(text) {
    try {
        return JSON.parse(text);
    }
    catch {
        return undefined;
    }
}
/** Read an answer, of which nobody needs more than a MB. */
async function textOf(answer) {
    const reader = answer.body?.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (reader) {
        const { done, value } = await reader.read();
        if (done)
            break;
        text += decoder.decode(value, { stream: true });
        if (text.length > ANSWER_BYTES) {
            await reader.cancel();
            break;
        }
    }
    return text;
}
/** Return JSON in ASCII. */
function json(value) {
    const text = JSON.stringify(value, (_, each) => {
        if (typeof each === "number" && !Number.isFinite(each))
            throw new RangeError("no number of JSON");
        return each;
    });
    return text.replace(/[\u007f-\uffff]/g, (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
}
function nameOf(run, first, digits) {
    return `${run}-${String(first).padStart(digits, "0")}.ndjson`;
}
/** Return a UUID of version 7, which sorts by time. */
function newRun() {
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
function shareOf(run) {
    const words = Array.from({ length: 16 }, () => 0);
    const word = (place) => words[place] ?? 0;
    [...run, "\x80"].forEach((letter, place) => {
        words[place >> 2] = word(place >> 2) | (letter.charCodeAt(0) << (24 - 8 * (place & 3)));
    });
    words[15] = 8 * run.length;
    const primes = [];
    for (let each = 2; primes.length < 64; each += 1)
        if (primes.every((prime) => each % prime))
            primes.push(each);
    const bits = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32);
    const turn = (value, by) => (value >>> by) | (value << (32 - by));
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
