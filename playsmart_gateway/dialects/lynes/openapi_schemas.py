"""The schemas of Lynes' requests and replies, and the project that the examples are for."""

from typing import Any, get_args

from playsmart_gateway.dialects.lynes.reply import ERRORS
from playsmart_gateway.dialects.lynes.request import Request
from playsmart_gateway.economy.points.definitions import (
    EventDefinition,
    Milestone,
    StreakDefinition,
)
from playsmart_gateway.economy.points.summary import MetadataSummary
from playsmart_gateway.errors import Detail
from playsmart_gateway.openapi.schema import Schema, described, ref, replies_of, schemas_of
from playsmart_gateway.stores.models import EntryType

USER, STREAK = "user123", "daily_app_use"

EVENTS = (
    EventDefinition(
        id="daily_login", kind="fix", points=10, max_completions=1, completion_window="daily"
    ),
    EventDefinition(
        id="purchase_completed",
        kind="transactional",
        reward_value_field="orderValue",
        points_per_unit=1,
    ),
    EventDefinition(id="level_completed", kind="fix", points=25),
)
STREAKS = (
    StreakDefinition(
        id=STREAK, events=("daily_login",), milestones=(Milestone(count=7, points=50),)
    ),
)
"""With ``EVENTS`` the project of the examples."""

REQUESTS: dict[str, Any] = {
    "a login": {
        "eventId": "daily_login",
        "userId": USER,
        "metadata": {"platform": "ios", "appVersion": "2.1.4", "sessionLength": 183},
    },
    "a purchase": {
        "eventId": "purchase_completed",
        "userId": "user456",
        "metadata": {
            "platform": "web",
            "transactionId": "tx_78912345",
            "orderValue": 129.99,
            "currency": "USD",
            "itemCount": 3,
            "paymentMethod": "credit_card",
        },
    },
    "a level": {
        "eventId": "level_completed",
        "userId": "gamer789",
        "metadata": {
            "levelId": "world_2_level_5",
            "difficulty": "normal",
            "timeToComplete": 347,
            "attempts": 2,
            "starsEarned": 3,
            "scoreAchieved": 12850,
            "powerupsUsed": 2,
            "platform": "ios",
        },
    },
    "no metadata": {"eventId": "daily_login", "userId": USER},
}

_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_PERIOD: Schema = {"enum": ["daily", "weekly", "monthly"]}


def _all_of(properties: dict[str, Schema]) -> Schema:
    """Return the schema of an object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def success(data: Schema, **more: Schema) -> Schema:
    """Return the schema of a success."""
    return _all_of({"success": {"const": True}, "data": data, **more})


def _with_numbers(node: Any) -> Any:
    """Turn decimals, which are texts to msgspec, into the numbers that they are sent as."""
    if isinstance(node, list):
        return [_with_numbers(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "decimal":
        return {"type": "number"}
    return {key: _with_numbers(each) for key, each in node.items()}


def _summaries() -> dict[str, Schema]:
    schemas: dict[str, Schema] = _with_numbers(replies_of(MetadataSummary))
    for name in ("Bucket", "FieldSummary"):
        schemas[name]["description"] = schemas[name]["description"].replace("None", "null")
    return schemas


def _stats(summaries: dict[str, Schema]) -> Schema:
    summary = summaries["MetadataSummary"]["properties"]
    day = {"day": {"type": "string", "format": "date"}, **summary}
    return _all_of(
        {
            "eventId": _TEXT,
            "usergroup": {"type": ["string", "null"], "description": "null: all of them."},
            **summary,
            "days": {
                "type": "array",
                "description": "The days with events; with their fields if `interval` is `day`.",
                "items": {"type": "object", "required": ["day", "events"], "properties": day},
            },
        }
    )


_REPLIES: dict[str, Schema] = {
    "LynesError": {
        "description": "Every error of Lynes' paths that was reached.",
        **_all_of(
            {
                "success": {"const": False},
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": {
                            "enum": sorted(code for code, _ in ERRORS.values()),
                            "description": "One a status.",
                        },
                        "message": {"type": "string", "description": "For people."},
                        "details": {
                            "type": "array",
                            "items": ref(Detail),
                            "description": "Every wrong field.",
                        },
                    },
                },
            }
        ),
    },
    "LynesAward": _all_of(
        {
            "eventId": _TEXT,
            "userId": _TEXT,
            "pointsAwarded": {**_COUNT, "description": "Without those of the streaks."},
            "timestamp": {**_COUNT, "description": "When it came, in milliseconds since 1970."},
            "streaks": {
                "type": "array",
                "description": "Every streak that the event feeds, also one that did not change.",
                "items": _all_of(
                    {
                        "streakId": _TEXT,
                        "currentCount": _COUNT,
                        "lastUpdate": _INSTANT,
                        "milestoneReached": {
                            "type": "boolean",
                            "description": "Whether this event brought it there.",
                        },
                        "pointsAwarded": {**_COUNT, "description": "What the milestone paid."},
                    }
                ),
            },
        }
    ),
    "LynesHistoryEntry": _all_of(
        {
            "id": _TEXT,
            "title": _TEXT,
            "description": _TEXT,
            "points": _COUNT,
            "type": {"enum": list(get_args(EntryType))},
            "timestamp": {**_COUNT, "description": "Milliseconds since 1970."},
            "image": {"type": ["string", "null"], "description": "There is none: null."},
        }
    ),
    "LynesStreak": _all_of(
        {
            "streakId": _TEXT,
            "period": _PERIOD,
            "active": {"type": "boolean", "description": "Whether it can still go on."},
            "currentCount": {**_COUNT, "description": "0 once it is broken."},
            "longestCount": _COUNT,
            "lastUpdate": {
                "anyOf": [_INSTANT, {"type": "null"}],
                "description": "When the count last changed; null: never.",
            },
        }
    ),
    "LynesStreakFigures": _all_of(
        {
            "streakId": _TEXT,
            "period": _PERIOD,
            "users": {**_COUNT, "description": "Who ever had it."},
            "active": {**_COUNT, "description": "Who has it now."},
            "longestCount": _COUNT,
            "averageCount": {"type": "number", "minimum": 0, "description": "Of the active ones."},
            "distribution": {
                "type": "array",
                "description": "Active users by count.",
                "items": _all_of({"count": _COUNT, "users": _COUNT}),
            },
        }
    ),
}


def schemas() -> dict[str, Schema]:
    """Return all of them by name."""
    request = described(
        schemas_of(Request)["Request"],
        {
            "eventId": "One of the events that are configured.",
            "userId": "Who did it; the first event of a user makes the user known.",
            "metadata": "Whatever else there is to say. Rewards and statistics are made of it, "
            "and `usergroup`, a string or an array of them, says what the user belongs to.",
        },
    )
    summaries = _summaries()
    return {
        "LynesEvent": {**request, "title": "LynesEvent"},
        **summaries,
        **_REPLIES,
        "LynesStats": _stats(summaries),
    }
