"""What a head must be for every parser to read the same in it (RFC 9112 sections 3.2, 6.1, 11.2).

The parser refuses what is broken by itself: a second length, a length beside chunks, folded lines,
bare line feeds. What it lets through, and a proxy before us could read in another way, is here.
"""

import re
import urllib.parse

import httptools

from playsmart_gateway.http.preferences import by_name

RawHeaders = list[tuple[bytes, bytes]]

_VALID_HOST = re.compile(rb"([\w.~!$&'()*+,;=%-]*|\[[\da-fA-F:.]+\])(:\d*)?", re.ASCII)
_SINGLE = (
    b"host",
    b"authorization",
    b"x-forwarded-authorization",
    b"x-api-key",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"transfer-encoding",
)
"""Headers that decide who asks for what: of two of a name, each reader could take another."""


class Heads:
    """Reads the heads of one connection; what each repeats of the one before is not read again."""

    def __init__(self) -> None:
        self._host: bytes | None = None
        self._url = b""
        self._target = "", b"", b""

    def read(self, raw: RawHeaders, version: str) -> dict[bytes, bytes]:
        """Return the headers by name, in small letters; see ``by_name`` for repeated ones.

        Raises:
            ValueError: another parser could read this head in another way.
        """
        headers = by_name(raw)
        if len(headers) != len(raw):
            names = [name for name, _ in raw]
            if any(names.count(name) > 1 for name in _SINGLE):
                raise ValueError
        if version != "1.1" and version != "1.0":
            raise ValueError
        host = headers.get(b"host")
        if host != self._host or host is None:
            if host is None and version != "1.0":
                raise ValueError
            if not _VALID_HOST.fullmatch(host or b""):
                raise ValueError
            self._host = host
        coding = headers.get(b"transfer-encoding")
        if coding is not None and (coding.lower() != b"chunked" or version == "1.0"):
            raise ValueError
        return headers

    def target(self, url: bytes) -> tuple[str, bytes, bytes]:
        """Return the path, unquoted and as it came, and the query of a request target."""
        if url != self._url:
            parsed = httptools.parse_url(url)
            path = parsed.path.decode("ascii")
            path = urllib.parse.unquote(path) if "%" in path else path
            self._target = path, parsed.path, parsed.query or b""
            self._url = url
        return self._target


def without_upgrade(method: bytes, url: bytes, version: str, raw: RawHeaders) -> bytes:
    """Return the head without its wish to upgrade (RFC 9110 section 7.8).

    Raises:
        ValueError: the method is CONNECT, behind which there is no HTTP.
    """
    if method == b"CONNECT":
        raise ValueError
    lines = [b"%b %b HTTP/%b\r\n" % (method, url, version.encode())]
    lines += [b"%b: %b\r\n" % each for each in raw if each[0] != b"upgrade"]
    return b"".join((*lines, b"\r\n"))
