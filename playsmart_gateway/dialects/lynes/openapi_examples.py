"""What the document shows as answers of Lynes."""

from playsmart_gateway.dialects.lynes.openapi_schemas import STREAK, USER
from playsmart_gateway.dialects.lynes.reads import DEFAULT_PAGE

AWARD = {
    "success": True,
    "data": {
        "eventId": "daily_login",
        "userId": USER,
        "pointsAwarded": 10,
        "timestamp": 1776868200123,
        "streaks": [
            {
                "streakId": STREAK,
                "currentCount": 3,
                "lastUpdate": "2026-04-22T14:30:00.123Z",
                "milestoneReached": False,
                "pointsAwarded": 0,
            }
        ],
    },
}
HISTORY = {
    "success": True,
    "data": [
        {
            "id": "65536",
            "title": "daily_login",
            "description": "",
            "points": 10,
            "type": "event",
            "timestamp": 1776868200123,
            "image": None,
        }
    ],
    "limit": DEFAULT_PAGE,
    "offset": 0,
}
SHOWN_STREAK = {
    "streakId": STREAK,
    "period": "daily",
    "active": True,
    "currentCount": 3,
    "longestCount": 12,
    "lastUpdate": "2026-04-22T14:30:00.123Z",
}
_NO_VALUES = {"numbers": None, "strings": None, "true": 0, "false": 0, "null": 0}
STATS = {
    "eventId": "daily_login",
    "usergroup": None,
    "events": 2,
    "fields": {
        "platform": {
            **_NO_VALUES,
            "events": 2,
            "strings": {
                "count": 2,
                "mostCommon": [{"value": "ios", "count": 2}],
                "other": 0,
                "unnamed": 0,
            },
        },
        "sessionLength": {
            **_NO_VALUES,
            "events": 2,
            "numbers": {
                "count": 2,
                "sum": 350,
                "min": 167,
                "max": 183,
                "mean": 175,
                "distribution": [{"low": 100, "high": 200, "count": 2}],
            },
        },
    },
    "unnamed": 0,
    "days": [{"day": "2026-04-22", "events": 2}],
}
FIGURES = {
    "streakId": STREAK,
    "period": "daily",
    "users": 40,
    "active": 3,
    "longestCount": 12,
    "averageCount": 2.0,
    "distribution": [{"count": 1, "users": 1}, {"count": 2, "users": 1}, {"count": 3, "users": 1}],
}
