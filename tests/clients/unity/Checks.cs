// What the client for Unity is held to where the conformance cases do not see it. Each check has a folder of its own.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Reflection;
using System.Text;
using System.Threading;
using UnityEngine;

namespace PlaySmart {
    internal sealed class FakeHttp : Http {
        public readonly List<string> Bodies = new List<string>(), Tokens = new List<string>();
        public Func<Answer> Script = Taken;
        public Answer Asked;
        public int Settings;

        public FakeHttp() : base("") { }

        public static Answer Taken() {
            return Told(202, "success", true);
        }

        public static Answer Told(int status, string key, object value) {
            return new Answer { Status = status, Told = new Dictionary<string, object> { { key, value } } };
        }

        public override Answer Exchange(
            string method, string path, byte[] body, string token, bool isGzip, double seconds) {
            if (method == "GET") {
                Settings++;
                return Asked ?? new Answer { Status = 404 };
            }
            lock (Bodies) {
                Bodies.Add(Encoding.UTF8.GetString(body));
                Tokens.Add(token);
            }
            return Script();
        }

        public int Count {
            get { lock (Bodies) return Bodies.Count; }
        }
    }

    internal sealed class SetClock : Clock {
        public DateTime Now = new DateTime(2026, 4, 22, 14, 30, 0, 250, DateTimeKind.Utc);

        public override DateTime Wall() => Now;
    }

    internal static class Checks {
        private const BindingFlags Any = BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static;
        private static string _folder;
        private static FakeHttp _http;
        private static List<string> _log;
        private static PlaySmartOptions _options;
        private static readonly string Strange = new string('0', 36) + "-00000000.ndjson";

        private static void Main(string[] arguments) {
            Check("text, numbers and lists are written as JSON has them", WritesJson);
            Check("what JSON has not is refused, and a dictionary in itself too", RefusesJson);
            Check("JSON is read, and what is none is not", ReadsJson);
            Check("in Turkish and Arabic times, numbers and names of files are as ever", IsOfNoCulture);
            Check("an address that is none of a gateway is refused at once", RefusesAddresses);
            Check("what is no JSON is dropped, uses no number and does not throw", DropsWhatIsNoJson);
            Check("a token that no header can have is none, and other players go on", RefusesTokens);
            Check("callbacks that throw do not stop it", OutlivesCallbacks);
            Check("what was taken and cannot be deleted is not sent again", RemembersWhatWasTaken);
            Check("what cannot be set aside is not sent again", RemembersWhatWasRefused);
            Check("two clients of a process leave each other's open file alone", SharesAFolder);
            Check("where the folder is deleted the next event has a new one", OutlivesItsFolder);
            Check("who opts out while a batch is under way keeps nothing of it", OptsOutUnderWay);
            Check("who opts in begins a new run", OptsIn);
            Check("the gateway's time is told until the phone's clock is set", TellsTheTime);
            Check("its thread sends at fifty events and at the end", SendsByItself);
            Check("in Unity it is begun once, sends at a pause and ends with the game", LivesInUnity);
        }

        private static void Check(string name, Action check) {
            _folder = Path.Combine(Path.GetTempPath(), "playsmart-" + Guid.NewGuid().ToString("N"));
            _http = new FakeHttp();
            _log = new List<string>();
            _options = new PlaySmartOptions { Threaded = false, Http = _http, Debug = _log.Add, Warn = _log.Add };
            string verdict = "ok";
            try {
                check();
            } catch (Exception error) {
                verdict = error.ToString().Replace('\n', ' ');
            }
            if (Directory.Exists(_folder)) Directory.Delete(_folder, true);
            Console.WriteLine(name + ": " + verdict);
        }

        private static PlaySmartClient Made(Func<string, string> token = null) {
            return new PlaySmartClient("http://127.0.0.1:9", _folder, "p-1", "game", token ?? (_ => "token"), _options);
        }

        private static void Equal(object wanted, object came) {
            if (!Equals(wanted, came)) throw new InvalidOperationException("wanted " + wanted + ", came " + came);
        }

        private static void Throws<T>(Action action) where T : Exception {
            try {
                action();
            } catch (T) {
                return;
            }
            throw new InvalidOperationException("no " + typeof(T).Name);
        }

