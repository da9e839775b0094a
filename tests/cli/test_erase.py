"""``erase``: beside a gateway or without, and nothing comes back from the journal."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import MARK
from playsmart_gateway.pipeline.journal import Journal
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import make_batch
from tests.support.figures import wait_for_figures
from tests.support.process import NO_TLS, RunningGateway, StartGateway
from tests.support.teak import ENVIRONMENT, EVENTS, call, event, identify
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process


def erase(folder: Path, *arguments: str) -> Result:
    environment = {
        "PLAYSMART_STORAGE__URL": f"sqlite:///{folder}/data/playsmart.db",
        "PLAYSMART_JOURNAL__PATH": f"{folder}/data/journal",
    }
    return CliRunner().invoke(commands, ("erase", *arguments), env=environment)


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    for option in ("--yes", "--dry-run"):
        assert isinstance(erase(tmp_path, "ada", option).exception, SinkUnavailable)
    assert not list(tmp_path.iterdir())


def test_an_empty_id_is_nobody_and_erases_no_batch_of_many_players(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/data/playsmart.db"
    rows = b'[["spin", null, "2026-04-22T14:30:00Z", null, null, "ada"]]'
    batch = Batch("teak", "app", "", 1, rows, "11" * 16, 1, 1_776_868_200_000_000)

    async def store() -> None:
        async with open_store(place) as sink:
            await sink.write([batch])

    asyncio.run(store())
    for option in ("--yes", "--dry-run"):
        done = erase(tmp_path, "", option)
        assert done.exit_code == 2
        assert "USER is empty" in done.output
    with closing(sqlite3.connect(tmp_path / "data" / "playsmart.db")) as db:
        assert db.execute("SELECT user_id FROM events").fetchall() == [("ada",)]


ADA = "ada-lovelace"
PRIVATE = ("ada-lovelace", "of-ada@example.org", "her own value", "her own field", "4915112345678")
"""What only she said: id, email, value, field, number."""


def play(running: RunningGateway, user: str, text: str, number: int) -> None:
    """Send something by every dialect, with a text and a number that are a player's own."""
    level = make_event("LevelCompleted", customdata={"level": text, "note": text})
    assert running.post(make_upload(user, level), sub=user).status_code == 202
    identify(running, user, email=f"of-{user[:3]}@example.org")
    call(running, EVENTS, **event(user, "spin"))
    metadata = {"plan": text, f"{text[:8]}field": 1, "phone": number, "mail": f"of-{user[:3]}@x.de"}
    body = {"eventId": "login", "userId": user, "metadata": metadata}
    headers = {"authorization": f"Bearer {running.token('server')}"}
    assert running.client.post("/event", json=body, headers=headers).status_code == 200


def start(start_gateway: StartGateway, **settings: str) -> RunningGateway:
    events = '[{id = "login", kind = "fix", points = 10}]'
    apps = {name.removeprefix("PLAYSMART_"): value for name, value in ENVIRONMENT.items()}
    return start_gateway(**{**apps, "LYNES__EVENTS": events, **settings})


def found_in(folder: Path, texts: Sequence[str] = PRIVATE) -> list[tuple[str, str]]:
    """Which of the texts are in which of the gateway's files."""
    files = [each for each in (folder / "data").rglob("*") if each.is_file()]
    contents = {str(each.relative_to(folder)): each.read_bytes() for each in files}
    return [(name, text) for name, content in contents.items()
            for text in texts if text.encode() in content]  # fmt: skip


