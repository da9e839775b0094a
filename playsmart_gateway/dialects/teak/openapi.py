"""Teak's server API in the document."""

import json
from collections.abc import Mapping
from typing import Any

from playsmart_gateway.dialects.teak import replies
from playsmart_gateway.dialects.teak.analytics import AnalyticsEvent, Rejected
from playsmart_gateway.dialects.teak.endpoints import (
    AnalyticsBatch,
    AnalyticsEvents,
    IdentifyPlayer,
    SetPlayerProperties,
)
from playsmart_gateway.dialects.teak.openapi_schemas import (
    EXAMPLES,
    as_texts,
    schemas,
)
from playsmart_gateway.errors import (
    Closing,
    JournalUnavailable,
    Overloaded,
    Refused,
    StoreUnavailable,
    TooLarge,
    UnsupportedEncoding,
    UnsupportedMedia,
)
from playsmart_gateway.openapi.parts import (
    JSON,
    Answers,
    Piece,
    answer,
    body,
    content,
    either,
    operation,
)
from playsmart_gateway.openapi.schema import ref
from playsmart_gateway.stores.models import OPT_OUT_STATES

FORM = "application/x-www-form-urlencoded"


def _errors(description: str, examples: Mapping[str, bytes], *headers: str) -> dict[str, Any]:
    shown = {name: json.loads(body) for name, body in examples.items()}
    return answer(description, ref("TeakErrors"), shown, *headers)


def _refused(*kinds: type[Refused]) -> dict[str, bytes]:
    return {kind.tag: replies.sound(kind()).body for kind in kinds}


def _answers(
    success: Answers,
    path: str,
    limit: int,
    wrong: Mapping[str, bytes],
    missing: dict[str, Any],
) -> Answers:
    return {
        **success,
        **either(400, _errors("Parameters are wrong: all of them are told.", wrong)),
        "403": _errors("Not a secret of this app.", {"a wrong secret": replies.WRONG_SECRET}),
        "404": missing,
        "413": _errors("The body is over the configured limit.", _refused(TooLarge)),
        "415": _errors(
            "Neither JSON nor a form, or compressed by something else than gzip.",
            {
                **_refused(UnsupportedMedia),
                "another coding": replies.sound(UnsupportedEncoding()).body,
            },
            "Accept-Encoding",
        ),
        "429": _errors(
            "The app called this path too often in this second.",
            {"too often": replies.rate_limited(path, limit)},
            "Retry-After",
        ),
        **either(
            500,
            _errors(
                "Our mistake; the log has the request id.",
                {"a mistake": replies.errors({"500": ["internal_error"]})},
            ),
        ),
        **either(
            503,
            _errors(
                "Nothing was kept, or, of a batch that events of unknown players part, its"
                " beginning: send it again, with the numbers or the key that tell what is there.",
                _refused(Overloaded, JournalUnavailable, StoreUnavailable, Closing),
            ),
        ),
    }


def _unknown_app(**more: bytes) -> dict[str, Any]:
    examples = {**more, "unknown_app": replies.unknown_app("unknown_app_id")}
    return _errors("The player, or the app, is unknown.", examples)


_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string"},
}


def _post(
    operation_id: str,
    summary: str,
    description: str,
    schema: str,
    answers: Answers,
    key: str = "",
) -> dict[str, Any]:
    """Return an operation; ``key`` says what its idempotency key does, empty if it takes none."""
    name, example = EXAMPLES[schema]
    media = {
        JSON: content(ref(schema), {name: example}),
        FORM: content(ref(f"{schema}Form"), {name: as_texts(example)}),
    }
    return {
        "post": operation(
            operation_id,
            summary,
            description,
            answers,
            requestBody=body(media),
            **({"parameters": [{**_KEY, "description": key}]} if key else {}),
        )
    }


