using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;

namespace PlaySmart {
    /// <summary>A file: the events <c>First</c>, <c>First + 1</c> ... of a run, and who sends them.</summary>
    internal sealed class Segment {
        public string Path, Run, UserId;
        public long First;
        public Dictionary<string, object> Head;
        public byte[] Content;
        /// <summary>Where in the content each line of an event begins, and behind them the end.</summary>
        public List<int> Starts;

        public int Count => Starts.Count - 1;
    }

    /// <summary>The files in a folder, of which one is written. For one thread at a time.</summary>
    /// <remarks>
    /// <c>&lt;run&gt;-&lt;number of the first event&gt;.ndjson</c> has on the first line what a request says
    /// of the player, then an event a line. Names sort by time. A file is there whole or not at all.
    /// </remarks>
    internal sealed class Queue {
        public const int FileEvents = 100, FileBytes = 48000, LookBytes = 1000000, RejectedFiles = 100;
        private const string Ending = ".ndjson", Unfinished = ".tmp";
        private const int RunLength = 36;
        private const long LockedByte = 1L << 40;
        private static readonly HashSet<string> Written = new HashSet<string>();

        public readonly string Folder;
        private readonly Action<string> _warn;
        private byte[] _head;
        private long _next, _room, _most;
        private string _path;
        private FileStream _file;
        private int _events, _bytes;

        public Queue(string folder, Action<string> warn) {
            Folder = Path.GetFullPath(folder);
            _warn = warn;
        }

        public string Run { get; private set; }

        private string Aside => Path.Combine(Folder, "rejected");

        /// <summary>Begin a run: number from 0, under a name that nobody else has.</summary>
        public void Begin(byte[] head) {
            Close();
            Run = NewRun();
            _head = head;
            _next = 0;
        }

        /// <summary>Write one event in one write. If that fails its number is used: the loss is seen.</summary>
        public void Append(byte[] line, long mostBytes) {
            if (_events >= FileEvents || _bytes + line.Length > FileBytes) Close();
            long number = _next++;
            if (_file == null) {
                long room = Math.Max(FileBytes, _head.Length + line.Length);
                if (_room < room || _most != mostBytes) Bound(mostBytes, room);
                _room -= room;
                var content = new byte[_head.Length + line.Length];
                _head.CopyTo(content, 0);
                line.CopyTo(content, _head.Length);
                _path = Name(Run, number);
                lock (Written) {
                    Written.Add(_path); // a lock keeps other processes from it, not this one
                }
                _file = Create(_path, content);
            } else {
                try {
                    _file.Write(line, 0, line.Length);
                    _file.Flush();
                } catch {
                    Close(); // what was torn is the last line of its file
                    throw;
                }
            }
            _events++;
            _bytes += line.Length;
        }

        /// <summary>End the file that is being written, if there is one, so that it can be sent.</summary>
        public void Close() {
            if (_file == null) return;
            FileStream file = _file;
            _file = null;
            _events = _bytes = 0;
            if (!File.Exists(_path)) {
                _warn(Path.GetFileName(_path) + " was deleted by somebody, and its events are lost");
            }
            lock (Written) Written.Remove(_path);
            file.Dispose();
        }

        /// <summary>Count the events that wait; it reads all files.</summary>
        public int Count() {
            int count = _events;
            foreach (string each in Closed()) {
                try {
                    byte[] content = Content(each);
                    count += content == null ? 0 : Math.Max(0, Lines(content).Count - 1);
                } catch (Exception) {
                    // nobody can read it
                }
            }
            return count;
        }

        /// <summary>Begin another file with the next event if nobody could find the one that is written.</summary>
        public void CloseIfDeleted() {
            if (_file != null && !File.Exists(_path)) Close();
        }

        /// <summary>Return the files to be sent, oldest first.</summary>
        public List<string> Closed() {
            List<string> found = Files(Folder);
            found.RemoveAll(each => !each.EndsWith(Ending, StringComparison.Ordinal) || IsWritten(each));
            return found;
        }

        /// <summary>Return a file; null if it is gone, another's, or none and was set aside.</summary>
        public Segment Read(string path) {
            byte[] content = Content(path);
            if (content == null) return null;
            string name = Path.GetFileNameWithoutExtension(path);
            var found = new Segment { Path = path, Run = name.Substring(0, RunLength), Content = content };
            found.First = long.Parse(name.Substring(RunLength + 1), CultureInfo.InvariantCulture);
            found.Starts = Lines(content);
            object head = null;
            if (found.Count > 0 && Json.TryRead(content, found.Starts[0], out head)) {
                found.Head = head as Dictionary<string, object>;
            }
            if (found.Head != null && found.Head.TryGetValue("user_id", out object player)) {
                found.UserId = player as string;
            }
            if (found.UserId != null) return found;
            _warn(name + " cannot be read, and is set aside");
            SetAside(path);
            return null;
        }

        /// <summary>Cut a file in two. First the copy: a kill in between leaves a repeat, and no hole.</summary>
        public List<string> Halve(Segment segment) {
            int middle = segment.Count / 2, begin = segment.Starts[middle], top = segment.Starts[0];
            int size = segment.Starts[segment.Count] - begin;
            var content = new byte[top + size];
            Array.Copy(segment.Content, content, top);
            Array.Copy(segment.Content, begin, content, top, size);
            string second = Name(segment.Run, segment.First + middle);
            File.Delete(second); // where a kill was in between
            Create(second, content).Dispose();
            using (FileStream first = Open(segment.Path, FileMode.Open, FileShare.Read)) {
                first.SetLength(begin);
            }
            return new List<string> { segment.Path, second };
        }

