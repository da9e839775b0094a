"""``trace``: a request is followed to wherever its events are, with real processes."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from playsmart_gateway.events.codec import encode
from playsmart_gateway.pipeline.segments import MAGIC
from playsmart_gateway.stores.open import open_store
from tests.support.commands import invoke
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers
from tests.support.polling import wait_until
from tests.support.process import NO_TLS, RunningGateway, StartGateway
from tests.support.stores import execute
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

GAME = "com.example.game"
PAYS = "coins_enabled = true, reward_fixed_amount = 7, event_trigger_threshold = 1"
SETTINGS = {
    "BUFFER__FLUSH_INTERVAL_SECONDS": "0.05",
    "GAMES": f'[{{id = "{GAME}", {PAYS}, event_trigger_multiplier = 1.0}}]',
}
TwoEvents = [make_event("Custom", customEventName="x"), make_event()]
Ask = Callable[..., Result]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Run ``trace`` in this process, for the gateway that runs in ``tmp_path``."""

    def run(*arguments: str, **settings: str) -> Result:
        places = {
            "JOURNAL__PATH": str(tmp_path / "data" / "journal"),
            "STORAGE__URL": f"sqlite:///{tmp_path}/data/playsmart.db",
        }
        return invoke("trace", *arguments, **(places | settings))

    return run


def told(result: Result) -> dict[str, Any]:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[0])
    assert result.exit_code == (0 if found["found"] else 1)
    return found


def batch_of(result: Result) -> dict[str, Any]:
    (batch,) = told(result)["batches"]
    assert isinstance(batch, dict)
    return batch


def send(running: RunningGateway, request_id: str | None = None, events: Any = None) -> str:
    headers = {} if request_id is None else {"x-request-id": request_id}
    answer = running.post(make_upload("ada", *(events or TwoEvents)), sub="ada", headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["x-request-id"])


def place_is(result: Callable[[], Result], place: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = batch_of(result())
        return found if found["place"] == place else None

    return wait_until(look)


def test_a_request_is_followed_through_buffer_store_and_journal(
    start_gateway: StartGateway, ask: Ask, tmp_path: Path
) -> None:
    running = start_gateway(**SETTINGS, LOG__ACCESS="true")
    stored = send(running)
    found = place_is(lambda: ask(stored, "--json"), "store")
    assert (found["batch_id"], found["event_ids"], found["coins_earned"]) == (1, [256, 257], 7)
    assert (found["user_id"], found["game_id"], found["event_count"]) == ("ada", GAME, 2)
    assert found["received_at"] == running.select("SELECT received_at FROM events")[0][0]
    assert running.stop() == 0
    log = str(tmp_path / "gateway.log.1")
    Path(log).write_text(running.log)
    by_log = batch_of(ask(stored, "--json", "--log", log))
    assert by_log["place"] == "store"
    assert by_log["said"][0].startswith("flushed at ")

    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="3600", LOG__ACCESS="true")
    held = send(running, "my-own-id")
    waits = batch_of(ask(held, "--json"))
    assert waits["place"] == "buffer"
    assert (waits["event_count"], waits["received_at"][:4]) == (2, found["received_at"][:4])
    assert Path(waits["file"]).parent == tmp_path / "data" / "journal"
    assert batch_of(ask(waits["batch"], "--json")) == waits
    running.process.kill()
    running.process.wait()
    log = str(tmp_path / "gateway.log")
    text = ask(held, "--log", log)
    assert "waits in " in text.stdout
    assert "start it" in text.stdout
    assert text.stderr == ""
    assert batch_of(ask(held, "--json", "--log", log))["place"] == "journal"
    forgotten = told(ask(held, "--json"))
    assert not forgotten["found"]
    assert "no gateway runs" in forgotten["notes"][0]
    again = start_gateway(**SETTINGS)
    place_is(lambda: ask(waits["batch"], "--json"), "store")
    assert again.stop() == 0