_RESULTS = json.loads(
    replies.batch(
        [
            AnalyticsEvent("player_123", "level_up"),
            Rejected("unknown_player", replies.NOT_FOUND),
        ]
    )
)
_PLAYER_UNKNOWN = {"unknown_player": replies.PLAYER_UNKNOWN}
_EVENT_WRONG = replies.errors({"action_type": ["must be present"]})
_BATCH_WRONG = replies.errors({"events": ["must be a non-empty array (max 100 items)"]})
_IDENTIFY_WRONG = replies.errors(
    {
        "timezone_id": ["Mars/Olympus_Mons is not a recognized IANA timezone name"],
        "location": ["either client_ip or country_code must be provided"],
    }
)

PIECE = Piece(
    "Teak",
    "Teak's server API, for game servers that talk to it already. The secret is in the body, which "
    "is JSON or a form. Identify a player first: events of unknown players are refused.",
    {
        IdentifyPlayer.path: _post(
            "identify",
            "Begin a session of a player",
            "The player is known from the moment of the answer. Stored as `Played`, and exactly "
            "once for a player as `Installed`. At least one of `client_ip` and `country_code` is "
            "needed.",
            "IdentifyRequest",
            _answers(
                {
                    "201": answer(
                        "The session was tracked.",
                        ref("TeakSession"),
                        {
                            "a session": json.loads(
                                replies.session(
                                    "US", "12345", OPT_OUT_STATES, "teak12345:///reward?level=elite"
                                )
                            )
                        },
                    )
                },
                IdentifyPlayer.path,
                200,
                {"invalid_parameters": _IDENTIFY_WRONG},
                answer(
                    "The app is unknown; a shape of its own.",
                    ref("TeakUnknownGame"),
                    {"unknown_app": json.loads(replies.unknown_game("unknown_app_id"))},
                ),
            ),
            "Names this session of the player: a repeat with the same key has the same "
            "`session_id`, and is stored once. An empty one names none.",
        ),
        AnalyticsEvents.path: _post(
            "trackEvent",
            "Send one event of a known player",
            "Stored exactly once, in the country of the address, else the one given, else that of "
            "the player's latest session.",
            "AnalyticsEventRequest",
            _answers(
                {
                    "200": answer(
                        "Taken.", ref("TeakOk"), {"taken": json.loads(replies.EVENT_TAKEN)}
                    )
                },
                AnalyticsEvents.path,
                100,
                {"invalid_parameters": _EVENT_WRONG},
                _unknown_app(**_PLAYER_UNKNOWN),
            ),
            "Names this event of the player: a repeat with the same key is answered as the first, "
            "and stored once. An empty one names none.",
        ),
        AnalyticsBatch.path: _post(
            "trackEvents",
            "Send up to 100 events of any players",
            "Each is taken or failed by itself, and the status is 200 in any case: look at "
            "`results`.",
            "AnalyticsBatchRequest",
            _answers(
                {
                    "200": answer(
                        "What became of each.", ref("TeakResults"), {"one failed": _RESULTS}
                    )
                },
                AnalyticsBatch.path,
                100,
                {"no_events": _BATCH_WRONG},
                _unknown_app(),
            ),
            "Names this batch of the app where its body has no `run`: a repeat with the same key "
            "is stored once. An empty one names none.",
        ),
        SetPlayerProperties.path: _post(
            "setPlayerProperties",
            "Set properties of a known player",
            "Stored when answered. Deep links can name them.",
            "PropertiesRequest",
            _answers(
                {
                    "200": answer(
                        "Those that were set, what they were before, and the unknown ones.",
                        ref("TeakProperties"),
                        {
                            "a level": json.loads(
                                replies.properties(
                                    {"player_level": "elite"}, {"player_level": "novice"}, []
                                )
                            )
                        },
                    )
                },
                SetPlayerProperties.path,
                1_000,
                {
                    "invalid_parameters": replies.errors(
                        {"properties": ["must be a map of at most 256 properties"]}
                    )
                },
                _unknown_app(**_PLAYER_UNKNOWN),
            ),
        ),
    },
    schemas(),
)
