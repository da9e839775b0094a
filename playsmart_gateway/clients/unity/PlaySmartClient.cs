using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;

namespace PlaySmart {
    /// <summary>Tracks events of a player, and sends them and what is left of earlier runs in a folder.</summary>
    /// <remarks>
    /// An event is written to a file before anything is sent, so a game that is killed or offline loses
    /// nothing; and each is stored once, as a request names the run that tracked its events (one life of a
    /// process) and the number of the first. No method throws, but for the constructor. Any thread may call.
    /// </remarks>
    public sealed class PlaySmartClient {
        public const string Version = "1.0.0";
        internal const int HourSeconds = 3600;
        private const int FlushEvents = 50, GzipFromBytes = 1000, ClockSeconds = 60, ReasonCharacters = 200;
        private const int FrontSeconds = 60, BackgroundSeconds = 900, MostFailures = 16;
        private static readonly UTF8Encoding Utf8 = new UTF8Encoding(false);

        private readonly object _gate = new object(), _sending = new object();
        private readonly AutoResetEvent _wake = new AutoResetEvent(false);
        private readonly Dictionary<string, string> _tokens = new Dictionary<string, string>();
        private readonly Dictionary<string, Refusal> _refused = new Dictionary<string, Refusal>();
        private readonly Dictionary<string, Answer> _answered = new Dictionary<string, Answer>();
        private readonly HashSet<string> _askedInVain = new HashSet<string>();
        private readonly StringBuilder _text = new StringBuilder();
        private readonly Random _chance = new Random(Guid.NewGuid().GetHashCode());
        private readonly Func<string, string> _askToken;
        private readonly PlaySmartOptions _options;
        private readonly Clock _clock;
        private readonly Http _http;
        private readonly Queue _queue;
        private readonly Thread _thread;
        private readonly string _gameId;
        private string _userId;
        private volatile Settings _settings = new Settings();
        private volatile bool _optedOut = true, _ending;
        private volatile int _fresh, _mostPause = FrontSeconds;
        private int _failures;
        private double _quietUntil = double.NegativeInfinity, _settingsDue = double.NegativeInfinity;
        private double _drift, _share;
        private Tuple<double, double> _ahead; // of the gateway's clock, and of the phone's by then

        private struct Refusal {
            public string Token; // null: any, as a second one was refused, too
            public double Until;
        }

        /// <param name="url">The gateway's, <c>https://events.example.com</c> say.</param>
        /// <param name="folder">Where events wait. The folder is the client's alone.</param>
        /// <param name="token">
        /// Is called with a player's id and returns a token of theirs, null if there is none: then their
        /// events wait. It may take its time; it is called on the thread that sends, at first and when the
        /// gateway has refused the last one.
        /// </param>
        /// <exception cref="ArgumentException">The url is not of http or https; something is missing.</exception>
        public PlaySmartClient(
            string url, string folder, string userId, string gameId, Func<string, string> token,
            PlaySmartOptions options = null) {
            _options = options ?? new PlaySmartOptions();
            if (string.IsNullOrEmpty(folder) || userId == null || gameId == null || token == null) {
                throw new ArgumentException("folder, player, game and token have to be given");
            }
            _http = _options.Http ?? new Http(Base(url));
            _clock = _options.Clock;
            _userId = userId;
            _gameId = gameId;
            _askToken = token;
            _queue = new Queue(folder, Warn);
            Safely("the folder cannot be read", () => _optedOut = File.Exists(OptedOutFile));
            Safely("no run is begun", Begin);
            if (_options.Threaded) {
                _thread = new Thread(Work) { Name = "playsmart-client", IsBackground = true };
                _thread.Start();
            }
        }

        /// <summary>Whether nothing is kept or sent, as the player wants it.</summary>
        public bool OptedOut => _optedOut;

        /// <summary>The gateway's time by its last answer, to a second; null if there was none yet.</summary>
        /// <remarks>Null also when the phone's clock was set since then, or the phone slept for a minute.</remarks>
        public DateTime? ServerTime {
            get {
                Tuple<double, double> ahead = _ahead;
                bool holds = ahead != null && Math.Abs(_clock.Ahead(_clock.Wall()) - ahead.Item2) <= ClockSeconds;
                return holds ? _clock.At(ahead.Item1) : (DateTime?)null;
            }
        }

        internal string UserId => _userId;

        internal string Run => _queue.Run;

        internal bool IsDisabled => !_settings.Enabled;

        private string OptedOutFile => Path.Combine(_queue.Folder, "opted-out");

        /// <summary>Keep an event: its type, its data, and its name if the type is <c>Custom</c>.</summary>
        /// <remarks>What is no JSON, or does not get on the disk, is dropped with a warning.</remarks>
        public void Track(string kind, IDictionary<string, object> data = null, string name = null) {
            Safely("an event is lost", () => Keep(kind, data, name));
            if (_fresh >= FlushEvents) _wake.Set();
        }

