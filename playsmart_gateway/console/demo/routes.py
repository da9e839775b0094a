"""``GET /demo``: a game that uses the client for TypeScript, and what is stored of its player.

The page asks ``/demo/token`` for a token of a player that it made up, whose id begins with
``demo-``, and ``/demo/stored`` for the player's events behind an id, and the coins.
"""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.console.access import OperatorGate, PageEndpoint, guarded
from playsmart_gateway.console.demo import GAME
from playsmart_gateway.errors import Malformed, SinkError
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.static import Asset, Frame
from playsmart_gateway.stores.models import EventFilter
from playsmart_gateway.stores.readers import Reader

PATH = "/demo"
TITLE = "a game that breaks its own network (for developers)"
LOOK_AT_EVENTS = 10_000
"""For one answer; a store that others fill is read in pieces."""

_HERE = Path(__file__).parent
_CLIENT = "playsmart_client.js"
_player = re.compile(r"demo-[0-9a-f]{8,32}").fullmatch
_place = re.compile(r"[0-9]{1,18}").fullmatch


def routes(
    gate: OperatorGate, mint: Callable[[str], str], reader: Reader, frame: Frame
) -> list[Route]:
    """Return the page, in its ``frame``, and what it asks; ``mint`` makes a token for a player."""
    page = frame(PATH, (_HERE / "demo.html").read_text("utf-8"))

    async def token(request: Request) -> Response:
        player = request.query_params.get("player", "")
        return _json({"token": mint(player)}) if _player(player) else _wrong()

    async def stored(request: Request) -> Response:
        player, after = (request.query_params.get(name, "") for name in ("player", "after"))
        if not _player(player) or (after and not _place(after)):
            return _wrong()
        wanted = EventFilter(game_id=GAME.id, user_id=player)
        try:
            newest = await reader.newest_event_id()
            first = int(after) if after else newest
            page = await reader.events(wanted, after=first, upto=newest, limit=LOOK_AT_EVENTS)
            known = await reader.player(player)
        except SinkError as error:
            return _json({"trouble": str(error)}, 503)
        told = {
            "position": page.position,
            "is_all": page.position >= newest,
            "events": [msgspec.Raw((each.customdata or "{}").encode()) for each in page.events],
            "coins": known.coins_balance if known else 0,
        }
        return _json(told)

    answers = {
        PATH: _asset(page.encode(), "text/html"),
        f"{PATH}/demo.css": _file("demo.css", "text/css"),
        f"{PATH}/demo.js": _file("demo.js", "text/javascript"),
        f"{PATH}/game.js": _file("game.js", "text/javascript"),
        f"{PATH}/{_CLIENT}": _asset(CLIENTS["typescript"].read(_CLIENT), "text/javascript"),
        f"{PATH}/token": token,
        f"{PATH}/stored": stored,
    }
    return [
        Route(path, guarded(gate, answer), include_in_schema=False)
        for path, answer in answers.items()
    ]


def _wrong() -> Response:
    return refusing(Malformed("invalid_query", cause="query"))


def _json(told: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, media_type="application/json")


def _file(name: str, media_type: str) -> PageEndpoint:
    return _asset((_HERE / name).read_bytes(), media_type)


def _asset(content: bytes, media_type: str) -> PageEndpoint:
    asset = Asset.of(content, media_type)

    async def answer(request: Request) -> Response:
        return asset.answer(request, {})

    return answer
