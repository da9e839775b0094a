"""An event as the verifier compares it: the same tuple from a body and from the store."""

import json
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

COLUMNS = "user_id, game_id, type, custom_event_name, occurred_at, customdata"
"""What ``Row`` holds, in this order, in the relation ``events``."""

_INSTANT_LENGTH = len("2026-04-22T14:30:00.000000Z")


class Row(NamedTuple):
    """One event. ``occurred_at`` and ``customdata`` are texts, canonical or not yet."""

    user_id: str
    game_id: str
    type: str
    custom_event_name: str | None
    occurred_at: str
    customdata: str | None

    def canonical(self) -> "Row":
        """Return the form in which equal events are equal tuples.

        The instant is UTC with six digits and a ``Z``, objects have sorted keys and no spaces, and
        a name that the contract ignores, because the type is not ``Custom``, is dropped.
        """
        return Row(
            self.user_id,
            self.game_id,
            self.type,
            self.custom_event_name if self.type == "Custom" else None,
            _instant(self.occurred_at),
            _canonical_json(self.customdata),
        )


class _Event(msgspec.Struct):
    type: str
    timestamp: str
    custom_event_name: str | None = msgspec.field(default=None, name="customEventName")
    customdata: msgspec.Raw = msgspec.Raw(b"{}")


class _Body(msgspec.Struct):
    user_id: str
    game_id: str
    events: list[_Event]


_decoder = msgspec.json.Decoder(_Body)


def rows(body: bytes) -> list[Row]:
    """Return the events of a request body; raises ``msgspec.DecodeError`` if it has none.

    They are canonical but for ``customdata``, which is as sent: a gateway that keeps it so needs
    nothing but a comparison.
    """
    decoded = _decoder.decode(body)
    return [
        Row(
            decoded.user_id,
            decoded.game_id,
            event.type,
            event.custom_event_name if event.type == "Custom" else None,
            _instant(event.timestamp),
            bytes(event.customdata).decode(),
        )
        for event in decoded.events
    ]


def _instant(text: str) -> str:
    if len(text) == _INSTANT_LENGTH and text[10] == "T" and text.endswith("Z"):
        return text  # most rows: as the gateway prints an instant
    try:
        # As the gateway reads it, which rounds what is finer than a microsecond.
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        moment = _iso_8601(text)
    if moment.tzinfo is None:
        return text
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    except OverflowError:
        return text


def _iso_8601(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min  # without an offset, so the text stays as it is


def _canonical_json(text: str | None) -> str:
    if not text:
        return "{}"
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return text