        /// <summary>Send what waits, oldest first, unless the gateway said to wait; it may take its time.</summary>
        public PlaySmartFlushed Flush() {
            var done = new PlaySmartFlushed();
            lock (_sending) Safely("nothing is sent", () => Send(ref done));
            return done;
        }

        /// <summary>Send what waits, as the game may end; until it tracks again, try less often.</summary>
        public void Background() {
            _mostPause = BackgroundSeconds;
            if (_options.Threaded) {
                _wake.Set();
            } else {
                Flush();
            }
        }

        /// <summary>Send what waits and end; what takes longer than that is sent at the next start.</summary>
        public void Close(double seconds = 5) {
            _ending = true;
            Background();
            if (_thread != null) _thread.Join(TimeSpan.FromSeconds(seconds));
            Release();
        }

        /// <summary>Track for another player. What the last one did is sent with their own token only.</summary>
        public void ChangePlayer(string userId) {
            lock (_gate) {
                _userId = userId ?? _userId;
                Safely("a file was not closed", Begin);
            }
        }

        /// <summary>Delete what waits, and keep and send nothing more, also after a restart.</summary>
        public void OptOut() {
            lock (_gate) {
                _optedOut = true;
                Safely("the opt-out holds until a restart", () => {
                    Directory.CreateDirectory(_queue.Folder);
                    File.WriteAllBytes(OptedOutFile, new byte[0]);
                });
                Safely("not all is deleted", _queue.Clear);
            }
        }

        /// <summary>Track again, in a new run.</summary>
        public void OptIn() {
            lock (_gate) {
                Safely("still opted out", () => {
                    if (Directory.Exists(_queue.Folder)) File.Delete(OptedOutFile);
                    _optedOut = false;
                    Begin();
                });
            }
        }

        /// <summary>End the file that is being written, and send nothing.</summary>
        internal void Release() {
            lock (_gate) Safely("a file was not closed", _queue.Close);
        }

        /// <summary>Count the events that are kept here.</summary>
        internal int Waiting() {
            lock (_gate) return _queue.Count();
        }

        private static string Base(string url) {
            const string Path = "/ingest/events";
            url = (url ?? "").TrimEnd('/');
            url = url.EndsWith(Path, StringComparison.Ordinal) ? url.Substring(0, url.Length - Path.Length) : url;
            bool isUrl = Uri.TryCreate(url, UriKind.Absolute, out Uri read)
                && (read.Scheme == Uri.UriSchemeHttp || read.Scheme == Uri.UriSchemeHttps)
                && read.Host.Length > 0 && read.UserInfo.Length + read.Query.Length + read.Fragment.Length == 0;
            return isUrl ? url : throw new ArgumentException("the url is not like https://events.example.com", "url");
        }

        private void Begin() {
            _text.Length = 0;
            Json.Write(_text, Head());
            _queue.Begin(Utf8.GetBytes(_text.Append('\n').ToString()));
            _fresh = 0;
            _drift = _clock.Ahead(_clock.Wall());
            using (var sha = new SHA256Managed()) { // by its name it might be stripped
                byte[] hash = sha.ComputeHash(Utf8.GetBytes(_queue.Run));
                _share = ((uint)hash[0] << 24 | (uint)hash[1] << 16 | (uint)hash[2] << 8 | hash[3]) / 4294967296.0;
            }
        }

        private Dictionary<string, object> Head() {
            var client = new Dictionary<string, object> {
                { "name", "playsmart-unity" }, { "version", Version }, { "platform", _options.Platform },
            };
            if (!string.IsNullOrEmpty(_options.AppVersion)) client["app_version"] = _options.AppVersion;
            return new Dictionary<string, object> {
                { "user_id", _userId }, { "game_id", _gameId }, { "client", client },
            };
        }

        private void Keep(string kind, IDictionary<string, object> data, string name) {
            lock (_gate) {
                DateTime now = _clock.Wall();
                if (Math.Abs(_clock.Ahead(now) - _drift) > ClockSeconds) Begin();
                if (_optedOut || _share >= _settings.Share(kind, name)) return;
                _text.Length = 0;
                _text.Append('{');
                WriteField("type", kind);
                WriteField("timestamp", Iso(now));
                if (data != null && data.Count > 0) WriteField("customdata", data);
                if (!string.IsNullOrEmpty(name)) WriteField("customEventName", name);
                byte[] line = Utf8.GetBytes(_text.Append("}\n").ToString());
                _mostPause = FrontSeconds;
                _fresh++;
                _queue.Append(line, _settings.MaxQueueBytes);
            }
        }

