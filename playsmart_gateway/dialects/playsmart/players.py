"""What clients read back: ``GET /v1/games``, ``/v1/players/{user_id}`` and its transactions.

Contract ``playsmart.md`` sections 1, 6 and 9; successes are wrapped in ``data``. A token reads the
player that it is for, and nobody else.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.errors import (
    Detail,
    Forbidden,
    Malformed,
    Refused,
    SinkError,
    StoreUnavailable,
)
from playsmart_gateway.http.endpoint import bearer_of
from playsmart_gateway.http.error_body import (
    error_body,
    error_headers,
)
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


def routes(
    games: Sequence[PublicGame],
    reader: CoinReader,
    verifier: TokenVerifier,
    *,
    trust_forwarded: bool,
) -> list[Route]:
    """Return the routes; ``games`` are all that there are."""

    async def list_games(request: Request) -> Response:
        wanted = request.query_params.get("bundle_id")
        return _data([game for game in games if wanted is None or game.bundle_id == wanted])

    async def show_player(request: Request) -> Response:
        user_id = await _allowed_player(request)
        return _data(await reader.player(user_id) or Player(user_id))

    async def list_transactions(request: Request) -> Response:
        user_id = await _allowed_player(request)
        limit = _number(request, "limit", MAX_PAGE, MAX_PAGE)
        before = _number(request, "cursor", MAX_PLACE, MAX_PLACE)
        found = await reader.coin_transactions(user_id, before=before, limit=limit + 1)
        page = found[:limit]
        cursor = str(page[-1].id) if len(found) > limit else None
        return _data(page, next_cursor=cursor)

    async def _allowed_player(request: Request) -> str:
        token = bearer_of(dict(request.headers.raw), trust_forwarded=trust_forwarded)
        caller = verifier.recall(token) or await verifier.verify(token)
        user_id: str = request.path_params["user_id"]
        if user_id != caller.subject:
            raise Forbidden
        return user_id

    return [
        Route("/v1/games", list_games),
        # A player's id may hold a slash.
        Route("/v1/players/{user_id:path}/transactions", _refusing(list_transactions)),
        Route("/v1/players/{user_id:path}", _refusing(show_player)),
    ]


_Endpoint = Callable[[Request], Awaitable[Response]]


def _refusing(endpoint: _Endpoint) -> _Endpoint:
    """Answer refusals in the envelope."""

    async def answer(request: Request) -> Response:
        try:
            try:
                return await endpoint(request)
            except SinkError as error:
                raise StoreUnavailable(retry_after_seconds=1) from error
        except Refused as refusal:
            body = error_body(refusal.status, refusal.message, refusal.details)
            headers = {name.decode(): value.decode() for name, value in error_headers(refusal)}
            return Response(body, refusal.status, headers)

    return answer


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= most:
        return int(text)
    raise Malformed("invalid_query", details=[Detail(name, f"must be a number, 1 to {most}")])


def _data(data: Any, **more: Any) -> Response:
    return Response(msgspec.json.encode({"data": data, **more}), media_type="application/json")
