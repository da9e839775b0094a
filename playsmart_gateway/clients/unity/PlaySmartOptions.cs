using System;
using System.Diagnostics;

namespace PlaySmart {
    /// <summary>What may be said beside player and game.</summary>
    public sealed class PlaySmartOptions {
        /// <summary>The version of the game, and on what it runs: short texts.</summary>
        public string AppVersion = "", Platform = Environment.OSVersion.Platform.ToString();
        /// <summary>Whether a thread of its own sends; else only <c>Flush</c> and <c>Background</c> do.</summary>
        public bool Threaded = true;
        /// <summary>Get a line of what happened, on any thread; none has a token or an event in it.</summary>
        public Action<string> Debug, Warn;

        internal Clock Clock = new Clock();
        internal Http Http;
        internal double AnswerSeconds = 15;
        /// <summary>By which pauses after failures are divided: a test has no time.</summary>
        internal double Hurry = 1;
    }

    /// <summary>Events that the gateway took, and its last status; null if it was not asked, or is silent.</summary>
    public struct PlaySmartFlushed {
        public int Sent;
        public int? Status;
    }

    /// <summary>The time of the day, and one in seconds that only goes forward.</summary>
    internal class Clock {
        private static readonly DateTime Epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        private readonly Stopwatch _watch = Stopwatch.StartNew();

        public virtual DateTime Wall() => DateTime.UtcNow;

        public double Monotonic() => _watch.Elapsed.TotalSeconds;

        /// <summary>How far a time is from what only goes forward: it changes where a clock is set.</summary>
        public double Ahead(DateTime time) => (time - Epoch).TotalSeconds - Monotonic();

        public DateTime At(double ahead) => Epoch.AddSeconds(Monotonic() + ahead);
    }
}
