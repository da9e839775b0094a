"""The error body of every path that is not a neighbour's: ``{"error": {"code", "message"}}``.

Rendered in one place, with the separators that the contract shows (contract section 6).
"""

import json
from collections.abc import Sequence
from typing import Any

from playsmart_gateway.errors import Detail, Refused

JSON_TYPE = (b"content-type", b"application/json")
MAX_DETAILS = 20
"""A request can be wrong in thousands of places; after this many only their number is told."""

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    431: "REQUEST_HEADER_FIELDS_TOO_LARGE",
    500: "SERVER_ERROR",
    503: "UNAVAILABLE",
}


def error_body(status: int, message: str, details: Sequence[Detail] = ()) -> bytes:
    """Return the envelope as JSON: at most ``MAX_DETAILS`` details, then a count of the rest."""
    error: dict[str, Any] = {"code": CODES[status], "message": message}
    if details:
        shown = [{"path": each.path, "message": each.message} for each in details[:MAX_DETAILS]]
        if more := len(details) - len(shown):
            shown.append({"path": "", "message": f"and {more} more"})
        error["details"] = shown
    return json.dumps({"error": error}).encode()


def error_headers(refusal: Refused) -> list[tuple[bytes, bytes]]:
    """Return the headers that go with a refusal, content type included."""
    headers = [JSON_TYPE]
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after_seconds))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 6750 section 3
    return headers