@pytest.mark.parametrize("retained", [False, True], ids=["all there", "after retention"])
def test_a_player_is_erased_while_the_gateway_runs_and_no_file_has_anything_left(
    start_gateway: StartGateway, tmp_path: Path, retained: bool
) -> None:
    """And while others send events, all of which are accepted and stored."""
    running = start(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    for _ in range(3):
        play(running, ADA, "her own value", 4915112345678)
        play(running, "eve", "the others' value", 17)
    running.settle()
    wait_for_figures(running)
    (tmp_path / "data" / "journal" / "0000000000000009.bad").write_bytes(
        b"torn" + MARK + b"..ada-lovelace" + MARK + b"of-ada@example.org" + MARK + b"others"
    )
    assert {text for _, text in found_in(tmp_path)} == set(PRIVATE)
    if retained:
        environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/data/playsmart.db"}
        old = CliRunner().invoke(commands, ("retention", "--older-than", "0s"), env=environment)
        assert old.exit_code == 0, old.output
        play(running, ADA, "her own value", 4915112345678)
    accepted, stop = [0], threading.Event()

    def insist() -> None:
        headers = {"authorization": f"Bearer {running.token('eve')}"}
        with httpx.Client(
            base_url=running.url, trust_env=False, verify=NO_TLS, timeout=60
        ) as client:
            while not stop.is_set():
                answer = client.post("/ingest/events", json=make_upload("eve"), headers=headers)
                accepted[0] += answer.status_code == 202
                assert answer.status_code == 202

    before = running.law()["received"]
    others = threading.Thread(target=insist)
    others.start()
    try:
        result = erase(tmp_path, ADA, "--yes")
    finally:
        stop.set()
        others.join()
    assert result.exit_code == 0, result.output
    assert "0000000000000009.bad held broken records" in result.stderr
    assert found_in(tmp_path) == []
    assert b"others" in (tmp_path / "data" / "journal" / "0000000000000009.bad").read_bytes()
    law = running.settle()
    assert (law["received"] - before, law["rejected"]) == (accepted[0], 0)
    headers = {"authorization": f"Bearer {running.token('anybody')}"}
    stats = running.client.get("/stats/event/login", headers=headers)
    assert not any(text in stats.text for text in PRIVATE), stats.text
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/data/playsmart.db"}
    audit = CliRunner().invoke(commands, ("audit",), env=environment)
    assert audit.exit_code == 0, audit.output
    assert running.stop() == 0
    assert found_in(tmp_path) == []
    again = start(start_gateway)
    again.settle()
    assert again.stop() == 0
    assert found_in(tmp_path) == [], "nothing comes back"


def test_what_waits_in_the_journal_goes_too(start_gateway: StartGateway, tmp_path: Path) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    for user in ("ada", "eve"):
        running.post(make_upload(user), sub=user)
    running.settle()
    assert erase(tmp_path, "ada").exit_code == 2, "nobody is there to ask"
    counted = json.loads(erase(tmp_path, "ada", "--dry-run", "--json").stdout)
    assert counted["rows"]["event_rows"] == 1
    assert running.stop() == 0
    journal = Journal(tmp_path / "data" / "journal")
    journal.open()
    journal.write([make_batch(1, 2, "ada"), make_batch(2, 3, "eve")])
    journal.close()
    result = erase(tmp_path, "ada", "--yes")
    assert result.exit_code == 0, result.output
    assert "erased: " in result.stdout
    assert not list((tmp_path / "data" / "journal").glob("*.journal"))

    again = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    again.settle()
    assert [row["user_id"] for row in again.events_after(0)] == ["eve"] * 4
    for option in ("--yes", "--dry-run"):
        unknown = erase(tmp_path, "ada", option)
        assert (unknown.exit_code, "no player goes by that id" in unknown.output) == (1, True)
    assert again.stop() == 0
    unknown = erase(tmp_path, "nobody", "--yes")
    assert (unknown.exit_code, "no player goes by that id" in unknown.output) == (1, True)


def test_a_gateway_that_cannot_store_is_told_and_nothing_is_erased(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    running.post(make_upload("ada"), sub="ada")
    running.settle()
    os.kill(running.process.pid, signal.SIGSTOP)
    result = erase(tmp_path, "ada", "--yes", "--wait", "1")
    os.kill(running.process.pid, signal.SIGCONT)
    assert result.exit_code == 1
    assert "nothing was erased: the gateway with the journal" in result.output
    assert len(running.events_after(0)) == 1
    assert running.stop() == 0
    assert not list((tmp_path / "data" / "journal").glob("*.errand"))


def test_nothing_is_erased_while_the_journal_cannot_be_stored(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = start_gateway()
    running.post(make_upload("ada"), sub="ada")
    assert running.stop() == 0
    journal = Journal(tmp_path / "data" / "journal")
    journal.open()
    journal.write([make_batch(1, 2, "ada")])
    journal.close()
    database = sqlite3.connect(tmp_path / "data" / "playsmart.db")
    database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON batches BEGIN SELECT json_extract('{', '$'); END"
    )
    database.execute("DROP TABLE dead_letters")
    database.commit()
    database.close()
    result = erase(tmp_path, "ada", "--yes")
    assert result.exit_code == 1
    assert "nothing was erased: 2 events that wait" in result.output
    assert list((tmp_path / "data" / "journal").glob("*.journal"))