        private static Dictionary<string, object> Data(string key, object value) {
            return new Dictionary<string, object> { { key, value } };
        }

        private static string Written(object value) {
            var text = new StringBuilder();
            Json.Write(text, value);
            return text.ToString();
        }

        private static object ReadBack(string text) {
            byte[] content = Encoding.UTF8.GetBytes(text);
            return Json.TryRead(content, content.Length, out object value) ? value : "none";
        }

        private static void WritesJson() {
            Equal("[1,-2,0.5,0.1,1E+16,true,null,\"x\",18446744073709551615,0.10]",
                Written(new object[] { 1, -2L, 0.5, 0.1f, 1e16, true, null, 'x', ulong.MaxValue, 0.10m }));
            object[] nested = { new int[0], new object[] { new Dictionary<string, object>() }, "[" };
            Equal("{\"a\":[[],[{}],\"[\"],\"c\":\"{\"}",
                Written(new Dictionary<string, object> { { "a", nested }, { "c", "{" } }));
            Equal("{\"one\":1,\"two\":2}", Written(new Dictionary<string, int> { { "one", 1 }, { "two", 2 } }));
            Equal("\"\\u0000\\u001f\\\"\\\\\u2028\u00fc\"", Written("\0\u001f\"\\\u2028\u00fc"));
        }

        private static void RefusesJson() {
            var inItself = new Dictionary<string, object>();
            inItself["again"] = inItself;
            foreach (object each in new object[] {
                double.NaN, float.PositiveInfinity, new object(), DateTime.UtcNow, inItself,
                new Dictionary<int, int> { { 1, 1 } },
            }) Throws<FormatException>(() => Written(each));
        }

        private static void ReadsJson() {
            foreach (string each in new[] { "{\"a\":[1,2.5,\"\\u00fc\\n\",true,false,null],\"b\":{}}", "-7", "\"\"" }) {
                Equal(Written(ReadBack(each)), Written(ReadBack(Written(ReadBack(each)))));
            }
            Equal("{\"a\":[1,2.5,\"\u00fc\\u000a\",{}]}",
                Written(ReadBack(" { \"a\" : [ 1 , 2.5, \"\\u00fc\\n\" ,{} ] } ")));
            foreach (string each in new[] {
                "", "{", "[1,]", "[1 2]", "{\"a\"}", "{a:1}", "NaN", "1e999", "\"\n\"", "\"\\x\"", "\"\\u12", "tru",
                "{} {}", "-", "[,1]", "\0", new string('[', 100000),
            }) Equal("none", ReadBack(each));
            Equal(false, Json.TryRead(new byte[] { (byte)'"', 0xff, (byte)'"' }, 3, out object value));
        }

        private static void IsOfNoCulture() {
            CultureInfo before = Thread.CurrentThread.CurrentCulture;
            try {
                foreach (string each in new[] { "tr-TR", "ar-SA", "fa-IR" }) {
                    Thread.CurrentThread.CurrentCulture = new CultureInfo(each);
                    _options.Clock = new SetClock();
                    PlaySmartClient client = Made();
                    for (int number = 0; number < 101; number++) client.Track("I", Data("x", -1.5));
                    Equal(101, client.Flush().Sent);
                    string body = _http.Bodies[_http.Count - 2];
                    const string Time = "\"2026-04-22T14:30:00.250Z\"";
                    const string Event = "{\"type\":\"I\",\"timestamp\":" + Time + ",\"customdata\":{\"x\":-1.5}}";
                    Equal(true, body.Contains("\"seq\":0,\"sent_at\":" + Time + ",\"events\":[" + Event + ","));
                    Equal(true, _http.Bodies[_http.Count - 1].Contains("\"seq\":100,"));
                }
            } finally {
                Thread.CurrentThread.CurrentCulture = before;
            }
        }

        private static void RefusesAddresses() {
            _options.Http = null;
            foreach (string each in new[] {
                null, "", "events.example.com", "http://", "http://[", "ftp://a", "http://a:99999", "https://user@a",
                "https://a?b",
            }) {
                Throws<ArgumentException>(() => new PlaySmartClient(each, _folder, "p", "g", _ => "t", _options));
            }
            new PlaySmartClient("https://a.example/base/ingest/events/", _folder, "p", "g", _ => "t", _options);
            Throws<ArgumentException>(() => new PlaySmartClient("http://a", "", "p", "g", _ => "t", _options));
            Throws<ArgumentException>(() => new PlaySmartClient("http://a", _folder, null, "g", _ => "t", _options));
        }

