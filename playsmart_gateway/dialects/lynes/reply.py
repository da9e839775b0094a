"""What ``POST /event`` answers: the layout of contract sections 4 and 11, to the byte."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import Detail, Forbidden, NotFound, Refused, UnsupportedEncoding
from playsmart_gateway.http.content_encoding import INVALID_GZIP
from playsmart_gateway.http.error_body import MAX_PROBLEMS, Problems, Said

ERRORS = {
    400: ("bad_request", "Invalid request body"),
    401: ("unauthorized", "Invalid or expired authentication token"),
    403: ("forbidden", "This event requires an API key"),
    404: ("not_found", "Event not found or inactive"),
    405: ("method_not_allowed", "Only POST is allowed"),
    408: ("request_timeout", "The request did not arrive in time"),
    413: ("payload_too_large", "The request body is too large"),
    415: ("unsupported_media_type", "The request body must be JSON without a content encoding"),
    429: ("rate_limited", "Too many requests"),
    431: ("request_header_fields_too_large", "The request headers are too large"),
    500: ("internal_error", "Internal server error"),
    503: ("unavailable", "Nothing was stored; send the event again later"),
}
"""Code and message by status; the contract shows that of 401."""

ONLY_GET = "Only GET is allowed"
WRONG_QUERY = "Invalid query"
_CHOSEN = (ONLY_GET, WRONG_QUERY)
"""Messages that were chosen where they were raised; all others are those of the status."""

OF_ENCODING = {
    INVALID_GZIP: "The request body is not one whole gzip stream",
    UnsupportedEncoding.default_message: "The request body may be compressed by gzip only",
}
"""What the contract does not know, by the message of whoever raised it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def success_body(user_id: str, award: Award) -> bytes:
    """Return the body of a 200."""
    event = award.history[0]
    data = {
        "eventId": event.source_id,
        "userId": user_id,
        "pointsAwarded": award.points,
        "timestamp": event.timestamp_ms,
        "streaks": [
            {
                "streakId": streak.streak_id,
                "currentCount": streak.current_count,
                "lastUpdate": iso_8601(streak.updated_at_ms),
                "milestoneReached": streak.milestone_reached,
                "pointsAwarded": streak.points,
            }
            for streak in award.streaks
        ],
    }
    return json.dumps({"success": True, "data": data}).encode()


def error_body(status: int, details: Sequence[Detail] = (), message: str | None = None) -> bytes:
    """Return the body of an error, with the usual ``message`` of its status unless one is given.

    ``details`` are never many, as there are never many fields.
    """
    code, usual = ERRORS[status]
    error: dict[str, Any] = {"code": code, "message": message or usual}
    if details:
        error["details"] = [{"path": each.path, "message": each.message} for each in details]
    return json.dumps({"success": False, "error": error}).encode()


def sound(refusal: Refused) -> Said:
    """Put a refusal into the words of this dialect."""
    status, details = refusal.status, refusal.details
    code, message = ERRORS[status]
    if isinstance(refusal, Forbidden | NotFound) or refusal.message in _CHOSEN:
        message = refusal.message
    message = OF_ENCODING.get(refusal.message, message)
    problems = Problems(code, message, details[:MAX_PROBLEMS])
    return Said(error_body(status, details, message), problems)


def iso_8601(at_ms: int) -> str:
    """Print an instant as the contract does: UTC with milliseconds."""
    when = _EPOCH + timedelta(milliseconds=at_ms)
    return when.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
