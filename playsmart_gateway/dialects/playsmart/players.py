"""What clients read back: ``GET /v1/games``, ``/v1/players/{user_id}`` and its transactions.

Contract ``playsmart.md`` sections 1, 6 and 9; successes are wrapped in ``data``. A token reads the
player that it is for, and nobody else.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from playsmart_gateway.errors import Detail, Forbidden, Malformed
from playsmart_gateway.http.endpoint import Tokens, reading
from playsmart_gateway.http.error_body import envelope
from playsmart_gateway.logs import token_of
from playsmart_gateway.stores.models import Player
from playsmart_gateway.stores.readers import CoinReader

MAX_PAGE = 100
"""Ledger entries on one page."""

MAX_PLACE = 2**63 - 1


class PublicGame(msgspec.Struct, frozen=True):
    """One game as strangers see it; ``game_id`` is a number here (contract section 9)."""

    game_id: int
    bundle_id: str
    coins_enabled: bool
    ads_enabled: bool
    game_mode: str
    maintenance: bool


def routes(games: Sequence[PublicGame], reader: CoinReader, tokens: Tokens) -> list[Route]:
    """Return the routes; ``games`` are all that there are."""

    async def list_games(request: Request) -> bytes:
        wanted = request.query_params.get("bundle_id")
        return _data([game for game in games if wanted is None or game.bundle_id == wanted])

    async def show_player(request: Request) -> bytes:
        user_id = await _allowed_player(request)
        return _data(await reader.player(user_id) or Player(user_id))

    async def list_transactions(request: Request) -> bytes:
        user_id = await _allowed_player(request)
        limit = _number(request, "limit", MAX_PAGE, MAX_PAGE)
        before = _number(request, "cursor", MAX_PLACE, MAX_PLACE)
        found = await reader.coin_transactions(user_id, before=before, limit=limit + 1)
        page = found[:limit]
        cursor = str(page[-1].id) if len(found) > limit else None
        return _data(page, next_cursor=cursor)

    async def _allowed_player(request: Request) -> str:
        caller = await tokens.caller(dict(request.headers.raw))
        user_id: str = request.path_params["user_id"]
        if user_id != caller.subject:
            raise Forbidden(cause="user", told=token_of(caller.subject))
        return user_id

    return [
        Route("/v1/games", reading(list_games, envelope)),
        # A player's id may hold a slash.
        Route("/v1/players/{user_id:path}/transactions", reading(list_transactions, envelope)),
        Route("/v1/players/{user_id:path}", reading(show_player, envelope)),
    ]


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= most:
        return int(text)
    wrong = Detail(name, f"must be a number, 1 to {most}")
    raise Malformed("invalid_query", details=[wrong], cause="query", told=wrong.text)


def _data(data: Any, **more: Any) -> bytes:
    return msgspec.json.encode({"data": data, **more})
