"""Who may hold a connection, how long, and with how many bytes of bodies: for all of a process.

A connection is in one stage at every moment, and each stage has a limit, so nobody holds one for
nothing. ``sweep`` looks at all of them a few times a second; a request only notes its stage.

When there are as many as there may be, those go first that do nothing, the longest idle one before
all others; then those with a part of a head, and those whose body is long on its way. If none can
go, a few more are let in for those who watch: a request on these is answered if it is a probe.
"""

import ipaddress
import time
from collections import Counter, deque
from collections.abc import Callable
from heapq import nlargest, nsmallest
from typing import NamedTuple, Protocol

from playsmart_gateway.errors import (
    Closing,
    Overcrowded,
    Refused,
    TooManyConnections,
    TooSlow,
)
from playsmart_gateway.http.answered import Answered, Passed
from playsmart_gateway.http.arrivals import Lobby
from playsmart_gateway.http.refusals import LINES_A_MINUTE, Refusals
from playsmart_gateway.http.turns import ARRIVAL_ROUNDS, ARRIVAL_SECONDS, LongWork, Turns
from playsmart_gateway.metrics import Stats

WAITING, HEAD, BODY, ANSWERING, IDLE, LINGERING = range(6)
STAGES = ("waiting", "head", "body", "answering", "idle", "lingering")
"""Nothing came yet; a head comes; its body comes; it is being answered; it was; hung up, and what
the client still sends is thrown away."""

PROBE_SLOTS = 8
"""Connections beyond the limit, for ``/healthz``, ``/readyz`` and ``/metrics``."""

YIELD_SECONDS = 2.0
"""A body that is on its way for so long gives its place to a newcomer when there is no other."""

ANSWER_SECONDS = 300.0
"""No answer takes so long to begin; each part of the gateway has a shorter limit of its own."""

ROUNDS = 8
"""Of the event loop, between two steps of large bodies; a small request is answered in six."""

READ_ROUNDS = 1
"""Between two reads of large bodies: of hundreds that come at once, one is read in a round."""

LINGER_SECONDS = 2.0
DISCARD_SECONDS = 0.001
"""Between two reads of what is thrown away: at most some 100 MB a second, which cost little."""

PROGRESS_BYTES = 16_384
"""What a client must read of its answer in each request timeout, at least."""

_STAYS = 3
_CUT_AT_ONCE = 64


class Limits(NamedTuple):
    """What one process takes; an address may hold ``max_of_address`` connections, 0 is no limit."""

    max_connections: int = 1_000
    max_of_address: int = 0
    max_body_bytes: int = 33_554_432
    request_seconds: float = 10.0
    keep_alive_seconds: float = 90.0
    log_lines: int = LINES_A_MINUTE
    """Of refusals of each reason, in a minute."""


class Held(Protocol):
    """A connection, as far as its place is concerned; ``since`` is when its stage began."""

    stage: int
    since: float
    address: str
    stuck_at: int
    stuck_since: float
    """What was unsent when the client last read something of it, and when; 0 if all was sent."""

    @property
    def unread_body(self) -> int:
        """Bytes held of a body that is not whole yet; 0 without one."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes of answers that wait for the client to read."""
        ...

    @property
    def is_closing(self) -> bool:
        """Whether it is closed but for what is unsent."""
        ...

    @property
    def has_begun_to_answer(self) -> bool:
        """Whether a part of the answer to the request that it is about was sent."""
        ...

    def refuse(self, refusal: Refused) -> None:
        """Answer with an error, when it is its turn, and hang up."""
        ...

    def close(self) -> None:
        """Close at once; what the client did not read by now is lost."""
        ...

    def give_way(self) -> None:
        """Hang up, for another."""
        ...

    def cut(self, refusal: Refused) -> None:
        """Read no more of the body, and have its request answered with ``refusal``."""
        ...


