package com.playsmart.gateway;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Logger;
import java.util.regex.Pattern;

/** The files in a folder, of which one is written. For one thread at a time. */
final class EventQueue {
    private static final int FILE_EVENTS = 100, FILE_BYTES = 48000, LOOK_BYTES = 1000000;
    private static final int REJECTED_FILES = 100, RUN_LENGTH = 36;
    private static final long MAX_FILE_BYTES = 10485760; // so large is none of ours
    private static final Pattern NAME =
            Pattern.compile("[0-9a-f-]{36}-[0-9]{8,18}\\.ndjson(\\.tmp)?");
    private static final boolean IS_WINDOWS = File.separatorChar == '\\';
    private static final Logger LOG = Logger.getLogger("playsmart_client");
    private static final SecureRandom CHANCE = new SecureRandom();

    /**
     * The files that somebody in this process writes. A lock tells other processes alone, and all
     * of this process' locks on a file end when any stream of it is closed: so it is not opened.
     */
    private static final Set<File> WRITTEN =
            Collections.newSetFromMap(new ConcurrentHashMap<File, Boolean>());

    /** A file: the events {@code first}, {@code first + 1} ... of a run, and the head of all. */
    static final class Segment {
        final File file;
        final String run;
        final long first;
        final Map<String, Object> head;

        /** A byte is a character. */
        final List<String> lines;

        private Segment(
                File file, String run, long first, Map<String, Object> head, List<String> lines) {
            this.file = file;
            this.run = run;
            this.first = first;
            this.head = head;
            this.lines = lines;
        }

        String player() {
            return (String) head.get("user_id");
        }
    }

    final File folder;
    String run = "";
    private String head = "";
    private long next;
    private File file; // null if none is written
    private FileOutputStream out;
    private int events, bytes;
    private long room, most;

    EventQueue(File folder) {
        this.folder = folder.getAbsoluteFile();
    }

    /** Begins a run: numbers from 0, under a name that nobody else has. */
    void begin(Map<String, Object> head) {
        close();
        run = newRun();
        this.head = Json.write(head) + "\n";
        next = 0;
    }

    /** Writes one event in one write. If that fails its number is used: the loss is seen. */
    void append(String line, long mostBytes) throws IOException {
        if (events >= FILE_EVENTS || bytes + line.length() > FILE_BYTES) close();
        long number = next++;
        if (file == null) {
            int wanted = Math.max(FILE_BYTES, head.length() + line.length());
            if (room < wanted || most != mostBytes) bound(mostBytes, wanted);
            room -= wanted;
            File begun = named(run, number);
            out = create(begun, head + line);
            file = begun;
        } else {
            try {
                out.write(line.getBytes(StandardCharsets.ISO_8859_1));
            } catch (IOException full) {
                close(); // what was torn is the last line of its file
                throw full;
            }
        }
        events++;
        bytes += line.length();
    }

    /** Ends the file that is being written, so that it can be sent. */
    void close() {
        if (file == null) return;
        if (!file.exists())
            LOG.warning(file.getName() + " was deleted, with " + counted(events));
        finish(file, out);
        file = null;
        events = bytes = 0;
    }

    static String counted(int events) {
        return events == 1 ? "1 event" : events + " events";
    }

    /** Ends the file that is being written, if somebody deleted it. */
    void closeIfDeleted() {
        if (file != null && !file.exists()) close();
    }

    /** Returns the files to be sent, oldest first. */
    List<File> closed() {
        List<File> closed = new ArrayList<File>();
        for (File each : files(folder)) {
            if (each.getName().endsWith(".ndjson") && !each.equals(file)) closed.add(each);
        }
        return closed;
    }

    /** Returns how many events wait, but for what others write. */
    int count() throws IOException {
        int count = events;
        for (File each : closed()) {
            String text = WRITTEN.contains(each) ? null : text(each);
            if (text != null) count += Math.max(0, text.split("\n", -1).length - 2);
        }
        return count;
    }

    /** Returns a file; null if it is gone, somebody writes it, or it is none and was set aside. */
    Segment read(File file) throws IOException {
        if (WRITTEN.contains(file)) return null;
        String name = file.getName(), text = file.length() > MAX_FILE_BYTES ? "" : text(file);
        if (text == null) return null;
        try {
            String[] lines = text.split("\n", -1); // what is behind the last was torn by a kill
            byte[] top = lines[0].getBytes(StandardCharsets.ISO_8859_1);
            @SuppressWarnings("unchecked")
            Map<String, Object> head =
                    (Map<String, Object>) Json.read(new String(top, StandardCharsets.UTF_8));
            long first = Long.parseLong(name.substring(RUN_LENGTH + 1, name.indexOf('.')));
            List<String> events = Arrays.asList(lines).subList(1, lines.length - 1);
            String run = name.substring(0, RUN_LENGTH);
            Segment segment = new Segment(file, run, first, head, events);
            if (!segment.player().isEmpty() && !events.isEmpty()) return segment;
        } catch (RuntimeException unreadable) { // and to be set aside
        }
        LOG.warning(name + " cannot be read, and is set aside");
        setAside(file);
        return null;
    }

