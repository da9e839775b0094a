"""How a refusal sounds: in a dialect's own words, or in the gateway's.

The gateway's error body is that of every path that is not a neighbour's: ``{"error": {"code",
"message"}}``, rendered in one place, with the separators that the contract shows (contract section
6).
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Self

from playsmart_gateway.errors import Detail, Refused, UnsupportedEncoding

JSON_TYPE = (b"content-type", b"application/json")
ONLY_JSON = (JSON_TYPE,)
"""The headers of most answers."""

MAX_DETAILS = 20
"""A request can be wrong in thousands of places; after this many only their number is told."""

MAX_PROBLEMS = 50
"""As many details are told to whoever watches."""


class Problems(NamedTuple):
    """What is wrong with a request, for whoever watches, in the words of its answer."""

    code: str = ""
    message: str = ""
    details: Sequence[Detail] = ()

    @classmethod
    def listed(cls, code: str, details: Sequence[Detail]) -> Self:
        """Return those of a dialect that has no message beside its details: the first two."""
        told = (f"{each.path} {each.message}".strip() for each in details[:2])
        return cls(code, "; ".join(told), details[:MAX_PROBLEMS])


NO_PROBLEMS = Problems()


class Said(NamedTuple):
    """A refusal in words: the body of its answer, and what that says."""

    body: bytes
    problems: Problems


Sound = Callable[[Refused], Said]
"""Puts refusals into the words of one dialect."""

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    431: "REQUEST_HEADER_FIELDS_TOO_LARGE",
    500: "SERVER_ERROR",
    503: "UNAVAILABLE",
}


RETRYABLE = {400: False, 408: True, 413: False, 429: True, 503: True}
"""Whether the same request may be taken later, by status; of others that depends."""


_text = json.encoder.encode_basestring_ascii


def error_body(
    status: int,
    message: str,
    details: Sequence[Detail] = (),
    *,
    says_whether_to_retry: bool = False,
) -> bytes:
    """Return the envelope as JSON: at most ``MAX_DETAILS`` details, then a count of the rest.

    ``retryable`` is only there for who asked for it, as the contract shows bodies without it.
    """
    # As ``json.dumps`` lays it out, which would take a third of the time of a refused request.
    error = f'{{"error": {{"code": "{CODES[status]}", "message": {_text(message)}'
    if details:
        shown = list(details[:MAX_DETAILS])
        if more := len(details) - len(shown):
            shown.append(Detail("", f"and {more} more"))
        told = [f'{{"path": {_text(e.path)}, "message": {_text(e.message)}}}' for e in shown]
        error += f', "details": [{", ".join(told)}]'
    if says_whether_to_retry and status in RETRYABLE:
        error += f', "retryable": {"true" if RETRYABLE[status] else "false"}'
    return f"{error}}}}}".encode()


def envelope(refusal: Refused, *, says_whether_to_retry: bool = False) -> Said:
    """Say what ``refusal`` says in the gateway's own words."""
    status, message, details = refusal.status, refusal.message, refusal.details
    if not details:
        return _brief(status, message, refusal.explanation, says_whether_to_retry)
    problems = Problems(CODES[status], message, details[:MAX_PROBLEMS])
    body = error_body(status, message, details, says_whether_to_retry=says_whether_to_retry)
    return Said(body, problems)


@lru_cache(maxsize=256)  # a flood of refusals is of a few that are the same
def _brief(status: int, message: str, explanation: Detail | None, says_whether: bool) -> Said:
    details = () if explanation is None else (explanation,)
    body = error_body(status, message, details, says_whether_to_retry=says_whether)
    return Said(body, Problems(CODES[status], message, details))


def error_headers(refusal: Refused) -> list[tuple[bytes, bytes]]:
    """Return the headers that go with a refusal, content type included."""
    headers = [JSON_TYPE]
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after_seconds))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 6750 section 3
    if isinstance(refusal, UnsupportedEncoding):
        headers.append((b"accept-encoding", b"gzip"))  # RFC 9110 section 15.5.16
    return headers