        private static void DropsWhatIsNoJson() {
            PlaySmartClient client = Made();
            client.Track(null, Data("x", double.NaN));
            client.Track("A", Data("secret", new object()));
            client.Track("B");
            Equal(1, client.Flush().Sent);
            Equal(true, _http.Bodies[0].Contains("\"seq\":0,"));
            Equal(false, string.Join("", _log).Contains("secret"));
        }

        private static void RefusesTokens() {
            string token = "new\nline";
            PlaySmartClient client = Made(player => player == "p-1" ? token : "good");
            client.Track("A");
            client.ChangePlayer("p-2");
            client.Track("B");
            Equal(1, client.Flush().Sent);
            token = "s\u00f6";
            Equal(0, client.Flush().Sent);
            Equal(false, string.Join("", _log).Contains("line"));
            token = " token \n";
            Equal(1, client.Flush().Sent);
            Equal("good token", string.Join(" ", _http.Tokens));
        }

        private static void OutlivesCallbacks() {
            _options.Debug = _options.Warn = _ => throw new InvalidOperationException();
            bool fails = true;
            PlaySmartClient client = Made(_ => fails ? throw new InvalidOperationException() : "token");
            client.Track("A", Data("x", new object()));
            client.Track("A");
            Equal(0, client.Flush().Sent);
            fails = false;
            Equal(1, client.Flush().Sent);
        }

        private static string TheFile() {
            return Directory.GetFiles(_folder, "*.ndjson")[0];
        }

        private static void RemembersWhatWasTaken() {
            PlaySmartClient client = Made();
            _options.Hurry = 1e9;
            client.Track("A");
            string path = TheFile(), aside = path + "-aside";
            _http.Script = () => { // not everybody has a disk that deletes nothing, but a folder in its place
                File.Move(path, aside);
                Directory.CreateDirectory(path);
                return FakeHttp.Taken();
            };
            Equal(0, client.Flush().Sent);
            Directory.Delete(path);
            File.Move(aside, path);
            Thread.Sleep(1);
            Equal(1, client.Flush().Sent);
            Equal(1, _http.Count);
            Equal(false, File.Exists(path));
        }

        private static void RemembersWhatWasRefused() {
            PlaySmartClient client = Made();
            _options.Hurry = 1e9;
            client.Track("A");
            File.WriteAllText(Path.Combine(_folder, "rejected"), "mine");
            File.WriteAllText(Path.Combine(_folder, Strange), "garbage\n");
            _http.Script = () => FakeHttp.Told(400, "error", true);
            for (int flush = 0; flush < 5; flush++) {
                client.Flush();
                Thread.Sleep(1);
            }
            Equal(1, _http.Count);
            Equal("mine", File.ReadAllText(Path.Combine(_folder, "rejected")));
            File.Delete(Path.Combine(_folder, "rejected"));
            client.Flush();
            Equal(2, Directory.GetFiles(Path.Combine(_folder, "rejected")).Length);
            Equal(1, _http.Count);
        }

        private static void SharesAFolder() {
            PlaySmartClient one = Made(), other = Made();
            one.Track("A");
            other.Track("B");
            Equal(1, other.Flush().Sent);
            one.Track("C");
            Equal(2, one.Flush().Sent);
        }

        private static void OutlivesItsFolder() {
            _http.Script = () => new Answer { Status = 503, Wait = 3600 };
            PlaySmartClient client = Made();
            client.Track("A");
            client.Flush();
            client.Track("B");
            Directory.Delete(_folder, true);
            client.Flush();
            client.Track("C");
            Equal(true, TheFile().EndsWith("-00000002.ndjson", StringComparison.Ordinal));
            Equal(true, string.Join("", _log).Contains("was deleted by somebody"));
        }

        private static void OptsOutUnderWay() {
            PlaySmartClient client = Made();
            client.Track("A");
            client.Track("B");
            _http.Script = () => {
                client.OptOut();
                return FakeHttp.Told(400, "error", true);
            };
            client.Flush();
            Equal(Path.Combine(_folder, "opted-out"), string.Join(" ", Directory.GetFiles(_folder)));
        }

