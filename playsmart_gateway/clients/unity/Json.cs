using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace PlaySmart {
    /// <summary>JSON without reflection, so that nothing of it is stripped from a build.</summary>
    /// <remarks>
    /// It knows null, bool, text, numbers, dictionaries by text and lists of all that, 64 deep at most.
    /// What is read are <c>Dictionary&lt;string, object&gt;</c>, <c>List&lt;object&gt;</c>,
    /// <c>string</c>, <c>long</c>, <c>double</c>, <c>bool</c> and null.
    /// </remarks>
    internal static class Json {
        private const int MaxDepth = 64;
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, true);

        /// <summary>Write a value behind what is there.</summary>
        /// <exception cref="FormatException">It is none that JSON has.</exception>
        public static void Write(StringBuilder to, object value) {
            Write(to, value, 0);
        }

        /// <summary>Read what is one value and nothing else; false if it is not.</summary>
        public static bool TryRead(byte[] content, int count, out object value) {
            try {
                value = new Reader(Strict.GetString(content, 0, count)).Whole();
                return true;
            } catch (ArgumentException) {
                value = null; // no UTF-8
            } catch (FormatException) {
                value = null;
            }
            return false;
        }

        private static void Write(StringBuilder to, object value, int depth) {
            if (depth > MaxDepth) throw new FormatException("too deep");
            if (value == null) {
                to.Append("null");
            } else if (value is bool) {
                to.Append((bool)value ? "true" : "false");
            } else if (value is string || value is char) {
                WriteText(to, value.ToString());
            } else if (value is float || value is double) {
                WriteReal(to, (IFormattable)value);
            } else if (value is int || value is long || value is uint || value is ulong || value is short
                || value is ushort || value is byte || value is sbyte || value is decimal) {
                to.Append(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture));
            } else if (value is IDictionary<string, object>) {
                to.Append('{');
                foreach (KeyValuePair<string, object> each in (IDictionary<string, object>)value) {
                    WriteField(to, each.Key, each.Value, depth);
                }
                to.Append('}');
            } else if (value is IDictionary) {
                to.Append('{');
                foreach (DictionaryEntry each in (IDictionary)value) {
                    WriteField(to, each.Key as string, each.Value, depth);
                }
                to.Append('}');
            } else if (value is IEnumerable) {
                to.Append('[');
                foreach (object each in (IEnumerable)value) {
                    Separate(to, '[');
                    Write(to, each, depth + 1);
                }
                to.Append(']');
            } else {
                throw new FormatException("no JSON");
            }
        }

        private static void WriteField(StringBuilder to, string name, object value, int depth) {
            Separate(to, '{');
            WriteText(to, name ?? throw new FormatException("a name is no text"));
            to.Append(':');
            Write(to, value, depth + 1);
        }

        private static void Separate(StringBuilder to, char opening) {
            // what ends in an opening bracket has just begun: a text would end in a quote
            if (to[to.Length - 1] != opening) to.Append(',');
        }

        private static void WriteReal(StringBuilder to, IFormattable number) {
            string text = number.ToString("R", CultureInfo.InvariantCulture);
            if (!char.IsDigit(text[text.Length - 1])) {
                throw new FormatException("no number"); // NaN, Infinity
            }
            to.Append(text);
        }

        private static void WriteText(StringBuilder to, string text) {
            to.Append('"');
            foreach (char each in text) {
                if (each == '"' || each == '\\') {
                    to.Append('\\').Append(each);
                } else if (each < ' ') {
                    to.Append("\\u").Append(((int)each).ToString("x4", CultureInfo.InvariantCulture));
                } else {
                    to.Append(each);
                }
            }
            to.Append('"');
        }

        private sealed class Reader {
            private readonly string _text;
            private int _at;

            public Reader(string text) {
                _text = text;
            }

            public object Whole() {
                object value = Value(0);
                if (Next() != '\0' || _at < _text.Length) throw new FormatException("more than one value");
                return value;
            }

            private object Value(int depth) {
                if (depth > MaxDepth) throw new FormatException("too deep");
                switch (Next()) {
                    case '{':
                        var fields = new Dictionary<string, object>();
                        for (_at++; !Ends('}', fields.Count); ) {
                            Next();
                            string name = Text();
                            Next();
                            Take(":");
                            fields[name] = Value(depth + 1);
                        }
                        return fields;
                    case '[':
                        var items = new List<object>();
                        for (_at++; !Ends(']', items.Count); ) items.Add(Value(depth + 1));
                        return items;
                    case '"':
                        return Text();
                    case 't':
                        Take("true");
                        return true;
                    case 'f':
                        Take("false");
                        return false;
                    case 'n':
                        Take("null");
                        return null;
                    default:
                        return Number();
                }
            }

            /// <summary>Go on to the next item; true, and behind it, if the end is here.</summary>
            private bool Ends(char closing, int count) {
                char next = Next();
                if (next == closing) {
                    _at++;
                    return true;
                }
                if (count > 0) Take(",");
                return false;
            }

            private char Next() {
                while (_at < _text.Length && " \t\r\n".IndexOf(_text[_at]) >= 0) {
                    _at++;
                }
                return _at < _text.Length ? _text[_at] : '\0';
            }

            private void Take(string word) {
                if (string.CompareOrdinal(_text, _at, word, 0, word.Length) != 0) throw new FormatException("no JSON");
                _at += word.Length;
            }

            private string Text() {
                var text = new StringBuilder();
                for (Take("\""); ; ) {
                    char each = Letter();
                    if (each == '"') return text.ToString();
                    if (each == '\\') {
                        each = Letter();
                        int place = "\"\\/bfnrt".IndexOf(each);
                        each = place >= 0 ? "\"\\/\b\f\n\r\t"[place] : Code(each);
                    } else if (each < ' ') {
                        throw new FormatException("a bare control character");
                    }
                    text.Append(each);
                }
            }

            private char Letter() {
                return _at < _text.Length ? _text[_at++] : throw new FormatException("it breaks off");
            }

            private char Code(char kind) {
                ushort code = 0;
                if (kind != 'u' || _at + 4 > _text.Length
                    || !ushort.TryParse(_text.Substring(_at, 4), NumberStyles.AllowHexSpecifier,
                        CultureInfo.InvariantCulture, out code)) {
                    throw new FormatException("no such escape");
                }
                _at += 4;
                return (char)code;
            }

            private object Number() {
                int first = _at;
                while (_at < _text.Length && "+-.0123456789Ee".IndexOf(_text[_at]) >= 0) {
                    _at++;
                }
                string text = _text.Substring(first, _at - first);
                const NumberStyles Whole = NumberStyles.AllowLeadingSign;
                if (long.TryParse(text, Whole, CultureInfo.InvariantCulture, out long whole)) return whole;
                if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double real)
                    || double.IsInfinity(real)) {
                    throw new FormatException("no number");
                }
                return real;
            }
        }
    }
}
