"""Who is known is answered from memory, and asked of the store once for all the others."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.app_batches import (
    analytics,
    session,
    spin,
)
from tests.support.doubles import FakeClock, make_batch
from tests.support.in_process import in_process
from tests.support.process import SECRET


class CountingReader(MemorySink):
    """Knows the players it is given; keeps what it was asked, and may answer late or not at all."""

    def __init__(self, **countries: str) -> None:
        super().__init__()
        self.known = countries
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        self.asked.append(list(user_ids))
        found = {user: self.known[user] for user in user_ids if user in self.known}
        await self.gate.wait()
        if self.broken:
            raise SinkUnavailable("it is broken")
        return found


async def test_a_store_that_cannot_be_read_is_told_unless_memory_knows_them_all() -> None:
    reader = CountingReader()
    reader.broken = True
    known_players = KnownPlayers(reader)
    known_players.accepted(session(1))
    assert await known_players.countries("app", ["ada"]) == {"ada": "US"}
    with pytest.raises(SinkUnavailable):
        await known_players.countries("app", ["ada", "bob"])
    reader.broken = False
    assert await known_players.countries("app", ["ada", "bob"]) == {"ada": "US"}


async def test_nobody_to_look_for_is_no_question() -> None:
    reader = CountingReader()
    assert await KnownPlayers(reader).countries("app", []) == {}
    assert reader.asked == []


async def test_one_read_answers_for_all_whom_memory_does_not_know() -> None:
    reader = CountingReader(bob="DE", eve="")
    known_players = KnownPlayers(reader)
    known_players.accepted(session(1))
    found = await known_players.countries("app", ["ada", "bob", "eve", "nobody"])
    assert found == {"ada": "US", "bob": "DE", "eve": ""}
    assert reader.asked == [["bob", "eve", "nobody"]]
    assert await known_players.countries("app", ["eve", "bob", "ada"]) == {
        "eve": "", "bob": "DE", "ada": "US",
    }  # fmt: skip
    assert len(reader.asked) == 1, "they are remembered"
    await known_players.countries("app", ["nobody"])
    assert len(reader.asked) == 2, "who is unknown may be known soon"


async def test_players_of_one_app_are_not_those_of_another() -> None:
    reader = CountingReader()
    known_players = KnownPlayers(reader)
    known_players.accepted(session(1))
    assert known_players.country("other", "ada") is None
    assert await known_players.countries("other", ["ada"]) == {}


async def test_the_cache_forgets_who_was_used_the_longest_time_ago() -> None:
    reader = CountingReader(a="AT", b="BE", c="CA", d="DE")
    known_players = KnownPlayers(reader, max_cached=3)
    await known_players.countries("app", ["a", "b", "c"])
    await known_players.countries("app", ["a"])
    await known_players.countries("app", ["d"])
    assert [known_players.country("app", user) for user in "abcd"] == ["AT", None, "CA", "DE"]


async def test_players_who_wait_are_known_however_small_the_cache_is() -> None:
    known_players = KnownPlayers(CountingReader(), max_cached=1)
    batches = [session(number, f"player-{number}") for number in range(10)]
    for each in batches:
        known_players.accepted(each)
    assert all(known_players.country("app", f"player-{number}") == "US" for number in range(10))
    known_players.left_the_buffer(batches[:9])
    known = [known_players.country("app", f"player-{number}") for number in range(10)]
    assert known == [None] * 8 + ["US", "US"]


async def test_a_player_is_cached_once_stored_and_waits_until_the_last_session_is() -> None:
    reader = CountingReader()
    known_players = KnownPlayers(reader, max_cached=1)
    first, second = session(1), session(2, country="DE")
    known_players.accepted(first)
    known_players.accepted(second)
    assert known_players.country("app", "ada") == "DE"
    known_players.left_the_buffer([first])
    await known_players.countries("app", ["ada"])
    known_players.accepted(session(3, "bob"))
    known_players.left_the_buffer([session(3, "bob")])
    assert known_players.country("app", "ada") == "DE", "evicted from the cache, but still waiting"
    known_players.left_the_buffer([second])
    assert known_players.country("app", "ada") == "DE"
    assert known_players.country("app", "bob") is None
    assert reader.asked == []


@pytest.mark.parametrize("flushed", [True, False])
async def test_a_session_that_is_sent_again_late_is_not_the_latest(flushed: bool) -> None:
    known_players = KnownPlayers(CountingReader(), max_cached=2)
    first, later, again = (
        session(1, run=b"1"),
        session(2, country="DE", run=b"2"),
        session(3, run=b"1"),
    )
    batches = [first, later]
    for each in batches:
        known_players.accepted(each)
    if flushed:
        known_players.left_the_buffer(batches)
        batches.clear()
    known_players.accepted(again)
    assert known_players.country("app", "ada") == "DE"
    known_players.left_the_buffer([*batches, again])
    assert known_players.country("app", "ada") == "DE"
    for number in (4, 5):
        known_players.accepted(session(number, "bob", run=b"%d" % number))
    known_players.accepted(session(6, run=b"1"))
    assert known_players.country("app", "ada") == "US", "by now it is forgotten that it was named"


@pytest.mark.parametrize("flushed", [True, False])
async def test_a_session_that_comes_during_the_read_knows_better(flushed: bool) -> None:
    reader = CountingReader(ada="US")
    known_players = KnownPlayers(reader)
    reader.gate.clear()
    reading = asyncio.create_task(known_players.countries("app", ["ada"]))
    await asyncio.sleep(0)
    newer = session(1, country="DE")
    known_players.accepted(newer)
    if flushed:
        known_players.left_the_buffer([newer])
    reader.gate.set()
    assert await reading == {"ada": "DE"}
    assert known_players.country("app", "ada") == "DE"


async def test_only_sessions_make_players_known() -> None:
    known_players = KnownPlayers(CountingReader())
    for each in (
        make_batch(user_id="ada"),
        analytics(1, spin("ada")),
        analytics(2, spin("ada", action="Played", value="1e9999")),
    ):
        known_players.accepted(each)
        known_players.left_the_buffer([each])
    assert known_players.country("app", "ada") is None


# --- where the gateway tells it ------------------------------------------------------------------

IDENTIFY = {"game_id": "app", "secret_key": "sesame-4711", "user_id": "ada", "country_code": "US"}


def settings(folder: Any, **more: str) -> dict[str, str]:
    return {
        "PLAYSMART_AUTH__SECRET": SECRET,
        "PLAYSMART_JOURNAL__PATH": str(folder / "journal"),
        "PLAYSMART_TEAK__APPS": '[{id = "app", secret_key = "sesame-4711"}]',
        **{f"PLAYSMART_{name}": value for name, value in more.items()},
    }


async def test_a_store_quicker_than_the_request_leaves_nobody_waiting_for_ever(
    tmp_path: Any,
) -> None:
    config = load_config(None, settings(tmp_path, BUFFER__FLUSH_MAX_EVENTS="1"))
    app = create_app(config, sink=MemorySink())
    async with in_process(app) as client:
        for number in range(20):
            bodies = [{**IDENTIFY, "user_id": f"p{number}.{each}"} for each in range(3)]
            posts = [client.post("/v2/identify", json=body) for body in bodies]
            assert {each.status_code for each in await asyncio.gather(*posts)} == {201}
        gateway = app.state.gateway
        await gateway.flusher.flush()
        assert not gateway.buffer.events
        assert gateway.known_players._waiting == {}
    assert not gateway.failed


async def test_a_session_whose_client_was_cut_off_is_stored_and_its_player_known(
    tmp_path: Any,
) -> None:
    config = load_config(None, settings(tmp_path, BUFFER__FLUSH_INTERVAL_SECONDS="3600"))
    sink = MemorySink()
    app = create_app(config, sink=sink)
    async with in_process(app) as client:
        gateway = app.state.gateway
        request = asyncio.create_task(client.post("/v2/identify", json=IDENTIFY))
        for _ in range(1_000):  # until it waits for the journal, and not a turn of the loop longer
            if gateway.stats.received:
                break
            await asyncio.sleep(0)
        assert not gateway.stats.accepted
        request.cancel()
        await asyncio.wait([request])
        await client.post("/v2/identify", json={**IDENTIFY, "user_id": "bob"})
        body = {**IDENTIFY, "action_type": "spin"}
        assert (await client.post("/v2/analytics_events", json=body)).status_code == 200
        await gateway.flusher.flush()
        assert gateway.known_players._waiting == {}
    assert not gateway.failed
    assert [row.type for row in sink.rows].count("Installed") == 2


async def test_all_of_it_goes_by_the_clock_that_the_application_was_given(tmp_path: Any) -> None:
    config = load_config(None, settings(tmp_path))
    sink = MemorySink()
    app = create_app(config, sink=sink, clock=FakeClock(1_776_868_200.0))  # 2026-04-22T14:30:00Z
    async with in_process(app) as client:
        body = {**IDENTIFY, "action_type": "spin"}
        assert (await client.post("/v2/identify", json=IDENTIFY)).status_code == 201
        assert (await client.post("/v2/analytics_events", json=body)).status_code == 200
        await app.state.gateway.flusher.flush()
    assert len(sink.batches) == 2
    for batch, _ in sink.batches.values():
        assert b'"2026-04-22T14:30:00' in batch.rows
        assert batch.received_at == 1_776_868_200_000_000
