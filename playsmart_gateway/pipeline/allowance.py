"""What one player may send: so many events and bytes a second, whoever asks for more waits.

The contract knows no such limit, so there is none unless ``[ingest]`` has one. It is a token bucket
that lets a player be ahead by ``BURST_SECONDS`` and by the request that gets there, so a batch of
200 is taken at any limit and a phone that was offline catches up at the limit's pace. A request
takes the time that its events or its bytes take, whichever is longer, so one number is all that is
kept of a player: until when what was sent is paid for (GCRA). Who owes nothing needs no place.

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

from playsmart_gateway.errors import Detail, RateLimited

BURST_SECONDS = 2.0
"""How far ahead of the limit a player may be before the next request."""

SETS = 65_536
"""Places for four players each: as many as may owe at once. 4 MiB, of which what is used exists."""

MAX_KNOWN_AHEAD = 10_000
"""Players that a process remembers to be ahead, which only saves it reading what they send."""

_WAYS = 4
_WIDTH = 2  # of a place, in words of 8 bytes: whose it is, and until when what was sent is paid for
_STRIDE = _WAYS * _WIDTH


class Allowance:
    """The limits of every player, 0 for none; ``clock`` is in seconds, the same in all processes.

    Made before the processes are forked that share it. Players go by the ``sub`` of their tokens.
    ``ahead`` are those who have to wait as far as this process knows: call ``admit`` before reading
    what somebody sends.
    """

    def __init__(
        self,
        *,
        events_per_second: int,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
        sets: int = SETS,
    ) -> None:
        memory = memoryview(mmap.mmap(-1, sets * _STRIDE * 8))
        self.ahead: dict[str, float] = {}
        self._names = memory.cast("q")
        self._paid = memory.cast("d")
        self._clock = clock
        self._sets = sets
        limits = ((events_per_second, "events"), (bytes_per_second, "bytes"))
        told = (f"{limit:,} {unit}" for limit, unit in limits if limit)
        self._limits = " and ".join(told)
        self._event_seconds = 1 / events_per_second if events_per_second else 0.0
        self._byte_seconds = 1 / bytes_per_second if bytes_per_second else 0.0

    def admit(self, subject: str) -> None:
        """Look whether a player still is ahead, if it is one of ``ahead``.

        Raises:
            RateLimited: ``retry_after_seconds`` says for how long.
        """
        if subject in self.ahead:
            self._refuse_ahead(self.ahead[subject] - self._clock())
            del self.ahead[subject]

    def take(self, subject: str, events: int, size: int) -> None:
        """Count the events of a body of ``size`` bytes, which is about to be accepted.

        Raises:
            RateLimited: the player is ahead too far; nothing is counted.
        """
        now = self._clock()
        place = self._place(subject)
        owed = self._paid[place] - now
        if owed > 0:
            if owed > BURST_SECONDS:
                self._know_ahead(subject, now + owed)
                self._refuse_ahead(owed)
        else:
            owed = 0.0
        seconds, others = events * self._event_seconds, size * self._byte_seconds
        owed += seconds if seconds > others else others
        self._paid[place] = now + owed
        if owed > BURST_SECONDS:
            self._know_ahead(subject, now + owed)

    def charge(self, subject: str, size: int) -> None:
        """Count a body that was read and refused."""
        with contextlib.suppress(RateLimited):
            self.take(subject, 0, size)

    def give_back(self, subject: str, events: int, size: int) -> None:
        """Forget what was taken and not accepted after all."""
        seconds = max(events * self._event_seconds, size * self._byte_seconds)
        self._paid[self._place(subject)] -= seconds
        self.ahead.pop(subject, None)

    def _know_ahead(self, subject: str, until: float) -> None:
        if len(self.ahead) >= MAX_KNOWN_AHEAD:
            self.ahead.clear()
        self.ahead[subject] = until

    def _refuse_ahead(self, owed: float) -> None:
        if owed > BURST_SECONDS:
            wait = math.ceil(owed - BURST_SECONDS)
            again = Detail("", f"at most {self._limits} a second of one player; again in {wait} s")
            raise RateLimited(retry_after_seconds=wait, explanation=again)

    def _place(self, subject: str) -> int:
        """Return where it is kept until when a player has paid."""
        name, names = hash(subject), self._names
        first = name % self._sets * _STRIDE
        if names[first] == name:
            return first + 1
        places = range(first, first + _STRIDE, _WIDTH)
        for place in places:
            if names[place] == name:
                return place + 1
        paid, now = self._paid, self._clock()
        least = min(places, key=lambda each: max(paid[each + 1], now))  # the first who owes nothing
        names[least], paid[least + 1] = name, 0.0
        return least + 1
