"""A session of play is a batch, and the batch tells it."""

import json
from datetime import UTC, datetime

import pytest

from playsmart_gateway.events.batch import EVENTS, PLAYSMART, SESSION, TEAK
from playsmart_gateway.events.row import decode
from playsmart_gateway.events.sessions import (
    Session,
    kind_told_by,
    session_batch,
    session_of,
    sessions_in,
)
from tests.support.doubles import make_batch

NOW = datetime(2026, 4, 22, 14, 30, 0, tzinfo=UTC)
FIRST = Session("app", "ada", "DE", "Europe/Berlin", "ada@example.org", installs=True)
LATER = Session("app", "bob", "", "", "", installs=False)


@pytest.mark.parametrize("session", [FIRST, LATER])
def test_a_session_comes_back_from_its_batch_as_it_was(session: Session) -> None:
    batch = session_batch(session, "s-1", NOW)
    assert (batch.source, batch.kind, batch.count) == (TEAK, SESSION, 1 + session.installs)
    assert session_of(batch) == session
    assert session_of(make_batch()) is None


def test_each_session_is_told_with_the_number_of_its_batch() -> None:
    batches = [make_batch(), session_batch(FIRST, "s-1", NOW), session_batch(LATER, "s-2", NOW)]
    assert list(sessions_in(batches)) == [(1, FIRST), (2, LATER)]
    assert list(sessions_in(batches, 40)) == [(41, FIRST), (42, LATER)]


def test_both_events_of_a_session_have_its_data_and_an_address_only_if_one_is_given() -> None:
    known = {"session_id": "s-1", "country_code": "DE", "timezone_id": "Europe/Berlin"}
    for address in (None, "192.0.2.1"):
        rows = decode(session_batch(FIRST, "s-1", NOW, address).rows)
        expected = known if address is None else {**known, "client_ip": address}
        assert [json.loads(bytes(row.customdata)) for row in rows] == [expected] * 2
        assert [(row.type, row.occurred_at) for row in rows] == [
            ("Played", NOW),
            ("Installed", NOW),
        ]


@pytest.mark.parametrize(
    ("source", "rows", "kind"),
    [
        (TEAK, session_batch(LATER, "s-1", NOW).rows, SESSION),
        (PLAYSMART, session_batch(LATER, "s-1", NOW).rows, EVENTS),
        (TEAK, session_batch(LATER, "", NOW).rows, EVENTS),
        (TEAK, b'[["Played",null,"2026-04-22T14:30:00Z",{"session_id":7}]]', EVENTS),
        (TEAK, b'[["Played",null,"2026-04-22T14:30:00Z",{"session_id":"\xff"}]]', EVENTS),
        (TEAK, b'[["Played",null,"torn', EVENTS),
        (TEAK, b'[["Other",null,"2026-04-22T14:30:00Z",{"session_id":"s"}]]', EVENTS),
    ],
)
def test_the_kind_of_an_old_batch_is_told_by_its_source_and_the_data_of_its_first_row(
    source: str, rows: bytes, kind: str
) -> None:
    assert kind_told_by(source, rows) == kind
