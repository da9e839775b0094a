"""Heads that were read before: a client sends the same one again, but for its token and its length.

Reading a head costs more than storing what is behind it. So of one that the parser read, and that
may go on the express path, it is remembered what was read, by its bytes without those two. Another
one with the same bytes, whose token has only what tokens are made of and whose length is that of
what came behind it, would be read in the same way, whoever sends it.
"""

from typing import NamedTuple

from playsmart_gateway.http.endpoint import Headers

MAX_HEADS = 1_024
MAX_HEAD_BYTES = 2_048
"""Of the heads that are remembered, and of a token; all are forgotten when there are too many."""

OF_ONE_REQUEST = (b"x-request-id", b"idempotency-key", b"traceparent")
"""A head with one of these will not come again."""

_END = b"\r\n\r\n"
_TOKEN = b"uthorization: Bearer "
_LENGTHS = b"ontent-Length: ", b"ontent-length: "
_CREDENTIALS = b"authorization", b"x-forwarded-authorization"
_OF_TOKENS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

_Rest = tuple[bytes, bytes, bytes]
"""A head without its token and its length."""


class _Known(NamedTuple):
    url: bytes
    headers: Headers
    credential: bytes
    """The header with the token, if it has one; it and the length are not among ``headers``."""


class KnownHeads:
    """Those of one process."""

    def __init__(self) -> None:
        self._known: dict[_Rest, _Known] = {}

    def read(self, data: bytes) -> tuple[bytes, Headers, bytes] | None:
        """Return target, headers and body of one whole request; None if it takes the parser.

        ``data`` is whatever came where a request may begin.
        """
        head, body = _in_two(data)
        parts = _apart(head)
        if parts is None or not body:
            return None
        rest, token, length = parts
        known = self._known.get(rest)
        if (
            known is None
            or length != b"%d" % len(body)
            or len(token) > MAX_HEAD_BYTES
            or token.translate(None, _OF_TOKENS)
        ):
            return None
        url, headers, credential = known
        if not credential:
            return url, dict(headers), body
        return url, {**headers, credential: b"Bearer " + token}, body

    def learn(self, data: bytes, url: bytes, headers: Headers) -> None:
        """Take note of how the parser read the head of one whole request."""
        head, _ = _in_two(data)
        parts = _apart(head)
        if parts is None or len(head) > MAX_HEAD_BYTES:
            return
        rest, token, length = parts
        credential = _name_before(rest, _TOKEN)
        is_clear = (
            headers.get(credential) == b"Bearer " + token
            and sum(name in headers for name in _CREDENTIALS) == 1
        )
        if (
            (credential and not is_clear)
            or _name_before(rest, *_LENGTHS) != b"content-length"
            or headers.get(b"content-length") != length
            or any(name in headers for name in OF_ONE_REQUEST)
        ):
            return
        if len(self._known) >= MAX_HEADS:
            self._known.clear()
        left_out = credential, b"content-length"
        others = {name: value for name, value in headers.items() if name not in left_out}
        self._known[rest] = _Known(url, others, credential)


def _in_two(data: bytes) -> tuple[bytes, bytes]:
    """Return a head, with the return of its last line as of the others, and what is behind it."""
    end = data.find(_END)
    return data[: end + 1], data[end + len(_END) :]


def _apart(head: bytes) -> tuple[_Rest, bytes, bytes] | None:
    """Return a head without its token, if it has one, and its length; and these two."""
    before, found, behind = head.partition(_TOKEN)
    before += found
    token, _, behind = behind.partition(b"\r")
    for each in _LENGTHS:
        left, found, right = behind.partition(each)
        if found:
            length, _, right = right.partition(b"\r")
            return (before, left + found, right), token, length
    for each in _LENGTHS:
        left, found, right = before.partition(each)
        if found:
            length, _, right = right.partition(b"\r")
            return (left + found, right, behind), token, length
    return None


def _name_before(rest: _Rest, *ends: bytes) -> bytes:
    """Return the name of the header whose value was left out behind one of these ends, if any."""
    part = next((part for part in rest if part.endswith(ends)), b"")
    return part.rpartition(b"\n")[2].partition(b":")[0].lower()
