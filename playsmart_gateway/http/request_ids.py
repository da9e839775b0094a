"""The id of a request: its client's own, or a new one."""

import re
import time
from random import getrandbits

from playsmart_gateway.http.endpoint import Headers

# What begins as a JSON Web Token does could be one, and would be in the log.
_SANE_REQUEST_ID = re.compile(rb"(?!eyJ[\w-]{8,}\.)[\x21-\x7e]{1,128}")


class _RequestIds:
    """Makes ids of requests: UUIDv7 (RFC 9562 section 5.7), which sort by the time of their making.

    Chance is asked once a millisecond and then counted on (section 6.2, method 2), which takes a
    third of the time. They name requests and guard nothing, so the quick source of chance will do.
    """

    def __init__(self) -> None:
        self._millisecond = 0
        self._head = b""
        self._tail = 0

    def __call__(self) -> bytes:
        """Return a new id."""
        now = time.time_ns() // 1_000_000
        if now != self._millisecond:
            self._millisecond = now
            self._head = b"%08x-%04x-7%03x-%04x-" % (
                now >> 16, now & 0xFFFF, getrandbits(12), 0x8000 | getrandbits(14),
            )  # fmt: skip
            self._tail = getrandbits(48)
        self._tail = (self._tail + 1) & 0xFFFF_FFFF_FFFF
        return self._head + b"%012x" % self._tail


make_request_id = _RequestIds()


def request_id_of(headers: Headers) -> bytes:
    """Return the id that a request was given, if that is a sane one, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _SANE_REQUEST_ID.fullmatch(given):
        return given
    return make_request_id()