        /// <summary>Keep what will never be taken, for somebody to look at.</summary>
        public void SetAside(string path) {
            Directory.CreateDirectory(Aside);
            string target = Path.Combine(Aside, Path.GetFileName(path));
            File.Delete(target);
            File.Move(path, target);
            List<string> there = Files(Aside);
            for (int place = 0; place < there.Count - RejectedFiles; place++) File.Delete(there[place]);
        }

        /// <summary>Delete all events.</summary>
        public void Clear() {
            Close();
            foreach (string each in Files(Folder)) TryDelete(each);
            foreach (string each in Files(Aside)) TryDelete(each);
        }

        /// <summary>Return where lines end; what a kill tore behind the last one is none.</summary>
        private static List<int> Lines(byte[] content) {
            var found = new List<int>();
            for (int place = 0; (place = Array.IndexOf(content, (byte)'\n', place)) >= 0; ) found.Add(++place);
            return found;
        }

        private static bool IsWritten(string path) {
            lock (Written) return Written.Contains(path);
        }

        private string Name(string run, long first) {
            string number = first.ToString("00000000", CultureInfo.InvariantCulture);
            return Path.Combine(Folder, run + "-" + number + Ending);
        }

        /// <summary>Write a file that is there whole or not at all; return what writes on.</summary>
        private FileStream Create(string path, byte[] content) {
            Directory.CreateDirectory(Folder);
            string begun = path + Unfinished;
            File.Delete(begun);
            FileStream file = Open(begun, FileMode.CreateNew, FileShare.Read | FileShare.Delete);
            try {
                TryLock(file, LockedByte); // no other process sends it yet
                file.Write(content, 0, content.Length);
                file.Flush();
                File.Move(begun, path);
                return file;
            } catch {
                file.Dispose();
                TryDelete(begun);
                throw;
            }
        }

        private byte[] Content(string path) {
            try {
                if (new FileInfo(path).Length == 0) { // or a pipe, which would be waited for
                    return new byte[0];
                }
                using (FileStream file = Open(path, FileMode.Open, FileShare.ReadWrite | FileShare.Delete)) {
                    if (!TryLock(file, LockedByte) && TryLock(file, LockedByte + 1)) {
                        return null; // a process writes it yet: locks work, and this one is taken
                    }
                    var content = new byte[file.Length];
                    int count = 0, more = 1;
                    for (; count < content.Length && more > 0; count += more) {
                        more = file.Read(content, count, content.Length - count);
                    }
                    Array.Resize(ref content, count);
                    return content;
                }
            } catch (UnauthorizedAccessException) {
                return File.ReadAllBytes(path); // where nothing can be written nobody does
            } catch (IOException) {
                return null; // it is gone, or another process has it
            }
        }

        /// <summary>Delete the oldest files until there is room; look again after a MB, there may be more.</summary>
        private void Bound(long mostBytes, long room) {
            long total = 0;
            var sizes = new List<KeyValuePair<string, long>>();
            foreach (string each in Files(Folder)) {
                try {
                    sizes.Add(new KeyValuePair<string, long>(each, new FileInfo(each).Length));
                    total += sizes[sizes.Count - 1].Value;
                } catch (IOException) {
                    // another process has sent it
                }
            }
            foreach (KeyValuePair<string, long> each in sizes) {
                if (total <= mostBytes - room) break;
                if (TryDelete(each.Key)) {
                    _warn("the queue is full: " + Path.GetFileName(each.Key) + " is lost");
                    total -= each.Value;
                }
            }
            _room = Math.Min(mostBytes - total, LookBytes);
            _most = mostBytes;
        }

        private bool TryDelete(string path) {
            try {
                File.Delete(path);
                return true;
            } catch (Exception error) {
                _warn(Path.GetFileName(path) + " is not deleted: " + error.GetType().Name);
                return false;
            }
        }

        private static FileStream Open(string path, FileMode mode, FileShare share) {
            // a buffer of one byte is none: what is written is written at once
            return new FileStream(path, mode, FileAccess.ReadWrite, share, 1);
        }

        /// <summary>Lock a byte far behind all content, so that nobody is kept from reading.</summary>
        private static bool TryLock(FileStream file, long place) {
            try {
                file.Lock(place, 1);
                return true;
            } catch (Exception) {
                return false;
            }
        }

        /// <summary>Return the queue's files in a folder, oldest first, and those that were never finished.</summary>
        private static List<string> Files(string folder) {
            var found = new List<string>();
            if (Directory.Exists(folder)) found.AddRange(Directory.GetFiles(folder));
            found.RemoveAll(each => !IsName(Path.GetFileName(each)));
            found.Sort(StringComparer.Ordinal);
            return found;
        }

        private static bool IsName(string name) {
            int dot = name.IndexOf('.');
            if (dot < RunLength + 9 || dot > RunLength + 18 || name[RunLength] != '-') return false;
            for (int place = 0; place < dot; place++) {
                string allowed = place <= RunLength ? "0123456789abcdef-" : "0123456789";
                if (allowed.IndexOf(name[place]) < 0) return false;
            }
            string ending = name.Substring(dot);
            return ending == Ending || ending == Ending + Unfinished;
        }

        /// <summary>Return a UUID of version 7, which sorts by time.</summary>
        private static string NewRun() {
            TimeSpan since = DateTime.UtcNow - new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
            string time = ((long)since.TotalMilliseconds).ToString("x12", CultureInfo.InvariantCulture);
            string chance = Guid.NewGuid().ToString("N"); // version 4: its 13th and 17th digits are set
            return time.Substring(0, 8) + "-" + time.Substring(8, 4) + "-7" + chance.Substring(0, 3) + "-"
                + chance.Substring(16, 4) + "-" + chance.Substring(20, 12);
        }
    }
}
