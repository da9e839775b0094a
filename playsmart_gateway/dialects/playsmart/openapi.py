"""PlaySmart's ``POST /ingest/events`` in the document."""

from typing import Any

from playsmart_gateway.dialects.playsmart.endpoint import MAX_BEACON_BYTES, PATH, UNKNOWN_GAME
from playsmart_gateway.dialects.playsmart.request import Rejected
from playsmart_gateway.dialects.playsmart.upload import MAX_EVENTS, Upload
from playsmart_gateway.dialects.playsmart.validate import OPERATOR_TOKEN
from playsmart_gateway.dialects.playsmart.validate import PATH as VALIDATE
from playsmart_gateway.errors import Detail
from playsmart_gateway.openapi.parts import (
    BEARER,
    JSON,
    Piece,
    answer,
    body,
    content,
    operation,
    refusal,
)
from playsmart_gateway.openapi.schema import Schema, described, ref, schemas_of

TOKEN_MESSAGES = (
    "missing_bearer_token",
    "invalid_token",
    "token_expired",
    "token_not_yet_valid",
)
TOKEN_REFUSED = refusal(401, "There is no token, or it does not say who you are.", *TOKEN_MESSAGES)

PLAYER = "device-abc-123"
"""The player of all examples."""

GAME = "com.example.stackblaster"
"""The game of all examples."""

COINS = 10
"""What a completed level of it pays where the examples are there to try."""

UPLOADS: dict[str, Any] = {
    "a batch of three": {
        "user_id": PLAYER,
        "game_id": GAME,
        "events": [
            {
                "type": "LevelCompleted",
                "timestamp": "2026-04-22T14:30:00+00:00",
                "customdata": {"level": 5, "score": 4800, "duration_seconds": 42},
            },
            {
                "type": "AdImpression",
                "timestamp": "2026-04-22T14:30:45+00:00",
                "customdata": {"ad_unit": "post_level_interstitial"},
            },
            {
                "type": "Custom",
                "customEventName": "PowerUpUsed",
                "timestamp": "2026-04-22T14:29:15+00:00",
                "customdata": {"power_up": "shield"},
            },
        ],
    },
    "a completed level": {
        "user_id": PLAYER,
        "game_id": GAME,
        "events": [
            {
                "type": "LevelCompleted",
                "timestamp": "2024-01-15T12:00:00+00:00",
                "customdata": {"level": 5, "score": 1250},
            }
        ],
    },
    "an event of your own": {
        "user_id": PLAYER,
        "game_id": GAME,
        "events": [
            {
                "type": "Custom",
                "customEventName": "boss_defeated",
                "timestamp": "2024-03-15T14:31:22+00:00",
                "customdata": {"boss": {"name": "Hydra", "heads": 9}},
            }
        ],
    },
}

_REJECTED: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_EVENTS - 1,
    "items": ref(Rejected),
    "description": "The wrong events, if there are any and lenient handling is preferred.",
}

_ACCEPTED: Schema = {
    "title": "Accepted",
    "description": "The whole batch was taken, or the good events of it.",
    "type": "object",
    "required": ["success", "message"],
    "properties": {
        "success": {"const": True},
        "message": {
            "type": "string",
            "pattern": "^accepted:[0-9]+ buffered:[0-9]+$",
            "description": "Events of this request, and events that now wait for the store.",
        },
        "rejected": _REJECTED,
    },
}

_VALIDATED: Schema = {
    "title": "Validated",
    "description": "What would be taken, and what it would pay.",
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "object",
            "required": ["valid", "events", "coins"],
            "properties": {
                "valid": {
                    "type": "boolean",
                    "description": "False if `rejected` has some of them.",
                },
                "events": {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS},
                "coins": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "What these events alone pay by the rules of the game; where "
                    "chance decides, the least of it.",
                },
                "coins_most": {
                    "type": "integer",
                    "description": "The most of it, where chance decides.",
                },
                "rejected": _REJECTED,
            },
        }
    },
}

_REJECTED_EXAMPLE = [
    {
        "index": 1,
        "retryable": False,
        "details": [{"path": "events.1.timestamp", "message": "is required"}],
    }
]
_TAKEN_EXAMPLES = {
    "into an empty buffer": {"success": True, "message": "accepted:3 buffered:3"},
    "leniently": {
        "success": True,
        "message": "accepted:2 buffered:2",
        "rejected": _REJECTED_EXAMPLE,
    },
}
_VALID_EXAMPLES = {
    "a level among them": {"data": {"valid": True, "events": 3, "coins": 10}},
    "a game that pays by chance": {
        "data": {"valid": True, "events": 3, "coins": 5, "coins_most": 25}
    },
    "leniently": {
        "data": {"valid": False, "events": 2, "coins": 10, "rejected": _REJECTED_EXAMPLE}
    },
}

_OPERATOR: dict[str, Any] = {
    "name": OPERATOR_TOKEN,
    "in": "header",
    "description": "`operator.token`; not needed in development mode.",
    "schema": {"type": "string"},
}

PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "description": "`handling=lenient` takes the good events of a batch and tells the wrong ones; "
    "errors then say whether they are `retryable` (RFC 7240).",
    "schema": {"type": "string"},
    "examples": {"none": {"value": ""}, "lenient": {"value": "handling=lenient"}},
}

_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Names this request where its body has no `run`: a repeat of it is known by the "
    "same key. An empty one names none.",
    "schema": {"type": "string"},
}


_BEACON: Schema = {
    "title": "Beacon",
    "description": "An upload as text, with the token in it: what a page sends as it closes. Taken "
    f"from pages of `[cors] origins` alone, not compressed, at most {MAX_BEACON_BYTES:,} bytes.",
    "type": "object",
    "allOf": [ref(Upload)],
    "required": ["access_token"],
    "properties": {"access_token": {"type": "string", "description": "The player's."}},
}


def _schemas() -> dict[str, Schema]:
    schemas = schemas_of(Upload)
    schemas["Upload"] = described(
        schemas["Upload"],
        {
            "user_id": "The player: the `sub` of the token, to the letter.",
            "game_id": "Android package name or iOS bundle id.",
            "events": "In the order in which they count. One wrong event refuses all of them.",
        },
    )
    schemas |= {"Beacon": _BEACON, "Accepted": _ACCEPTED, "Validated": _VALIDATED}
    return {**schemas, **schemas_of(Rejected)}


_REFUSED = {
    **refusal(
        400,
        "The body breaks the contract; `details` has every wrong field.",
        "invalid_payload",
        details=[
            Detail("events.0.timestamp", "is required"),
            Detail("events.2.customEventName", "is required"),
        ],
    ),
    **TOKEN_REFUSED,
    **refusal(
        403,
        '`user_id` is not the `sub` of the token; or, with `ingest.games` = "configured", the game '
        "is none of them.",
        "user_id_mismatch",
        UNKNOWN_GAME,
    ),
    **refusal(413, "The body is over the configured limit.", "body_too_large"),
    **refusal(
        415,
        "The body is not JSON, or compressed by something else than gzip.",
        "unsupported_media_type",
        "unsupported_content_encoding",
    ),
    **refusal(
        429,
        "The player sent more than `[ingest]` allows, where that is configured. "
        "Nothing was kept; send the same again when `Retry-After` has passed.",
        "rate_limited",
    ),
    **refusal(
        503,
        "Nothing was kept; send it again.",
        "buffer_full",
        "journal_unavailable",
        "keys_unavailable",
        "shutting_down",
        "too_many_bodies",
        "too_many_connections",
    ),
}
_UPLOAD = {JSON: content(ref(Upload), UPLOADS)}
_SAME = "a batch of three"
"""Swagger UI keeps the name of the example when another media type is chosen."""

_BEACON_EXAMPLE = {"access_token": "eyJhbGciOiJIUzI1NiJ9...", **UPLOADS[_SAME]}
_BODIES = body({**_UPLOAD, "text/plain": content(ref("Beacon"), {_SAME: _BEACON_EXAMPLE})})

PIECE = Piece(
    "PlaySmart",
    "Games send what happened, in batches, with the token of the player.",
    {
        PATH: {
            "post": operation(
                "ingestEvents",
                "Send events",
                "1 to 200 events of one player in one game, all or nothing unless the header says "
                "otherwise. A 202 means that they survive the death of the process and will be "
                "stored exactly once. What comes again with its `run` and `seq`, or with its "
                "`Idempotency-Key`, is stored once, too. After 503 nothing of them was kept: "
                "send the same again when `Retry-After` has passed. Unknown keys are ignored.",
                {
                    "202": answer("Taken.", ref("Accepted"), _TAKEN_EXAMPLES, "Preference-Applied"),
                    **_REFUSED,
                },
                parameters=[PREFER, _KEY],
                requestBody=_BODIES,
                security=BEARER,
            )
        },
        VALIDATE: {
            "post": operation(
                "validateEvents",
                "Try events out",
                "What `POST /ingest/events` would say to the same body and token; nothing is kept. "
                "In development mode it is open, else it needs the operator's token, too.",
                {
                    "200": answer(
                        "They would be taken.",
                        ref("Validated"),
                        _VALID_EXAMPLES,
                        "Preference-Applied",
                    ),
                    **_REFUSED,
                    **refusal(
                        401,
                        "There is no token, or it does not say who you are.",
                        *TOKEN_MESSAGES,
                        "operator_token_required",
                    ),
                    **refusal(404, "There is no operator's token to know.", "not_found"),
                    **refusal(
                        503,
                        "Try it again.",
                        "keys_unavailable",
                        "shutting_down",
                        "too_many_bodies",
                        "too_many_connections",
                    ),
                },
                parameters=[_OPERATOR, PREFER],
                requestBody=body(_UPLOAD),
                security=BEARER,
            )
        },
    },
    _schemas(),
)
