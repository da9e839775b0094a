using System;
using System.Collections.Generic;

namespace PlaySmart {
    /// <summary>What the gateway asks its clients to keep to; it is replaced, never changed.</summary>
    internal sealed class Settings {
        public bool Enabled = true, HasGzip = true;
        public double FlushSeconds = 30;
        public long MaxQueueBytes = 10485760;
        public Dictionary<string, double> Sample = new Dictionary<string, double>();

        /// <summary>Return what an answer says; what cannot be read changes nothing.</summary>
        public Settings By(Answer answer) {
            if (answer.Status == 404) { // a gateway from before there were settings and gzip
                return WithoutGzip();
            }
            var entries = Answer.Field(answer.Told, "data") as List<object>;
            var entry = entries != null && entries.Count > 0 ? entries[0] as Dictionary<string, object> : null;
            if (entry == null) return this;
            try {
                object told = entry.ContainsKey("ingest") ? entry["ingest"] : new Dictionary<string, object>();
                return Read((Dictionary<string, object>)told);
            } catch (Exception) {
                return this;
            }
        }

        /// <summary>Return them for a gateway that takes nothing packed.</summary>
        public Settings WithoutGzip() {
            var changed = (Settings)MemberwiseClone();
            changed.HasGzip = false;
            return changed;
        }

        /// <summary>Return the share of runs that send an event, by its name or else by its type.</summary>
        public double Share(string kind, string name) {
            if (name != null && Sample.TryGetValue(name, out double share)) return share;
            return Sample.TryGetValue(kind, out share) ? share : 1;
        }

        private static Settings Read(Dictionary<string, object> told) {
            var read = new Settings { HasGzip = false };
            if (told.TryGetValue("encodings", out object encodings)) {
                read.HasGzip = ((List<object>)encodings).Contains("gzip");
            }
            read.Enabled = !told.TryGetValue("enabled", out object enabled) || !false.Equals(enabled);
            if (told.TryGetValue("flush_seconds", out object seconds)) {
                read.FlushSeconds = Math.Min(Math.Max(1, Number(seconds)), PlaySmartClient.HourSeconds);
            }
            if (told.TryGetValue("max_queue_bytes", out object bytes)) {
                read.MaxQueueBytes = checked((long)Number(bytes));
            }
            if (told.TryGetValue("sample", out object sample)) {
                foreach (KeyValuePair<string, object> each in (Dictionary<string, object>)sample) {
                    read.Sample[each.Key] = Number(each.Value);
                }
            }
            return read;
        }

        private static double Number(object value) => value is long ? (long)value : (double)value;
    }
}
