"""What a game sends to ``POST /ingest/events``, and the batch that is made of it.

All or nothing, unless who sends it prefers the right events without the wrong ones. A body is
decoded by one typed decode in C, tagged by event type; what that refuses is mended (see ``loose``)
and goes through ``_examine``, field by field, which either names every wrong field or finds a
timestamp that is ISO 8601 and only unusual. All ways end in the same rows.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from playsmart_gateway.dialects.iso8601 import read_date_time
from playsmart_gateway.dialects.loose import at_most, decode_loosely, mended_in_steps
from playsmart_gateway.dialects.nesting import nests_deeper_in_steps
from playsmart_gateway.dialects.playsmart.upload import (
    ABSENT,
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_ID_LENGTH,
    Custom,
    Event,
    EventName,
    Identifier,
    Upload,
)
from playsmart_gateway.dialects.run_fields import (
    CLIENT_RULE,
    RUN_RULE,
    SEQ_RULE,
    bytes_of,
    read_client,
    read_run,
    read_seq,
)
from playsmart_gateway.economy.coins import Draws
from playsmart_gateway.errors import Detail, Malformed
from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import PLAYSMART, Batch, run_key
from playsmart_gateway.events.row import DrawnRow, PlainRow, encode
from playsmart_gateway.http.turns import SLICE_BYTES, Steps, at_once

NO_DRAWS: Draws = {}

_NO_ROW = PlainRow("", None, datetime.min, ABSENT)
_ESCAPED_NUL = rb"\u0000"
_ESCAPED_ASCII = rb"\u00"
_OPEN_BRACE = ord("{")
_BACKSLASH = ord("\\")
_SURELY_SHALLOW_BYTES = 2 * MAX_DEPTH
"""Each level costs two bytes at least, so nearly every text is told shallow by its length."""

_escaped_spelling = re.compile(rb"\\u00(?:2[eE]|3[0-9aA]|[67])").search
"""Of a fraction, or of the name of what it is in; .NET escapes many others."""
_rounded_fraction = re.compile(rb"\.(?<=:\d\d\.)\d{6}[5-9]").search
_SEVEN_DIGITS = slice(len("2026-04-22T14:30:00."), len("2026-04-22T14:30:00.1234567"))
_SEVENTH = slice(_SEVEN_DIGITS.stop - 1, _SEVEN_DIGITS.stop)
_MICROSECOND = timedelta(microseconds=1)
_TIMESTAMP_RULE = (
    "must be an ISO 8601 date-time with an explicit offset, in the years 1 to 9999 in UTC"
)
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LONGEST_FOUND = len(rb":00.1234567")  # what the searches above look at
_decode_upload = msgspec.json.Decoder(Upload).decode


class Rejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event that is wrong: its place in the request, and every wrong field."""

    index: int
    retryable: bool = False
    details: list[Detail]


def decode(body: bytes, draws: Draws = NO_DRAWS, rejected: list[Rejected] | None = None) -> Batch:
    """Turn a request body into a batch; ``draws`` are for the games that pay by chance.

    A list of ``rejected`` makes it lenient: wrong events go there, and the batch has the right ones
    alone, in their order.

    Raises:
        Malformed: the body breaks the contract; ``details`` has an entry for each wrong field. If
            it is lenient, what is around the events breaks it, or each of them does.
    """
    try:
        if not body.isascii():
            str(body, "utf-8")  # msgspec does not look inside the strings that it skips
        upload = _decode_upload(body)
    except _REFUSED:
        return at_once(_mend_and_decode(body, draws, rejected))
    is_escaped = _BACKSLASH in body and _ESCAPED_ASCII in body  # a byte is found at once
    if is_escaped and _ESCAPED_NUL in body:
        return at_once(_examine(body, draws, rejected))
    texts = _to_measure(upload.events)
    if texts is None or (texts and at_once(_any_is_deep(texts))):
        return at_once(_examine(body, draws, rejected))
    dot = body.find(b".", body.find(b'"events"'))  # most ids have one, and come before the events
    is_odd = (dot >= 0 and _rounded_fraction(body, dot)) or (is_escaped and _escaped_spelling(body))
    return _batch(upload, body, draws, is_odd) or at_once(_examine(body, draws, rejected))


def decode_in_steps(
    body: bytes, draws: Draws = NO_DRAWS, rejected: list[Rejected] | None = None
) -> Steps[Batch]:
    """Do what ``decode`` does, for large bodies: each step is a call or a slice of the body."""
    try:
        if not body.isascii():
            str(body, "utf-8")
            yield
        upload = _decode_upload(body)
    except _REFUSED:
        yield
        return (yield from _mend_and_decode(body, draws, rejected))
    yield
    is_escaped = _ESCAPED_ASCII in body
    if is_escaped and _ESCAPED_NUL in body:
        return (yield from _examine(body, draws, rejected))
    yield
    texts = _to_measure(upload.events)
    yield
    if texts is None or (yield from _any_is_deep(texts)):
        return (yield from _examine(body, draws, rejected))
    is_odd = (yield from _is_found(_rounded_fraction, body)) or (
        is_escaped and (yield from _is_found(_escaped_spelling, body))
    )
    yield
    return _batch(upload, body, draws, is_odd) or (yield from _examine(body, draws, rejected))


