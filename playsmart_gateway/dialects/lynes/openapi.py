"""Lynes' ``POST /event`` and what applications read back, in the document."""

import json
from typing import Any

from playsmart_gateway.dialects.loose import NO_NUL
from playsmart_gateway.dialects.lynes.endpoint import NO_EVENT, NOT_THEIRS, PREFIXES, WANTS_KEY
from playsmart_gateway.dialects.lynes.openapi_examples import (
    AWARD,
    FIGURES,
    HISTORY,
    SHOWN_STREAK,
    STATS,
)
from playsmart_gateway.dialects.lynes.openapi_schemas import (
    REQUESTS,
    STREAK,
    USER,
    schemas,
    success,
)
from playsmart_gateway.dialects.lynes.query import MAX_NUMBER, MIN_NUMBER
from playsmart_gateway.dialects.lynes.reads import (
    DEFAULT_PAGE,
    HISTORY_TYPES,
    MAX_OFFSET,
    MAX_PAGE,
    MAX_SUMMARIZED_DAYS,
    NO_STREAK,
    NO_USER,
)
from playsmart_gateway.dialects.lynes.reads import NO_EVENT as NO_STATS
from playsmart_gateway.dialects.lynes.reply import (
    ERRORS,
    OF_ENCODING,
    ONLY_GET,
    WRONG_QUERY,
    error_body,
)
from playsmart_gateway.errors import Detail, UnsupportedEncoding
from playsmart_gateway.openapi.parts import (
    BEARER,
    JSON,
    Answers,
    Piece,
    answer,
    body,
    content,
    either,
    operation,
)
from playsmart_gateway.openapi.schema import Schema, ref

_SERVERS = [
    {
        "url": prefix or "/",
        "description": f"The same under {prefix}." if prefix else "As it is.",
    }
    for prefix in PREFIXES
]


def _error(
    status: int, description: str, *messages: str, header: str = "", detail: Detail | None = None
) -> dict[str, Any]:
    """Return the answer of one status, with the messages that it can have."""
    details = [detail] if detail else []
    shown = {
        each: json.loads(error_body(status, details, each))
        for each in messages or (ERRORS[status][1],)
    }
    return answer(description, ref("LynesError"), shown, *([header] if header else []))


def _errors(other_methods: str) -> Answers:
    """Return what every path can answer."""
    return {
        "401": _error(401, "There is no token, or it is not good.", header="WWW-Authenticate"),
        "405": _error(405, "Another method than this one.", other_methods, header="Allow"),
        **either(503, _error(503, "Not now; `Retry-After` says when to ask again.")),
    }


def _parameter(
    name: str, place: str, description: str, schema: Schema, example: Any = None
) -> dict[str, Any]:
    """Return a parameter; one with an example is needed."""
    needed = {} if example is None else {"required": True, "example": example}
    return {"name": name, "in": place, "description": description, "schema": schema, **needed}


def _id(name: str, place: str, description: str, example: str | None = None) -> dict[str, Any]:
    return _parameter(name, place, description, {"type": "string", "minLength": 1}, example)


_DAY: Schema = {"type": "string", "format": "date"}
_INSTANT: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": MIN_NUMBER, "maximum": MAX_NUMBER},
        _DAY,
        {"type": "string", "format": "date-time"},
    ]
}
_USER_ID = _id("userId", "path", "The user; a slash in it is written `%2F`.", USER)
_INSTANTS = "milliseconds since 1970, a day of the project's time zone, or ISO 8601 with an offset"
_NOBODY = "The user never sent an event."


def _get(
    operation_id: str,
    summary: str,
    description: str,
    answers: Answers,
    parameters: list[dict[str, Any]],
) -> dict[str, Any]:
    if _USER_ID in parameters:
        answers = {
            **answers,
            "403": _error(403, "With `lynes.strict_user`: " + NOT_THEIRS, NOT_THEIRS),
        }
    return {
        "get": operation(
            operation_id,
            summary,
            description,
            {**answers, **_errors(ONLY_GET)},
            parameters=parameters,
            security=BEARER,
            servers=_SERVERS,
        )
    }


_POST = operation(
    "sendEvent",
    "Send one event of a user",
    "A 200 tells what it earned, and means that all of it is stored: event, points, completions, "
    "streaks, history and statistics. A limit that is reached or a condition that is not met pays "
    "0. There is no key to tell a repeat by: each request is a new event, and only limits of "
    "completions guard against paying one twice. Unknown keys are ignored.",
    {
        "200": answer("Stored.", success(ref("LynesAward")), {"a login": AWARD}),
        **either(
            400,
            _error(
                400,
                "The body breaks the rules; `details` has every wrong field.",
                detail=Detail("userId", "is required"),
            ),
        ),
        "403": _error(
            403,
            "The event wants an API key; or, with `lynes.strict_user`, `userId` is not the `sub` "
            "of the token.",
            WANTS_KEY,
            NOT_THEIRS,
        ),
        "404": _error(404, "There is no such event, or it is not active.", NO_EVENT),
        "413": _error(413, "The body is over the configured limit."),
        "415": _error(
            415,
            "The body is not JSON, or compressed by something else than gzip.",
            *(ERRORS[415][1], OF_ENCODING[UnsupportedEncoding.default_message]),
            header="Accept-Encoding",
        ),
        "429": _error(429, "Too many requests in this second.", header="Retry-After"),
        "500": _error(500, "Our mistake; the log has the request id."),
        **_errors(ERRORS[405][1]),
    },
    parameters=[
        _parameter(
            "x-api-key",
            "header",
            "An API key of the project; only events that are configured so want one.",
            {"type": "string"},
        ),
        _parameter(
            "Idempotency-Key",
            "header",
            "Names this event of the user: a repeat with the same key is answered as the first,"
            " and paid once. An empty one names none.",
            {"type": "string"},
        ),
    ],
    requestBody=body({JSON: content(ref("LynesEvent"), REQUESTS)}),
    security=BEARER,
    servers=_SERVERS,
)

