"""What a client would like, in its ``Prefer`` header (RFC 7240)."""

import re
from collections.abc import Sequence

MAX_BYTES = 1_024
"""A header that is longer is as good as none; strangers send it, too."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_VALUE = rb'(?:%b|"(?:[^"\\]|\\.)*+")' % _TOKEN
_SPACE = rb"[ \t]*+"
_BINDING = rb"%b(?:%b=%b(%b)?)?+" % (_TOKEN, _SPACE, _SPACE, _VALUE)
_preference = re.compile(
    rb"%b(?:(%b)(?:%b=%b(%b)?)?+(?:%b;%b(?:%b)?+)*+)?+%b(?:,|\Z)"
    % (_SPACE, _TOKEN, _SPACE, _SPACE, _VALUE, _SPACE, _SPACE, _BINDING, _SPACE)
).match
"""One element of the list, which may be empty; its parameters say nothing that we ask for. Nothing
is tried twice, so a header costs no more than its length."""
_escaped = re.compile(rb"\\(.)")


def by_name(raw: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name: of repeated ones the last, but all ``prefer`` as one list."""
    headers = dict(raw)
    if len(headers) != len(raw) and b"prefer" in headers:
        headers[b"prefer"] = b", ".join([value for name, value in raw if name == b"prefer"])
    return headers


def preference(prefer: bytes, name: bytes) -> bytes:
    """Return the value of a preference in small letters; ``name`` is in small letters, too.

    That is ``b""`` if it has none, or is not among those in ``prefer``: a value that is empty and
    no value are the same. Of two of a name the first counts (section 2), and behind a list that is
    broken nothing is looked for.
    """
    place = 0 if len(prefer) <= MAX_BYTES else len(prefer)
    while place < len(prefer) and (found := _preference(prefer, place)):
        if found[1] is not None and found[1].lower() == name:
            return _unquoted(found[2] or b"").lower()
        place = found.end()
    return b""


def _unquoted(value: bytes) -> bytes:
    return _escaped.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
