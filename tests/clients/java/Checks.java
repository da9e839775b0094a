package com.playsmart.gateway;

import com.sun.net.httpserver.HttpServer;

import java.io.File;
import java.io.FileOutputStream;
import java.io.RandomAccessFile;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.AbstractMap;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** What the client is held to where the conformance cases do not see it; each with a folder. */
final class Checks {
    private static final String STRANGE = "00000000-0000-7000-8000-000000000000-00000000.ndjson";
    private static File base;
    private static File folder;

    interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("probe")) System.exit(isLeftAlone(new File(arguments[1])) ? 0 : 1);
        base = new File(arguments[0]);
        check("what is no JSON is dropped, and the next event is kept", Checks::dropsWhatIsNoJson);
        check("JSON is read as it was written, and nothing else is", Checks::readsJson);
        check("a thread that is interrupted tracks, and stays so", Checks::tracksWhenInterrupted);
        check("threads track at once, and each event has a number", Checks::tracksFromAnyThread);
        check("clients of a process leave each other's open file alone", Checks::sharesAFolder);
        check("an address or an id that is none is told at once", Checks::refusesWhatIsNoAddress);
        check(
                "a file that is too large for a request is set aside",
                Checks::setsAsideWhatIsTooLarge);
        check("a pipe or folder named like a file is none", Checks::readsRegularFiles);
        check("an open file that somebody deletes is begun anew", Checks::noticesWhatIsDeleted);
        check("where no folder can be made the game goes on", Checks::livesWithoutAFolder);
        check(
                "who opts out and in while a batch is under way gets none of it back",
                Checks::keepsNone);
        check("who opts out while a token is awaited sends nothing", Checks::sendsNothingMore);
        check("the thread sends by itself, and the game goes on meanwhile", Checks::sendsByItself);
        check("the share of a run is the same in every language", Checks::hashesRuns);
    }

    private static void dropsWhatIsNoJson() throws Exception {
        PlaySmartClient client = client();
        Map<String, Object> circle = new HashMap<>();
        circle.put("one", circle);
        circle.put("other", circle);
        List<Object> deep = new ArrayList<>();
        for (int depth = 0; depth < 100000; depth++) deep = new ArrayList<>(Arrays.asList(deep));
        Map<String, Object> broken =
                new AbstractMap<String, Object>() {
                    @Override
                    public Set<Entry<String, Object>> entrySet() {
                        throw new StackOverflowError();
                    }
                };
        client.track("AppOpen", circle);
        client.track("AppOpen", broken);
        for (Object each : Arrays.asList(deep, new Object(), 0.0 / 0, Float.POSITIVE_INFINITY)) {
            client.track("AppOpen", Collections.singletonMap("n", each));
        }
        equal(0, client.queued());
        equal(false, folder.exists());
        client.track(
                "AppOpen",
                Collections.singletonMap("n", Arrays.asList(1, 2.5, null, true, "é\ud83d")));
        equal(1, client.queued());
        client.queue.close();
        String line = client.queue.read(client.queue.closed().get(0)).lines.get(0);
        String data = "\"customdata\":{\"n\":[1,2.5,null,true,\"\\u00e9\\ud83d\"]}}";
        equal(data, line.substring(line.indexOf("\"customdata\"")));
    }

    private static void readsJson() {
        for (String text :
                Arrays.asList(
                        "{\"a\":[1,-2.5,true,false,null,\"\\u0000\\\"\\\\\"],\"b\":{}}",
                        "[]",
                        "\"x\"",
                        "0")) {
            equal(text, Json.write(Json.read(text)));
        }
        equal(12.0, Json.read("1.2e1"));
        equal(1e30, Json.read("1000000000000000000000000000000"));
        equal("\b\f\n\r\t/A", Json.read("\"\\b\\f\\n\\r\\t\\/\\u0041\""));
        char[] deep = new char[100000];
        Arrays.fill(deep, '[');
        for (String text :
                Arrays.asList(
                        "",
                        "{",
                        "[1,]",
                        "{\"a\"}",
                        "{a:1}",
                        "NaN",
                        "Infinity",
                        "01",
                        "1.",
                        "+1",
                        "tru",
                        "\"\n\"",
                        "\"\\x\"",
                        "\"\\u12\"",
                        "\"\\u+123\"",
                        "\"",
                        "[] []",
                        "\0",
                        "[]\0",
                        new String(deep))) {
            raises(() -> Json.read(text));
        }
    }

    private static void tracksWhenInterrupted() throws Exception {
        PlaySmartClient client = client();
        Thread.currentThread().interrupt();
        for (int each = 0; each < 250; each++) client.track("AppOpen");
        equal(true, Thread.interrupted());
        equal(250, client.queued());
    }

    private static void tracksFromAnyThread() throws Exception {
        PlaySmartClient client = client();
        List<Thread> threads = new ArrayList<>();
        for (int each = 0; each < 8; each++) {
            int mark = each * 1000;
            threads.add(
                    new Thread(
                            () -> {
                                for (int n = 0; n < 200; n++)
                                    client.track(
                                            "AppOpen", Collections.singletonMap("n", mark + n));
                            }));
        }
        for (Thread each : threads) each.start();
        for (Thread each : threads) each.join();
        client.queue.close();
        Set<Object> marks = new HashSet<>();
        long next = 0;
        for (File each : client.queue.closed()) {
            EventQueue.Segment segment = client.queue.read(each);
            equal(next, segment.first);
            next += segment.lines.size();
            for (String line : segment.lines) {
                marks.add(((Map<?, ?>) ((Map<?, ?>) Json.read(line)).get("customdata")).get("n"));
            }
        }
        equal(1600, marks.size());
        equal(1600L, next);
    }

    private static void sharesAFolder() throws Exception {
        PlaySmartClient one = client(), other = client();
        one.track("AppOpen");
        File open = other.queue.closed().get(0);
        equal(null, other.queue.read(open));
        String java = new File(System.getProperty("java.home"), "bin/java").getPath();
        String classes = System.getProperty("java.class.path"), probe = Checks.class.getName();
        ProcessBuilder process =
                new ProcessBuilder(java, "-cp", classes, probe, "probe", open.getPath());
        equal(0, process.start().waitFor());
        one.track("AppOpen");
        one.queue.close();
        equal(2, other.queue.read(open).lines.size());
    }

    /** Another process: whether it leaves a file to who writes it. */
    private static boolean isLeftAlone(File file) throws Exception {
        folder = file.getParentFile();
        return client().queue.read(file) == null && file.exists();
    }

    private static void refusesWhatIsNoAddress() {
        for (String url :
                Arrays.asList(
                        "",
                        "host",
                        "ftp://host",
                        "http://",
                        "http://[",
                        "http://host:99999",
                        "http://host:x",
                        "http://a b",
                        "https://host?a=b",
                        "https://host#a",
                        "file:///etc",
                        "https://höst")) {
            raises(() -> new Http(url));
        }
        new Http("https://host/path/ingest/events/");
        raises(() -> new PlaySmartClient("https://host", folder, null, "game", player -> null));
        raises(() -> new PlaySmartClient("https://host", folder, "player", "", player -> null));
    }

    private static void setsAsideWhatIsTooLarge() throws Exception {
        PlaySmartClient client = client();
        client.queue.makeFolder();
        File large = new File(folder, STRANGE);
        try (RandomAccessFile file = new RandomAccessFile(large, "rw")) {
            file.setLength(1L << 33);
        }
        equal(null, client.queue.read(large));
        equal(true, new File(new File(folder, "rejected"), STRANGE).isFile());
        client.optOut();
        equal(Arrays.asList("opted-out", "rejected"), names(folder));
        equal(Arrays.asList(), names(new File(folder, "rejected")));
    }

    private static void readsRegularFiles() throws Exception {
        PlaySmartClient client = client();
        client.track("AppOpen");
        equal(true, new File(folder, STRANGE).mkdir());
        String pipe = STRANGE.replace('0', '1');
        equal(0, new ProcessBuilder("mkfifo", new File(folder, pipe).getPath()).start().waitFor());
        client.queue.close();
        equal(1, client.queue.closed().size());
        equal(1, client.queued());
        client.optOut();
        equal(Arrays.asList(STRANGE, pipe, "opted-out"), names(folder));
    }

    private static void noticesWhatIsDeleted() throws Exception {
        PlaySmartClient client = client();
        client.track("AppOpen");
        equal(true, client.queue.closed().isEmpty());
        for (File each : folder.listFiles()) equal(true, each.delete());
        equal(true, folder.delete());
        client.flush();
        client.track("AppOpen");
        client.queue.close();
        equal(1L, client.queue.read(client.queue.closed().get(0)).first);
    }

    private static void livesWithoutAFolder() throws Exception {
        try (FileOutputStream file = new FileOutputStream(folder)) {
            file.write("in the way".getBytes(StandardCharsets.UTF_8));
        }
        PlaySmartClient client = client();
        client.track("AppOpen");
        equal(0, client.flush().sent);
        client.optOut();
        client.changePlayer("another");
        client.optIn();
        client.close(0);
    }

    private static void keepsNone() throws Exception {
        PlaySmartClient client = client();
        client.track("AppOpen");
        client.track("AppOpen");
        client.queue.close();
        EventQueue.Segment underWay = client.queue.read(client.queue.closed().get(0));
        client.optOut();
        client.optIn();
        equal(Arrays.asList(), client.queue.halve(underWay));
        client.changePlayer(null);
        client.track("AppOpen");
        client.queue.close();
        equal("player", client.queue.read(client.queue.closed().get(0)).player());
        equal(1, client.queued());
    }

    private static void sendsNothingMore() throws Exception {
        AtomicInteger requests = new AtomicInteger();
        HttpServer server = server(requests::incrementAndGet);
        PlaySmartClient[] client = new PlaySmartClient[1];
        client[0] =
                new PlaySmartClient(
                        address(server),
                        folder,
                        "player",
                        "game",
                        player -> {
                            client[0].optOut();
                            return "token";
                        },
                        withoutThread());
        client[0].track("AppOpen");
        client[0].flush();
        server.stop(0);
        equal(0, requests.get());
    }

    private static void sendsByItself() throws Exception {
        CountDownLatch asked = new CountDownLatch(1), answers = new CountDownLatch(1);
        HttpServer server =
                server(
                        () -> {
                            asked.countDown();
                            answers.await();
                        });
        PlaySmartClient client =
                new PlaySmartClient(address(server), folder, "player", "game", player -> "token");
        try {
            for (int each = 0; each < 50; each++) client.track("AppOpen");
            equal(true, asked.await(60, TimeUnit.SECONDS));
            for (int each = 0; each < 60; each++) client.track("AppOpen");
            answers.countDown();
            client.close(60000);
            equal(0, client.queued());
        } finally {
            answers.countDown();
            server.stop(0);
        }
    }

    /** Returns a gateway that takes all batches, and does that before. */
    private static HttpServer server(Check before) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext(
                "/",
                exchange -> {
                    boolean isBatch = exchange.getRequestMethod().equals("POST");
                    try {
                        if (isBatch) before.run();
                    } catch (Exception nobodyRaises) {
                        throw new IllegalStateException(nobodyRaises);
                    }
                    byte[] told = (isBatch ? "{\"success\":true}" : "{}").getBytes();
                    exchange.sendResponseHeaders(isBatch ? 202 : 404, told.length);
                    exchange.getResponseBody().write(told);
                    exchange.close();
                });
        server.start();
        return server;
    }

    private static String address(HttpServer server) {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    private static void hashesRuns() {
        equal(
                0.3967,
                Math.round(PlaySmartClient.shareOf("01900000-0000-7000-8000-000000000000") * 1e4)
                        / 1e4);
    }

    private static PlaySmartClient client() {
        return new PlaySmartClient(
                "http://127.0.0.1:9", folder, "player", "game", player -> null, withoutThread());
    }

    private static PlaySmartClient.Options withoutThread() {
        PlaySmartClient.Options options = new PlaySmartClient.Options();
        options.hasThread = false;
        return options;
    }

    private static List<String> names(File folder) {
        String[] names = folder.list();
        Arrays.sort(names);
        return Arrays.asList(names);
    }

    private static void check(String name, Check check) {
        folder = new File(base, Integer.toString(name.hashCode()));
        String verdict = "ok";
        try {
            check.run();
        } catch (Throwable error) {
            verdict = error + " in " + error.getStackTrace()[1];
        }
        System.out.println(name + ": " + verdict);
    }

    private static void raises(Check check) {
        try {
            check.run();
        } catch (IllegalArgumentException told) {
            return;
        } catch (Exception other) {
            throw new AssertionError(other.toString());
        }
        throw new AssertionError("it was taken");
    }

    private static void equal(Object wanted, Object came) {
        if (!Objects.equals(wanted, came))
            throw new AssertionError("not " + wanted + " but " + came);
    }
}
