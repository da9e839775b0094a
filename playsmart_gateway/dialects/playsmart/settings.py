"""What a client has to know before it sends: ``GET /v1/app-settings``, and ``GET /limits``.

Anybody may ask, as a game does before its player has a token. The first has the shape that
PlaySmart documents, with what the studio configured in it and our ``ingest`` beside; the second is
that object alone, for machines. Both are the same bytes until the gateway starts anew.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.config import Config
from playsmart_gateway.dialects.playsmart.upload import MAX_EVENTS
from playsmart_gateway.http.static import Asset

SETTINGS_PATH = "/v1/app-settings"
LIMITS_PATH = "/limits"
MAX_AGE = "max-age=3600"


class IngestLimits(msgspec.Struct, frozen=True):
    """What clients may send, and should: the limits hold, the rest is for them to keep to."""

    enabled: bool
    max_events: int
    max_body_bytes: int
    encodings: tuple[str, ...]
    run_keep_days: int
    flush_seconds: float
    max_queue_bytes: int
    sample: dict[str, float]


def limits_of(config: Config) -> IngestLimits:
    """Return what holds for the uploads of a gateway that is configured so."""
    ingest = config.ingest
    return IngestLimits(
        enabled=ingest.enabled,
        max_events=MAX_EVENTS,
        max_body_bytes=config.server.max_body_bytes,
        encodings=("gzip",),
        run_keep_days=config.runs.keep_days,
        flush_seconds=ingest.flush_seconds,
        max_queue_bytes=ingest.max_queue_bytes,
        sample=ingest.sample,
    )


def routes(config: Config) -> list[Route]:
    """Return the routes."""
    limits = limits_of(config)
    settings = {"version": __version__, "maintenance": False, **config.app.settings}
    return [
        _route(SETTINGS_PATH, {"data": [{**settings, "ingest": limits}]}),
        _route(LIMITS_PATH, limits),
    ]


def _route(path: str, told: Any) -> Route:
    asset = Asset.of(msgspec.json.encode(told), "application/json")

    async def show(request: Request) -> Response:
        return asset.answer(request, {}, cache_control=MAX_AGE)

    return Route(path, show)
