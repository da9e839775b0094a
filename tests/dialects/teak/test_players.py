"""Players over HTTP: known from the answer on, through crashes, with or without the store."""

import asyncio
import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import NO_TLS, RunningGateway
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    EVENTS,
    IDENTIFY,
    NO_LIMITS,
    PROPERTIES,
    call,
    event,
    identify,
    teak_gateway,
)

NEVER = "3600"


@pytest.fixture(scope="module")
def teak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("players")
    with teak_gateway(folder, TEAK__LIMITS=NO_LIMITS) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that stores nothing before it stops."""
    folder = tmp_path_factory.mktemp("waiting")
    with teak_gateway(folder, BUFFER__FLUSH_INTERVAL_SECONDS=NEVER) as running:
        yield running
        assert running.stop() == 0
        assert Counter(kind for kind, _ in rows(running, "before"))["spin"] == 3
        assert not running.select("SELECT * FROM events WHERE user_id = 'nobody'")


def rows(running: RunningGateway, user: str) -> list[tuple[str, dict[str, object]]]:
    query = "SELECT type, customdata FROM events WHERE user_id = ? ORDER BY event_id"
    return [(row["type"], json.loads(row["customdata"])) for row in running.select(query, user)]


# --- the store is not needed, or not there -------------------------------------------------------


def test_without_the_store_those_in_memory_play_on_and_others_wait_for_it(
    waiting: RunningGateway,
) -> None:
    identify(waiting, "ada")
    received = waiting.law()["received"]
    database = waiting.folder / "data" / "playsmart.db"
    away = database.with_name("away.db")
    database.rename(away)
    assert call(waiting, EVENTS, **event("ada")).status_code == 200
    assert call(waiting, BATCH, events=[event("ada")] * 3).status_code == 200
    unavailable = '{"status":"error","errors":{"store_unavailable":["store_unavailable"]}}'
    for path, fields in (
        (EVENTS, event("bob")),
        (BATCH, {"events": [event("ada"), event("bob")]}),
        (PROPERTIES, {"user_id": "bob", "properties": {}}),
        (IDENTIFY, {"user_id": "bob", "country_code": "DE"}),
    ):
        answer = call(waiting, path, **fields)
        assert (answer.status_code, answer.text) == (503, unavailable)
        assert answer.headers["retry-after"] == "1"
    assert waiting.law()["received"] == received + 4, "of what failed nothing was taken"
    away.rename(database)
    wait_until(lambda: call(waiting, EVENTS, **event("bob")).status_code == 404 or None)
    identify(waiting, "bob")
    assert call(waiting, EVENTS, **event("bob")).status_code == 200


def test_while_another_program_locks_the_store_properties_wait_and_sessions_do_not(
    waiting: RunningGateway,
) -> None:
    identify(waiting, "locked")
    fields = {"user_id": "locked", "properties": {"coins": 7}}
    with closing(sqlite3.connect(waiting.folder / "data" / "playsmart.db")) as db:
        db.execute("BEGIN IMMEDIATE")
        answer = call(waiting, PROPERTIES, **fields)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        identify(waiting, "locked")
        assert call(waiting, EVENTS, **event("locked")).status_code == 200
        db.rollback()
    answer = call(waiting, PROPERTIES, **fields)
    assert (answer.status_code, answer.json()["old_properties"]) == (200, {})


def test_a_player_is_known_before_the_first_flush(waiting: RunningGateway) -> None:
    assert call(waiting, EVENTS, **event("before")).status_code == 404
    identify(waiting, "before", country_code="fr")
    assert call(waiting, EVENTS, **event("before")).status_code == 200
    events = [event("before"), event("nobody"), event("before")]
    answer = call(waiting, BATCH, events=events).json()
    assert [each["status"] for each in answer["results"]] == ["ok", "error", "ok"]
    assert waiting.law()["stored"] == 0


def test_a_property_may_be_set_and_named_before_the_first_flush(waiting: RunningGateway) -> None:
    identify(waiting, "ada")
    properties = {"player_level": "elite", "coins": 300144}
    assert call(waiting, PROPERTIES, user_id="ada", properties=properties).status_code == 200
    link = "teak1:///{{player_level}}/{{coins}}/{{coins | plus: 1}}"
    assert identify(waiting, "ada", deep_link=link)["deep_link"] == "teak1:///elite/300144/300145"


@pytest.mark.parametrize(
    "link",
    [
        'teak1:///{% if (1..9000000000000000000) contains "x" %}y{% endif %}',
        "teak1:///{{ long" + " | squish" * 200 + " }}",
        "teak1:///" + "{%case 1%}{%when 1,1,1,1,1,1,1,1,1,1,1,1%}" * 10 + "{%endcase%}" * 10,
    ],
)
def test_no_deep_link_stops_the_gateway(waiting: RunningGateway, link: str) -> None:
    assert identify(waiting, "ada", deep_link=link)["deep_link"] in (link, "teak1:///")
    assert waiting.client.get("/healthz").status_code == 200
    assert (
        identify(waiting, "ada", deep_link="teak1:///{{ 1 | plus: 1 }}")["deep_link"]
        == "teak1:///2"
    )


# --- crashes and restarts ------------------------------------------------------------------------


async def play_until_killed(running: RunningGateway, after: int) -> list[str]:
    """Twenty players by eight clients; return the sessions that were acknowledged."""
    acknowledged: list[str] = []

    async def play(client_number: int) -> None:
        async with httpx.AsyncClient(
            base_url=running.url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS
        ) as client:
            with suppress(httpx.TransportError):
                for number in range(10_000):
                    user = f"player-{(number + client_number) % 20}"
                    body = {**CREDENTIALS, "user_id": user, "country_code": "DE"}
                    answer = await client.post(IDENTIFY, json=body)
                    acknowledged.append(answer.json()["session_id"])
                    if len(acknowledged) == after:
                        running.process.kill()

    await asyncio.gather(*map(play, range(8)))
    running.process.wait(PATIENCE_SECONDS)
    assert len(acknowledged) >= after
    return acknowledged


def test_players_outlive_processes_and_install_once(tmp_path: Path) -> None:
    """Killed before anything is stored, then under way between flushes, then started once more.

    Among what is replayed is an event called like a session, with a number that no double holds.
    """
    poison = b'{"game_id":"your_teak_app_id","secret_key":"your_server_secret","user_id":"ada",'
    poison += b'"action_type":"Played","value":1e9999}'
    with teak_gateway(tmp_path, BUFFER__FLUSH_INTERVAL_SECONDS=NEVER) as running:
        identify(running, "ada", country_code="FR", email="ada@example.com")
        identify(running, "player-0")
        assert running.client.post(EVENTS, content=poison).status_code == 200
        running.stop(signal.SIGKILL)
    with teak_gateway(tmp_path, TEAK__LIMITS=NO_LIMITS) as running:
        running.told("replayed 5 events")
        assert call(running, EVENTS, **event("ada")).status_code == 200
        assert call(running, EVENTS, **event("eve")).status_code == 404
        acknowledged = asyncio.run(play_until_killed(running, after=250))
    with teak_gateway(tmp_path, TEAK__LIMITS=NO_LIMITS) as running:
        for number in range(20):
            assert call(running, EVENTS, **event(f"player-{number}")).status_code == 200
        assert call(running, EVENTS, **event("ada")).status_code == 200
        identify(running, "ada")
        running.settle()
        kinds = ["Played", "Installed", "Played", "spin", "spin", "Played"]
        stored = rows(running, "ada")
        assert [kind for kind, _ in stored] == kinds
        assert {data["country_code"] for _, data in stored[:5]} == {"FR"}
        ada = running.select("SELECT email, sessions FROM app_players WHERE user_id = 'ada'")
        assert tuple(ada[0]) == ("ada@example.com", 2)
        query = "SELECT type, user_id, customdata FROM events WHERE user_id <> 'ada'"
        others = running.select(query)
    played = Counter(
        json.loads(row["customdata"])["session_id"] for row in others if row["type"] == "Played"
    )
    assert set(acknowledged) <= set(played)
    assert set(played.values()) == {1}
    installed = Counter(row["user_id"] for row in others if row["type"] == "Installed")
    assert installed == {f"player-{number}": 1 for number in range(20)}


# --- many at once --------------------------------------------------------------------------------


async def test_sixteen_first_sessions_at_once_install_a_player_once(teak: RunningGateway) -> None:
    teak.settle()
    newest = teak.newest_event_id()
    async with httpx.AsyncClient(
        base_url=teak.url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS
    ) as client:

        async def play(user: str) -> str:
            body = {**CREDENTIALS, "user_id": user, "country_code": "DE"}
            answer = await client.post(IDENTIFY, json=body)
            assert answer.status_code == 201
            return str(answer.json()["session_id"])

        users = [f"crowd-{number}" for number in range(8) for _ in range(16)]
        session_ids = await asyncio.gather(*map(play, users))
    teak.settle()
    assert len({UUID(each) for each in session_ids}) == len(users)
    stored = teak.events_after(newest)
    counts = Counter((row["user_id"], row["type"]) for row in stored)
    assert counts == {
        **{(user, "Played"): 16 for user in users},
        **{(user, "Installed"): 1 for user in users},
    }
    told = {json.loads(row["customdata"])["session_id"] for row in stored}
    assert told == set(session_ids)


def test_each_player_of_a_batch_has_their_own_rows_and_country(teak: RunningGateway) -> None:
    users = [f"batch-{number}" for number in range(20)]
    for user in users[:10]:
        identify(teak, user, country_code="FR")
    for user in users[10:]:
        identify(teak, user, client_ip="8.8.8.8")
    teak.settle()
    newest = teak.newest_event_id()
    assert call(teak, BATCH, events=[event(user) for user in users]).status_code == 200
    teak.settle()
    stored = teak.events_after(newest)
    assert [row["user_id"] for row in stored] == users
    assert {row["game_id"] for row in stored} == {"your_teak_app_id"}
    countries = [json.loads(row["customdata"])["country_code"] for row in stored]
    assert countries == ["FR"] * 10 + ["US"] * 10


# --- geography -----------------------------------------------------------------------------------


def test_the_latest_session_says_where_an_event_was_unless_the_event_does(
    teak: RunningGateway,
) -> None:
    def country_of(**fields: object) -> object:
        before = teak.newest_event_id()
        answer = call(teak, EVENTS, user_id="globetrotter", action_type="spin", **fields)
        assert answer.status_code == 200
        found = wait_until(lambda: teak.events_after(before) or None)
        return json.loads(found[-1]["customdata"])["country_code"]

    def settled(**fields: object) -> None:
        identify(teak, "globetrotter", **fields)
        teak.settle()

    settled(country_code="fr")
    assert country_of() == "FR"
    assert country_of(country_code="de") == "DE"
    assert country_of(client_ip="8.8.8.8", country_code="de") == "US"
    assert country_of(client_ip="127.0.0.1", country_code="de") == ""
    assert country_of(client_ip=" ", country_code="") == "FR"
    settled(client_ip="8.8.8.8", country_code="DE")
    assert country_of() == "US"
    settled(client_ip="nonsense")
    assert country_of() == ""
    teak.settle()
