"""What players read back, in the document."""

from typing import Any

from playsmart_gateway.dialects.playsmart.openapi import (
    PLAYER,
    TOKEN_REFUSED,
)
from playsmart_gateway.dialects.playsmart.players import (
    MAX_PAGE,
    MAX_PLACE,
    PublicGame,
)
from playsmart_gateway.dialects.playsmart.settings import (
    LIMITS_PATH,
    SETTINGS_PATH,
    IngestLimits,
)
from playsmart_gateway.errors import Detail
from playsmart_gateway.openapi.parts import BEARER, Answers, Piece, answer, operation, refusal
from playsmart_gateway.openapi.schema import Schema, described, ref, replies_of
from playsmart_gateway.stores.models import (
    CoinTransaction,
    Player,
)

_GAME = {
    "game_id": 1,
    "bundle_id": "com.example.stackblaster",
    "coins_enabled": True,
    "ads_enabled": False,
    "game_mode": "standard",
    "maintenance": False,
}
_PLAYER = {
    "user_id": PLAYER,
    "coins_balance": 10,
    "total_games_played": 3,
    "sessions": 4,
    "best_score": 4800.0,
    "last_score": 1250.0,
    "first_seen_at": "2026-04-22T14:30:01.000000Z",
    "last_seen_at": "2026-04-23T09:12:44.000000Z",
}
_GRANT = {
    "id": 65536,
    "user_id": PLAYER,
    "game_id": "com.example.stackblaster",
    "type": "earn",
    "trigger": "level_complete",
    "amount": 10,
    "balance_before": 0,
    "balance_after": 10,
    "event_id": 65536,
    "created_at": "2026-04-22T14:30:01.000000Z",
    "reason": None,
}
_CORRECTION = {
    "id": 65792,
    "user_id": PLAYER,
    "game_id": None,
    "type": "deduct",
    "trigger": None,
    "amount": 5,
    "balance_before": 10,
    "balance_after": 5,
    "event_id": None,
    "created_at": "2026-04-22T15:00:00.000000Z",
    "reason": "support case 17",
}

_LIMITS = {
    "enabled": True,
    "max_events": 200,
    "max_body_bytes": 1_048_576,
    "encodings": ["gzip"],
    "run_keep_days": 90,
    "flush_seconds": 30.0,
    "max_queue_bytes": 10_485_760,
    "sample": {"AdImpression": 0.5},
}
_SETTINGS = {"version": "1.0.0", "maintenance": False, "min_version_code": 12, "ingest": _LIMITS}

_USER_ID = {
    "name": "user_id",
    "in": "path",
    "required": True,
    "description": "The player that the token is for; a slash in it is written `%2F`.",
    "schema": {"type": "string", "minLength": 1},
    "example": PLAYER,
}

_REFUSALS: Answers = {
    **TOKEN_REFUSED,
    **refusal(403, "The token is for another player.", "user_id_mismatch"),
    **refusal(
        503,
        "The store cannot be read now, or no key has been fetched yet to check the token with.",
        "store_unavailable",
        "keys_unavailable",
        "too_many_connections",
    ),
}