def test_a_request_that_was_refused_is_told_with_the_reason(
    start_gateway: StartGateway, ask: Ask, tmp_path: Path
) -> None:
    running = start_gateway(
        LOG__ACCESS="true", LOG__FORMAT="json", BUFFER__MAX_EVENTS="256",
        BUFFER__FLUSH_INTERVAL_SECONDS="3600", BUFFER__WAIT_FOR_ROOM_MS="0",
    )  # fmt: skip
    send(running, "taken", [make_event()] * 200)
    full = running.post(make_upload("ada", *[make_event()] * 200), sub="ada")
    bad = running.post(b"{", sub="ada", headers={"x-request-id": "bad"})
    assert (full.status_code, bad.status_code) == (503, 400)
    with running.connect() as connection:
        connection.send(b"no HTTP\r\n\r\n")
        (unread,) = connection.read_to_end()
    assert "was refused with 400 malformed:http" in ask(unread.headers["x-request-id"]).stdout
    log = str(tmp_path / "gateway.log")
    for more in ((), ("--log", log)):
        (request,) = told(ask(full.headers["x-request-id"], "--json", *more))["requests"]
        assert (request["status"], request["reason"]) == (503, "buffer_full")
        result = ask("bad", *more)
        assert result.exit_code == 0
        assert "was refused with 400 malformed (is not JSON: " in result.stdout
    never = ask("never", "--log", log)
    assert never.exit_code == 1
    assert "none of the 3 answers in the log" in never.stderr
    long_ago = ask("01a22421-8c4a-79ce-959a-20e43ed5a8be")
    assert "that id was made at 2026-11-28T21:48:28.1" in long_ago.stderr
    assert never.stderr.splitlines()[-1] == "error: nothing is known of never"
    assert running.stop() == 0