        private static void OptsIn() {
            PlaySmartClient client = Made();
            client.Track("A");
            string run = client.Run;
            client.OptOut();
            client.Track("B");
            Equal(true, Made().OptedOut);
            client.OptIn();
            Equal(false, Made().OptedOut);
            client.Track("C");
            Equal(1, client.Flush().Sent);
            Equal(false, client.Run == run);
            Equal(true, _http.Bodies[0].Contains("\"run\":\"" + client.Run + "\",\"seq\":0,"));
        }

        private static void TellsTheTime() {
            var clock = new SetClock();
            _options.Clock = clock;
            var told = new DateTime(2031, 1, 2, 3, 4, 5, DateTimeKind.Utc);
            _http.Script = () => new Answer { Status = 500, Date = told };
            PlaySmartClient client = Made();
            Equal(null, client.ServerTime);
            client.Track("A");
            client.Flush();
            Equal(true, (client.ServerTime.Value - told).Duration().TotalSeconds < 50);
            clock.Now = clock.Now.AddSeconds(70);
            Equal(null, client.ServerTime);
        }

        private static void WaitFor(Func<bool> condition) {
            for (int turn = 0; !condition(); turn++) {
                if (turn > 6000) throw new InvalidOperationException("nothing came of it for a minute");
                Thread.Sleep(10);
            }
        }

        private static void SendsByItself() {
            _options.Threaded = true;
            object[] told = { Data("ingest", Data("flush_seconds", 3600L)) };
            _http.Asked = FakeHttp.Told(200, "data", new List<object>(told));
            PlaySmartClient client = Made();
            WaitFor(() => _http.Settings == 1); // from then on it counts
            for (int round = 0; round < 3; round++) {
                for (int number = 0; number < 50; number++) client.Track("A");
                WaitFor(() => client.Waiting() == 0);
            }
            client.Track("B");
            client.Close(60);
            Equal(true, _http.Bodies[_http.Count - 1].Contains("\"type\":\"B\""));
            Equal(0, client.Waiting());
        }

        private static void LivesInUnity() {
            Application.persistentDataPath = _folder;
            AndroidJavaObject.NoBackupFolder = Path.Combine(_folder, "no_backup");
            var asked = new List<string>();
            Func<string, string> token = player => {
                lock (asked) asked.Add(player);
                return null;
            };
            PlaySmartClient client = PlaySmartUnity.Begin("http://127.0.0.1:9", "p-1", "game", token, true);
            string folder = Path.Combine(_folder, "no_backup", "playsmart");
            Equal(folder, UnityEngine.iOS.Device.NoBackup);
            client.Track("A");
            Equal(client, PlaySmartUnity.Begin("http://127.0.0.1:9", "p-1", "game", _ => null));
            client.Track("A");
            Equal(1, Directory.GetFiles(folder).Length);
            Equal(client, PlaySmartUnity.Begin("http://127.0.0.1:9", "p-2", "game", _ => null));
            client.Track("B");
            string[] files = Directory.GetFiles(folder);
            Array.Sort(files, StringComparer.Ordinal);
            Equal(2, files.Length);
            Equal(true, File.ReadAllText(files[0]).Contains("\"platform\":\"ios\",\"app_version\":\"2.1.5\""));
            Equal(true, File.ReadAllText(files[1]).StartsWith("{\"user_id\":\"p-2\"", StringComparison.Ordinal));
            MonoBehaviour keeper = (MonoBehaviour)UnityEngine.Object.Kept.Find(each => each is PlaySmartUnity);
            Message(keeper, "OnApplicationPause", true);
            WaitFor(() => {
                lock (asked) return asked.Contains("p-2");
            });
            Message(keeper, "OnApplicationQuit");
            Equal(true, typeof(PlaySmartClient).GetField("_ending", Any).GetValue(client));
            Message(null, "Forget");
            Equal(null, PlaySmartUnity.Client);
        }

        /// <summary>Call what Unity calls by its name.</summary>
        private static void Message(object target, string name, params object[] arguments) {
            typeof(PlaySmartUnity).GetMethod(name, Any).Invoke(target, arguments);
        }
    }
}