def _mend_and_decode(body: bytes, draws: Draws, rejected: list[Rejected] | None) -> Steps[Batch]:
    well_formed = yield from mended_in_steps(body)
    yield
    read = _examine if well_formed == body else decode_in_steps
    return (yield from read(well_formed, draws, rejected))


def _is_found(search: Callable[[bytes, int, int], object], body: bytes) -> Steps[bool]:
    """Whether a part of the body is found that is no longer than ``_LONGEST_FOUND``."""
    for start in range(0, len(body), SLICE_BYTES):
        if search(body, start, start + SLICE_BYTES + _LONGEST_FOUND):
            return True
        yield
    return False


def _batch(upload: Upload, body: bytes, draws: Draws, is_odd: object) -> Batch | None:
    """Return what was sent, with its times in UTC; None if one of them is beyond the years.

    ``is_odd`` is whether a time may be among it that msgspec has rounded.
    """
    rows = [PlainRow(e.type, e.name, e.timestamp, e.customdata) for e in upload.events]
    if is_odd:
        _truncate(rows, body)
    for row in rows:  # quicker than a set of the zones
        if row.occurred_at.tzinfo is not UTC:
            try:
                row.occurred_at = row.occurred_at.astimezone(UTC)
            except OverflowError:
                return None
    return _encoded(upload, rows, draws)


def _encoded(upload: Upload, rows: Sequence[PlainRow], draws: Draws) -> Batch:
    user_id, game_id = upload.user_id, upload.game_id
    if (draw := draws.get(game_id)) is not None:
        rows = [
            DrawnRow(row.type, row.custom_event_name, row.occurred_at, row.customdata, draw())
            for row in rows
        ]
    batch = Batch(PLAYSMART, game_id, user_id, len(rows), encode(rows))
    if upload.run is not None:
        batch.run = run_key(bytes_of(upload.run), game_id, user_id)
        batch.seq = upload.seq or 0
    if upload.sent_at is not None or upload.client is not None:
        batch.about = upload.about  # a key in the head may name a run, too
    return batch


class _Written(msgspec.Struct, gc=False):
    timestamp: str


class _WrittenUpload(msgspec.Struct, gc=False):
    events: list[_Written]


_decode_written = msgspec.json.Decoder(_WrittenUpload).decode


def _truncate(rows: list[PlainRow], body: bytes) -> None:
    """Take back what msgspec rounded up: a fraction is cut off behind its sixth digit.

    A platform that prints seven digits or nine (C#, Java, Go) would send some events of a second
    into the next one, and of New Year's Eve into the next year.
    """
    for row, event in zip(rows, _decode_written(body).events, strict=True):
        if (text := event.timestamp)[_SEVENTH] >= "5" and text[_SEVEN_DIGITS].isdigit():
            row.occurred_at -= _MICROSECOND


def _to_measure(events: "Sequence[Event | _LooseEvent]") -> list[bytes] | None:
    """Return the customdata that may nest too deep; None if one is no object."""
    to_measure = []
    for event in events:
        data = event.customdata
        if data is not ABSENT:
            text = bytes(data)
            if text[0] != _OPEN_BRACE:
                return None
            if len(text) > _SURELY_SHALLOW_BYTES:
                to_measure.append(text)
    return to_measure


def _any_is_deep(texts: list[bytes]) -> Steps[bool]:
    """Whether a text nests more than ``MAX_DEPTH`` deep."""
    since = 0
    for text in texts:
        if (yield from nests_deeper_in_steps(text, MAX_DEPTH)):
            return True
        since += len(text)
        if since > SLICE_BYTES:
            since = 0
            yield
    return False


# ---- The slow way: field by field -----------------------------------------------------------


class _LooseUpload(msgspec.Struct):
    user_id: msgspec.Raw = ABSENT
    game_id: msgspec.Raw = ABSENT
    events: msgspec.Raw = ABSENT
    run: msgspec.Raw = ABSENT
    seq: msgspec.Raw = ABSENT
    sent_at: msgspec.Raw = ABSENT
    client: msgspec.Raw = ABSENT


class _LooseEvent(msgspec.Struct):
    type: msgspec.Raw = ABSENT
    timestamp: msgspec.Raw = ABSENT
    name: msgspec.Raw = msgspec.field(default=ABSENT, name="customEventName")
    customdata: msgspec.Raw = ABSENT


MAX_COUNTED = 1_000  # of more events than that it is told that they are more

_ID_RULE = f"must be a string of 1 to {MAX_ID_LENGTH} characters, none of them NUL"
_TYPES = tuple(kind.type for kind in get_args(Event))
_decode_loose_upload = msgspec.json.Decoder(_LooseUpload).decode
_decode_loose_event = msgspec.json.Decoder(_LooseEvent).decode
_decode_list = at_most(MAX_EVENTS)
_decode_long_list = at_most(MAX_COUNTED)
_decode_identifier = msgspec.json.Decoder(Identifier).decode
_decode_name = msgspec.json.Decoder(EventName).decode
_decode_string = msgspec.json.Decoder(str).decode


