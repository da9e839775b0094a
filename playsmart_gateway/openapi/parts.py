"""What the pieces of the document are made of: answers, errors, headers, and the piece itself."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from playsmart_gateway.errors import Detail
from playsmart_gateway.http.error_body import (
    CODES,
    error_body,
)
from playsmart_gateway.openapi.schema import Schema, ref, schemas_of

Paths = dict[str, dict[str, Any]]
Answers = dict[str, Any]

JSON = "application/json"
BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
"""The security of what a token opens."""


class Piece(NamedTuple):
    """What one dialect adds to the document: a tag, its operations and their schemas.

    Every answer gets ``X-Request-ID``, and every operation the answers of ``EVERYWHERE``.
    """

    tag: str
    description: str
    paths: Paths
    schemas: Mapping[str, Schema]


def operation(
    operation_id: str,
    summary: str,
    description: str,
    answers: Answers,
    **more: Any,
) -> dict[str, Any]:
    """Return one operation; ``more`` are its parameters and security."""
    return {
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        **more,
        "responses": answers,
    }


def body(of_type: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request, by media type; every one of ours may come compressed."""
    return {
        "required": True,
        "description": "May come in gzip, with `Content-Encoding: gzip`: one whole member, which "
        "inflates to no more than the configured limit of a body.",
        "content": of_type,
    }


def content(schema: Schema, examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a body with examples by what they show."""
    if not examples:
        return {"schema": schema}
    named = {name.replace(" ", "_"): (name, value) for name, value in examples.items()}
    return {
        "schema": schema,
        "examples": {
            key: {"summary": name, "value": value} for key, (name, value) in named.items()
        },
    }


def answer(
    description: str,
    schema: Schema,
    examples: Mapping[str, Any] | None = None,
    *headers: str,
) -> dict[str, Any]:
    """Return an answer in JSON that has these ``HEADERS``, too."""
    found = {"description": description, "content": {JSON: content(schema, examples)}}
    if headers:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return found


def refusal(
    status: int, description: str, *messages: str, details: Sequence[Detail] = ()
) -> Answers:
    """Return the answer of one status in the envelope, with the messages that it can have."""
    examples = {message: json.loads(error_body(status, message, details)) for message in messages}
    headers = _HEADERS_OF.get(status, ())
    return {str(status): answer(description, ref("Error"), examples, *headers)}


def either(status: int, ours: dict[str, Any]) -> Answers:
    """Return an answer that the connection can also give, in the gateway's words."""
    theirs = EVERYWHERE[str(status)]
    body = ours["content"][JSON]
    examples = {**body["examples"], **theirs["content"][JSON]["examples"]}
    return {
        str(status): {
            **ours,
            **({"headers": theirs["headers"]} if "headers" in theirs else {}),
            "content": {
                JSON: {"schema": {"anyOf": [body["schema"], ref("Error")]}, "examples": examples}
            },
        }
    }


HEADERS: dict[str, Any] = {
    "X-Request-ID": {
        "description": "Names this request in the log. One of 1 to 128 visible ASCII characters "
        "that you send is echoed, unless it looks like a token; otherwise a UUIDv7 is made.",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same request may be sent again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "The scheme that is wanted (RFC 6750).",
        "required": True,
        "schema": {"const": "Bearer"},
    },
    "Accept-Encoding": {
        "description": "The content coding that a body may be in, when it came in another one.",
        "schema": {"const": "gzip"},
    },
    "Cache-Control": {
        "description": "How long the answer holds, in seconds, without asking again.",
        "required": True,
        "schema": {"const": "max-age=3600"},
    },
    "Allow": {
        "description": "The methods that there are.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "The preference that was followed, if one was (RFC 7240).",
        "schema": {"const": "handling=lenient"},
    },
    "ETag": {
        "description": "Send it back in `If-None-Match` to be told that nothing changed.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?".+"$'},
    },
}

_HEADERS_OF = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept-Encoding",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

EVERYWHERE: Answers = {
    **refusal(400, "What was sent is not HTTP.", "invalid_http"),
    **refusal(408, "The request did not arrive whole in time.", "request_timeout"),
    **refusal(
        431,
        "The request line and the headers are larger than 32 KiB.",
        "request_headers_too_large",
    ),
    **refusal(500, "Our mistake; the log has the request id.", "internal_error"),
    **refusal(
        503,
        "More connections than are served at once, of all or of one address.",
        "too_many_connections",
        "too_many_connections_of_address",
    ),
}
"""What any operation can answer; the operation's own words for a status win."""

ELSEWHERE: Answers = {
    **refusal(404, "There is no such path.", "not_found"),
    **refusal(
        405,
        "The path has other methods; Lynes' paths say so in words of their own.",
        "method_not_allowed",
    ),
    **refusal(
        429,
        "Too often. Teak's endpoints and Lynes' say so in words of their own.",
        "rate_limited",
    ),
}
"""Answers that belong to no operation."""

SCHEMAS: dict[str, Schema] = {
    **schemas_of(Detail),
    "Error": {
        "title": "Error",
        "description": "Every error but those of Teak's and Lynes' endpoints.",
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"enum": sorted(CODES.values()), "description": "One a status."},
                    "message": {
                        "type": "string",
                        "pattern": "^[a-z_]+$",
                        "description": "Says which of the reasons for this status it was.",
                    },
                    "details": {
                        "type": "array",
                        "items": ref(Detail),
                        "description": "Every wrong field, 20 at most and then a count.",
                    },
                    "retryable": {
                        "type": "boolean",
                        "description": "Whether the same request may be taken later; told by "
                        "PlaySmart's paths to who prefers lenient handling.",
                    },
                },
            }
        },
    },
}