        private void WriteField(string name, object value) {
            _text.Append(_text.Length > 1 ? ",\"" : "\"").Append(name).Append("\":");
            Json.Write(_text, value);
        }

        private void Work() {
            for (bool isLast = false; !isLast; ) {
                isLast = _ending;
                Flush();
                double quiet = _quietUntil - _clock.Monotonic();
                double pause = quiet > 0 ? quiet : _settings.FlushSeconds;
                if (!isLast && !_ending) _wake.WaitOne(TimeSpan.FromSeconds(pause));
            }
        }

        private void Send(ref PlaySmartFlushed done) {
            _fresh = 0;
            _askedInVain.Clear();
            lock (_gate) _queue.CloseIfDeleted();
            if (_optedOut || _clock.Monotonic() < _quietUntil) return;
            RefreshSettings();
            var seen = new HashSet<string>();
            for (int pass = 0; pass < 2 && _settings.Enabled; pass++) { // the second one has the open file, too
                var waiting = new Stack<string>();
                lock (_gate) {
                    if (pass == 1) _queue.Close();
                    List<string> closed = _queue.Closed();
                    closed.RemoveAll(path => !seen.Add(path));
                    Push(waiting, closed);
                }
                while (waiting.Count > 0) {
                    string path = waiting.Pop();
                    try {
                        List<string> again = SendFile(path, ref done);
                        if (again == null) return;
                        Push(waiting, again);
                    } catch (Exception error) {
                        Warn(Path.GetFileName(path) + " is left for later: " + error.GetType().Name);
                    }
                }
            }
        }

        private static void Push(Stack<string> waiting, List<string> paths) {
            for (int place = paths.Count - 1; place >= 0; place--) waiting.Push(paths[place]);
        }

        /// <summary>Send a file; return the files to go on with, null to stop.</summary>
        private List<string> SendFile(string path, ref PlaySmartFlushed done) {
            Segment segment;
            lock (_gate) segment = _queue.Read(path);
            bool isAnswered = _answered.TryGetValue(path, out Answer answer);
            _answered.Remove(path);
            string token = segment == null || isAnswered ? null : Token(segment.UserId);
            if (segment == null || (!isAnswered && token == null)) return new List<string>();
            answer = answer ?? Post(segment, token);
            done.Status = answer.Status == 0 ? (int?)null : answer.Status;
            var again = new List<string>();
            string what;
            lock (_gate) {
                try {
                    what = Settle(segment, token, answer, ref again);
                } catch (Exception error) { // of the disk: it is settled later, and not posted again
                    _answered[path] = answer;
                    what = "not done, " + error.GetType().Name;
                    Pause(null);
                }
            }
            if (what == "stored") done.Sent += segment.Count;
            bool isWarning = what == "set aside" || what.StartsWith("not done", StringComparison.Ordinal);
            Say(isWarning ? _options.Warn : _options.Debug, string.Format(CultureInfo.InvariantCulture,
                "{0}, {1}: {2}, {3}{4}", Path.GetFileName(path), Counted(segment.Count), answer.Status, what,
                what == "set aside" ? Why(answer) : ""));
            return again;
        }

        /// <summary>Do with a file what its answer says; return what, and what to go on with.</summary>
        private string Settle(Segment segment, string token, Answer answer, ref List<string> again) {
            string player = segment.UserId;
            int status = answer.Status;
            if (_optedOut) return "deleted";
            if (status == 202 && true.Equals(answer.Says("success"))) {
                _refused.Remove(player);
                File.Delete(segment.Path);
                _failures = 0;
                return "stored";
            }
            if (status == 413 || ((status == 400 || status == 422) && answer.Says("error") != null)) {
                if (segment.Count > 1) {
                    again = _queue.Halve(segment);
                    return "halved";
                }
                _queue.SetAside(segment.Path);
                return "set aside";
            }
            if (status == 415 && _settings.HasGzip) {
                _settings = _settings.WithoutGzip();
                again.Add(segment.Path);
                return "once more, as it is";
            }
            if (status == 401 || status == 403) {
                bool isSame = !_refused.TryGetValue(player, out Refusal before) || before.Token == token;
                double until = _clock.Monotonic() + Longer();
                _refused[player] = new Refusal { Token = isSame ? token : null, Until = until };
                _tokens.Remove(player);
                again.Add(segment.Path);
                return "waits for another token";
            }
            again = null; // what is younger does not overtake it
            bool isWrong = status == 404 || status == 405 || status == 410 || status == 415;
            double pause = Pause(isWrong ? HourSeconds : answer.Wait);
            return string.Format(CultureInfo.InvariantCulture, "kept, next try in {0:0.0} s", pause);
        }

