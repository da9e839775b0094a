"""A body whose fields may hold anything, read so that what is wrong with all of it can be told."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from playsmart_gateway.errors import Detail, Malformed
from playsmart_gateway.http.turns import SLICE_BYTES, Steps, at_once

T = TypeVar("T")

NO_NUL = {"pattern": r"^[^\u0000]*$"}
"""Checked by hand; for those who read the schema."""

_NONE = msgspec.Raw(b"null")
"""Where a list has no item. Told by identity from a ``null`` that was sent."""

_BYTE_ORDER_MARKS = re.compile(b"(?:\xef\xbb\xbf)+")
_ESCAPED_BACKSLASH = b"\\\\"
_NO_UTF_8 = b"\xff\xff"
_HALF_A_PAIR = re.compile(
    rb"\\u[dD](?:"
    rb"[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)

_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_ESCAPE_BYTES = len(rb"\ud83d")


def without_mark(body: bytes) -> bytes:
    """Return ``body`` without byte order marks before it: .NET and editors write them."""
    marks = _BYTE_ORDER_MARKS.match(body)
    return body[marks.end() :] if marks else body


def mended(body: bytes) -> bytes:
    r"""Return JSON without a byte order mark, and with U+FFFD for each half of a surrogate pair.

    Programs that cut texts in the middle of an emoji (``\ud83d``) are many, and the JSON that they
    make is well-formed to the letter of RFC 8259. Pairs stay as they are, and so does what only
    looks like an escape, behind an escaped backslash. Linear in the body, in C; to mend what was
    mended changes nothing.
    """
    return at_once(mended_in_steps(body))


def mended_in_steps(body: bytes, *, slice_bytes: int = SLICE_BYTES) -> Steps[bytes]:
    """See ``mended``; a slice of the body is a step."""
    body = without_mark(body)
    if rb"\u" not in body:
        return body
    if _ESCAPED_BACKSLASH not in body:
        return (yield from _with_whole_pairs(body, slice_bytes))
    if _NO_UTF_8 in body:
        return body
    yield
    escapes_only = body.replace(_ESCAPED_BACKSLASH, _NO_UTF_8)
    whole = yield from _with_whole_pairs(escapes_only, slice_bytes)
    return whole.replace(_NO_UTF_8, _ESCAPED_BACKSLASH)


def _with_whole_pairs(escapes: bytes, slice_bytes: int) -> Steps[bytes]:
    """Replace halves in a text without escaped backslashes; no slice ends within a pair."""
    parts = []
    start, size = 0, len(escapes)
    while start < size:
        end = escapes.find(rb"\u", start + slice_bytes)
        if end < 0:
            end = size
        elif _PAIR.match(escapes, end - _ESCAPE_BYTES):
            end += _ESCAPE_BYTES
        parts.append(_HALF_A_PAIR.sub(rb"\\ufffd", escapes[start:end]))
        start = end
        yield
    return b"".join(parts)


def decode_loosely(body: bytes, decode: Callable[[bytes], T], *, path: str = "") -> T:
    """Return ``body`` as ``decode`` reads it, whose fields take anything.

    The body is checked for UTF-8: msgspec does not look inside the strings that it skips.

    Raises:
        Malformed: the body is not UTF-8, not JSON, no object or nests too deep; its details name
            ``path``.
    """
    try:
        str(body, "utf-8")
        return decode(body)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "nests too deep"
    except msgspec.ValidationError:
        problem = "must be a JSON object"
    except msgspec.DecodeError as error:
        problem = f"is not JSON: {error}"
    wrong = Detail(path, problem)
    raise Malformed(details=[wrong], told=wrong.text)


def at_most(count: int, item: Any = msgspec.Raw) -> Callable[[bytes | msgspec.Raw], list[Any]]:
    """Return a decoder of arrays that makes one object more than ``count``, however many come.

    What is behind them is read over in C, so a list that is refused for its length costs no more
    than one that is taken. ``item`` is the type of the others. The decoder raises what msgspec
    raises.
    """
    fields = [(f"item_{place}", item, _NONE) for place in range(count + 1)]
    decode = msgspec.json.Decoder(msgspec.defstruct("Items", fields, array_like=True)).decode

    def items(text: bytes | msgspec.Raw) -> list[Any]:
        return [each for each in msgspec.structs.astuple(decode(text)) if each is not _NONE]

    return items
