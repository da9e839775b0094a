"""By what a server numbers the events of its batches, so that a repeat of one is told by it.

Teak's API has none of it: these fields are ours (see ``run_fields``), and who sends none of them is
served as ever. There is no time of sending: events have the time at which they were received.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from playsmart_gateway.dialects.loose import NO_NUL
from playsmart_gateway.dialects.run_fields import (
    CLIENT_RULE,
    RUN_PATTERN,
    RUN_RULE,
    bytes_of,
    read_client,
    read_run,
    read_seq,
)
from playsmart_gateway.dialects.teak.parameters import (
    BLANK_TEXT,
    NULL,
    UNREADABLE,
    Examiner,
    is_blank,
    read_number,
)
from playsmart_gateway.events.about import MAX_CLIENT_TEXT_LENGTH, Program
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, MAX_SEQ

MAX_FIRST = MAX_SEQ - MAX_EVENTS_PER_BATCH
"""The highest number of a first event, so that none of a batch is above ``MAX_SEQ``."""

_SEQ_RULE = f"must be an integer from 0 to {MAX_FIRST}"
_CLIENT_TEXT = {
    "type": ["string", "null"], "maxLength": MAX_CLIENT_TEXT_LENGTH, **NO_NUL,
}  # fmt: skip
_RUN = {
    "anyOf": [
        {"type": "string", "pattern": RUN_PATTERN},
        BLANK_TEXT,
        {"type": "null"},
    ]
}
_SEQ = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": MAX_FIRST},
        {"type": "string", "pattern": "^(0|[1-9][0-9]{0,14})$"},
        BLANK_TEXT,
        {"type": "null"},
    ]
}
_CLIENT = {
    "type": ["object", "null"],
    "properties": dict.fromkeys(Program._fields, _CLIENT_TEXT),
}
Read = TypeVar("Read")


class Numbering(NamedTuple):
    """The run that events are of, empty if of none, the number of the first, and who sends."""

    run: bytes = b""
    seq: int = 0
    client: Program | None = None


NONE = Numbering()


class NumberingParameters(msgspec.Struct):
    """The fields as they may be sent; null and blank count as absent."""

    run: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_RUN)] = NULL
    seq: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_SEQ)] = NULL
    client: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_CLIENT)] = NULL


def read_numbering(sent: NumberingParameters, examiner: Examiner) -> Numbering:
    """Return what was sent; what is wrong with it is noted."""
    if sent.run is NULL and sent.seq is NULL and sent.client is NULL:
        return NONE
    run = _optional(examiner, "run", sent.run, read_run, RUN_RULE)
    seq = _optional(examiner, "seq", sent.seq, _read_first, _SEQ_RULE)
    client = _optional(examiner, "client", sent.client, read_client, CLIENT_RULE)
    program = None if client is None else client.program  # a key in the head may name a run, too
    return Numbering(client=program) if run is None else Numbering(bytes_of(run), seq or 0, program)


def _optional(
    examiner: Examiner,
    name: str,
    raw: msgspec.Raw,
    read: Callable[[msgspec.Raw], Read],
    rule: str,
) -> Read | None:
    if bytes(raw) == bytes(NULL):
        return None
    try:
        return None if is_blank(raw) else read(raw)
    except (*UNREADABLE, ValueError, OverflowError):
        examiner.refuse(name, rule)
        return None


def _read_first(raw: msgspec.Raw) -> int:
    """Read a number, which a form carries as a text."""
    seq = read_seq(read_number(raw) or raw)
    if seq > MAX_FIRST:
        raise ValueError
    return seq
