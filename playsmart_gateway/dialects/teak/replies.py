"""Every reply body of the contract.

Laid out as the contract prints them: successes with a space behind each comma and colon, errors
and player properties without.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from playsmart_gateway.dialects.teak.analytics import Outcome, Rejected
from playsmart_gateway.dialects.teak.parameters import MAX_TEXT_LENGTH, Errors, grouped
from playsmart_gateway.dialects.teak.properties import Value
from playsmart_gateway.errors import Refused
from playsmart_gateway.stores.models import (
    Channel,
    OptOutState,
)

_encode = msgspec.json.Encoder().encode

NOT_FOUND: Errors = {"user_id": ["could not be found"]}
"""What is wrong with an event of a player whom identify has never seen."""

NOT_FOUND_TAG = "unknown_player"
"""The reason by which such refusals are counted."""


def _spaced(value: Any) -> bytes:
    return msgspec.json.format(_encode(value), indent=0)


def errors(errors: Errors) -> bytes:
    """Say what is wrong, by parameter."""
    return _encode({"status": "error", "errors": errors})


# ---- Analytics events -----------------------------------------------------------------------

EVENT_TAKEN = _spaced({"status": "ok"})
"""200: the single event was taken."""

PLAYER_UNKNOWN = errors(NOT_FOUND)
"""404: the single event is of an unknown player."""


def batch(outcomes: Sequence[Outcome]) -> bytes:
    """200: what became of each event, in the order of the request."""
    results: list[dict[str, Any]] = [
        {"status": "error", "user_id": outcome.user_id, "errors": outcome.errors}
        if isinstance(outcome, Rejected)
        else {"status": "ok", "user_id": outcome.user_id}
        for outcome in outcomes
    ]
    failed = sum(isinstance(outcome, Rejected) for outcome in outcomes)
    summary = {
        "total_events": len(results),
        "successful_events": len(results) - failed,
        "failed_events": failed,
    }
    return _spaced({"status": "ok", "results": results, "summary": summary})


def unknown_app(game_id: str) -> bytes:
    """404 of every endpoint but identify; a long id is cut."""
    return errors({"game_id": [f"Unknown app id {game_id[:MAX_TEXT_LENGTH]}"]})


# ---- Identify and player properties ---------------------------------------------------------


def session(
    country_code: str,
    session_id: str,
    opt_out_states: Mapping[Channel, OptOutState],
    deep_link: str | None,
) -> bytes:
    """201: the session was tracked. ``opt_out_states`` is by channel, in the order to print.

    ``deep_link`` is None when none was sent.
    """
    reply: dict[str, Any] = {
        "country_code": country_code,
        "session_id": session_id,
        "opt_out_states": {channel: {"state": state} for channel, state in opt_out_states.items()},
    }
    if deep_link is not None:
        reply["deep_link"] = deep_link
    return _spaced(reply)


def unknown_game(game_id: str) -> bytes:
    """404 of identify; a long id is cut."""
    message = f"Could not find game with id {game_id[:MAX_TEXT_LENGTH]}"
    return _encode({"error": {"code": 404, "message": message}})


def properties(new: Mapping[str, Value], old: Mapping[str, Value], unknown: Sequence[str]) -> bytes:
    """200: the properties that changed, what they were before, and the names not configured."""
    return _encode(
        {
            "status": "ok",
            "new_properties": {name: _plain(value) for name, value in new.items()},
            "old_properties": {name: _plain(value) for name, value in old.items()},
            "unknown_properties": unknown,
        }
    )


def _plain(value: Value) -> str | msgspec.Raw:
    return msgspec.Raw(f"{value:f}".encode()) if isinstance(value, Decimal) else value


# ---- All of them ----------------------------------------------------------------------------

WRONG_SECRET = errors({"authorization": ["is invalid"]})
"""403: the app exists, and the secret is not one of its own."""


def rate_limited(path: str, limit: int) -> bytes:
    """429: ``path`` was called more than ``limit`` times in this second."""
    message = (
        f"{path} may only be called {limit} times per second. Please wait a second and try again"
    )
    return _encode({"status": "rate_limit", "errors": {"rate_limit": [message]}})


def refused(refusal: Refused) -> bytes:
    """Say what ``refusal`` says: by parameter if it has details, else under its tag."""
    return errors(grouped(refusal.details) or {refusal.tag: [refusal.message]})
