"""Schemathesis loads this: it gives requests the credentials that no generator would guess.

Only a value that is valid is replaced, so what was made wrong on purpose stays wrong.
"""

import json
import os
from typing import Any

import schemathesis
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from playsmart_gateway.dialects.lynes.openapi_schemas import (
    EVENTS,
    STREAK,
    USER,
)
from playsmart_gateway.dialects.playsmart.openapi import PLAYER
from playsmart_gateway.dialects.teak.openapi_schemas import (
    APP,
    SECRET_KEY,
)
from tests.campaigns.fuzz.settings import ORIGIN, TOKEN

_OF_TEAK = {
    "game_id": APP,
    "secret_key": SECRET_KEY,
    # In a form these are JSON; in JSON they are as wrong as any other text.
    "events": f'[{{"user_id": "{PLAYER}", "action_type": "spin"}}]',
    "properties": '{"player_level": "elite"}',
    "client": '{"name": "server"}',
}
BEACONS = "/ingest/events?beacon"
"""Where the schema that is tried out has beacons: it is the path of events, without a header."""

_OF_PLAYSMART = {"user_id": PLAYER}
_OF_LYNES = {"eventId": EVENTS[0].id, "userId": USER, "streakId": STREAK}


class _InOnePiece(HTTPConnection):
    """Sends a request as a whole, as phones do: only such a one may take the express path."""

    _held: bytearray | None = None

    def request(self, *arguments: Any, **named: Any) -> None:
        self._held = bytearray()
        try:
            super().request(*arguments, **named)
            whole = bytes(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held += data


HTTPConnectionPool.ConnectionCls = _InOnePiece


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, schema: dict[str, Any]) -> None:
    """Have beacons apart: their token is in the body, so a header is not missed."""
    post = schema["paths"]["/ingest/events"]["post"]
    content = {"text/plain": post["requestBody"]["content"].pop("text/plain")}
    beacon = {key: each for key, each in post.items() if key not in ("parameters", "security")}
    body = {"required": True, "content": content}
    schema["paths"][BEACONS] = {"post": {**beacon, "operationId": "beacon", "requestBody": body}}


@schemathesis.serializer("text/plain")
def text(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write what a beacon holds as the JSON that it is."""
    return json.dumps(value).encode()


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], _: dict[str, Any]
) -> None:
    """Make a request that of the example player or user, or of the example app."""
    known = {
        **(_OF_PLAYSMART if case.path.startswith("/ingest/") else _OF_TEAK),
        **_OF_LYNES,
    }
    if case.headers and case.meta and case.meta.generation.mode.is_negative:
        case.headers.pop("Prefer", None)  # what is wrong in an event would be no reason to refuse
    if case.path == BEACONS:
        case.headers["Origin"] = ORIGIN
        known["access_token"] = os.environ[TOKEN]
    if isinstance(case.body, dict):
        case.body |= {name: value for name, value in known.items() if _is_valid(case.body, name)}
    for parameters in (case.path_parameters, case.query):
        for name, value in {**_OF_PLAYSMART, **_OF_LYNES}.items():
            if _is_valid(parameters, name):
                parameters[name] = value


def _is_valid(fields: Any, name: str) -> bool:
    value = (fields or {}).get(name)
    if name in ("events", "properties", "client"):
        return isinstance(value, str) and len(value) >= 2
    return isinstance(value, str) and 1 <= len(value) <= 256 and "\0" not in value
