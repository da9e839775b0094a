"""One run: who sends what when, and what came of it."""

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter

import msgspec

from playsmart_gateway.load.feeder import Feeder, Line
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.lane import Lane
from playsmart_gateway.load.options import LoadOptions
from playsmart_gateway.load.pool import Pool
from playsmart_gateway.load.report import Report
from playsmart_gateway.load.workload import Workload

_TICK_SECONDS = 0.25
_INTERRUPTED_GRACE_SECONDS = 2.0


class Progress(msgspec.Struct, frozen=True):
    """Where a run is: ``done`` is from 0 to 1, the rate of the last moment, p99 of all so far."""

    done: float
    requests_sent: int
    requests_per_second: float
    p99_seconds: float


class Run(msgspec.Struct, frozen=True):
    """A finished run: its figures, and its lanes with every outcome, to verify."""

    report: Report
    lanes: list[Lane]


async def run_load(
    options: LoadOptions,
    workload: Workload,
    token_for: Callable[[str], str],
    *,
    stop: asyncio.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Send ``workload`` within the bounds of ``options`` and return what came of it.

    ``token_for`` gives a user's bearer token; it is asked once a user, before the clock starts.
    Setting ``stop`` ends the run early: what is in flight has two more seconds. ``on_progress`` is
    called four times a second. Nothing is retried and ``Retry-After`` is not obeyed. A server that
    is gone for longer than the timeout ends the run.

    Raises ``ConfigError`` for options out of their limits and ``Unreachable`` when nobody listens.
    """
    options.check()
    heads = {user: options.head(token_for(user)) for user in workload.users}
    load = _Load(options, workload, heads)
    report = await load.run(stop or asyncio.Event(), on_progress or (lambda _: None))
    return Run(report, load.lanes)


class _Load:
    """The whole run: when it begins, what ends it, and who waits too long."""

    def __init__(self, options: LoadOptions, workload: Workload, heads: dict[str, bytes]) -> None:
        self._options = options
        self._limit = options.scheduled if options.scheduled is not None else inf
        self._tick = min(_TICK_SECONDS, options.timeout_seconds / 4)
        self._figures = Figures()
        self._pool = Pool(options, self._figures.errors)
        self._line = Line(
            workload, heads, limit=self._limit, rate=options.rate, changed=self._settle
        )
        self.lanes = workload.lanes(options.connections)
        self._feeders = [Feeder(lane, self._line, self._figures, self._pool) for lane in self.lanes]
        self._connections = [each for feeder in self._feeders for each in feeder.connections]
        self._over = asyncio.Event()
        self._interrupted = False
        self._stopped = 0.0

    async def run(self, stop: asyncio.Event, on_progress: Callable[[Progress], None]) -> Report:
        """Connect, send until the limits of the run or ``stop``, and wait for what is in flight."""
        try:
            await self._pool.connect(self._connections)
            self._line.sending = True
            self._line.start = perf_counter()
            for feeder in self._feeders:
                feeder.pump()
            await self._watch(stop, on_progress)
        finally:
            self._line.sending = False
            for feeder in self._feeders:
                feeder.close()
            await self._pool.close(self._connections)
        return self._figures.report(
            start=self._line.start,
            stopped=self._stopped,
            limit=self._limit,
            rate=self._options.rate,
            interrupted=self._interrupted,
        )

    async def _watch(self, stop: asyncio.Event, on_progress: Callable[[Progress], None]) -> None:
        start = last_open = last_tick = self._line.start
        deadline = start + (self._options.duration_seconds or inf)
        last_sent = 0
        while not self._over.is_set():
            sending = self._line.sending
            await self._wait(min(deadline if sending else inf, last_tick + self._tick), stop)
            now = perf_counter()
            if self._pool.open:
                last_open = now
            is_gone = now - last_open > self._options.timeout_seconds
            self._interrupted = self._interrupted or stop.is_set()
            if self._line.sending and (now >= deadline or is_gone or self._interrupted):
                self._stop_sending(now)
            if now - last_tick >= self._tick:
                self._expire(now)
                sent = self._figures.sent
                on_progress(self._progress(now - start, (sent - last_sent) / (now - last_tick)))
                last_tick, last_sent = now, sent
        self._stopped = self._stopped or perf_counter()

    async def _wait(self, until: float, stop: asyncio.Event) -> None:
        """Wait for the end, for ``until``, or for the first sight of ``stop``."""
        events = [self._over] if self._interrupted else [self._over, stop]
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.wait(
            waits,
            timeout=max(0.0, until - perf_counter()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        for wait in waits:
            wait.cancel()

    def _stop_sending(self, now: float) -> None:
        for feeder in self._feeders:
            feeder.pump()  # what fell due in the last moment still belongs to the run
        self._line.sending = False
        self._stopped = now
        self._settle()

    def _settle(self) -> None:
        """Notice the end: nothing in flight, and nothing left to send."""
        if self._figures.in_flight == 0 and not (
            self._line.sending and any(not feeder.exhausted for feeder in self._feeders)
        ):
            self._over.set()

    def _expire(self, now: float) -> None:
        """Give up what waited too long. The ticks make that precise to a quarter of the timeout."""
        oldest = now - self._options.timeout_seconds
        grace_is_over = self._interrupted and now - self._stopped > _INTERRUPTED_GRACE_SECONDS
        for connection in self._connections:
            if connection.busy and (grace_is_over or connection.sent_at <= oldest):
                connection.fail("unanswered" if grace_is_over else "timeout")

    def _progress(self, elapsed: float, rate: float) -> Progress:
        done = self._figures.sent / self._limit
        if self._options.duration_seconds is not None:
            done = max(done, elapsed / self._options.duration_seconds)
        p99 = self._figures.latency.percentile(99)
        return Progress(min(1.0, done), self._figures.sent, rate, p99)
