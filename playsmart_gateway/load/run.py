"""One run: who sends what when, and what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import perf_counter
from typing import NamedTuple

import msgspec

from playsmart_gateway.load.breaking import Breaking
from playsmart_gateway.load.feeder import Feeder, Line
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.lane import WHOLE, Lane, Share
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


class Part(NamedTuple):
    """What one process has sent: figures, lanes, and until when, by ``perf_counter``."""

    figures: Figures
    lanes: list[Lane]
    stopped: float
    interrupted: bool

    def report(self, options: LoadOptions) -> Report:
        """Return what was measured."""
        return self.figures.report(
            stopped=self.stopped,
            limit=options.limit,
            schedule=options.schedule,
            interrupted=self.interrupted,
        )


class Run(msgspec.Struct, frozen=True):
    """A finished run: its figures, and its lanes with every outcome, to verify."""

    report: Report
    lanes: list[Lane]


class Conduct(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is led from outside.

    Setting ``stop`` ends it early: what is in flight has two more seconds. ``is_enough`` is asked
    four times a second, with the figures so far and the seconds since the start; if it says so
    nothing more is sent, and all answers are waited for. ``on_progress`` is called then, too.
    ``ready`` is awaited once all connections are open, and returns when to begin, by the clock of
    ``perf_counter``. ``share`` is the part of the requests that is sent here.
    """

    stop: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    is_enough: Callable[[Figures, float], bool] = lambda _, __: False
    on_progress: Callable[[Progress], None] = lambda _: None
    ready: Callable[[], Awaitable[float]] | None = None
    share: Share = WHOLE


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
    ``stop`` and ``on_progress`` are those of ``Conduct``. Nothing is retried and ``Retry-After`` is
    not obeyed. A server that is gone for longer than the timeout ends the run, and so does one that
    breaks under a ramp.

    Raises ``ConfigError`` for options out of their limits and ``Unreachable`` when nobody listens.
    """
    options.check()
    breaking = Breaking(options)
    conduct = Conduct(
        stop=stop or asyncio.Event(),
        is_enough=lambda figures, elapsed: breaking.has_come(figures.timeline, elapsed),
        on_progress=on_progress or (lambda _: None),
    )
    part = await send(options, workload, token_for, conduct)
    return Run(breaking.told(part.report(options)), part.lanes)


async def send(
    options: LoadOptions, workload: Workload, token_for: Callable[[str], str], conduct: Conduct
) -> Part:
    """Send a share of ``workload`` within options that were checked; see ``run_load``."""
    heads = {user: options.head(token_for(user)) for user in workload.users}
    return await _Load(options, workload, heads, conduct).run()


class _Load:
    """The whole run: when it begins, what ends it, and who waits too long."""

    def __init__(
        self,
        options: LoadOptions,
        workload: Workload,
        heads: dict[str, bytes],
        conduct: Conduct,
    ) -> None:
        self._options = options
        self._conduct = conduct
        self._limit = options.limit
        self._tick = min(_TICK_SECONDS, options.timeout_seconds / 4)
        self._figures = Figures()
        self._pool = Pool(options, self._figures.errors)
        self._line = Line(
            workload, heads, limit=self._limit, schedule=options.schedule, changed=self._settle
        )
        self.lanes = workload.lanes(options.connections, conduct.share)
        self._feeders = [Feeder(lane, self._line, self._figures, self._pool) for lane in self.lanes]
        self._connections = [each for feeder in self._feeders for each in feeder.connections]
        self._over = asyncio.Event()
        self._interrupted = False
        self._stopped = 0.0

    async def run(self) -> Part:
        """Connect, send until the limits of the run, and wait for what is in flight."""
        try:
            await self._pool.connect(self._connections)
            if self._conduct.ready is None:
                self._figures.start = perf_counter()
            else:
                self._figures.start = await self._conduct.ready()
                await asyncio.sleep(self._figures.start - perf_counter())
            self._line.sending = True
            self._line.start = self._figures.start
            for feeder in self._feeders:
                feeder.pump()
            self._settle()  # a share may have nothing in it
            await self._watch()
        finally:
            self._line.sending = False
            for feeder in self._feeders:
                feeder.close()
            await self._pool.close(self._connections)
        return Part(self._figures, self.lanes, self._stopped, interrupted=self._interrupted)

    async def _watch(self) -> None:
        stop = self._conduct.stop
        start = last_open = last_tick = self._line.start
        deadline = start + (self._options.duration_seconds or inf)
        last_sent = 0
        while not self._over.is_set():
            sending = self._line.sending
            await self._wait(min(deadline if sending else inf, last_tick + self._tick), stop)
            now = perf_counter()
            if self._pool.open:
                last_open = now
            is_enough = self._line.sending and self._conduct.is_enough(self._figures, now - start)
            is_gone = now - last_open > self._options.timeout_seconds
            self._interrupted = self._interrupted or stop.is_set()
            if self._line.sending and (
                now >= deadline or is_gone or is_enough or self._interrupted
            ):
                self._stop_sending(now)
            if now - last_tick >= self._tick:
                self._expire(now)
                sent = self._figures.sent
                self._conduct.on_progress(
                    self._progress(now - start, (sent - last_sent) / (now - last_tick))
                )
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
