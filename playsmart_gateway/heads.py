"""What a head must be for every parser to read the same in it (RFC 9112 sections 3.2, 6.1, 11.2).

The parser refuses what is broken by itself: a second length, a length beside chunks, folded lines,
bare line feeds. What it lets through, and a proxy before us could read in another way, is here.
"""

import re

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


def require_one_meaning(raw: RawHeaders, headers: dict[bytes, bytes], version: str) -> None:
    """Raise ``ValueError`` for a head that another parser could read in another way.

    ``headers`` are those of ``raw`` by name.
    """
    if len(headers) != len(raw):
        names = [name for name, _ in raw]
        if any(names.count(name) > 1 for name in _SINGLE):
            raise ValueError
    if version != "1.1" and version != "1.0":
        raise ValueError
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (coding.lower() != b"chunked" or version == "1.0"):
        raise ValueError


def require_host(host: bytes | None, version: str) -> None:
    """Raise ``ValueError`` unless there is a host that can be one; HTTP/1.0 needs none."""
    if host is None:
        if version != "1.0":
            raise ValueError
    elif not _VALID_HOST.fullmatch(host):
        raise ValueError


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
