"""What operators and curious people ask, in the document."""

from typing import Any

from playsmart_gateway.errors import Detail
from playsmart_gateway.openapi.parts import Piece, answer, operation, refusal
from playsmart_gateway.openapi.schema import Schema


def _text(media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string"}}}


def _status(value: str) -> Schema:
    return {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": value}},
    }


_HOME: Schema = {
    "type": "object",
    "required": ["name", "version", "links"],
    "properties": {
        "name": {"const": "playsmart_gateway"},
        "version": {"type": "string"},
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}

_NOT_MODIFIED = {
    "description": "The same as the one with your `If-None-Match`.",
    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
}

PIECE = Piece(
    "Operations",
    "For people and programs that watch. No token; let a proxy keep strangers out.",
    {
        "/": {
            "get": operation(
                "home",
                "What there is",
                "Links, as a page for browsers and as JSON for everybody else.",
                {
                    "200": {
                        "description": "Paths and what they are for.",
                        "content": {
                            "application/json": {"schema": _HOME},
                            **_text("text/html"),
                        },
                    }
                },
            )
        },
        "/healthz": {
            "get": operation(
                "isAlive",
                "Is the process alive",
                "Restart it when this does not answer.",
                {"200": answer("It is.", _status("alive"), {"alive": {"status": "alive"}})},
            )
        },
        "/readyz": {
            "get": operation(
                "isReady",
                "Does it take events and can it store them",
                "Send it no requests while this answers 503; it heals without a restart.",
                {
                    "200": answer("It does.", _status("ready"), {"ready": {"status": "ready"}}),
                    **refusal(
                        503,
                        "Not now; `details` has the reasons.",
                        "not_ready",
                        details=[Detail("store", "database is locked"), Detail("buffer", "full")],
                    ),
                },
            )
        },
        "/metrics": {
            "get": operation(
                "metrics",
                "Metrics for Prometheus",
                "The law: `events_received` = `events_stored` + `events_duplicate` + "
                "`events_rejected` + `buffered_events`, each with the prefix `playsmart_`.",
                {"200": {"description": "The exposition.", "content": _text("text/plain")}},
            )
        },
        "/openapi.json": {
            "get": operation(
                "openapi",
                "This document",
                "OpenAPI 3.1, made from the types that check the requests.",
                {
                    "200": answer("The document.", {"type": "object"}, None, "ETag"),
                    "304": _NOT_MODIFIED,
                },
            )
        },
        "/docs": {
            "get": operation(
                "docs",
                "This document as a page",
                "Swagger UI. It works without the internet.",
                {
                    "200": {"description": "The page.", "content": _text("text/html")},
                },
            )
        },
        "/manual": {
            "get": operation(
                "manual",
                "The manual",
                "The chapters, at `/manual/tutorial` and so on, as `playsmart-gateway manual` has "
                "them. It works without the internet.",
                {
                    "200": {
                        "description": "The page.",
                        "content": _text("text/html"),
                        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                    },
                    "304": _NOT_MODIFIED,
                },
            )
        },
    },
    {},
)
