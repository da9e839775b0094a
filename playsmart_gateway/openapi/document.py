"""The OpenAPI 3.1 document: every path, status and error body, from the types that validate.

Each dialect brings one piece. What their schemas cannot say and the dialects check by hand is said
by ``extra_json_schema`` where the type is declared, so nothing is described in two places. The
document does not depend on the configuration.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from playsmart_gateway import __version__
from playsmart_gateway.openapi import operations
from playsmart_gateway.openapi.parts import ELSEWHERE, EVERYWHERE, HEADERS, SCHEMAS, Piece

_DESCRIPTION = """\
Takes batches of game events and stores them, exactly once, in SQL.

- **Every answer** carries `X-Request-ID`.
- **Every error** but Teak's and Lynes' is `{"error": {"code", "message", "details"?}}`: `code`
  follows from the status, `message` says which reason it was. An unknown path is 404 `not_found`,
  another method than those listed is 405 `method_not_allowed` with `Allow`. What goes wrong before
  an endpoint is reached (408, 431, not HTTP) is told in these words everywhere.
- **503** with `Retry-After` means that nothing was kept: send the same again then.

Mint a token with `playsmart-gateway token --sub device-abc-123`. The [manual](/manual) tells the
rest."""


def document(dialects: Sequence[Piece]) -> dict[str, Any]:
    """Return the whole document: the pieces of ``dialects``, and what operators ask for."""
    pieces = (*dialects, operations.PIECE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "playsmart_gateway",
            "version": __version__,
            "summary": "Self-hosted ingest gateway for mobile game events.",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": piece.tag, "description": piece.description} for piece in pieces],
        "paths": {
            path: {method: _complete(piece, each) for method, each in methods.items()}
            for piece in pieces
            for path, methods in piece.paths.items()
        },
        "components": {
            "schemas": {
                **SCHEMAS,
                **{name: schema for piece in pieces for name, schema in piece.schemas.items()},
            },
            "headers": HEADERS,
            "responses": {
                "NotFound": _framed(ELSEWHERE["404"]),
                "MethodNotAllowed": _framed(ELSEWHERE["405"]),
                "RateLimited": _framed(ELSEWHERE["429"]),
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token whose `sub` is the player. Behind a proxy that "
                    "is trusted, `X-Forwarded-Authorization` is looked at first.",
                }
            },
        },
    }


def document_json(dialects: Sequence[Piece]) -> bytes:
    """Return the document as it is served."""
    return orjson.dumps(document(dialects))


def _complete(piece: Piece, operation: dict[str, Any]) -> dict[str, Any]:
    answers = dict(sorted({**EVERYWHERE, **operation["responses"]}.items()))
    return {
        **operation,
        "tags": [piece.tag],
        "responses": {status: _framed(answer) for status, answer in answers.items()},
    }


def _framed(answer: dict[str, Any]) -> dict[str, Any]:
    request_id = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
    return {**answer, "headers": {**request_id, **answer.get("headers", {})}}
