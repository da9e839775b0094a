using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net;
using System.Threading;

namespace PlaySmart {
    /// <summary>What came back: status 0 for nothing whole; <c>Told</c> is its JSON.</summary>
    internal sealed class Answer {
        public int Status;
        public object Told;
        /// <summary>Seconds of a <c>Retry-After</c>, if there was one.</summary>
        public double? Wait;
        public DateTime? Date;

        /// <summary>Return what it has there; null if it is no gateway's, as the login page of a hotel.</summary>
        public object Says(string key) {
            return Field(Told, key);
        }

        /// <summary>Return what it says is wrong: its first detail, else its message; "" if neither.</summary>
        public string Reason() {
            object error = Says("error");
            var details = Field(error, "details") as List<object>;
            object first = details != null && details.Count > 0 ? details[0] : null;
            string path = Field(first, "path") as string, rule = Field(first, "message") as string;
            if (!(Field(error, "message") is string message)) return "";
            return path != null && rule != null ? (path + " " + rule).Trim() : message;
        }

        /// <summary>Return a field of what may be an object; null if it is none, or has none.</summary>
        public static object Field(object of, string key) {
            var fields = of as Dictionary<string, object>;
            return fields != null && fields.TryGetValue(key, out object value) ? value : null;
        }
    }

    /// <summary>One request at a time, on the thread that calls.</summary>
    /// <remarks>
    /// By HttpWebRequest, which any thread may use: Unity's own requests need the game's main thread, and
    /// that stands still just when the game goes to the background and has something to send.
    /// </remarks>
    internal class Http {
        private const int AnswerBytes = 1000000;
        private readonly string _url;

        public Http(string url) {
            _url = url;
        }

        /// <summary>Return what came within <c>seconds</c>, all of it; it does not throw.</summary>
        public virtual Answer Exchange(
            string method, string path, byte[] body, string token, bool isGzip, double seconds) {
            try {
                var request = (HttpWebRequest)WebRequest.Create(_url + path);
                using (new Timer(_ => request.Abort(), null, (long)(seconds * 1000), Timeout.Infinite)) {
                    return Exchange(request, method, body, token, isGzip, (int)(seconds * 1000));
                }
            } catch (Exception) {
                return new Answer(); // no network, no name, no certificate, a connection that was cut
            }
        }

        private static Answer Exchange(
            HttpWebRequest request, string method, byte[] body, string token, bool isGzip, int milliseconds) {
            request.Method = method;
            request.Timeout = request.ReadWriteTimeout = milliseconds;
            request.AllowAutoRedirect = false; // nobody else gets the token
            request.Proxy = null;
            request.ServicePoint.Expect100Continue = false;
            if (token != null) request.Headers["Authorization"] = "Bearer " + token;
            if (body != null) {
                request.ContentType = "application/json";
                if (isGzip) request.Headers["Content-Encoding"] = "gzip";
                request.ContentLength = body.Length;
                using (Stream stream = request.GetRequestStream()) {
                    stream.Write(body, 0, body.Length);
                }
            }
            using (var response = Response(request)) {
                return Read(request, response);
            }
        }

        private static HttpWebResponse Response(HttpWebRequest request) {
            try {
                return (HttpWebResponse)request.GetResponse();
            } catch (WebException error) when (error.Response is HttpWebResponse) {
                return (HttpWebResponse)error.Response; // 400 and above
            }
        }

        private static Answer Read(HttpWebRequest request, HttpWebResponse response) {
            var content = new byte[16000];
            int count = 0, more = 1;
            using (Stream stream = response.GetResponseStream()) {
                for (; more > 0 && count < AnswerBytes; count += more) {
                    if (count == content.Length) Array.Resize(ref content, 2 * count);
                    more = stream.Read(content, count, content.Length - count);
                }
                if (more > 0) {
                    request.Abort(); // there is more of it
                }
            }
            if (count < Math.Min(response.ContentLength, AnswerBytes)) return new Answer(); // it was cut off
            var answer = new Answer { Status = (int)response.StatusCode };
            Json.TryRead(content, count, out answer.Told);
            answer.Wait = Seconds(response.Headers["Retry-After"]);
            answer.Date = Date(response.Headers["Date"]);
            return answer;
        }

        private static DateTime? Date(string text) {
            const DateTimeStyles Universal = DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal;
            CultureInfo english = CultureInfo.InvariantCulture;
            return DateTime.TryParseExact(text, "r", english, Universal, out DateTime date) ? date : (DateTime?)null;
        }

        private static double? Seconds(string text) {
            // digits and nothing else: a date is not waited for
            bool isNumber = double.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out double seconds);
            return isNumber ? Math.Min(seconds, PlaySmartClient.HourSeconds) : (double?)null;
        }
    }
}
