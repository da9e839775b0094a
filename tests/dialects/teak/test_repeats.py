"""What is sent again: numbered batches and named requests are stored once, and cost no number."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.dialects import load_config
from playsmart_gateway.events.batch import run_key
from playsmart_gateway.stores.open import open_store
from tests.support.in_process import in_process
from tests.support.metrics import law, parse_metrics
from tests.support.polling import until
from tests.support.process import RunningGateway
from tests.support.stores import store_url
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    ENVIRONMENT,
    EVENTS,
    FORM,
    IDENTIFY,
    NO_LIMITS,
    as_form,
    call,
    event,
    identify,
    teak_gateway,
)

NEVER = "3600"
WRONG = {"user_id": "ada"}


@pytest.fixture(scope="module")
def teak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("repeats")
    with teak_gateway(folder, TEAK__LIMITS=NO_LIMITS) as running:
        identify(running, "ada")
        running.settle()
        yield running
        assert running.stop() == 0


def named(running: RunningGateway, key: str, path: str, **fields: object) -> httpx.Response:
    """Post these fields with an idempotency key."""
    body = {**CREDENTIALS, **fields}
    return running.client.post(path, json=body, headers={"idempotency-key": key})


def session(running: RunningGateway, key: str, user: str, **fields: object) -> str:
    """Start a session by this key; return its id."""
    answer = named(running, key, IDENTIFY, user_id=user, country_code="DE", **fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


def stored(running: RunningGateway, newest: int) -> list[str]:
    """The types of the events that came after ``newest``, in order."""
    running.settle()
    return [row["type"] for row in running.events_after(newest)]


def told_of(running: RunningGateway, run: str) -> tuple[Any, ...]:
    """What the store knows of a run of the app's batches."""
    running.settle()
    key = run_key(bytes.fromhex(run.replace("-", "")), CREDENTIALS["game_id"], "")
    ((*found,),) = running.select("SELECT next, missing, duplicates FROM runs WHERE run = ?", key)
    return tuple(found)


def results(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["status"] for each in answer.json()["results"]]


def kinds(*names: str, user: str = "ada") -> list[dict[str, Any]]:
    return [event(user, name) for name in names]


# --- requests that are named ---------------------------------------------------------------------