class Slots:
    """The connections of one process, ``connections``, and their limits.

    Of ``arrivals`` few begin, and few leave the ``lobby`` since they have something to say, in a
    round of the event loop. In ``queue`` are those with a request of a pipeline that may begin when
    it is its turn; of ``large_bodies`` that are whole one at a time is given to its endpoint, or
    decoded a step (``decoding``); of connections whose bodies are large, or thrown away, one at a
    time is read from.

    ``answered`` remembers what became of requests; ``refusals`` takes note of those that were
    refused, here or elsewhere, and ``passed`` is called with those that were here.
    ``clock`` never goes back; ``stopping_since`` is set once the process stops: what is not whole
    ``stop_seconds`` later is refused.
    """

    def __init__(
        self, limits: Limits, stats: Stats, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.stats = stats
        self.clock = clock
        self.answered = Answered()
        self.passed: Callable[[Passed], None] = lambda _: None
        self.refusals = Refusals(stats, self.answered, lines_a_minute=limits.log_lines, clock=clock)
        self.connections: set[Held] = set()
        self.body_bytes = 0
        self.stopping_since: float | None = None
        self.stop_seconds = 0.0
        self.seconds = [0.0] * len(STAGES)
        self.seconds[WAITING] = self.seconds[HEAD] = self.seconds[BODY] = limits.request_seconds
        self.seconds[ANSWERING] = ANSWER_SECONDS
        self.seconds[IDLE] = limits.keep_alive_seconds
        self.seconds[LINGERING] = LINGER_SECONDS
        self.kept_headers: list[tuple[bytes, bytes]] = []
        self.kept_head, self.last_head = b"", b"connection: close\r\n"
        self.queue: deque[Callable[[], None]] = deque()
        self.large_bodies = Turns(ROUNDS)
        self.decoding = LongWork(self.large_bodies)
        self.arrivals = Turns(ARRIVAL_ROUNDS, each_seconds=ARRIVAL_SECONDS)
        self.lobby = Lobby(self.arrivals)
        self.reads, self.discards = Turns(READ_ROUNDS), Turns(seconds=DISCARD_SECONDS)
        self._of_address: Counter[str] = Counter()
        self._unswept: list[Held] = []
        self._sweep_size = 0
        self._at_once = max(1, limits.max_connections // 64)

    def announce(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Take over the headers of all answers; those that keep the connection say how long."""
        seconds = int(self.limits.keep_alive_seconds)
        kept = (b"keep-alive", b"timeout=%d" % seconds)
        self.kept_headers = [*headers, kept] if seconds else headers
        self.kept_head = b"".join(b"%b: %b\r\n" % each for each in self.kept_headers)
        self.last_head = b"".join(b"%b: %b\r\n" % each for each in headers)
        self.last_head += b"connection: close\r\n"

    # ---- Places -----------------------------------------------------------------------------

    def enter(self, connection: Held) -> Refused | None:
        """Give a new connection its place; returns why it gets none."""
        self.connections.add(connection)
        limits = self.limits
        if limits.max_of_address:
            self._of_address[connection.address] += 1
            if self._of_address[connection.address] > limits.max_of_address:
                return too_many(limits.max_of_address, of_address=True)
        if len(self.connections) > limits.max_connections:
            self._make_room(connection)
        return too_many(limits.max_connections) if self.excess > PROBE_SLOTS else None

    def leave(self, connection: Held) -> None:
        """Take note that a connection is gone."""
        self.connections.discard(connection)
        if self.limits.max_of_address:
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]

    @property
    def excess(self) -> int:
        """Connections beyond those that may be; zero or less is no excess."""
        return len(self.connections) - self.limits.max_connections

    def states(self) -> Counter[str]:
        """Count the connections by stage."""
        counted = Counter(STAGES[each.stage] for each in self.connections)
        return Counter({stage: counted[stage] for stage in STAGES})

    def _make_room(self, newcomer: Held) -> None:
        """Close some of the longest idle at once, as looking for them costs a look at all."""
        now = self.clock()

        def rank(connection: Held) -> tuple[int, float]:
            stage, since = connection.stage, connection.since
            if connection is newcomer or stage == ANSWERING:
                return _STAYS, since
            if stage == BODY:
                return (2 if now - since > YIELD_SECONDS else _STAYS), since
            return (1 if stage == HEAD else 0), since

        wanted = max(self._at_once, self.excess)
        for each in nsmallest(wanted, self.connections, key=rank):
            if rank(each)[0] != _STAYS:
                self.stats.connections_closed["for_another"] += 1
                self.connections.discard(each)
                each.give_way()

    # ---- Bodies -----------------------------------------------------------------------------

    def hold(self, size: int) -> None:
        """Count bytes of bodies; if they are too many, the largest unfinished ones are refused.

        So who sends endless bodies is refused, and not who sends a small one beside them.
        """
        self.body_bytes += size
        most = self.limits.max_body_bytes
        if self.body_bytes > most:
            unfinished = [each for each in self.connections if each.unread_body]
            for each in nlargest(_CUT_AT_ONCE, unfinished, key=lambda each: each.unread_body):
                held = f"{self.body_bytes:,} bytes of bodies are on their way"
                each.cut(Overcrowded(retry_after_seconds=1, told=held))
                if self.body_bytes <= most * 15 // 16:  # or the next read looks at all again
                    break

    # ---- Deadlines --------------------------------------------------------------------------

    def sweep(self, parts: int = 1) -> None:
        """End what took too long, of all or in so many calls: a thousand take some milliseconds."""
        if parts == 1 or not self._unswept:
            self._unswept = list(self.connections)
            self._sweep_size = -(-len(self._unswept) // parts)
        now, size = self.clock(), self._sweep_size
        swept, self._unswept = self._unswept[:size], self._unswept[size:]
        for connection in swept:
            if connection not in self.connections:
                continue
            if self._is_stuck(connection, now):
                self._end(connection, "answer_not_read")
            elif not connection.is_closing:
                self._look(connection, now)

    def stop(self, seconds: float) -> None:
        """Give requests that are not whole now so many seconds more."""
        self.stopping_since, self.stop_seconds = self.clock(), seconds

    def _is_stuck(self, connection: Held, now: float) -> bool:
        unsent = connection.unsent
        if not unsent:
            connection.stuck_at = 0
        elif not connection.stuck_at or unsent <= connection.stuck_at - PROGRESS_BYTES:
            connection.stuck_at, connection.stuck_since = unsent, now
        else:
            return now - connection.stuck_since > self.limits.request_seconds
        return False

    def _look(self, connection: Held, now: float) -> None:
        stage, since = connection.stage, connection.since
        refusal: Refused = TooSlow(told=f"not whole within {self.limits.request_seconds:g} s")
        end = since + self.seconds[stage]
        if self.stopping_since is not None:
            if stage in (WAITING, IDLE):
                connection.close()
                return
            if stage in (HEAD, BODY):
                refusal = Closing(retry_after_seconds=1)
                end = min(end, max(since, self.stopping_since) + self.stop_seconds)
        if now > end:
            self._expire(connection, refusal)

    def _expire(self, connection: Held, refusal: Refused) -> None:
        stage, answered = connection.stage, connection.has_begun_to_answer
        if stage in (WAITING, HEAD):
            connection.refuse(refusal)
        elif stage == BODY and answered:  # there is no second answer
            self._end(connection, refusal.message)
        elif stage == BODY:
            self.stats.connections_closed[refusal.message] += 1
            connection.cut(refusal)
        elif stage == IDLE:
            self._end(connection, "idle")
        elif stage == LINGERING:
            connection.close()
        elif not answered:
            self._end(connection, "not_answered")

    def _end(self, connection: Held, reason: str) -> None:
        self.stats.connections_closed[reason] += 1
        connection.close()


def too_many(most: int, *, of_address: bool = False) -> TooManyConnections:
    """Return why a connection is refused where there are as many as may be."""
    if of_address:
        return TooManyConnections(
            "too_many_connections_of_address",
            cause="address",
            retry_after_seconds=1,
            told=f"the address has {most:,}",
        )
    return TooManyConnections(retry_after_seconds=1, told=f"there are {most:,}")


def group_of(address: str) -> str:
    """Return whose connections are counted together: an IPv4 address, or a network of IPv6.

    Who has one address of IPv6 has the 2^64 beside it.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