        /// <summary>Return what goes behind "set aside" in the log: no token, whatever an answer repeats.</summary>
        private string Why(Answer answer) {
            string reason = answer.Reason();
            foreach (string token in _tokens.Values) {
                if (reason.Contains(token)) return "";
            }
            if (reason == "") return "";
            reason = reason.Substring(0, Math.Min(reason.Length, ReasonCharacters));
            return ": " + Regex.Replace(reason, "[^ -~]+", "?");
        }

        private static string Counted(int events) {
            return events == 1 ? "1 event" : events.ToString(CultureInfo.InvariantCulture) + " events";
        }

        /// <summary>Return how long to wait after one more failure, in seconds.</summary>
        private double Longer() {
            _failures = Math.Min(_failures + 1, MostFailures);
            return _chance.NextDouble() * Math.Min(_mostPause, Math.Pow(2, _failures)) / _options.Hurry;
        }

        /// <summary>Send nothing for a while, as long as was told; return the seconds.</summary>
        private double Pause(double? told) {
            double longer = Longer();
            double pause = told ?? longer;
            _quietUntil = _clock.Monotonic() + pause;
            return pause;
        }

        /// <summary>Return a token to try; null if there is none but one that was refused a moment ago.</summary>
        private string Token(string player) {
            if (_askedInVain.Contains(player)) return null;
            bool waits = _refused.TryGetValue(player, out Refusal refused) && _clock.Monotonic() < refused.Until;
            if (!_tokens.TryGetValue(player, out string token) && !(waits && refused.Token == null)) {
                Safely("there is no token", () => token = Checked(_askToken(player)));
            }
            if (string.IsNullOrEmpty(token) || (waits && token == refused.Token)) {
                _askedInVain.Add(player); // nothing of theirs overtakes what waits
                return null;
            }
            return token;
        }

        private static string Checked(string token) {
            token = (token ?? "").Trim();
            foreach (char each in token) {
                if (each <= ' ' || each > '~') throw new FormatException("no header can have this token");
            }
            return token;
        }

        private void RefreshSettings() {
            if (_clock.Monotonic() < _settingsDue) return;
            Answer answer = Exchange("GET", "/v1/app-settings", null, null, false);
            if (answer.Told != null || answer.Status == 404) {
                _settingsDue = _clock.Monotonic() + HourSeconds;
                _settings = _settings.By(answer);
            }
        }

        private Answer Post(Segment segment, string token) {
            var head = segment.Head;
            _tokens[segment.UserId] = token;
            head["run"] = segment.Run;
            head["seq"] = segment.First;
            if (segment.Run == _queue.Run) { // of an earlier run the clock may have been another
                head["sent_at"] = Iso(_clock.Wall());
            }
            var text = new StringBuilder();
            Json.Write(text, head);
            text.Length--;
            byte[] top = Utf8.GetBytes(text.Append(",\"events\":[").ToString());
            int first = segment.Starts[0], count = segment.Starts[segment.Count] - first;
            var body = new byte[top.Length + count + 1];
            top.CopyTo(body, 0);
            for (int place = 0; place < count; place++) {
                byte each = segment.Content[first + place];
                body[top.Length + place] = each == '\n' ? (byte)',' : each;
            }
            body[body.Length - 2] = (byte)']';
            body[body.Length - 1] = (byte)'}';
            bool isGzip = _settings.HasGzip && body.Length > GzipFromBytes && TryPack(ref body);
            return Exchange("POST", "/ingest/events", body, token, isGzip);
        }

        private bool TryPack(ref byte[] body) {
            try {
                var packed = new MemoryStream();
                using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, true)) {
                    gzip.Write(body, 0, body.Length);
                }
                body = packed.ToArray();
                return true;
            } catch (Exception) {
                _settings = _settings.WithoutGzip(); // a build without the library
                return false;
            }
        }

        private Answer Exchange(string method, string path, byte[] body, string token, bool isGzip) {
            Answer answer = _http.Exchange(method, path, body, token, isGzip, _options.AnswerSeconds);
            if (answer.Date != null) {
                _ahead = Tuple.Create(_clock.Ahead(answer.Date.Value), _clock.Ahead(_clock.Wall()));
            }
            return answer;
        }

        private static string Iso(DateTime time) {
            return time.ToString("yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fff'Z'", CultureInfo.InvariantCulture);
        }

        /// <summary>Go on, whatever the action throws: the game does.</summary>
        private void Safely(string what, Action action) {
            try {
                action();
            } catch (Exception error) { // what it says may have a token or an event in it
                Warn(what + ": " + error.GetType().Name);
            }
        }

        private void Warn(string line) {
            Say(_options.Warn, line);
        }

        private static void Say(Action<string> to, string line) {
            try {
                to?.Invoke(line);
            } catch (Exception) {
                // nor does the game's own log stop it
            }
        }
    }
}