def _query(name: str, description: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _data(schema: Schema, **more: Schema) -> Schema:
    properties = {"data": schema, **more}
    return {"type": "object", "required": list(properties), "properties": properties}


def _cached(description: str, schema: Schema, examples: dict[str, Any]) -> Answers:
    return {
        "200": answer(description, schema, examples, "ETag", "Cache-Control"),
        "304": {
            "description": "The same as the one with your `If-None-Match`.",
            "headers": {
                name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Cache-Control")
            },
        },
    }


def _list_of(kind: type) -> Schema:
    return {"type": "array", "items": ref(kind)}


def _schemas() -> dict[str, Schema]:
    schemas = replies_of(PublicGame, Player, CoinTransaction, IngestLimits)
    schemas["Player"] = described(
        schemas["Player"],
        {
            "coins_balance": "Coins now; the ledger says where they come from.",
            "total_games_played": "How many `GameEnd` events there were.",
            "sessions": "How many `AppOpen` events there were.",
            "best_score": "The highest `customdata.score` of a `GameEnd`.",
            "last_score": "The latest `customdata.score` of a `GameEnd`.",
            "first_seen_at": "By the server's clock.",
            "last_seen_at": "By the server's clock.",
        },
    )
    schemas["PublicGame"] = described(
        schemas["PublicGame"],
        {
            "game_id": "A number; events name the game by its `bundle_id`.",
            "bundle_id": "The `game_id` of its events.",
            "coins_enabled": "Whether its completed levels earn coins.",
        },
    )
    schemas["IngestLimits"] = described(
        schemas["IngestLimits"],
        {
            "enabled": "False: send nothing, keep what there is to send, and ask again in an hour.",
            "max_events": "Events in a request; more are refused.",
            "max_body_bytes": "Of a body, as it is sent and inflated; more are refused.",
            "encodings": "Content codings that a body may be in.",
            "run_keep_days": "For so long after its last events a run is known, and a repeat told.",
            "flush_seconds": "Send what waits so often.",
            "max_queue_bytes": "Of events that wait on the device; then drop the oldest.",
            "sample": "Of which share of runs these types, or custom names, are sent; others all.",
        },
    )
    schemas["AppSettings"] = {
        "title": "AppSettings",
        "description": "What `app.settings` has, and what the gateway says itself.",
        "type": "object",
        "required": ["version", "maintenance", "ingest"],
        "properties": {
            "version": {"description": "Of the gateway, unless configured."},
            "maintenance": {"description": "False unless configured."},
            "ingest": ref(IngestLimits),
        },
    }
    return schemas


PIECE = Piece(
    "Players",
    "What games and players read back. A token reads the player that it is for, and nobody else.",
    {
        "/v1/games": {
            "get": operation(
                "listGames",
                "The games that are configured",
                "Events of other games are stored, too; they earn nothing.",
                {
                    "200": answer(
                        "In the order of the configuration.",
                        _data(_list_of(PublicGame)),
                        {"one game": {"data": [_GAME]}},
                    )
                },
                parameters=[_query("bundle_id", "Only the game with this id.", {"type": "string"})],
            )
        },
        SETTINGS_PATH: {
            "get": operation(
                "showAppSettings",
                "What a client has to know before it sends",
                "One object in a list. Needs no token. Ask at the start and once an hour; if there "
                "is no answer go on with what you know.",
                _cached(
                    "The settings.",
                    _data({"type": "array", "items": {"$ref": "#/components/schemas/AppSettings"}}),
                    {"some": {"data": [_SETTINGS]}},
                ),
            )
        },
        LIMITS_PATH: {
            "get": operation(
                "showLimits",
                "The limits of uploads, for machines",
                "What `ingest` is in the settings. Needs no token.",
                _cached("The limits.", ref(IngestLimits), {"some": _LIMITS}),
            )
        },
        "/v1/players/{user_id}": {
            "get": operation(
                "showPlayer",
                "A player's coins and counts",
                "Counts what is stored: an event shows up a few seconds after its 202. A player "
                "without events has zeros.",
                {
                    "200": answer(
                        "The player.", _data(ref(Player)), {"a player": {"data": _PLAYER}}
                    ),
                    **_REFUSALS,
                },
                parameters=[_USER_ID],
                security=BEARER,
            )
        },
        "/v1/players/{user_id}/transactions": {
            "get": operation(
                "listTransactions",
                "A player's ledger of coins",
                "Newest first. The ledger is append-only: a correction is an entry of its own.",
                {
                    "200": answer(
                        "One page.",
                        _data(
                            _list_of(CoinTransaction),
                            next_cursor={
                                "type": ["string", "null"],
                                "pattern": "^[0-9]+$",
                                "description": "`cursor` of the next page; null on the last.",
                            },
                        ),
                        {
                            "a grant and its correction": {
                                "data": [_CORRECTION, _GRANT],
                                "next_cursor": None,
                            }
                        },
                    ),
                    **refusal(
                        400,
                        "A parameter is not such a number.",
                        "invalid_query",
                        details=[Detail("limit", f"must be a number, 1 to {MAX_PAGE}")],
                    ),
                    **_REFUSALS,
                },
                parameters=[
                    _USER_ID,
                    _query(
                        "limit",
                        "Entries on a page.",
                        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": MAX_PAGE},
                    ),
                    _query(
                        "cursor",
                        "`next_cursor` of the page before; without it the first page.",
                        {"type": "integer", "minimum": 1, "maximum": MAX_PLACE},
                    ),
                ],
                security=BEARER,
            )
        },
    },
    _schemas(),
)
