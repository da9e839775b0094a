"""What players wrote, made harmless for who looks at it: a terminal, a spreadsheet.

A terminal obeys control characters, and text that reorders itself says what it does not mean. A
spreadsheet calculates a cell that begins like a formula. Both are written here so that they are
only looked at: characters as the escapes that JSON has for them, so JSON keeps its meaning, and
``'`` before what would be a formula, as spreadsheets themselves write text.
"""

import re

# Controls, what ends a line, what reorders text, and halves of characters, which no output takes.
_UNSAFE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
# What of that may stand in a string of valid JSON, and bytes of UTF-8 that it cannot be without.
_UNSAFE_IN_JSON = re.compile("[\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]")
_SUSPICIOUS = (b"\x7f", b"\xc2", b"\xd8\x9c", b"\xe2\x80", b"\xe2\x81")

_FORMULA = "=+-@＝＋－＠"  # noqa: RUF001 - spreadsheets take the wide ones as well
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def harmless(text: str) -> str:
    """Return ``text`` with everything that a terminal would obey written as an escape."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def harmless_json(content: bytes) -> bytes:
    """Return JSON, or lines of it, of the same meaning, in which a terminal obeys nothing."""
    if not any(each in content for each in _SUSPICIOUS):
        return content
    return _UNSAFE_IN_JSON.sub(_escape, content.decode()).encode()


def harmless_cell(text: str | None) -> str | None:
    """Return ``text`` as what a spreadsheet shows and does not calculate; numbers stay numbers."""
    if not text:
        return text
    text = harmless(text)
    return f"'{text}" if text[0] in _FORMULA and not _NUMBER.fullmatch(text) else text


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
