"""Customdata under another name: ``customData``, ``custom_data`` and their like.

It is taken and not read, as all that is not known; nothing else of ours is missed so quietly.
"""

import msgspec

from playsmart_gateway.dialects.loose import mended_in_steps
from playsmart_gateway.dialects.playsmart.upload import ABSENT
from playsmart_gateway.http.turns import Steps, at_once

_NO_DATA = b",null"
_END_OF_ROWS = -32
"""From there on it is in the rows where the last event has no customdata."""
_ROW_WITHOUT_DATA = b'Z",null'

_HUMPED, _PARTED = b'ustomData"', b'ustom_data"'
_END_OF_BODY = -1_024
"""From there on a small body is looked at: a client that misspells it does so in each event."""
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Spellings(msgspec.Struct, gc=False):
    right: msgspec.Raw = msgspec.field(default=ABSENT, name="customdata")
    humped: msgspec.Raw = msgspec.field(default=ABSENT, name="customData")
    capital: msgspec.Raw = msgspec.field(default=ABSENT, name="Customdata")
    capitals: msgspec.Raw = msgspec.field(default=ABSENT, name="CustomData")
    shouted: msgspec.Raw = msgspec.field(default=ABSENT, name="CUSTOMDATA")
    parted: msgspec.Raw = msgspec.field(default=ABSENT, name="custom_data")
    capitals_parted: msgspec.Raw = msgspec.field(default=ABSENT, name="Custom_Data")
    shouted_parted: msgspec.Raw = msgspec.field(default=ABSENT, name="CUSTOM_DATA")
    dashed: msgspec.Raw = msgspec.field(default=ABSENT, name="custom-data")


class _Events(msgspec.Struct, gc=False):
    events: list[msgspec.Raw]


_OTHERS = _Spellings.__struct_fields__[1:]
_decode_events = msgspec.json.Decoder(_Events).decode
_decode_spellings = msgspec.json.Decoder(_Spellings).decode


def may_misspell(rows: bytes, body: bytes) -> bool:
    """Whether a small body is worth a closer look; its last event has no customdata then.

    Each search takes a tenth of a microsecond, and nearly always the first is the last.
    """
    return rows.find(_NO_DATA, _END_OF_ROWS) >= 0 and (
        body.find(_HUMPED, _END_OF_BODY) >= 0 or body.find(_PARTED, _END_OF_BODY) >= 0
    )


def misspells(rows: bytes, body: bytes) -> bool:
    """Whether an event of ``body``, of which ``rows`` were made, has it under another name alone.

    Linear in the body, which must have been decoded before.
    """
    return at_once(misspells_in_steps(rows, body))


def misspells_in_steps(rows: bytes, body: bytes) -> Steps[bool]:
    """See ``misspells``; each step is a call or an event."""
    if _ROW_WITHOUT_DATA not in rows:
        return False
    yield
    lowered = body.lower()
    yield
    is_near = b'custom_data"' in lowered or b'custom-data"' in lowered
    yield
    if not is_near and lowered.count(b'customdata"') == body.count(b'customdata"'):
        return False
    yield
    well_formed = yield from mended_in_steps(body)
    try:
        events = _decode_events(well_formed).events
    except _REFUSED:
        return False
    for event in events:
        yield
        if _is_misspelt(event):
            return True
    return False


def _is_misspelt(event: msgspec.Raw) -> bool:
    try:
        spelt = _decode_spellings(event)
    except _REFUSED:
        return False  # who sends leniently is told of it
    return bytes(spelt.right) == b"null" and any(
        getattr(spelt, other) is not ABSENT for other in _OTHERS
    )