def _examine(body: bytes, draws: Draws, rejected: list[Rejected] | None) -> Steps[Batch]:
    """Check each field by itself; return the batch if the typed decode was merely too strict.

    If it was not, the batch of a lenient decode has the events that are right.
    """
    sent = decode_loosely(body, _decode_loose_upload)
    yield
    examiner = _Examiner()
    problems = examiner.problems
    user_id = examiner.field("user_id", sent.user_id, _read_identifier, _ID_RULE)
    game_id = examiner.field("game_id", sent.game_id, _read_identifier, _ID_RULE)
    yield
    rule = f"must be an array of 1 to {MAX_EVENTS} events"
    events = examiner.field("events", sent.events, _decode_list, rule)
    yield
    if events is not None and not 1 <= len(events) <= MAX_EVENTS:
        examiner.refuse("events", f"{rule}, got {_counted(sent.events)}")
        events = None
    run = examiner.optional("run", sent.run, read_run, RUN_RULE)
    seq = examiner.optional("seq", sent.seq, read_seq, SEQ_RULE)
    sent_at = examiner.optional("sent_at", sent.sent_at, _read_timestamp, _TIMESTAMP_RULE)
    client = examiner.optional("client", sent.client, read_client, CLIENT_RULE)
    is_lenient = rejected is not None and not problems
    rows, wrong, since = [], [], 0
    for place, event in enumerate(events or ()):
        told = len(problems)
        row = yield from examiner.event(f"events.{place}", event)
        if len(problems) == told:
            rows.append(row)
        else:
            wrong.append(Rejected(index=place, details=problems[told:]))
        since += len(event)
        if since > SLICE_BYTES:
            since = 0
            yield
    if problems and not (is_lenient and rows):
        raise Malformed(details=problems, told=problems[0].text)
    batch = _encoded(Upload(user_id, game_id, [], run, seq, sent_at, client), rows, draws)
    if rejected is not None and wrong:
        rejected += wrong
        refused = tuple(each.index for each in wrong)
        batch.about = replace(batch.about or About(), refused=refused)
    return batch


def _counted(events: msgspec.Raw) -> str:
    """Say how many there are, without an object for each however many come."""
    count = len(_decode_long_list(events))
    return str(count) if count <= MAX_COUNTED else f"more than {MAX_COUNTED}"


class _Examiner:
    """Collects what is wrong with one body; the texts never repeat what was sent."""

    def __init__(self) -> None:
        self.problems: list[Detail] = []

    def refuse(self, path: str, message: str) -> None:
        self.problems.append(Detail(path, message))

    def field(
        self, path: str, raw: msgspec.Raw, read: Callable[[msgspec.Raw], Any], rule: str
    ) -> Any:
        """Return what ``read`` makes of a required field; None after noting what is wrong."""
        if raw is ABSENT:
            return self.refuse(path, "is required")
        try:
            return read(raw)
        except (msgspec.MsgspecError, ValueError, OverflowError):
            return self.refuse(path, rule)

    def optional(
        self, path: str, raw: msgspec.Raw, read: Callable[[msgspec.Raw], Any], rule: str
    ) -> Any:
        """Do what ``field`` does with one that may be missing, or null."""
        return None if bytes(raw) == b"null" else self.field(path, raw, read, rule)

    def event(self, path: str, raw: msgspec.Raw) -> Steps[PlainRow]:
        try:
            event = _decode_loose_event(raw)
        except msgspec.MsgspecError:
            self.refuse(path, "must be a JSON object")
            return _NO_ROW
        kind = self.field(
            f"{path}.type", event.type, _read_type, f"must be one of {', '.join(_TYPES)}"
        )
        when = self.field(f"{path}.timestamp", event.timestamp, _read_timestamp, _TIMESTAMP_RULE)
        name = None
        if kind == Custom.type:
            rule = "must be a string that is not empty and has no NUL"
            name = self.field(f"{path}.customEventName", event.name, _read_name, rule)
        texts = _to_measure([event])
        if texts is None or (yield from _any_is_deep(texts)):
            rule = f"must be a JSON object nested at most {MAX_DEPTH} deep"
            self.refuse(f"{path}.customdata", rule)
        return PlainRow(kind, name, when, event.customdata)


def _read_identifier(raw: msgspec.Raw) -> str:
    return _without_nul(_decode_identifier(raw))


def _read_name(raw: msgspec.Raw) -> str:
    return _without_nul(_decode_name(raw))


def _without_nul(text: str) -> str:
    """Databases end a text there: SQLite's JSON functions silently, PostgreSQL with an error."""
    if "\0" in text:
        raise ValueError
    return text


def _read_type(raw: msgspec.Raw) -> str:
    kind = _decode_string(raw)
    if kind not in _TYPES:
        raise ValueError
    return kind


def _read_timestamp(raw: msgspec.Raw) -> datetime:
    return read_date_time(_decode_string(raw))
