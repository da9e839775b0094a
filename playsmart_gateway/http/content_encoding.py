"""Bodies that come compressed: told by their ``Content-Encoding``, and inflated within limits.

A compressed body is one gzip member, whole and with nothing behind it (RFC 1952). What it inflates
to may be as large as a body that comes plain, counts like one, and is made in steps: no call is
given more than it can do in a millisecond or two, be the body made for that or not.
"""

import zlib
from collections.abc import Mapping

from playsmart_gateway.errors import Malformed, Overcrowded, UnsupportedEncoding, too_large
from playsmart_gateway.http.turns import LARGE_BODY_BYTES, SLICE_BYTES, LongWork, Steps

INVALID_GZIP = "invalid_gzip"
INPUT_BYTES = 16_384
"""Of a compressed body, in a step: of one that is all tables and no text it takes a millisecond."""

_GZIP_WINDOW = 31
"""As ``zlib`` writes it: gzip's header and trailer, and none but these; a window of 32 KiB."""


def is_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body is compressed by gzip (RFC 9110 section 8.4.1).

    Raises:
        UnsupportedEncoding: it is in another coding, or in several.
    """
    coding = headers.get(b"content-encoding")
    if coding is None:
        return False
    coding = coding.rstrip(b" \t").lower()  # the parser leaves what may be behind a value
    if coding not in (b"gzip", b"x-gzip", b"identity"):
        raise UnsupportedEncoding(cause="encoding")
    return coding != b"identity"


class Inflater:
    """Inflates the bodies of one process, each by steps of ``decoding``.

    None comes to more than ``max_bytes``, and all that are held at a time to ``max_held_bytes``:
    beside those that are on their way, as a few bytes sent can be a thousand times as many here.
    """

    def __init__(self, max_bytes: int, max_held_bytes: int, decoding: LongWork) -> None:
        self.max_bytes = max_bytes
        self.max_held_bytes = max_held_bytes
        self.held_bytes = 0
        self.decoding = decoding

    def at_once(self, compressed: bytes) -> bytes | None:
        """Return the content of a body that takes one short step; None: ``begin`` with the others.

        Those that are wrong are among the others.
        """
        if len(compressed) > INPUT_BYTES:
            return None
        stream = zlib.decompressobj(_GZIP_WINDOW)
        try:
            content = stream.decompress(compressed, min(LARGE_BODY_BYTES, self.max_bytes) + 1)
        except zlib.error:
            return None
        is_whole = stream.eof and not stream.unused_data
        return content if is_whole and len(content) <= self.max_bytes else None

    def begin(self, max_bytes: int | None = None) -> "Inflation":
        """Return what inflates one body; call its ``let_go`` when nobody needs it any more.

        It may come to ``max_bytes``, or what a body may at all.
        """
        return Inflation(self, self.max_bytes if max_bytes is None else max_bytes)


class Inflation:
    """One body: ``size`` bytes were made of it so far, and ``content`` once it is whole."""

    def __init__(self, inflater: Inflater, max_bytes: int) -> None:
        self._inflater = inflater
        self._max_bytes = max_bytes
        self.size = 0
        self.content = b""

    async def inflate(self, compressed: bytes, sender: str = "") -> bytes:
        """Return the content; ``sender`` rests if it takes long (see ``LongWork``).

        Raises:
            Malformed: it is not one whole gzip member.
            TooLarge: it comes to more than ``max_bytes``; it is inflated no further.
            Overcrowded: too many bytes are held already.
        """
        try:
            self.content = await self._inflater.decoding.run(self._steps(compressed), sender)
        except zlib.error:
            raise Malformed(INVALID_GZIP, cause="gzip") from None
        return self.content

    def let_go(self) -> None:
        """Hold it no longer."""
        self._inflater.held_bytes -= self.size
        self.size = 0

    def _steps(self, compressed: bytes) -> Steps[bytes]:
        stream = zlib.decompressobj(_GZIP_WINDOW)
        parts = []
        start, rest, has_more = 0, b"", False
        while not stream.eof:
            if not rest and not has_more:
                if start >= len(compressed):
                    raise Malformed(INVALID_GZIP, cause="gzip")
                rest = compressed[start : start + INPUT_BYTES]
                start += INPUT_BYTES
            most = min(SLICE_BYTES, self._max_bytes + 1 - self.size)
            part = stream.decompress(rest, most)
            self._hold(len(part))
            parts.append(part)
            rest, has_more = stream.unconsumed_tail, len(part) == most
            if not stream.eof:
                yield
        if stream.unused_data or start < len(compressed):
            raise Malformed(INVALID_GZIP, cause="gzip")
        return b"".join(parts)

    def _hold(self, size: int) -> None:
        inflater = self._inflater
        self.size += size
        inflater.held_bytes += size
        if self.size > self._max_bytes:
            raise too_large(self._max_bytes, "more when inflated")
        if inflater.held_bytes > inflater.max_held_bytes:
            held = f"{inflater.held_bytes:,} bytes of inflated bodies are held"
            raise Overcrowded(retry_after_seconds=1, told=held)
