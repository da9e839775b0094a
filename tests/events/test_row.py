"""The one description of a row: what every dialect writes and whoever reads takes from it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import playsmart_gateway
from playsmart_gateway.dialects.lynes import request as lynes
from playsmart_gateway.dialects.playsmart import request as playsmart
from playsmart_gateway.dialects.teak.analytics import AnalyticsEvent, encode_rows
from playsmart_gateway.events.row import (
    NO_DATA,
    SLOTS,
    DrawnRow,
    PlainRow,
    PlayerRow,
    Row,
    decode,
    encode,
    picked,
)
from playsmart_gateway.events.sessions import Session, session_batch

SOURCES = Path(playsmart_gateway.__file__).parent
SLOT = re.compile(r"""\$\[\d|\brows?\b(?:\[[^\]\n]*\])?\[-?\d+:?\d*\]""")
NOT_OF_EVENTS = {  # rows of an answer of the database, by module: what is picked out of them
    "asking/words.py": {"$[0"},  # a parameter of PostgreSQL
    "load/databases.py": {"rows[-1][0]"},
    "stores/sql/dashboard.py": {"row[0]"},
    "stores/sql/events.py": {"row[-1]"},
    "stores/sql/metadata.py": {"row[0]", "rows[MAX_FIELDS - 1][0]"},
    "stores/sql/points.py": {"rows[0][3]"},
    "stores/sql/points_reader.py": {"row[0]", "row[1]", "row[2:]"},
    "stores/sqlite/erasure.py": {"rows[0][0]"},
}

NOW = datetime(2026, 4, 22, 14, 30, 0, 250_000, UTC)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = texts.filter(lambda text: bool(text.strip()))
times = st.datetimes(timezones=st.just(UTC))
objects = st.dictionaries(texts, st.integers() | texts | st.booleans() | st.none(), max_size=4)
data = st.just(NO_DATA) | objects.map(lambda each: msgspec.Raw(msgspec.json.encode(each)))
draws = st.none() | st.integers(0, 99)
plain = (texts, st.none() | texts, times, data)
rows = st.one_of(
    st.builds(PlainRow, *plain),
    st.builds(DrawnRow, *plain, draws),
    st.builds(PlayerRow, *plain, draws, st.none() | texts),
    st.builds(Row, *plain, draws, st.none() | texts, st.none() | texts),
)


def fields_of(row: PlainRow) -> dict[str, Any]:
    """The fields by name, with nothing where a shorter row has none."""
    found = {**dict.fromkeys(SLOTS), **msgspec.structs.asdict(row)}
    return {**found, "customdata": bytes(found["customdata"])}


@given(st.lists(rows, max_size=5))
def test_whatever_was_written_is_read_as_it_was(written: list[PlainRow]) -> None:
    assert list(map(fields_of, decode(encode(written)))) == list(map(fields_of, written))


@given(rows)
def test_a_slot_holds_what_its_name_says_and_nothing_is_written_behind_the_last(
    row: PlainRow,
) -> None:
    (slots,) = json.loads(encode([row]))
    assert len(slots) == len(row.__struct_fields__)
    fields = fields_of(row)
    for name in row.__struct_fields__:
        told = json.loads(fields[name]) if name == "customdata" else fields[name]
        assert slots[SLOTS[name]] == msgspec.to_builtins(told), name


@given(st.lists(rows, max_size=6), st.data())
def test_what_is_picked_are_the_rows_at_the_places_as_they_are(
    written: list[PlainRow], data: st.DataObject
) -> None:
    places = (
        data.draw(st.lists(st.sampled_from(range(len(written))), unique=True)) if written else []
    )
    picks = encode([written[place] for place in places])
    assert picked(encode(written), len(written), places) == picks


@pytest.mark.parametrize("content", [b"", b"[1,2", b"{}", b"[1]", b"[1,2,3]", b"[" * 100_000])
def test_nothing_is_picked_of_what_are_not_so_many_rows(content: bytes) -> None:
    assert picked(content, 2, [0]) is None


def test_the_places_are_those_of_rows_that_are_in_journals_already() -> None:
    slots = ["type", "custom_event_name", "occurred_at", "customdata", "draw", "user_id", "email"]
    assert {name: place for place, name in enumerate(slots)} == SLOTS


@given(st.lists(st.tuples(names, times, objects), min_size=1, max_size=4), st.integers(0, 99))
def test_what_playsmart_writes_is_what_row_reads(
    sent: list[tuple[str, datetime, dict[str, Any]]], draw: int
) -> None:
    events = [
        {"type": "Custom", "customEventName": name, "timestamp": when, "customdata": customdata}
        for name, when, customdata in sent
    ]
    body = msgspec.json.encode({"user_id": "ada", "game_id": "game", "events": events})
    for drawn in (None, draw):
        pays = {} if drawn is None else {"game": lambda: draw}
        read = decode(playsmart.decode(body, pays).rows)
        assert read == [
            Row("Custom", name, when, row.customdata, drawn)
            for (name, when, _), row in zip(sent, read, strict=True)
        ]
        assert [json.loads(bytes(row.customdata)) for row in read] == [each for *_, each in sent]


@given(names, names)
def test_what_teak_writes_is_what_row_reads(user_id: str, action: str) -> None:
    event = AnalyticsEvent(user_id, action, country_code="de")
    (row,) = decode(encode_rows([event], NOW, lambda _: "", store_client_ip=False))
    assert row == Row(action, None, NOW, row.customdata, user_id=user_id)
    assert json.loads(bytes(row.customdata))["country_code"] == "DE"


@given(names, objects)
def test_what_lynes_writes_is_what_row_reads(event_id: str, metadata: dict[str, Any]) -> None:
    request = lynes.Request(event_id, "ada", metadata)
    batch = lynes.batch(request, project="demo", received_at_ms=1_680_870_896_000)
    when = datetime(2023, 4, 7, 12, 34, 56, tzinfo=UTC)
    (row,) = decode(batch.rows)
    assert row == Row(event_id, None, when, row.customdata)
    assert json.loads(bytes(row.customdata)) == (metadata or None)


@pytest.mark.parametrize("installs", [True, False])
@given(texts)
def test_what_a_session_writes_is_what_row_reads(installs: bool, email: str) -> None:
    session = Session("app", "ada", "DE", "Europe/Berlin", email, installs)
    played, *others = decode(session_batch(session, "s-1", NOW).rows)
    assert played == Row("Played", None, NOW, played.customdata, email=email or None)
    assert others == [Row("Installed", None, NOW, each.customdata) for each in others]
    assert len(others) == installs
    assert json.loads(bytes(played.customdata))["session_id"] == "s-1"


def test_no_module_but_row_knows_a_slot_by_its_number() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        name = str(path.relative_to(SOURCES))
        literals = set(SLOT.findall(path.read_text())) - NOT_OF_EVENTS.get(name, set())
        if literals:
            found[name] = literals
    assert not found, "take the place from events.row.SLOTS, or read the row as a Row"