def test_a_batch_that_the_store_refused_is_among_the_dead_letters(
    start_gateway: StartGateway, ask: Ask, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/data/playsmart.db"
    running = start_gateway(**SETTINGS)
    guard = (
        "CREATE TRIGGER guard BEFORE INSERT ON event_rows WHEN new.customdata LIKE '%poison%'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    asyncio.run(execute(url, guard))
    bad = make_event("Custom", customEventName="x", customdata={"a": "poison"})
    request_id = send(running, events=[bad, bad])
    found = place_is(lambda: ask(request_id, "--json"), "dead_letters")
    assert "guard" in found["reason"]
    assert "poison" not in str(found)
    settings = {"STORAGE__URL": url}
    letters = json.loads(invoke("dead-letters", "list", "--json", **settings).stdout)
    assert [each["id"] for each in letters["dead_letters"]] == [found["batch"]]
    running.told(f"batch={found['batch']}")
    advice = ask(request_id).stdout.splitlines()[-1]
    assert advice.endswith(f"playsmart-gateway dead-letters replay {found['batch']}")
    asyncio.run(execute(url, "DROP TRIGGER guard"))
    replayed = invoke("dead-letters", "replay", found["batch"], **settings)
    assert replayed.exit_code == 0, replayed.output
    assert batch_of(ask(request_id, "--json"))["place"] == "store"


def test_each_of_several_workers_is_asked(
    start_gateway: StartGateway, ask: Ask, tmp_path: Path
) -> None:
    running = start_gateway("--workers", "2", BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    files = set()
    for number in range(40):
        with httpx.Client(base_url=running.url, trust_env=False, verify=NO_TLS) as client:
            headers = {
                "authorization": f"Bearer {running.token('ada')}",
                "x-request-id": f"r-{number}",
            }
            answer = client.post("/ingest/events", json=make_upload("ada"), headers=headers)
            assert answer.status_code == 202
        found = batch_of(ask(f"r-{number}", "--json"))
        assert found["place"] == "buffer"
        files.add(Path(found["file"]).parent.name)
        if len(files) == 2:
            break
    assert files == {"worker-0", "worker-1"}
    assert running.stop() == 0
    assert batch_of(ask(found["batch"], "--json"))["place"] == "store"


def test_postgres_tells_the_same(start_gateway: StartGateway, ask: Ask, postgres_url: str) -> None:
    running = start_gateway(**SETTINGS, STORAGE__URL=postgres_url)
    request_id = send(running)
    found = place_is(lambda: ask(request_id, "--json", STORAGE__URL=postgres_url), "store")
    assert (found["event_ids"][1] - found["event_ids"][0], found["coins_earned"]) == (1, 7)
    assert found["received_at"].endswith("Z")
    assert len(found["received_at"]) == 27


def test_what_no_worker_has_stored_is_in_the_stream(
    start_gateway: StartGateway, ask: Ask, nats_server: NatsServers, tmp_path: Path
) -> None:
    places = {
        "STORAGE__URL": nats_server.url,
        "STORAGE__READS_URL": f"sqlite:///{tmp_path}/data/playsmart.db",
        "NATS__STREAM": "traced",
    }
    running = start_gateway(**SETTINGS, **places)
    first, second = send(running), send(running)
    for request_id in (first, second):
        place_is(partial(ask, request_id, "--json", **places), "stream")
    text = ask(second, **places).stdout
    assert "is in the stream" in text
    assert "playsmart-gateway worker" in text


def test_what_is_broken_in_the_journal_is_told_by_its_name(ask: Ask, tmp_path: Path) -> None:
    async def make_store() -> None:
        async with open_store(f"sqlite:///{tmp_path}/data/playsmart.db"):
            pass

    asyncio.run(make_store())
    folder = tmp_path / "data" / "journal"
    folder.mkdir(parents=True)
    broken = b"".join(encode(make_batch(4, 1)))[:-3] + b"xxx"
    (folder / "0000000000000001.bad").write_bytes(broken)
    torn = MAGIC + b"".join(b"".join(encode(make_batch(each, 1))) for each in (5, 6))
    (folder / "0000000000000002.journal").write_bytes(torn[:-1])
    place = {n: batch_of(ask(f"{'11' * 16}-{n}", "--json"))["place"] for n in (4, 5, 6, 7)}
    assert place == {4: "broken", 5: "journal", 6: "broken", 7: "nowhere"}
    missing = ask(f"{'11' * 16}-7")
    assert missing.exit_code == 1
    assert "is in no journal, store or dead letter here" in missing.stdout


def test_the_journal_is_told_though_the_store_is_away(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "journal"
    folder.mkdir(parents=True)
    content = MAGIC + b"".join(encode(make_batch(5, 1)))
    (folder / "0000000000000002.journal").write_bytes(content)
    found = told(ask(f"{'11' * 16}-5", "--json"))
    assert found["batches"][0]["place"] == "journal"
    assert "there is no database" in found["notes"][0]


@pytest.mark.parametrize("asked", ["a\x1b[31m", "a b", "ü", "", "x" * 129, "a\n"])
def test_what_cannot_be_an_id_is_a_mistake_in_the_arguments(ask: Ask, asked: str) -> None:
    result = ask("--", asked)
    assert result.exit_code == 2
    assert "\x1b" not in result.output
    assert "that is no request id" in result.output


def test_a_log_without_answers_is_told_from_one_without_the_request(
    ask: Ask, tmp_path: Path
) -> None:
    log = tmp_path / "some.log"
    log.write_text("2026-11-28 21:00:00,000 INFO playsmart_gateway.x flushed events=1\n")
    assert "log.access was off" in ask("r-1", "--log", str(log)).stderr
    assert ask("r-1", "--log", str(tmp_path / "none.log")).exit_code == 2
    silent = ask("r-1", JOURNAL__ENABLED="false")
    assert "the journal is off" in silent.stderr
    assert "--log FILE" in silent.stderr
