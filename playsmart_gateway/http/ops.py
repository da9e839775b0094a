"""What operators and curious people ask: ``/``, ``/healthz``, ``/readyz``, ``/metrics``.

It reports and decides nothing.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.http.error_body import error_body
from playsmart_gateway.metrics import Snapshot

LINKS = {
    "/manual": "how to use and run all of this, chapter by chapter",
    "/docs": "the API explained, to try out",
    "/openapi.json": "the same for programs (OpenAPI 3.1)",
}
PROBED = {
    "/healthz": "is the process alive",
    "/readyz": "does it take events and can it store them",
    "/metrics": "Prometheus metrics",
}

PATHS = ("/", *LINKS, *PROBED)
PROBES = ("/healthz", "/readyz", "/metrics")
"""Answered even when there are more connections than may be; see ``slots``."""


class Observed(Protocol):
    """The gateway that is reported on."""

    async def refresh(self) -> None:
        """Have all workers say how things stand before ``report`` is called."""
        ...

    def report(self) -> Snapshot:
        """Return how things stand, in all workers together."""
        ...


def routes(
    observed: Observed,
    links: Mapping[str, str],
    page: Callable[[Request], Awaitable[Response]],
    *,
    of_process: bool = True,
) -> list[Route]:
    """Return the operational routes; ``/`` has the ``links`` of others among its own.

    A browser gets the ``page`` there. The metrics are also ``of_process`` if there is only one.
    """
    all_links = {**LINKS, **links, **PROBED}

    @cache
    def exposed() -> Callable[[], Response]:
        from playsmart_gateway.http.exposition import StatsCollector, exposing  # not at the start

        return exposing(StatsCollector(observed.report), of_process=of_process)

    async def home(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return await page(request)
        return _json({"name": "playsmart_gateway", "version": __version__, "links": all_links})

    async def healthz(_: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(_: Request) -> Response:
        await observed.refresh()
        if reasons := observed.report().not_ready:
            body = error_body(503, "not_ready", reasons)
            return Response(body, 503, {"retry-after": "1"}, "application/json")
        return _json({"status": "ready"})

    async def metrics(_: Request) -> Response:
        await observed.refresh()
        return exposed()()

    return [
        Route("/", home),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")
