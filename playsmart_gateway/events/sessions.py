"""Player sessions of an app (contract ``teak.md`` section 7), as batches, both ways.

A session is a batch of ``Played`` and, unless the player is known already, ``Installed``. The door
cannot be sure of that: two first sessions may come at once, or a crash in between. So the store
decides by its unique key, and drops an ``Installed`` that came before. The email travels beside the
customdata, as it belongs to the player and not to the event, and may have to be forgotten.

Of a run it uses two numbers in any case: a repeat has no ``Installed`` where the first time had, or
the other way round, and is a repeat all the same.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import EVENTS, SESSION, TEAK, Batch, Kind
from playsmart_gateway.events.row import PlainRow, Row, decode, encode

INSTALLED_PLACE = 1
"""Where ``Installed`` is in its batch, behind ``Played``."""

_PREFIX = b'[["Played",null,"'


class _Data(msgspec.Struct):
    """What is read of the customdata; numbers in it may be beyond what Python can hold."""

    session_id: str = ""
    country_code: str = ""
    timezone_id: str = ""


_decode_data = msgspec.json.Decoder(_Data).decode


class Session(NamedTuple):
    """Who plays which app, and what is known since then; ``installs`` if it may be the first."""

    app_id: str
    user_id: str
    country_code: str
    timezone_id: str
    email: str
    installs: bool


def session_batch(
    session: Session,
    session_id: str,
    started_at: datetime,
    client_ip: str | None = None,
    *,
    run: bytes = b"",
) -> Batch:
    """Return the batch of a session; an address is kept only if one is given here.

    ``run`` is the key of a run that this session is all of, if its request was named.
    """
    texts = {
        "session_id": session_id,
        "country_code": session.country_code,
        "timezone_id": session.timezone_id,
    }
    if client_ip is not None:
        texts["client_ip"] = client_ip
    data = msgspec.Raw(msgspec.json.encode(texts))
    rows: list[PlainRow] = [Row("Played", None, started_at, data, email=session.email or None)]
    if session.installs:
        rows.append(PlainRow("Installed", None, started_at, data))
    batch = Batch(TEAK, session.app_id, session.user_id, len(rows), encode(rows), kind=SESSION)
    if run:
        batch.run = run
        batch.about = None if session.installs else About(refused=(INSTALLED_PLACE,))
    return batch


def session_of(batch: Batch) -> Session | None:
    """Return the session that a batch stands for; None for others, and for one that is a repeat."""
    if batch.kind != SESSION or not batch.count:
        return None
    played = decode(batch.rows)[0]
    data = _decode_data(played.customdata)
    where = data.country_code, data.timezone_id
    installs = batch.count > 1
    return Session(batch.game_id, batch.user_id, *where, played.email or "", installs)


def sessions_in(batches: Sequence[Batch], first_id: int = 0) -> Iterator[tuple[int, Session]]:
    """Yield the sessions among ``batches``, each with its batch's number counted from there."""
    for number, batch in enumerate(batches, first_id):
        # The kind is looked at here, too: a call costs more than the answer for most batches.
        if batch.kind == SESSION and (session := session_of(batch)) is not None:
            yield number, session


def kind_told_by(source: str, rows: bytes) -> Kind:
    """Return the kind of a batch whose header does not say it: of an old record, of a dead letter.

    An analytics event may be called Played, too, but clients name none of the keys of its data.
    """
    if source != TEAK or not rows.startswith(_PREFIX):
        return EVENTS
    try:
        played = decode(rows)[0]
        return SESSION if _decode_data(played.customdata).session_id else EVENTS
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return EVENTS  # nothing that this gateway wrote, so no store takes it
