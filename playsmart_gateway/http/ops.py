"""What operators and curious people ask: ``/``, ``/healthz``, ``/readyz``, ``/metrics``.

It reports and decides nothing.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.http.error_body import error_body
from playsmart_gateway.metrics import Snapshot

LINKS = {
    "/manual": "how to use and run all of this, chapter by chapter",
    "/docs": "the API explained, to try out",
    "/openapi.json": "the same for programs (OpenAPI 3.1)",
}
_PROBES = {
    "/healthz": "is the process alive",
    "/readyz": "does it take events and can it store them",
    "/metrics": "Prometheus metrics",
}

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


def routes(observed: Observed, links: Mapping[str, str], *, of_process: bool = True) -> list[Route]:
    """Return the operational routes; ``/`` has the ``links`` of others among its own.

    The metrics are also ``of_process`` if there is only one.
    """
    all_links = {**LINKS, **links, **_PROBES}

    @cache
    def exposed() -> Callable[[], Response]:
        from playsmart_gateway.http.exposition import StatsCollector, exposing  # not at the start

        return exposing(StatsCollector(observed.report), of_process=of_process)

    async def home(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_home_page(all_links))
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


def _home_page(links: Mapping[str, str]) -> str:
    items = "".join(
        f'<li><a href="{path}"><code>{path}</code></a> {what}</li>' for path, what in links.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>playsmart_gateway</title><style>:root{color-scheme:light dark}"
        "body{font:1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}"
        "li{margin:.4rem 0}</style>"
        f"<h1>playsmart_gateway</h1><p>Version {__version__}. Takes batches of game events and "
        f"stores them, exactly once, in SQL.</p><ul>{items}</ul></html>"
    )
