"""Schemathesis loads this: it gives requests the credentials that no generator would guess.

Only a value that is valid is replaced, so what was made wrong on purpose stays wrong.
"""

from typing import Any

import schemathesis

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

_OF_TEAK = {
    "game_id": APP,
    "secret_key": SECRET_KEY,
    # In a form these are JSON; in JSON they are as wrong as any other text.
    "events": f'[{{"user_id": "{PLAYER}", "action_type": "spin"}}]',
    "properties": '{"player_level": "elite"}',
    "client": '{"name": "server"}',
}
_OF_PLAYSMART = {"user_id": PLAYER}
_OF_LYNES = {"eventId": EVENTS[0].id, "userId": USER, "streakId": STREAK}


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
