package com.playsmart.gateway;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;

/** Asks a gateway, one question at a time. */
final class Http {
    private static final int MAX_ANSWER_BYTES = 1000000, GZIP_FROM_BYTES = 1000;
    private static final long HOUR_MILLIS = 3600000;

    /** What came back: status 0 for nothing whole. */
    static final class Answer {
        int status;

        /** What its JSON says; null if it is none, as the login page of a hotel. */
        Object told;

        /** What Retry-After says, at most an hour; -1 if it says nothing. */
        long waitMillis = -1;

        /** The gateway's clock; 0 if it says nothing. */
        long date;

        Object get(String key) {
            return field(told, key);
        }

        /** Returns what it says is wrong: its first detail, else its message; "" if neither. */
        String reason() {
            Object message = field(get("error"), "message");
            Object details = field(get("error"), "details");
            boolean hasFirst = details instanceof List && !((List<?>) details).isEmpty();
            Object first = hasFirst ? ((List<?>) details).get(0) : null;
            Object path = field(first, "path"), rule = field(first, "message");
            if (!(message instanceof String)) return "";
            boolean isTold = path instanceof String && rule instanceof String;
            return isTold ? (path + " " + rule).trim() : (String) message;
        }

        private static Object field(Object of, String key) {
            return of instanceof Map ? ((Map<?, ?>) of).get(key) : null;
        }
    }

    private final String base;

    /**
     * @throws IllegalArgumentException it is no address of a gateway, as {@code https://host/path}
     */
    Http(String url) {
        String wanted = "it takes a URL as https://host or http://host:port/path";
        try {
            URL parsed = new URL(url);
            boolean isOne = parsed.getProtocol().matches("https?") && !parsed.getHost().isEmpty();
            if (!isOne || parsed.getPort() > 65535 || !url.matches("[!-~&&[^?#]]+")) {
                throw new IllegalArgumentException(wanted);
            }
        } catch (MalformedURLException malformed) {
            throw new IllegalArgumentException(wanted);
        }
        base = url.replaceFirst("/$", "").replaceFirst("/ingest/events$", "");
    }

    /** Gets {@code path}, or posts {@code body} if it is not null; waits so long and no longer. */
    Answer exchange(String path, String body, String token, boolean gzip, long millis)
            throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(base + path).openConnection();
        connection.setConnectTimeout((int) millis);
        connection.setReadTimeout((int) millis);
        // a thread of its own: names are looked up, and drops of an answer read, for any time
        FutureTask<Answer> task = new FutureTask<>(() -> talk(connection, body, token, gzip));
        daemon("playsmart-request", task).start();
        try {
            return task.get(millis, TimeUnit.MILLISECONDS);
        } catch (ExecutionException failed) {
            connection.disconnect();
            return new Answer();
        } catch (InterruptedException early) {
            Thread.currentThread().interrupt();
        } catch (TimeoutException silent) { // and so given up
        }
        task.cancel(true);
        daemon("playsmart-hang-up", connection::disconnect).start(); // it may wait for a read
        return new Answer();
    }

    static Thread daemon(String name, Runnable runnable) {
        Thread thread = new Thread(runnable, name);
        thread.setDaemon(true);
        return thread;
    }

    private static Answer talk(
            HttpURLConnection connection, String body, String token, boolean gzip)
            throws IOException {
        connection.setInstanceFollowRedirects(false); // they would take the token along
        connection.setUseCaches(false);
        if (body != null) {
            byte[] content = body.getBytes(StandardCharsets.ISO_8859_1);
            connection.setRequestMethod("POST");
            connection.setRequestProperty("Content-Type", "application/json");
            connection.setRequestProperty("Authorization", "Bearer " + token);
            if (gzip && content.length > GZIP_FROM_BYTES) {
                connection.setRequestProperty("Content-Encoding", "gzip");
                content = packed(content);
            }
            connection.setDoOutput(true);
            connection.setFixedLengthStreamingMode(content.length); // else it sends twice by itself
            OutputStream out = connection.getOutputStream();
            out.write(content);
            out.close();
        }
        Answer answer = new Answer();
        answer.status = connection.getResponseCode();
        answer.date = connection.getHeaderFieldDate("Date", 0);
        String after = connection.getHeaderField("Retry-After");
        if (after != null && after.matches("[0-9]+")) {
            boolean isLong = after.length() > 9;
            answer.waitMillis =
                    isLong ? HOUR_MILLIS : Math.min(HOUR_MILLIS, Long.parseLong(after) * 1000);
        }
        boolean isRefused = answer.status >= 400;
        InputStream in = isRefused ? connection.getErrorStream() : connection.getInputStream();
        if (in != null) answer.told = read(in, connection.getContentLength());
        return answer;
    }

    private static Object read(InputStream in, int length) throws IOException {
        try {
            byte[] content = readAll(in, MAX_ANSWER_BYTES);
            if (content.length < Math.min(length, MAX_ANSWER_BYTES)) throw new EOFException();
            return Json.read(new String(content, StandardCharsets.UTF_8));
        } catch (IllegalArgumentException notJson) {
            return null;
        } finally {
            in.close();
        }
    }

    /** Reads to the end, or so much of it, or until it is interrupted. */
    static byte[] readAll(InputStream in, int atMost) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] part = new byte[8192];
        for (int count; all.size() < atMost && (count = in.read(part)) > 0; ) {
            all.write(part, 0, count);
            if (Thread.currentThread().isInterrupted()) throw new InterruptedIOException();
        }
        return all.toByteArray();
    }

    private static byte[] packed(byte[] content) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream(content.length / 4);
        GZIPOutputStream gzip =
                new GZIPOutputStream(packed) {
                    {
                        def.setLevel(Deflater.BEST_SPEED);
                    }
                };
        gzip.write(content);
        gzip.close();
        return packed.toByteArray();
    }
}