    /** Cuts a file in two. First the copy: a kill in between leaves a repeat, and no hole. */
    List<File> halve(Segment segment) throws IOException {
        if (!segment.file.exists()) return Collections.emptyList(); // who opted out meanwhile
        int middle = segment.lines.size() / 2;
        File[] halves = new File[2];
        for (int half = 1; half >= 0; half--) {
            int from = half * middle, to = half == 0 ? middle : segment.lines.size();
            StringBuilder content = new StringBuilder(Json.write(segment.head)).append('\n');
            for (String line : segment.lines.subList(from, to)) content.append(line).append('\n');
            halves[half] = named(segment.run, segment.first + from);
            finish(halves[half], create(halves[half], content.toString()));
        }
        return Arrays.asList(halves);
    }

    /** Keeps what will never be taken, for somebody to look at. */
    void setAside(File file) throws IOException {
        File aside = new File(folder, "rejected"), there = new File(aside, file.getName());
        aside.mkdir();
        if (IS_WINDOWS) there.delete();
        if (!file.renameTo(there)) throw new IOException("it cannot be set aside");
        List<File> all = files(aside);
        for (File each : all.subList(0, Math.max(0, all.size() - REJECTED_FILES))) each.delete();
    }

    /** Deletes a file that is there. */
    void delete(File file) throws IOException {
        if (!file.delete() && file.exists()) throw new IOException("it cannot be deleted");
    }

    /** Deletes all events; returns whether none is left. */
    boolean clear() {
        close();
        List<File> all = files(folder);
        all.addAll(files(new File(folder, "rejected")));
        boolean isClear = true;
        for (File each : all) isClear &= each.delete() || !each.exists();
        return isClear;
    }

    /** Makes the folder, for its owner alone. */
    void makeFolder() {
        if (!folder.mkdirs()) return;
        folder.setReadable(false, false);
        folder.setWritable(false, false);
        folder.setExecutable(false, false);
        folder.setReadable(true, true);
        folder.setWritable(true, true);
        folder.setExecutable(true, true);
    }

    /** Returns the queue's files in a folder, oldest first; a pipe of such a name is none. */
    private static List<File> files(File folder) {
        List<File> files = new ArrayList<File>();
        String[] names = folder.list();
        if (names == null) return files;
        Arrays.sort(names);
        for (String name : names) {
            File file = new File(folder, name);
            if (NAME.matcher(name).matches() && file.isFile()) files.add(file);
        }
        return files;
    }

    private File named(String run, long first) {
        String digits = Long.toString(first); // no format, which has digits of the phone's language
        String zeros = "00000000".substring(Math.min(8, digits.length()));
        return new File(folder, run + "-" + zeros + digits + ".ndjson");
    }

    /** Writes a file that is there whole or not at all; returns what writes on. */
    private FileOutputStream create(File file, String content) throws IOException {
        makeFolder();
        // Windows renames no open file, and deletes none either
        File begun = IS_WINDOWS ? file : new File(file.getPath() + ".tmp");
        if (!IS_WINDOWS) begun.delete(); // it may be a pipe
        FileOutputStream out = new FileOutputStream(begun);
        WRITTEN.add(file);
        try {
            isLocked(out.getChannel(), false); // no other process sends it yet
            out.write(content.getBytes(StandardCharsets.ISO_8859_1));
            if (begun != file && !begun.renameTo(file))
                throw new IOException("it cannot be renamed");
            return out;
        } catch (IOException full) {
            finish(file, out);
            begun.delete();
            throw full;
        }
    }

    private static void finish(File file, FileOutputStream out) {
        try {
            out.close();
        } catch (IOException closed) { // as well as it can be
        }
        WRITTEN.remove(file);
    }

    /** Returns what is in a file; null if it is gone, or another process writes it. */
    private static String text(File file) throws IOException {
        try (FileInputStream in = new FileInputStream(file)) {
            if (isLocked(in.getChannel(), true)) return null;
            byte[] content = Http.readAll(in, (int) MAX_FILE_BYTES);
            return new String(content, StandardCharsets.ISO_8859_1);
        } catch (FileNotFoundException gone) {
            if (file.exists()) throw gone;
            return null;
        }
    }

    /** Locks a file until it is closed; returns whether another process has done so. */
    private static boolean isLocked(FileChannel channel, boolean isShared) {
        try {
            return channel.tryLock(0, Long.MAX_VALUE, isShared) == null;
        } catch (OverlappingFileLockException ours) {
            return true;
        } catch (IOException noLocks) { // then processes cannot share a folder, and nobody does
            return false;
        }
    }

    /** Deletes the oldest files until there is room; looks again after a MB, there may be more. */
    private void bound(long mostBytes, long wanted) {
        List<File> files = files(folder);
        long total = 0;
        for (File each : files) total += each.length();
        for (File each : files) {
            if (total <= mostBytes - wanted) break;
            long size = each.length();
            LOG.warning("the queue is full: " + each.getName() + " is lost");
            if (each.delete()) total -= size;
        }
        room = Math.min(mostBytes - total, LOOK_BYTES);
        most = mostBytes;
    }

    /** Returns a UUID of version 7, which sorts by time. */
    private static String newRun() {
        long high = System.currentTimeMillis() << 16 | 7 << 12 | CHANCE.nextInt(1 << 12);
        long low = CHANCE.nextLong() >>> 2 | 1L << 63;
        return new java.util.UUID(high, low).toString();
    }
}
