"""Every reply body of the contract, and what refuses in words of Teak's own.

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
from playsmart_gateway.errors import (
    Detail,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    Refused,
)
from playsmart_gateway.http.error_body import NO_PROBLEMS, Problems, Said
from playsmart_gateway.logs import shown
from playsmart_gateway.rate_limit import RETRY_AFTER_SECONDS
from playsmart_gateway.stores.models import (
    Channel,
    OptOutState,
)

_encode = msgspec.json.Encoder().encode

NOT_FOUND: Errors = {"user_id": ["could not be found"]}
"""What is wrong with an event of a player whom identify has never seen."""


class UnknownPlayer(NotFound):
    """The single event, or the properties, are of such a player."""

    tag = "unknown_player"
    causes = frozenset()

    def __init__(self) -> None:
        super().__init__(details=_details(NOT_FOUND))


class WrongSecret(Forbidden):
    """The app exists, and the secret is not one of its own."""

    def __init__(self, app_id: str = "") -> None:
        super().__init__(
            details=[Detail("authorization", "is invalid")],
            cause="secret",
            told=f"of the app {app_id}",
        )


class UnknownApp(NotFound):
    """No app goes by this id, of which a long one is cut."""

    tag = "unknown_app"
    causes = frozenset()

    def __init__(self, game_id: str) -> None:
        self.game_id = game_id[:MAX_TEXT_LENGTH]
        super().__init__(
            details=[Detail("game_id", f"Unknown app id {self.game_id}")],
            told=f"game_id is {shown(game_id)}",
        )


class TooOften(RateLimited):
    """``path`` was called more than ``limit`` times in this second."""

    def __init__(self, path: str, limit: int) -> None:
        text = f"{path} may only be called {limit} times per second. "
        told = Detail("rate_limit", text + "Please wait a second and try again")
        super().__init__(
            details=[told],
            retry_after_seconds=RETRY_AFTER_SECONDS,
            told=f"at most {limit:,} a second of one app",
        )


def _details(errors: Errors, path: str = "") -> list[Detail]:
    return [Detail(path + name, text) for name, texts in errors.items() for text in texts]


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


def problems(outcomes: Sequence[Outcome]) -> Problems:
    """Return what is wrong with the events that failed."""
    details = [
        detail
        for place, outcome in enumerate(outcomes)
        if isinstance(outcome, Rejected)
        for detail in _details(outcome.errors, f"events.{place}.")
    ]
    return Problems.listed("ok", details) if details else NO_PROBLEMS


def unknown_app(game_id: str) -> bytes:
    """404 of every endpoint but identify; a long id is cut."""
    return sound(UnknownApp(game_id)).body


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
    return sound_of_identify(UnknownApp(game_id)).body


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


def rate_limited(path: str, limit: int) -> bytes:
    """429: ``path`` was called more than ``limit`` times in this second."""
    return sound(TooOften(path, limit)).body


def sound(refusal: Refused) -> Said:
    """Put a refusal into words: by parameter if it has details, else under its tag.

    What no endpoint of ours was asked, or should have answered, is under its status.
    """
    is_general = isinstance(refusal, MethodNotAllowed | InternalError)
    name = str(refusal.status) if is_general else refusal.tag
    details = refusal.details or (Detail(name, refusal.message),)
    status = "rate_limit" if isinstance(refusal, TooOften) else "error"
    body = _encode({"status": status, "errors": grouped(details)})
    return Said(body, Problems.listed(status, details))


def sound_of_identify(refusal: Refused) -> Said:
    """Put a refusal into the words of identify, where an unknown app is a shape of its own."""
    if not isinstance(refusal, UnknownApp):
        return sound(refusal)
    message = f"Could not find game with id {refusal.game_id}"
    body = _encode({"error": {"code": 404, "message": message}})
    return Said(body, Problems("404", message))


WRONG_SECRET = sound(WrongSecret()).body
"""403: the app exists, and the secret is not one of its own."""
