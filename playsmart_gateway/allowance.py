"""What one player may send: so many events and bytes a second, whoever asks for more waits.

The contract knows no such limit, so there is none unless ``[ingest]`` has one. Each is a token
bucket that lets a player be ahead by ``BURST_SECONDS`` and by the request that gets there, so a
batch of 200 is taken at any limit and a phone that was offline catches up at the limit's pace. What
is kept of a bucket is one number: until when what was sent is paid for (GCRA). Who owes nothing
needs no place.

The places are memory that forked processes share, so the limits hold for all workers of a gateway
together, whichever of them a player's connections reach. There is no lock: two that count the same
player within the same microsecond may miss one of the two. A place is found by a hash that only
this gateway knows (strings hash differently in each run); where more players owe than there is room
for, who owes least is forgotten, so nobody ever pays for somebody else.
"""

import contextlib
import math
import mmap
import time
from collections.abc import Callable

from playsmart_gateway.errors import RateLimited

BURST_SECONDS = 2.0
"""How far ahead of the limit a player may be before the next request."""

SETS = 65_536
"""Places for four players each: as many as may owe at once. 6 MiB, of which what is used exists."""

_WAYS = 4
_WIDTH = 3  # of a place, in words of 8 bytes: whose it is, events paid until, bytes paid until
_STRIDE = _WAYS * _WIDTH
_EVENTS, _BYTES = 1, 2


class Allowance:
    """The limits of every player, 0 for none; ``clock`` is in seconds, the same in all processes.

    Made before the processes are forked that share it. Players go by the ``sub`` of their tokens.
    """

    def __init__(
        self,
        *,
        events_per_second: int,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
        sets: int = SETS,
    ) -> None:
        memory = memoryview(mmap.mmap(-1, sets * _WAYS * _WIDTH * 8))
        self._names = memory.cast("q")
        self._paid = memory.cast("d")
        self._clock = clock
        self._sets = sets
        self._event_seconds = 1 / events_per_second if events_per_second else 0.0
        self._byte_seconds = 1 / bytes_per_second if bytes_per_second else 0.0

    def admit(self, subject: str) -> None:
        """Look before anything is read for the player.

        Raises:
            RateLimited: the player owes too much; ``retry_after_seconds`` says for how long.
        """
        name = hash(subject)
        place = name % self._sets * _STRIDE
        if self._names[place] != name and (place := self._find(name)) < 0:
            return
        paid, most = self._paid, self._clock() + BURST_SECONDS
        if paid[place + _EVENTS] > most or paid[place + _BYTES] > most:
            self._refuse(place, most)

    def take(self, subject: str, events: int, size: int) -> None:
        """Count the events of a body of ``size`` bytes, which is about to be accepted.

        Raises:
            RateLimited: others of the player's requests came first; nothing is counted.
        """
        name = hash(subject)
        place = name % self._sets * _STRIDE
        if self._names[place] != name and (place := self._find(name)) < 0:
            place = self._claim(name)
        paid, now = self._paid, self._clock()
        until_events, until_bytes = paid[place + _EVENTS], paid[place + _BYTES]
        most = now + BURST_SECONDS
        if until_events > most or until_bytes > most:
            self._refuse(place, most)
        start = until_events if until_events > now else now
        paid[place + _EVENTS] = start + events * self._event_seconds
        start = until_bytes if until_bytes > now else now
        paid[place + _BYTES] = start + size * self._byte_seconds

    def charge_bytes(self, subject: str, size: int) -> None:
        """Count a body that was read and refused."""
        with contextlib.suppress(RateLimited):
            self.take(subject, 0, size)

    def give_back_events(self, subject: str, count: int) -> None:
        """Forget events that were not accepted after all."""
        if (place := self._find(hash(subject))) >= 0:
            self._paid[place + _EVENTS] -= count * self._event_seconds

    def _refuse(self, place: int, most: float) -> None:
        until = max(self._paid[place + _EVENTS], self._paid[place + _BYTES])
        raise RateLimited(retry_after_seconds=math.ceil(until - most))

    def _find(self, name: int) -> int:
        """Return the player's place, -1 if there is none."""
        names = self._names
        for place in self._places(name):
            if names[place] == name:
                return place
        return -1

    def _claim(self, name: int) -> int:
        """Return a place that is the player's from now on: the first of who owes least."""
        paid, now = self._paid, self._clock()
        place = min(
            self._places(name),
            key=lambda each: max(paid[each + _EVENTS], paid[each + _BYTES], now),
        )
        paid[place + _EVENTS] = paid[place + _BYTES] = 0.0
        self._names[place] = name
        return place

    def _places(self, name: int) -> range:
        first = name % self._sets * _STRIDE
        return range(first, first + _STRIDE, _WIDTH)