PIECE = Piece(
    "Lynes",
    "Lynes' loyalty API: events that earn points and feed streaks, and what applications read "
    "back. Each path is also there under `/v1` to `/v3` and `/v0`: see its servers. The token is "
    "that of a server: where `[lynes.auth]` is configured, of its keys or its audience, and then a "
    "player's token is refused with 401.",
    {
        "/event": {"post": _POST},
        "/user/{userId}/points": _get(
            "showPoints",
            "A user's points",
            "What all events and streaks of the user have paid.",
            {
                "200": answer(
                    "The sum.",
                    {
                        "type": "object",
                        "required": ["points"],
                        "properties": {"points": {"type": "integer", "minimum": 0}},
                    },
                    {"some": {"points": 60}},
                ),
                "404": _error(404, _NOBODY, NO_USER),
            },
            [_USER_ID],
        ),
        "/user/{userId}/history": _get(
            "listHistory",
            "What a user was paid for",
            "The newest first. An event that paid nothing is there, too.",
            {
                "200": answer(
                    "One page.",
                    success(
                        {"type": "array", "items": ref("LynesHistoryEntry")},
                        limit={"type": "integer"},
                        offset={"type": "integer"},
                    ),
                    {"one entry": HISTORY},
                ),
                **either(
                    400,
                    _error(
                        400,
                        "A parameter is wrong.",
                        WRONG_QUERY,
                        detail=Detail("limit", f"must be a number, 1 to {MAX_PAGE}"),
                    ),
                ),
                "404": _error(404, _NOBODY, NO_USER),
            },
            [
                _USER_ID,
                {
                    **_parameter(
                        "types",
                        "query",
                        "Only these, with commas between them. The gateway writes `event` and "
                        "`streak_milestone`; the others are never found.",
                        {"type": "array", "minItems": 1, "items": {"enum": [*HISTORY_TYPES]}},
                    ),
                    "explode": False,
                },
                _parameter("from", "query", f"Not older than this: {_INSTANTS}.", _INSTANT),
                _parameter(
                    "to",
                    "query",
                    f"Not newer than this: {_INSTANTS}. A day counts whole.",
                    _INSTANT,
                ),
                _parameter(
                    "limit",
                    "query",
                    "Entries on a page.",
                    {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_PAGE,
                        "default": DEFAULT_PAGE,
                    },
                ),
                _parameter(
                    "offset",
                    "query",
                    "Entries to skip; `to` leads further back.",
                    {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
                ),
            ],
        ),
        "/user/{userId}/streak": _get(
            "listStreaks",
            "All streaks as they stand for a user",
            "Every streak that is configured, also those that the user never began.",
            {
                "200": answer(
                    "In the order of the configuration.",
                    success({"type": "array", "items": ref("LynesStreak")}),
                    {"one streak": {"success": True, "data": [SHOWN_STREAK]}},
                ),
                "404": _error(404, _NOBODY, NO_USER),
            },
            [_USER_ID],
        ),
        "/user/{userId}/streak/{streakId}": _get(
            "showStreak",
            "One streak as it stands for a user",
            "Also one that the user never began.",
            {
                "200": answer(
                    "The streak.",
                    success(ref("LynesStreak")),
                    {"a streak": {"success": True, "data": SHOWN_STREAK}},
                ),
                "404": _error(
                    404, f"There is no such streak. Or: {_NOBODY.lower()}", NO_STREAK, NO_USER
                ),
            },
            [_USER_ID, _id("streakId", "path", "The streak, as configured.", STREAK)],
        ),
        "/stats/event": _get(
            "showEventStats",
            "What the metadata of an event says",
            "Field by field, of all its users: numbers with minimum, maximum, mean and "
            "distribution, strings with the most common ones, booleans and nulls counted.",
            {
                "200": answer(
                    "The figures.",
                    success(ref("LynesStats")),
                    {"two logins": {"success": True, "data": STATS}},
                ),
                **either(
                    400,
                    _error(
                        400,
                        "A parameter is wrong or missing, or the days are too many.",
                        WRONG_QUERY,
                        detail=Detail("eventId", "is required"),
                    ),
                ),
                "404": _error(404, "There is no such event.", NO_STATS),
            },
            [
                _id("eventId", "query", "The event, as configured.", "daily_login"),
                _parameter("from", "query", "First day, in the project's time zone.", _DAY),
                _parameter("to", "query", "Last day, in the project's time zone.", _DAY),
                _parameter(
                    "usergroup", "query", "Only users of this group.", {"type": "string", **NO_NUL}
                ),
                _parameter(
                    "interval",
                    "query",
                    f"`day`: also day by day, of at most {MAX_SUMMARIZED_DAYS} days with events.",
                    {"enum": ["total", "day"], "default": "total"},
                ),
            ],
        ),
        "/analytics/streak": _get(
            "showStreakFigures",
            "Who has which streak",
            "Of all users: how many ever had a streak, how many have it now, how long it is.",
            {
                "200": answer(
                    "In the order of the configuration.",
                    success({"type": "array", "items": ref("LynesStreakFigures")}),
                    {"one streak": {"success": True, "data": [FIGURES]}},
                ),
                "404": _error(404, "There is no such streak.", NO_STREAK),
            },
            [_id("streakId", "query", "Only this one; without it all.")],
        ),
    },
    schemas(),
)
