"""``GET /dashboard``: what comes in, what becomes of it, and what players do; and the report.

The page polls ``/dashboard/data``, which has two halves. ``live`` is from the counters in memory,
as of now. ``figures`` is from the store, by bounded queries over the sums of the rollup task
(see ``stores.rollups``), and says up to when events are in it. However many watch, the store is
asked for the same figures once a second at most.

``/dashboard/report`` asks ``/dashboard/report/data`` once for each question (see ``questions``):
``asked`` is one as JSON.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.dashboard.window import Recent
from playsmart_gateway.console.pages import Cache, files, json_answer, operators_only
from playsmart_gateway.errors import ConfigError, Malformed, SinkError, StoreUnavailable
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.ops import Observed
from playsmart_gateway.http.static import Asset, Frame, package_folder
from playsmart_gateway.questions.asked import Asked
from playsmart_gateway.questions.process import Busy, Desk
from playsmart_gateway.stores.contract import Rollups
from playsmart_gateway.stores.rollups import SPANS, Figures

PATH = "/dashboard"
TITLE = "what players do, in charts (for operators)"
RANGES = {"1h": 3_600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
MAX_GAME_ID = 256

_PAGES = {
    PATH: "dashboard.html",
    f"{PATH}/dashboard.css": "dashboard.css",
    f"{PATH}/dashboard.js": "dashboard.js",
    f"{PATH}/charts.js": "charts.js",
    f"{PATH}/report": "report.html",
    f"{PATH}/report.js": "report.js",
    f"{PATH}/panels.js": "panels.js",
    f"{PATH}/funnel.js": "funnel.js",
}


class Watched(Observed, Protocol):
    """The parts of a gateway that the page shows."""

    rollups: Rollups | None


def routes(
    watched: Watched,
    gate: OperatorGate,
    ingest_routes: Collection[str],
    sources: Mapping[str, str],
    desk: Desk,
    frame: Frame,
    clock: Callable[[], float] = time.time,
) -> list[Route]:
    """Return the pages, what belongs to them, and their data; times are by ``clock``.

    Events of ``sources`` are shown together, by these names; all others by their types. Questions
    of the report are answered at the ``desk``. The pages are in the ``frame`` of all.
    """
    recent = Recent(lambda: watched.report().stats, ingest_routes)
    rollups = watched.rollups

    async def read(wanted: tuple[str | None, int]) -> Figures | None:
        return None if rollups is None else await rollups.read(*wanted, clock())

    cache = Cache(read)

    async def data(request: Request) -> Response:
        game_id, wanted = request.query_params.get("game"), request.query_params.get("range", "24h")
        if wanted not in RANGES or (game_id is not None and len(game_id) > MAX_GAME_ID):
            return refusing(Malformed("invalid_query", cause="query"))
        figures, trouble = None, None
        if rollups is None:
            trouble = "this store keeps no figures"
        try:
            figures = await cache.take((game_id or None, RANGES[wanted]))
        except SinkError as error:
            trouble = str(error)
        span = SPANS[RANGES[wanted]]
        await watched.refresh()
        content = {
            "version": __version__,
            "now": clock(),
            "range": {"seconds": RANGES[wanted], "bucket_seconds": span},
            "live": _live(watched, recent),
            "sources": sources,
            "figures": figures,
            "trouble": trouble,
        }
        return json_answer(content)

    async def answer(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(request.query_params.get("asked", ""), type=Asked)
            return Response(await desk.ask(asked), media_type="application/json")
        except (msgspec.DecodeError, ConfigError) as error:
            return refusing(Malformed(str(error), cause="query"))
        except (Busy, SinkError) as error:
            return refusing(StoreUnavailable(str(error)))

    answers = files(Path(__file__).parent, _PAGES, frame) | {
        f"{PATH}/data": data,
        f"{PATH}/report/data": answer,
        f"{PATH}/plotly.min.js": _chart_library,
    }
    return operators_only(gate, answers)


def _live(watched: Watched, recent: Recent) -> dict[str, Any]:
    report = watched.report()
    stats, gauges = report.stats, report.gauges
    return {
        "received": stats.received,
        "accepted": stats.accepted,
        "replayed": stats.replayed,
        "stored": stats.stored,
        "duplicate": stats.duplicate,
        "rejected": stats.rejected,
        "buffered": gauges.waiting,
        "buffer_max_events": gauges.max_events,
        "oldest_age": gauges.oldest_age,
        "refused_requests": stats.refused_requests,
        "flush_failures": stats.flush_failures.total(),
        "not_ready": [f"{each.path}: {each.message}" for each in report.not_ready],
        "window": recent.window(),
    }


async def _chart_library(request: Request) -> Response:
    # In a thread: packing it, once, takes a fifth of a second.
    return await asyncio.to_thread(lambda: _plotly().answer(request, {}))


@cache
def _plotly() -> Asset:
    script = package_folder("plotly") / "package_data" / "plotly.min.js"
    return Asset.of(script.read_bytes(), "text/javascript", pack=True)
