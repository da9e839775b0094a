"""What one of several workers has in common with its siblings; without workers nothing of it runs.

All of it was made by the supervisor before the fork: the board with everybody's reports, the
channels, the counts of limits, the fair_lock before the store, and the lifeline, a pipe that ends
when the supervisor does.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from playsmart_gateway import metrics
from playsmart_gateway.errors import Detail
from playsmart_gateway.metrics import Snapshot
from playsmart_gateway.peers.channels import (
    MAX_LETTER_BYTES,
    Channels,
)
from playsmart_gateway.peers.fair_lock import FairLock
from playsmart_gateway.peers.scoreboard import Scoreboard
from playsmart_gateway.rate_limit import SharedCounts

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.25
"""How old a report on the board may be, if nobody asks for a fresh one."""

REFRESH_SECONDS = 0.1
"""How long whoever asks waits for fresh reports; each takes a turn of a sibling's loop."""


class Known(msgspec.Struct, tag=True, array_like=True):
    """A session of a player began, so the player is known; see ``known_players``."""

    app_id: str
    user_id: str
    country: str


class Started(msgspec.Struct, tag=True, array_like=True):
    """A worker started, and knows nothing of what was told before."""

    worker: int


class Refresh(msgspec.Struct, tag=True, array_like=True):
    """Somebody wants to know how things stand."""


class Watch(msgspec.Struct, tag=True, array_like=True):
    """Somebody watches requests at ``worker``, by a number of its own; told again and again."""

    worker: int
    watch: int
    interest: tuple[str, ...]


class Unwatch(msgspec.Struct, tag=True, array_like=True):
    """Nobody does any more."""

    worker: int
    watch: int


class News(msgspec.Struct, tag=True, array_like=True):
    """What a sibling has for a watch: an event of the stream, as JSON."""

    worker: int
    watch: int
    name: str
    data: bytes


class Ask(msgspec.Struct, tag=True, array_like=True):
    """A sibling is to say ``what`` of ``data``; the answer is ``News`` for ``watch``."""

    worker: int
    watch: int
    what: str
    data: bytes


Message = Known | Started | Refresh | Watch | Unwatch | News | Ask
_M = TypeVar("_M", bound=msgspec.Struct)
_decode = msgspec.msgpack.Decoder(Message).decode
CONNECTION = b"\xc0"
"""What a letter with a connection says beside it: nothing, in msgpack."""


class Peer:
    """Peer ``number``, counted from 0, and its ties to the others.

    The first one also does what a store needs once: the audit, and the sums of the dashboard.
    """

    def __init__(
        self,
        number: int,
        board: Scoreboard,
        channels: Channels,
        counts: SharedCounts,
        fair_lock: FairLock,
        lifeline: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.number = number
        self.count = board.workers
        self.counts = counts
        self.fair_lock = fair_lock
        self._scoreboard = board
        self._channels = channels
        self._lifeline = lifeline
        self._clock = clock
        self._handlers: dict[type, list[Callable[[Any], None]]] = {}
        self._take_connection: Callable[[int], None] = os.close
        self._own: Callable[[], Snapshot] | None = None
        self.on(Refresh, lambda _: self.publish())

    # ---- The board --------------------------------------------------------------------------

    def inherited(self) -> Snapshot | None:
        """Return the last report of this worker's former life, if it had one."""
        hung = self._scoreboard.read(self.number)
        return None if hung is None else metrics.decode(hung.content)

    def publish(self) -> None:
        """Show the siblings how things stand here, unless the journal is still being read."""
        if self._own is not None:
            self._scoreboard.hang(self.number, metrics.encode(self._own()), self._clock())

    async def refresh(self) -> None:
        """Have the siblings show how things stand there; not all of them may be able to."""
        asked = self._clock()
        self.tell(Refresh())
        while self._clock() - asked < REFRESH_SECONDS and any(  # noqa: ASYNC110 - it is on the board
            hung.at < asked
            for number in range(self.count)
            if number != self.number
            and self._scoreboard.state(number) in ("ready", "stopping")
            and (hung := self._scoreboard.read(number)) is not None
        ):
            await asyncio.sleep(0.001)

    def whole(self) -> Snapshot | None:
        """Return what all workers say together; None if none of them has said anything yet."""
        self.publish()
        whole, found = None, []
        up = 0
        for number in range(self.count):
            hung, state = self._scoreboard.read(number), self._scoreboard.state(number)
            if state in ("gone", "starting"):
                found.append(Detail(f"worker.{number}", state))
            elif self._scoreboard.is_silent(number, self._clock()):
                found.append(Detail(f"worker.{number}", "silent"))
            else:
                up += 1
            if hung is None:
                continue
            report = metrics.decode(hung.content)
            if state not in ("gone", "starting"):
                found += [
                    Detail(f"worker.{number}.{each.path}", each.message)
                    for each in report.not_ready
                ]
            if whole is None:
                whole = report
            else:
                whole.stats.add(report.stats)
                whole.gauges.add(report.gauges)
        if whole is None:
            return None
        whole.not_ready, whole.workers, whole.workers_up = found, self.count, up
        whole.restarts = sum(map(self._scoreboard.restarts, range(self.count)))
        return whole

    async def keep_publishing(self) -> None:
        """Show how things stand, again and again."""
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    # ---- The channels ----------------------------------------------------------------------

    @contextlib.contextmanager
    def listening(self, own: Callable[[], Snapshot]) -> Iterator[None]:
        """Read letters while entered, and stop in order when the supervisor is gone.

        ``own`` returns how things stand here; it is shown to the siblings to the end.
        """
        loop = asyncio.get_running_loop()
        channel = self._channels.descriptor(self.number)
        self._own = own
        self.publish()
        self.tell(Started(self.number))
        loop.add_reader(channel, self.read)
        loop.add_reader(self._lifeline, self._orphaned)
        try:
            yield
        finally:
            loop.remove_reader(channel)
            loop.remove_reader(self._lifeline)
            self.publish()
            self._own = None

    def on(self, kind: type[_M], handle: Callable[[_M], None]) -> None:
        """Have ``handle`` called with messages of a kind."""
        self._handlers.setdefault(kind, []).append(handle)

    def tell(self, message: Message, worker: int | None = None) -> bool:
        """Tell a worker, or all siblings; False if it could not be told to somebody."""
        content = msgspec.msgpack.encode(message)
        if len(content) > MAX_LETTER_BYTES:
            return False
        others = [each for each in range(self.count) if each != self.number]
        told = [self._channels.put(each, content) for each in others if worker in (None, each)]
        return all(told)

    def read(self) -> None:
        """Read what is in the channel."""
        while (letter := self._channels.take(self.number)) is not None:
            if letter.content == CONNECTION:
                if letter.file is None:  # the kernel gives no descriptor beyond the limit
                    logger.warning("a connection was lost: too many open files")
                else:
                    self._take_connection(letter.file)
                continue
            message = _decode(letter.content)
            for handle in self._handlers.get(type(message), ()):
                handle(message)

    # ---- The life of a worker ---------------------------------------------------------------

    def serves(self, take_connection: Callable[[int], None]) -> None:
        """Be ready: the supervisor may send connections, as descriptors, which are now ours."""
        self._take_connection = take_connection
        self._scoreboard.set_state(self.number, "ready")

    def stops(self) -> None:
        """Take no more connections; those that come all the same are closed."""
        self._scoreboard.set_state(self.number, "stopping")
        self.read()
        self._take_connection = os.close

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._lifeline)
        os.kill(os.getpid(), signal.SIGTERM)
