#if !UNITY_5_3_OR_NEWER
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;

namespace PlaySmart {
    /// <summary>The client behind standard input: a line of JSON in is a command, one out its answer.</summary>
    /// <remarks>It is not for a game; <c>mcs *.cs</c> makes a program of it and the client.</remarks>
    internal static class Adapter {
        private sealed class PhoneClock : Clock {
            public double Seconds;

            public override DateTime Wall() {
                return base.Wall().AddSeconds(Seconds);
            }
        }

        private static readonly PhoneClock Time = new PhoneClock();
        private static readonly ConcurrentDictionary<string, string> Tokens = new ConcurrentDictionary<string, string>();
        private static Dictionary<string, object> _init;
        private static double _hurry;
        private static PlaySmartClient _client;
        private static string _player;
        private static bool _isOver;

        private static void Main() {
            var lines = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
            var answers = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false));
            for (string line; !_isOver && (line = lines.ReadLine()) != null; answers.Flush()) {
                var text = new StringBuilder();
                Json.Write(text, Answered(line));
                answers.WriteLine(text.ToString());
            }
        }

        private static Dictionary<string, object> Answered(string line) {
            var answer = new Dictionary<string, object> { { "ok", true } };
            try {
                byte[] content = Encoding.UTF8.GetBytes(line);
                object command;
                if (!Json.TryRead(content, content.Length, out command)) throw new FormatException("no JSON");
                Do((Dictionary<string, object>)command, answer);
            } catch (NotSupportedException) {
                answer = new Dictionary<string, object> { { "ok", false }, { "error", "unsupported" } };
            } catch (Exception error) {
                answer = new Dictionary<string, object> { { "ok", false }, { "error", error.GetType().Name } };
            }
            return answer;
        }

        private static void Do(Dictionary<string, object> command, Dictionary<string, object> answer) {
            switch (Text(command, "do")) {
                case "init":
                    Init(command);
                    break;
                case "track":
                    object data;
                    command.TryGetValue("data", out data);
                    _client.Track(Text(command, "type"), (IDictionary<string, object>)data, Text(command, "name"));
                    break;
                case "flush":
                    PlaySmartFlushed done = _client.Flush();
                    answer["sent"] = done.Sent;
                    answer["left"] = _client.Waiting();
                    answer["status"] = done.Status;
                    break;
                case "alone":
                    Begin(true);
                    break;
                case "token":
                    Tokens[_player] = Text(command, "token");
                    break;
                case "background":
                    _client.Background();
                    break;
                case "optout":
                    _client.OptOut();
                    break;
                case "optin":
                    _client.OptIn();
                    break;
                case "clock":
                    Time.Seconds += Number(command, "seconds", 0);
                    break;
                case "state":
                    answer["queued"] = _client.Waiting();
                    answer["run"] = _client.Run;
                    answer["opted_out"] = _client.OptedOut;
                    answer["disabled"] = _client.IsDisabled;
                    break;
                case "quit":
                    _isOver = true;
                    _client?.Release(); // and send nothing more: that is for flush
                    break;
                default:
                    throw new NotSupportedException();
            }
        }

        private static void Init(Dictionary<string, object> command) {
            _player = Text(command, "user");
            Tokens[_player] = Text(command, "token");
            _hurry = Number(command, "hurry", 1);
            _init = command;
            Begin(false);
        }

        private static void Begin(bool threaded) {
            _client?.Release();
            var options = new PlaySmartOptions {
                Threaded = threaded, Clock = Time, Hurry = _hurry,
                Debug = Console.Error.WriteLine, Warn = Console.Error.WriteLine,
            };
            options.AnswerSeconds /= _hurry;
            _client = new PlaySmartClient(
                Text(_init, "url"), Text(_init, "dir"), _player, Text(_init, "game"), TokenOf, options);
        }

        private static string TokenOf(string player) {
            string token;
            return Tokens.TryGetValue(player, out token) ? token : null;
        }

        private static string Text(Dictionary<string, object> command, string name) {
            object value;
            return command.TryGetValue(name, out value) ? (string)value : null;
        }

        private static double Number(Dictionary<string, object> command, string name, double missing) {
            object value;
            bool isThere = command.TryGetValue(name, out value);
            return isThere ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : missing;
        }
    }
}
#endif
