package com.playsmart.gateway;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TimeZone;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Tracks events of a player, and sends them and what is left of earlier runs to a PlaySmart
 * gateway.
 *
 * <p>{@link #track} writes an event to a file and returns; a thread sends the files. So a game that
 * is killed or offline loses nothing, and each event is stored once: a request names the run that
 * tracked its events (one life of a process) and the number of the first, and what comes twice is
 * known. Tokens are never written or logged. Any thread may call its methods, and none throws; the
 * constructor alone does.
 */
public final class PlaySmartClient {
    public static final String VERSION = "1.0.0";

    private static final int FLUSH_EVENTS = 50, REASON_CHARACTERS = 200;
    private static final long CLOCK_MILLIS = 60000, HOUR_MILLIS = 3600000;
    private static final long FRONT_MILLIS = 60000, BACKGROUND_MILLIS = 900000;
    private static final Random CHANCE = new Random();
    private static final Logger LOG = Logger.getLogger("playsmart_client");

    /** Knows tokens. */
    public interface Tokens {
        /**
         * Returns a token of a player, null if there is none. It is asked at first, and when the
         * gateway has refused the last; on the thread that sends, so it may take its time.
         */
        String token(String userId) throws Exception;
    }

    /** The time in milliseconds: of the day, and one that only goes forward. */
    public static class Clock {
        /** Returns what the phone shows. */
        public long wall() {
            return System.currentTimeMillis();
        }

        /** Returns what nobody can set. It should go on while the phone sleeps. */
        public long monotonic() {
            return System.nanoTime() / 1000000;
        }
    }

    /** What is seldom another. */
    public static final class Options {
        /** The version of the game. */
        public String appVersion = "";

        public String platform = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);

        /** Without a thread nothing is sent but by {@link #flush}. */
        public boolean hasThread = true;

        public Clock clock = new Clock();

        /** How long one answer may take. */
        public long answerMillis = 15000;

        /** By which pauses after failures are divided: a test has no time. */
        public double hurry = 1;
    }

    /** What a flush has done. */
    public static final class Flushed {
        /** Events that the gateway took. */
        public final int sent;

        /** The gateway's last status; 0 if it was not asked, or is silent. */
        public final int status;

        private Flushed(int sent, int status) {
            this.sent = sent;
            this.status = status;
        }
    }

    private final Object lock = new Object(), sending = new Object();
    private final Http http;
    private final Tokens tokenOf;
    private final Options options;
    private final Clock clock;
    final EventQueue queue;
    private final Map<String, Object> head = new LinkedHashMap<>();
    private final SimpleDateFormat format;
    private final Semaphore wake = new Semaphore(0);
    private Thread thread;

    // with lock
    private int fresh;
    private long drift;
    private double share;
    private volatile boolean isOptedOut;
    private volatile long mostPause = FRONT_MILLIS;
    private volatile boolean isEnding;

    // with sending
    private volatile Settings settings = new Settings();
    private final Map<String, String> tokens = new HashMap<>();
    private final Map<String, Refusal> refused = new HashMap<>();
    private final Set<String> askedInVain = new HashSet<>();
    private final Map<File, Http.Answer> answered =
            new HashMap<>(); // the disk did not let it settle
    private int failures;
    private long quietUntil = Long.MIN_VALUE, settingsDue = Long.MIN_VALUE;
    private volatile Long serverAhead;

    /** The token that was refused last, null after two; and until when it is not tried again. */
    private static final class Refusal {
        final String token;
        final long until;

        Refusal(String token, long until) {
            this.token = token;
            this.until = until;
        }
    }

    /** As below, with options as they are. */
    public PlaySmartClient(String url, File folder, String userId, String gameId, Tokens tokens) {
        this(url, folder, userId, gameId, tokens, new Options());
    }

    /**
     * Begins a run, and sends what is left of others.
     *
     * @param url of the gateway, {@code https://host}
     * @param folder of the game's own, for what waits; it need not be there
     * @throws IllegalArgumentException the url is none, or an id is missing
     */
    public PlaySmartClient(
            String url, File folder, String userId, String gameId, Tokens tokens, Options options) {
        http = new Http(url);
        if (isMissing(userId) || isMissing(gameId)) {
            throw new IllegalArgumentException("whose events are they, and of which game?");
        }
        tokenOf = tokens;
        this.options = options;
        clock = options.clock;
        format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        Map<String, Object> program = new LinkedHashMap<>();
        program.put("name", "playsmart-java");
        program.put("version", VERSION);
        program.put("platform", options.platform);
        if (!options.appVersion.isEmpty()) program.put("app_version", options.appVersion);
        head.put("user_id", userId);
        head.put("game_id", gameId);
        head.put("client", program);
        queue = new EventQueue(folder);
        isOptedOut = optedOutFile().exists();
        begin();
        if (!options.hasThread) return;
        thread = Http.daemon("playsmart-client", this::work);
        thread.start();
    }

    /** Keeps an event that has no data. */
    public void track(String type) {
        track(type, null, null);
    }

    /** Keeps an event: its type, and its data of maps, lists, texts, numbers, booleans and null. */
    public void track(String type, Map<String, ?> data) {
        track(type, data, null);
    }

    /**
     * Keeps an event; {@code name} is its own if it is {@code Custom}. It writes and returns. What
     * is no JSON, or does not get on the disk, is dropped with a line in the log.
     */
    public void track(String type, Map<String, ?> data, String name) {
        try {
            Map<String, Object> event = new LinkedHashMap<>();
            event.put("type", type);
            event.put("timestamp", now());
            if (data != null && !data.isEmpty()) event.put("customdata", data);
            if (name != null) event.put("customEventName", name);
            String line = Json.write(event) + "\n";
            Settings now = settings;
            synchronized (lock) {
                long drifted = clock.wall() - clock.monotonic() - drift;
                if (Math.abs(drifted) > CLOCK_MILLIS) begin();
                if (isOptedOut || share >= now.share(type, name)) return;
                mostPause = FRONT_MILLIS;
                fresh++;
                queue.append(line, now.maxQueueBytes);
                if (fresh >= FLUSH_EVENTS) wake.release();
            }
        } catch (Throwable error) {
            warn("an event is lost", error);
        }
    }

    /** Sends what waits, oldest first, unless the gateway said to wait; it may take its time. */
    public Flushed flush() {
        synchronized (sending) {
            int[] done = {0, 0};
            try {
                flush(done);
            } catch (Throwable error) {
                warn("nothing is sent", error);
            }
            return new Flushed(done[0], done[1]);
        }
    }

    /** Sends what waits, as the game may end; until it tracks again, tries less often. */
    public void background() {
        mostPause = BACKGROUND_MILLIS;
        if (thread == null) {
            flush();
        } else {
            wake.release();
        }
    }

    /** Sends what waits and ends; what takes longer than that is sent at the next start. */
    public void close(long millis) {
        isEnding = true;
        background();
        try {
            if (thread != null) thread.join(Math.max(1, millis));
        } catch (InterruptedException early) {
            Thread.currentThread().interrupt();
        }
        synchronized (lock) {
            queue.close();
        }
    }

    /** Tracks for another player. What the last one did is sent with their own token only. */
    public void changePlayer(String userId) {
        if (isMissing(userId)) {
            LOG.warning("the player stays, as no other is named");
            return;
        }
        synchronized (lock) {
            head.put("user_id", userId);
            begin();
        }
    }

    /** Deletes what waits, and keeps and sends nothing more, also after a restart. */
    public void optOut() {
        synchronized (lock) {
            isOptedOut = true;
            try {
                queue.makeFolder();
                optedOutFile().createNewFile();
            } catch (Throwable error) {
                warn("the opt-out holds until a restart", error);
            }
            if (!queue.clear()) LOG.warning("not all is deleted");
        }
    }

    /** Tracks again, in a new run. */
    public void optIn() {
        synchronized (lock) {
            if (!optedOutFile().delete() && optedOutFile().exists()) {
                LOG.warning("still opted out");
                return;
            }
            isOptedOut = false;
            begin();
        }
    }

    /** Whether the player has opted out. */
    public boolean isOptedOut() {
        return isOptedOut;
    }

    /** Returns the gateway's time, to a second; null before its first answer. */
    public Date serverTime() {
        Long ahead = serverAhead;
        return ahead == null ? null : new Date(clock.monotonic() + ahead);
    }

    /** Whether the gateway wants something to be sent. */
    boolean isEnabled() {
        return settings.isEnabled;
    }

    /** Returns how many events wait. */
    int queued() throws IOException {
        synchronized (lock) {
            return queue.count();
        }
    }

    /** Returns the run of what is tracked now. */
    String run() {
        synchronized (lock) {
            return queue.run;
        }
    }

    private File optedOutFile() {
        return new File(queue.folder, "opted-out");
    }

    private void begin() {
        queue.begin(head);
        fresh = 0;
        drift = clock.wall() - clock.monotonic();
        share = shareOf(queue.run);
    }

    private void work() {
        for (boolean isLast = false; !isLast; ) {
            isLast = isEnding;
            flush();
            long quiet = quietUntil - clock.monotonic();
            boolean waits = quietUntil != Long.MIN_VALUE && quiet > 0;
            try {
                if (isLast || isEnding) continue;
                wake.tryAcquire(waits ? quiet : settings.flushMillis, TimeUnit.MILLISECONDS);
                wake.drainPermits();
            } catch (InterruptedException nobodyDoes) {
                return;
            }
        }
    }

    /** Notes in {@code done} how many events are sent, and the last status. */
    private void flush(int[] done) throws IOException {
        askedInVain.clear();
        synchronized (lock) {
            fresh = 0;
            queue.closeIfDeleted();
        }
        if (isOptedOut || clock.monotonic() < quietUntil) return;
        refreshSettings();
        Set<File> seen = new HashSet<>();
        for (int round = 0; round < 2; round++) { // no more: meanwhile the game may track on and on
            if (!settings.isEnabled) return;
            LinkedList<File> waiting = new LinkedList<>();
            synchronized (lock) {
                if (round == 1) queue.close(); // the file that is written comes last
                for (File each : queue.closed()) if (seen.add(each)) waiting.add(each);
            }
            while (!waiting.isEmpty()) {
                File file = waiting.removeFirst();
                List<File> again = new ArrayList<>();
                try {
                    if (!send(file, again, done)) return;
                } catch (Throwable error) {
                    warn(file.getName() + " is left for later", error);
                }
                waiting.addAll(0, again);
            }
        }
    }

    /** Sends a file and adds those to go on with to {@code again}; returns whether to go on. */
    private boolean send(File file, List<File> again, int[] done) throws Exception {
        EventQueue.Segment segment;
        synchronized (lock) {
            segment = queue.read(file);
        }
        Http.Answer answer = answered.remove(file);
        String token = segment == null || answer != null ? "" : token(segment.player());
        if (segment == null || token == null) return true;
        if (isOptedOut || !file.exists()) return true; // while a token was awaited
        if (answer == null) answer = post(segment, token);
        String what;
        boolean isKept = false;
        synchronized (lock) {
            try {
                what = settle(segment, token, answer, again);
            } catch (IOException disk) { // later, and it is sent no second time
                answered.put(file, answer);
                what = "the disk refuses, " + settle(segment, token, new Http.Answer(), again);
                again.clear();
                isKept = true;
            }
        }
        int count = segment.lines.size();
        boolean isAside = what.equals("set aside"), isBad = isKept || isAside;
        String told = EventQueue.counted(count) + ": " + answer.status + ", " + what;
        if (isAside) told += why(answer);
        LOG.log(isBad ? Level.WARNING : Level.FINE, file.getName() + ", " + told);
        if (what.equals("stored")) done[0] += count;
        done[1] = answer.status;
        return isKept || !what.startsWith("kept"); // what is younger does not overtake it
    }

    /** Does with a file what its answer says, and returns what. */
    private String settle(
            EventQueue.Segment segment, String token, Http.Answer answer, List<File> again)
            throws IOException {
        int status = answer.status;
        String player = segment.player();
        if (isOptedOut) return "deleted";
        if (status == 202 && Boolean.TRUE.equals(answer.get("success"))) {
            refused.remove(player);
            queue.delete(segment.file);
            failures = 0;
            return "stored";
        }
        if (status == 413 || (status == 400 || status == 422) && answer.get("error") != null) {
            if (segment.lines.size() > 1) {
                again.addAll(queue.halve(segment));
                return "halved";
            }
            queue.setAside(segment.file);
            return "set aside";
        }
        if (status == 415 && settings.hasGzip) {
            settings = settings.plain();
            again.add(segment.file);
            return "once more, as it is";
        }
        failures = Math.min(failures + 1, 16);
        double most = Math.min(mostPause, (1 << failures) * 1000.0) / options.hurry;
        long pause = (long) (CHANCE.nextDouble() * most);
        if (status == 401 || status == 403) {
            Refusal before = refused.get(player); // a second one: wait with any
            boolean isFirst = before == null || token.equals(before.token);
            refused.put(player, new Refusal(isFirst ? token : null, clock.monotonic() + pause));
            tokens.remove(player);
            again.add(segment.file);
            return "waits for another token";
        }
        if (status == 404 || status == 405 || status == 410 || status == 415) {
            pause = HOUR_MILLIS;
        } else if (answer.waitMillis >= 0) {
            pause = answer.waitMillis;
        }
        quietUntil = clock.monotonic() + pause;
        return "kept, next try in " + pause + " ms";
    }

    /** Returns what goes behind "set aside" in the log: no token, whatever an answer repeats. */
    private String why(Http.Answer answer) {
        String reason = answer.reason();
        for (String token : tokens.values()) if (reason.contains(token)) return "";
        if (reason.isEmpty()) return "";
        int end = Math.min(reason.length(), REASON_CHARACTERS);
        return ": " + reason.substring(0, end).replaceAll("[^ -~]+", "?");
    }

    /** Returns a token to try; null if there is none but one that was refused a moment ago. */
    private String token(String player) {
        if (askedInVain.contains(player)) return null;
        Refusal refusal = refused.get(player);
        boolean waits = refusal != null && clock.monotonic() < refusal.until;
        String token = tokens.get(player);
        if (token == null && !(waits && refusal.token == null)) {
            try {
                token = tokenOf.token(player);
            } catch (Throwable error) {
                warn("there is no token", error);
            }
        }
        token = token == null ? "" : token.trim();
        if (!token.matches("[!-~]+") || waits && token.equals(refusal.token)) {
            askedInVain.add(player); // nothing of theirs overtakes what waits
            return null;
        }
        return token;
    }

    private void refreshSettings() throws IOException {
        if (clock.monotonic() < settingsDue) return;
        Http.Answer answer = exchange("/v1/app-settings", null, null);
        if (answer.told == null && answer.status != 404) return;
        settingsDue = clock.monotonic() + HOUR_MILLIS;
        settings = settings.told(answer);
    }

    private Http.Answer post(EventQueue.Segment segment, String token) throws IOException {
        Map<String, Object> head = new LinkedHashMap<>(segment.head);
        head.put("run", segment.run);
        head.put("seq", segment.first);
        if (segment.run.equals(run())) head.put("sent_at", now()); // others had another clock
        StringBuilder body = new StringBuilder(Json.write(head));
        body.setLength(body.length() - 1);
        String before = ",\"events\":[";
        for (String line : segment.lines) {
            body.append(before).append(line);
            before = ",";
        }
        tokens.put(segment.player(), token);
        return exchange("/ingest/events", body.append("]}").toString(), token);
    }

    private Http.Answer exchange(String path, String body, String token) throws IOException {
        Http.Answer answer =
                http.exchange(path, body, token, settings.hasGzip, options.answerMillis);
        if (answer.date != 0) serverAhead = answer.date - clock.monotonic();
        return answer;
    }

    private static boolean isMissing(String id) {
        return id == null || id.isEmpty();
    }

    private String now() {
        synchronized (format) {
            return format.format(new Date(clock.wall()));
        }
    }

    /** Returns a number from 0 to 1 that is always the same for a run. */
    static double shareOf(String run) {
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256")
                            .digest(run.getBytes(StandardCharsets.UTF_8));
            long first = 0;
            for (int place = 0; place < 4; place++) first = first << 8 | hash[place] & 255;
            return first / 4294967296.0;
        } catch (java.security.NoSuchAlgorithmException noPlatformIsWithout) {
            return 0;
        }
    }

    /** Tells the class alone: what an error says may have a token or an event in it. */
    private static void warn(String what, Throwable error) {
        LOG.warning(what + ": " + error.getClass().getSimpleName());
    }
}
