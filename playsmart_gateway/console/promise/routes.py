"""``GET /promise/data``: what a 202 means here, the law as it stands, and how far behind what is.

It is from the counters in memory, but for the stream behind a gateway that publishes, which is
asked on the connection that there is, for a second at most. However many look, it is worked out
once a second.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.home import routes as home
from playsmart_gateway.console.pages import files, operators_only
from playsmart_gateway.console.promise import Promise, Terms, promise
from playsmart_gateway.console.promise.pace import Behind, Pace
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.http.ops import Observed
from playsmart_gateway.metrics import Gauges, Snapshot, Stats

PATH = "/promise"
PANEL = home.Panel("promise", f"{PATH}/promise.js", f"{PATH}/promise.css")
"""Its place on the home page."""

FRESH_SECONDS = 1.0
"""How long what was worked out is given to others."""

FLUSHES_BEHIND = 2
"""Events that wait no longer than so many flush intervals do as they always do."""

PATIENCE_SECONDS = 1.0
"""How long the stream is waited for."""

_FILES = {f"{PATH}/{name}": name for name in ("promise.js", "promise.css")}


@runtime_checkable
class Relaying(Protocol):
    """A sink behind which others store what it took."""

    async def backlog(self) -> int:
        """Return how many batches wait there for whoever stores them; keeps no write waiting.

        Raises:
            SinkUnavailable: that cannot be asked now.
        """
        ...


class Follower(msgspec.Struct, frozen=True):
    """What comes after a 202, one step of it, and how far it is behind in its ``unit``."""

    name: str
    does: str
    unit: str
    behind: int | None
    state: str
    seconds: float | None


class Law(msgspec.Struct, frozen=True):
    """received = stored + duplicate + rejected + waiting, in events; ``missing`` is always 0."""

    received: int
    replayed: int
    stored: int
    duplicate: int
    rejected: int
    waiting: int
    missing: int


class Told(msgspec.Struct, frozen=True):
    """All that the panel shows; sizes are in bytes, None where there is no such file."""

    promise: Promise
    law: Law
    journal_bytes: int | None
    store_log_bytes: int | None
    oldest_age: float
    followers: list[Follower]
    not_ready: list[str]


class Follows(msgspec.Struct, frozen=True):
    """What follows the store of this gateway."""

    figures: bool
    catalogue: bool
    lake: bool


class Panel:
    """Works out what is ``told``, once a second; the times of ``clock`` are never set.

    ``sink`` is where events go; one that is ``Relaying`` is asked for what waits behind it.
    """

    def __init__(
        self,
        observed: Observed,
        sink: object,
        terms: Terms,
        follows: Follows,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observed = observed
        self._sink = sink if isinstance(sink, Relaying) else None
        self._terms = terms
        self._promise = promise(terms)
        self._follows = follows
        self._clock = clock
        self._pace = Pace(clock)
        self._turn = asyncio.Lock()
        self._told: tuple[float, bytes] | None = None

    async def told(self) -> bytes:
        """Return it as JSON."""
        async with self._turn:
            now = self._clock()
            if self._told is None or now - self._told[0] >= FRESH_SECONDS:
                await self._observed.refresh()
                backlog = await self._backlog()
                self._told = now, msgspec.json.encode(self._work_out(backlog))
            return self._told[1]

    async def _backlog(self) -> int | None:
        if self._sink is None:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._sink.backlog()
        except (SinkUnavailable, TimeoutError):
            return None

    def _work_out(self, backlog: int | None) -> Told:
        report = self._observed.report()
        stats, gauges = report.stats, report.gauges
        terms = self._terms
        return Told(
            promise=self._promise,
            law=_law(stats, gauges),
            journal_bytes=gauges.journal_bytes if terms.journal else None,
            store_log_bytes=gauges.store_log_bytes if terms.database == "sqlite" else None,
            oldest_age=gauges.oldest_age,
            followers=self._followers(report, backlog),
            not_ready=[f"{each.path}: {each.message}" for each in report.not_ready],
        )

    def _followers(self, report: Snapshot, backlog: int | None) -> list[Follower]:
        stats, gauges = report.stats, report.gauges
        store = "published to the stream" if self._terms.stream else "stored"
        parts: list[tuple[str, str, str, int | None, int]] = [
            ("store", store, "events", gauges.waiting, stats.flush_failures.total()),
        ]
        if self._terms.stream:
            parts.append(("stream", "stored by workers", "batches", backlog, 0))
        beside = [
            ("figures", "counted for the dashboard", stats.figures_lag, self._follows.figures),
            ("audit", "audited: is every coin right", stats.audit_lag, True),
            ("catalogue", "learned by the catalogue", stats.catalogue_lag, self._follows.catalogue),
            ("lake", "written to the lake", stats.lake_lag, self._follows.lake),
        ]
        parts += [
            (name, does, "batches", behind, stats.side_failures[name])
            for name, does, behind, is_there in beside
            if is_there
        ]
        is_fresh = gauges.oldest_age <= FLUSHES_BEHIND * self._terms.flush_interval
        paces = self._pace.look(
            {name: behind for name, _, _, behind, _ in parts},
            {name: failures for name, _, _, _, failures in parts},
            ("store",) if is_fresh else (),
        )
        return [_follower(name, does, unit, paces[name]) for name, does, unit, _, _ in parts]


def _follower(name: str, does: str, unit: str, pace: Behind) -> Follower:
    return Follower(name, does, unit, pace.behind, pace.state, pace.seconds)


def _law(stats: Stats, gauges: Gauges) -> Law:
    return Law(
        received=stats.received,
        replayed=stats.replayed,
        stored=stats.stored,
        duplicate=stats.duplicate,
        rejected=stats.rejected.total(),
        waiting=gauges.waiting,
        missing=stats.unaccounted(gauges.waiting),
    )


def routes(panel: Panel, gate: OperatorGate) -> list[Route]:
    """Return the data of the panel and what shows it, for operators."""

    async def data(_: Request) -> Response:
        return Response(await panel.told(), media_type="application/json")

    scripts = files(Path(__file__).parent, _FILES)
    return operators_only(gate, scripts | {f"{PATH}/data": data})
