"""What the gateway wrote before records had a kind (at 27a5c50) is read for ever.

``recorded/`` has the journal of one that was killed: events of all three dialects, sessions, a
client's event that is called like one, draws. One of Lynes is there though they wait for the store
and not in a journal. ``stored.json`` is what that gateway stored of it when it came back, and the
messages are what it published of two of the batches.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import EVENTS, SESSION, Batch
from playsmart_gateway.events.codec import OLD_MARK, decode, decode_at, encode
from playsmart_gateway.events.row import decode as decode_rows
from playsmart_gateway.events.sessions import sessions_in
from tests.support.doubles import make_batch
from tests.support.process import SECRET, RunningGateway

RECORDED = Path(__file__).parent / "recorded"
STORED: dict[str, Any] = json.loads((RECORDED / "stored.json").read_text())
SEGMENTS = sorted(RECORDED.glob("*.journal"))
MAGIC_BYTES = 8
KINDS = [EVENTS, *[SESSION] * 3, *[EVENTS] * 3, SESSION, EVENTS]


def recorded() -> list[Batch]:
    found = []
    for segment in SEGMENTS:
        content, place = segment.read_bytes(), MAGIC_BYTES
        while place < len(content):
            assert content.startswith(OLD_MARK, place)
            batch, place = decode_at(content, place)
            assert batch is not None
            found.append(batch)
    return found


def test_every_row_of_the_recorded_journal_is_read_as_it_was_stored() -> None:
    batches = recorded()
    read = [(batch, row) for batch in batches for row in decode_rows(batch.rows)]
    assert len(read) == sum(batch.count for batch in batches)
    for (batch, row), stored in zip(read, STORED["events"]["rows"], strict=True):
        source, game_id, user_id, kind, name, occurred_at, _, data = stored
        assert (batch.source, batch.game_id, batch.user_id or row.user_id, row.type) == (
            source, game_id, user_id, kind,
        )  # fmt: skip
        assert row.custom_event_name == name
        assert row.occurred_at.isoformat(timespec="microseconds")[:26] == occurred_at[:26]
        assert json.loads(bytes(row.customdata)) == json.loads(data or "null")
    draws = [row.draw for _, row in read if row.draw is not None]
    assert draws == [draw for _, draw in STORED["draws"]["rows"]]


def test_the_kind_of_an_old_record_is_told_by_its_rows() -> None:
    batches = recorded()
    assert [batch.kind for batch in batches] == KINDS
    sessions = [session for _, session in sessions_in(batches)]
    assert [(each.user_id, each.country_code, each.email, each.installs) for each in sessions] == [
        ("player-1", "DE", "ada@example.org", True),
        ("player-1", "AT", "", False),
        ("player-2", "DE", "", True),
        ("player-3", "US", "ada@example.org", True),
    ]


def test_what_was_read_is_written_anew_as_a_record_that_says_its_kind() -> None:
    for batch in recorded():
        assert decode(b"".join(encode(batch))) == batch


@pytest.mark.parametrize(("name", "place"), [("session", 1), ("drawn", 6)])
def test_a_recorded_message_of_the_stream_is_the_batch_that_it_was(name: str, place: int) -> None:
    message = (RECORDED / f"{name}.message").read_bytes()
    assert decode(message) == recorded()[place]


@pytest.mark.parametrize("name", ["plain", "run", "about"])
def test_a_recorded_message_of_each_later_layout_is_the_batch_that_it_was(name: str) -> None:
    """As they were written when a batch could first have a run, and when more was said of it."""
    batch = make_batch(7, count=2, user_id="ada")
    if name != "plain":
        batch.run, batch.seq = bytes(range(24)), 2**53 - 1
    if name == "about":
        program = Program("unity", "1.2", "2.1.5", "ios")
        batch.about = About(1_776_868_200_123_456, program, (0, 2))
    message = (RECORDED / f"{name}.message").read_bytes()
    assert decode(message) == batch
    assert b"".join(encode(batch)) == message


@pytest.mark.process
def test_a_gateway_that_starts_on_the_recorded_journal_stores_what_the_old_one_stored(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "data" / "journal"
    journal.mkdir(parents=True)
    for segment in SEGMENTS:
        shutil.copy(segment, journal)
    environment = {
        "PLAYSMART_AUTH__SECRET": SECRET,
        "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.02",
    }
    running = RunningGateway(tmp_path, environment, "--config", str(RECORDED / "gateway.toml"))
    try:
        assert running.settle()["stored"] == len(STORED["events"]["rows"])
        for name, expected in STORED.items():
            found = [list(row) for row in running.select(expected["query"])]
            assert found == expected["rows"], name
        assert not list(journal.glob("*.bad"))
    finally:
        running.close()