def test_an_event_by_the_same_key_is_answered_as_the_first_and_stored_once(
    teak: RunningGateway,
) -> None:
    newest, before = teak.newest_event_id(), teak.settle()
    answers = [named(teak, "spin-1", EVENTS, **event()) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {404}, "nobody knows the player"
    identify(teak, "player_123")
    answers = [named(teak, "spin-1", EVENTS, **event("player_123")) for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"status": "ok"}')}
    assert stored(teak, newest) == ["Played", "Installed", "spin"]
    assert teak.law()["duplicate"] == before["duplicate"] + 2


def test_a_session_by_the_same_key_is_one_session(teak: RunningGateway) -> None:
    """The first is that of a new player, and the second that of one who is known."""
    newest = teak.newest_event_id()
    first = session(teak, "login-1", "grace", email="grace@example.com")
    assert session(teak, "login-1", "grace") == first
    teak.settle()
    assert session(teak, "login-1", "grace", email="other@example.com") == first
    assert session(teak, "login-2", "grace") != first
    assert stored(teak, newest) == ["Played", "Installed", "Played"]
    player = teak.select("SELECT sessions, email FROM app_players WHERE user_id = 'grace'")
    assert [tuple(row) for row in player] == [(2, "grace@example.com")]


def test_a_session_of_a_known_player_is_one_session_too(teak: RunningGateway) -> None:
    newest = teak.newest_event_id()
    assert session(teak, "login-3", "ada") == session(teak, "login-3", "ada")
    assert stored(teak, newest) == ["Played"]


def test_a_key_is_that_of_one_player_one_path_and_one_app(teak: RunningGateway) -> None:
    newest = teak.newest_event_id()
    ids = {session(teak, "k", "ada"), session(teak, "k", "bob")}
    other_app = {"game_id": "other", "secret_key": "new secret"}
    ids.add(session(teak, "k", "ada", **other_app))
    assert len(ids) == 3
    for user in ("ada", "bob"):
        assert named(teak, "k", EVENTS, **event(user)).status_code == 200
    assert results(named(teak, "k", BATCH, events=kinds("open"))) == ["ok"]
    counted = Counter(stored(teak, newest))
    assert counted == {"Played": 3, "Installed": 2, "spin": 2, "open": 1}


def test_an_empty_key_names_nothing(teak: RunningGateway) -> None:
    newest = teak.newest_event_id()
    for _ in range(2):
        assert named(teak, "", EVENTS, **event("ada")).status_code == 200
    assert stored(teak, newest) == ["spin", "spin"]


def test_a_batch_by_the_same_key_is_stored_once_and_what_its_players_lacked_when_they_come(
    teak: RunningGateway,
) -> None:
    newest = teak.newest_event_id()
    events = [event("ada", "a"), event("late", "b"), WRONG, event("ada", "c")]
    first = named(teak, "batch-1", BATCH, events=events)
    assert results(first) == ["ok", "error", "error", "ok"]
    assert named(teak, "batch-1", BATCH, events=events).text == first.text
    identify(teak, "late")
    for _ in range(2):
        again = named(teak, "batch-1", BATCH, events=events)
        assert results(again) == ["ok", "ok", "error", "ok"]
    assert stored(teak, newest) == ["a", "c", "Played", "Installed", "b"]


# --- batches that are numbered -------------------------------------------------------------------


def test_numbered_events_are_stored_once_however_they_are_cut(teak: RunningGateway) -> None:
    run, newest, events = str(uuid4()), teak.newest_event_id(), kinds(*"abcdefgh")
    for first, end in ((0, 5), (0, 5), (0, 2), (2, 5), (3, 8), (7, 8)):
        answer = call(teak, BATCH, run=run, seq=first, events=events[first:end])
        assert results(answer) == ["ok"] * (end - first)
    assert stored(teak, newest) == [*"abcdefgh"]
    assert told_of(teak, run) == (8, None, 5 + 2 + 3 + 2 + 1)


def test_an_event_of_an_unknown_player_costs_no_number_and_may_come_when_it_is_known(
    teak: RunningGateway,
) -> None:
    run, newest = str(uuid4()), teak.newest_event_id()
    events = [*kinds("a"), *kinds("b", user="lovelace"), *kinds("c", "d")]
    batch = {"run": run, "seq": 0, "events": events}
    assert results(call(teak, BATCH, **batch)) == ["ok", "error", "ok", "ok"]
    assert told_of(teak, run) == (4, "[[1,2]]", 0)
    identify(teak, "lovelace")
    assert results(call(teak, BATCH, **batch)) == ["ok"] * 4
    assert stored(teak, newest) == ["a", "c", "d", "Played", "Installed", "b"]
    assert told_of(teak, run) == (4, None, 3)


def test_a_wrong_event_uses_its_number_and_does_not_look_lost(teak: RunningGateway) -> None:
    run, newest = str(uuid4()), teak.newest_event_id()
    nobody = event("nobody", "n")
    for seq, events, expected in (
        (0, [WRONG, event("ada", "a"), WRONG], ["error", "ok", "error"]),
        (3, [WRONG, 7], ["error", "error"]),
        (5, [nobody, WRONG, nobody, event("ada", "b")], ["error", "error", "error", "ok"]),
    ):
        first = call(teak, BATCH, run=run, seq=seq, events=events)
        assert results(first) == expected
        assert call(teak, BATCH, run=run, seq=seq, events=events).text == first.text
    assert stored(teak, newest) == ["a", "b"]
    assert told_of(teak, run) == (9, "[[5,6],[7,8]]", 2)


def test_a_run_comes_before_a_key_and_both_say_who_sends(teak: RunningGateway) -> None:
    run, newest = str(uuid4()), teak.newest_event_id()
    client = {"name": "game server", "version": "7", "region": "eu"}
    for seq in (0, 1):
        fields = {"run": run, "seq": seq, "client": client, "events": kinds("a")}
        assert results(named(teak, "one key", BATCH, **fields)) == ["ok"]
    assert results(named(teak, "one key", BATCH, client=client, events=kinds("b"))) == ["ok"]
    assert stored(teak, newest) == ["a", "a", "b"]
    assert told_of(teak, run) == (2, None, 0)
    sent_by = teak.select("SELECT version, runs FROM clients WHERE name = 'game server'")
    assert [tuple(row) for row in sent_by] == [("7", 2)], "the key is a run, too"


def test_without_a_run_or_key_the_rest_is_checked_and_says_nothing(teak: RunningGateway) -> None:
    newest = teak.newest_event_id()
    for _ in range(2):
        fields = {"seq": 3, "client": {"name": "nobody's"}, "events": kinds("a")}
        assert results(call(teak, BATCH, **fields)) == ["ok"]
    assert stored(teak, newest) == ["a", "a"]
    assert not teak.select("SELECT * FROM clients WHERE name = 'nobody''s'")


def test_a_form_numbers_its_events_too(teak: RunningGateway) -> None:
    run, newest = str(uuid4()), teak.newest_event_id()
    fields = {**CREDENTIALS, "run": run, "seq": 4, "events": kinds("a", "b")}
    for client in ({"name": "form"}, '{"name": "form"}'):
        answer = teak.client.post(
            BATCH,
            content=as_form({**fields, "client": client}),
            headers={"content-type": FORM},
        )
        assert results(answer) == ["ok", "ok"]
    assert stored(teak, newest) == ["a", "b"]
    assert told_of(teak, run) == (6, "[[0,4]]", 2)
    assert teak.select("SELECT runs FROM clients WHERE name = 'form'")[0][0] == 1


# --- other stores --------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, request, tmp_path)


async def test_other_stores_tell_repeats_too(url: str, tmp_path: Path) -> None:
    run = str(uuid4())
    requests: list[tuple[str, dict[str, Any]]] = [
        (IDENTIFY, {"user_id": "ada", "country_code": "DE"}),
        (EVENTS, event("ada")),
        (BATCH, {"events": [*kinds("a"), WRONG]}),
        (BATCH, {"run": run, "events": [*kinds("b"), event("eve"), WRONG, *kinds("c")]}),
    ]
    settings = {**ENVIRONMENT, "PLAYSMART_STORAGE__URL": url}
    settings["PLAYSMART_JOURNAL__PATH"] = str(tmp_path / "journal")
    app = create_app(load_config(None, settings), sink=open_store(url))
    async with in_process(app) as client:
        told = []

        async def is_stored() -> bool:
            return not app.state.gateway.buffer.events

        for settles in (False, True, True):
            for path, fields in requests:
                sent, headers = {**CREDENTIALS, **fields}, {"idempotency-key": "k"}
                told.append((await client.post(path, json=sent, headers=headers)).text)
            if settles:
                await until(is_stored, "all of it is stored")
        assert told == told[:4] * 3
        terms = law(parse_metrics((await client.get("/metrics")).text))
    # The first session has two events, and a repeat of it one.
    assert terms == {"received": 16, "stored": 6, "duplicate": 10, "rejected": 0, "buffered": 0}


# --- the process dies ----------------------------------------------------------------------------


def test_what_is_sent_again_to_a_gateway_that_was_killed_is_stored_once(tmp_path: Path) -> None:
    """Once with all of it in the journal alone, and once with all of it stored."""
    run = str(uuid4())

    def send(running: RunningGateway) -> list[object]:
        answers = [
            named(running, "login", IDENTIFY, user_id="ada", country_code="DE", email="a@b.c"),
            named(running, "spin", EVENTS, **event("ada")),
            named(running, "batch", BATCH, events=[*kinds("a"), WRONG, event("eve")]),
            call(running, BATCH, run=run, seq=0, events=[*kinds("b"), event("eve"), *kinds("c")]),
        ]
        return [(answer.status_code, answer.text) for answer in answers]

    with teak_gateway(tmp_path, BUFFER__FLUSH_INTERVAL_SECONDS=NEVER) as running:
        first = send(running)
        assert send(running) == first
        assert running.law()["stored"] == 0
        running.stop(signal.SIGKILL)
    for _ in range(2):
        with teak_gateway(tmp_path) as running:
            assert send(running) == first
            running.settle()
            assert stored(running, 0) == ["Played", "Installed", "spin", "a", "b", "c"]
            assert told_of(running, run)[:2] == (3, "[[1,2]]")
            player = running.select("SELECT sessions, email FROM app_players")
            assert [tuple(row) for row in player] == [(1, "a@b.c")]
            running.stop(signal.SIGKILL)
