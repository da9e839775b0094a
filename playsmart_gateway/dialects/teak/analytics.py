"""Analytics events: parameters in, canonical rows out.

A body is decoded by one typed decode in C. What that refuses is examined field by field, and in a
batch event by event: a wrong one is marked and keeps its place, the others go on.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from playsmart_gateway.dialects.loose import at_most
from playsmart_gateway.dialects.teak.geo import (
    country_of,
    is_country_code,
)
from playsmart_gateway.dialects.teak.numbering import (
    Numbering,
    NumberingParameters,
    read_numbering,
)
from playsmart_gateway.dialects.teak.parameters import (
    NULL,
    UNREADABLE,
    Count,
    Errors,
    Examiner,
    Identifier,
    Name,
    Number,
    PresentName,
    ShortText,
    Text,
    grouped,
    read_count,
    read_number,
)
from playsmart_gateway.errors import Malformed
from playsmart_gateway.events.row import PlayerRow, encode

MAX_EVENTS = 100
"""Events in one batch (contract section 1)."""

ONE = msgspec.Raw(b"1")
"""The default of all three numbers."""


class AnalyticsEvent(msgspec.Struct, frozen=True, gc=False):
    """One valid event. Empty texts were not sent; numbers are as they were written.

    The numbers may pin the request body: encode the event soon, and do not keep it.
    """

    user_id: Identifier
    action_type: Identifier
    object_type: ShortText = ""
    object_instance_id: ShortText = ""
    event_count: msgspec.Raw = ONE
    value: msgspec.Raw = ONE
    sum_of_squares: msgspec.Raw = ONE
    client_ip: ShortText = ""
    country_code: ShortText = ""
    """Whatever was sent where there is an address, which beats it."""


class Rejected(msgspec.Struct, frozen=True):
    """One event of a batch that failed; ``user_id`` is None when there was none to speak of."""

    user_id: str | None
    errors: Errors


class Unknown(Rejected, frozen=True):
    """One that is right, of a player whom identify has not seen: it may come again."""


Outcome = AnalyticsEvent | Rejected


class EventBatch(NamedTuple):
    """What became of each event of a batch, in the order they were sent, and their numbers."""

    outcomes: Sequence[Outcome]
    numbering: Numbering


class _Batch(NumberingParameters, kw_only=True):
    events: list[AnalyticsEvent]


class _LooseBatch(NumberingParameters):
    events: msgspec.Raw = NULL


class EventParameters(msgspec.Struct):
    """One event as it may be sent; null and blank count as absent."""

    user_id: PresentName = NULL
    action_type: PresentName = NULL
    object_type: Name = NULL
    object_instance_id: Name = NULL
    event_count: Count = NULL
    value: Number = NULL
    sum_of_squares: Number = NULL
    client_ip: Text = NULL
    country_code: msgspec.Raw = NULL


class _Data(msgspec.Struct, gc=False):
    """The customdata of a row."""

    object_type: str | msgspec.UnsetType
    object_instance_id: str | msgspec.UnsetType
    event_count: msgspec.Raw
    value: msgspec.Raw
    sum_of_squares: msgspec.Raw
    country_code: str
    client_ip: str | msgspec.UnsetType


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_event = msgspec.json.Decoder(AnalyticsEvent).decode
_decode_loose_batch = msgspec.json.Decoder(_LooseBatch).decode
_decode_loose_event = msgspec.json.Decoder(EventParameters).decode
_decode_list = at_most(MAX_EVENTS)
_encode_data = msgspec.json.Encoder().encode


def decode_event(fields: bytes | msgspec.Raw) -> AnalyticsEvent:
    """Read the event that ``fields`` is the JSON text of, see ``Body.fields``.

    Raises:
        Malformed: ``details`` has everything that is wrong with it.
    """
    if not _may_hold_nul(fields):
        with contextlib.suppress(*UNREADABLE):
            if (event := _checked(_decode_event(fields))) is not None:
                return event
    return _examined(fields)


def decode_batch(fields: bytes) -> EventBatch:
    """Read the events in ``fields``, see ``Body.fields``, and how they are numbered.

    Raises:
        Malformed: ``events`` is not an array of 1 to ``MAX_EVENTS``, or their numbering is wrong.
    """
    examiner = Examiner()
    sent, outcomes = _strictly(fields) or _loosely(fields, examiner)
    numbering = read_numbering(sent, examiner)
    examiner.finish()
    return EventBatch(outcomes, numbering)


def stretches(outcomes: Sequence[Outcome]) -> Iterator[tuple[int, Sequence[Outcome]]]:
    """Yield what is between events of unknown players, each with the place of its first."""
    first = 0
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, Unknown):
            if first < place:
                yield first, outcomes[first:place]
            first = place + 1
    if first < len(outcomes):
        yield first, outcomes[first:]


def encode_rows(
    events: Sequence[AnalyticsEvent],
    received_at: datetime,
    last_country: Callable[[str], str],
    *,
    store_client_ip: bool,
) -> bytes:
    """Return the canonical rows of ``events``, received at one instant in UTC.

    ``last_country`` gives the country of a player's latest session, empty if there is none.
    """
    return encode(
        [
            PlayerRow(
                event.action_type,
                None,
                received_at,
                _data(event, _country(event, last_country), store_client_ip=store_client_ip),
                user_id=event.user_id,
            )
            for event in events
        ]
    )


def _data(event: AnalyticsEvent, country_code: str, *, store_client_ip: bool) -> msgspec.Raw:
    data = _Data(
        event.object_type or msgspec.UNSET,
        event.object_instance_id or msgspec.UNSET,
        event.event_count,
        event.value,
        event.sum_of_squares,
        country_code,
        event.client_ip if store_client_ip and event.client_ip else msgspec.UNSET,
    )
    return msgspec.Raw(_encode_data(data))


def _country(event: AnalyticsEvent, last_country: Callable[[str], str]) -> str:
    if event.client_ip:
        return country_of(event.client_ip)
    return event.country_code.upper() or last_country(event.user_id)


def _may_hold_nul(fields: bytes | msgspec.Raw) -> bool:
    return rb"\u0000" in bytes(fields)


def _strictly(fields: bytes) -> tuple[_Batch, list[AnalyticsEvent]] | None:
    """Return a batch and its events; None when only an examiner can tell."""
    try:
        batch = _decode_batch(fields)
    except UNREADABLE:
        return None
    if not 1 <= len(batch.events) <= MAX_EVENTS or _may_hold_nul(fields):
        return None
    checked = [each for event in batch.events if (each := _checked(event)) is not None]
    return (batch, checked) if len(checked) == len(batch.events) else None


def _loosely(fields: bytes, examiner: Examiner) -> tuple[_LooseBatch, list[Outcome]]:
    try:
        batch = _decode_loose_batch(fields)
    except UNREADABLE:
        batch = _LooseBatch()
    return batch, [_outcome(raw) for raw in _listed(batch.events, examiner)]


def _listed(raw: msgspec.Raw, examiner: Examiner) -> list[msgspec.Raw]:
    """Return the events; none after noting that they are no array of as many as there may be."""
    try:
        events = _decode_list(raw)
    except UNREADABLE:
        events = []
    if 1 <= len(events) <= MAX_EVENTS:
        return events
    examiner.refuse("events", f"must be a non-empty array (max {MAX_EVENTS} items)")
    return []


def _outcome(raw: msgspec.Raw) -> Outcome:
    try:
        return decode_event(raw)
    except Malformed as refusal:
        user_id = Examiner().name("user_id", _loose(raw).user_id)
        return Rejected(user_id or None, grouped(refusal.details))


def _checked(event: AnalyticsEvent) -> AnalyticsEvent | None:
    """Check what the typed decode does not; None when only an examiner can tell."""
    if (
        event.user_id.isspace()
        or event.action_type.isspace()
        or event.object_type.isspace()
        or event.object_instance_id.isspace()
        or event.client_ip.isspace()
    ):
        return None
    if event.country_code and not event.client_ip and not is_country_code(event.country_code):
        return None
    count, value, squares = event.event_count, event.value, event.sum_of_squares
    if count is ONE and value is ONE and squares is ONE:
        return event
    number = read_number(count)
    new_count = None if number is None else read_count(number)
    new_value, new_squares = read_number(value), read_number(squares)
    if new_count is count and new_value is value and new_squares is squares:
        return event
    if new_count is None or new_value is None or new_squares is None:
        return None
    return msgspec.structs.replace(
        event, event_count=new_count, value=new_value, sum_of_squares=new_squares
    )


def _examined(raw: bytes | msgspec.Raw) -> AnalyticsEvent:
    fields = _loose(raw)
    examiner = Examiner()
    event = AnalyticsEvent(
        examiner.name("user_id", fields.user_id, required=True),
        examiner.name("action_type", fields.action_type, required=True),
        examiner.name("object_type", fields.object_type),
        examiner.name("object_instance_id", fields.object_instance_id),
        examiner.count("event_count", fields.event_count, ONE),
        examiner.number("value", fields.value, ONE),
        examiner.number("sum_of_squares", fields.sum_of_squares, ONE),
        *examiner.place(fields.client_ip, fields.country_code),
    )
    examiner.finish()
    return event


def _loose(raw: bytes | msgspec.Raw) -> EventParameters:
    try:
        return _decode_loose_event(raw)
    except UNREADABLE:
        return EventParameters()  # what is no object has no fields
