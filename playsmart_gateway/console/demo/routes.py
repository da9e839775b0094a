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
from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.demo import GAME
from playsmart_gateway.console.pages import files, json_answer, operators_only
from playsmart_gateway.errors import Malformed, SinkError
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.static import Asset, Frame
from playsmart_gateway.stores.models import EventFilter
from playsmart_gateway.stores.readers import Reader

PATH = "/demo"
TITLE = "a game that breaks its own network (for developers)"
LOOK_AT_EVENTS = 10_000
"""For one answer; a store that others fill is read in pieces."""

_FILES = {
    PATH: "demo.html",
    f"{PATH}/demo.css": "demo.css",
    f"{PATH}/demo.js": "demo.js",
    f"{PATH}/game.js": "game.js",
}
_CLIENT = "playsmart_client.js"
_player = re.compile(r"demo-[0-9a-f]{8,32}").fullmatch
_place = re.compile(r"[0-9]{1,18}").fullmatch


def routes(
    gate: OperatorGate, mint: Callable[[str], str], reader: Reader, frame: Frame
) -> list[Route]:
    """Return the page, in its ``frame``, and what it asks; ``mint`` makes a token for a player."""

    async def token(request: Request) -> Response:
        player = request.query_params.get("player", "")
        return json_answer({"token": mint(player)}) if _player(player) else _wrong()

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
            return json_answer({"trouble": str(error)}, 503)
        told = {
            "position": page.position,
            "is_all": page.position >= newest,
            "events": [msgspec.Raw((each.customdata or "{}").encode()) for each in page.events],
            "coins": known.coins_balance if known else 0,
        }
        return json_answer(told)

    client = Asset.of(CLIENTS["typescript"].read(_CLIENT), "text/javascript")
    answers = files(Path(__file__).parent, _FILES, frame) | {
        f"{PATH}/{_CLIENT}": client.served({}),
        f"{PATH}/token": token,
        f"{PATH}/stored": stored,
    }
    return operators_only(gate, answers)


def _wrong() -> Response:
    return refusing(Malformed("invalid_query", cause="query"))
