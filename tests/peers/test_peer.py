"""What workers tell each other, with all of them in one process."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from playsmart_gateway.console.inspector.forward import (
    Away,
    Forwarder,
    Source,
)
from playsmart_gateway.console.inspector.hub import Inspector
from playsmart_gateway.console.inspector.redact import Redactor
from playsmart_gateway.console.inspector.watcher import (
    MAX_QUEUED_BYTES,
    Interest,
    Watcher,
)
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.errors import Detail
from playsmart_gateway.http.endpoint import Answer
from playsmart_gateway.metrics import Snapshot, Stats
from playsmart_gateway.peers.channels import Channels
from playsmart_gateway.peers.fair_lock import FairLock
from playsmart_gateway.peers.peer import (
    CONNECTION,
    Known,
    News,
    Peer,
    Started,
    Watch,
)
from playsmart_gateway.peers.scoreboard import (
    SILENT_SECONDS,
    Scoreboard,
)
from playsmart_gateway.rate_limit import SharedCounts
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import FakeClock, make_batch
from tests.support.gauges import make_gauges
from tests.support.polling import eventually


class Crew:
    """Workers of one board, whose supervisor is the test; ``clock`` is theirs."""

    def __init__(self, count: int = 2) -> None:
        self.clock = FakeClock()
        self.board = Scoreboard(count)
        self.channels = Channels(count)
        self.lifeline, self.line_end = os.pipe()
        self.stats = [Stats() for _ in range(count)]
        self.not_ready: list[list[Detail]] = [[] for _ in range(count)]
        counts, fair_lock = SharedCounts(1), FairLock()
        self.workers = [
            Peer(
                number, self.board, self.channels, counts, fair_lock, self.lifeline,
                clock=self.clock,
            )
            for number in range(count)
        ]  # fmt: skip

    def report(self, number: int) -> Snapshot:
        return Snapshot(self.stats[number], make_gauges(), self.not_ready[number])

    @asynccontextmanager
    async def running(self, *numbers: int) -> AsyncIterator[None]:
        with contextlib.ExitStack() as stack:
            for number in numbers:
                worker = self.workers[number]
                stack.enter_context(worker.listening(lambda number=number: self.report(number)))  # type: ignore[misc]
                worker.serves(os.close)
            yield

    def close(self) -> None:
        self.channels.close()
        os.close(self.lifeline)
        with contextlib.suppress(OSError):
            os.close(self.line_end)


@pytest.fixture
def crew() -> Iterator[Crew]:
    made = Crew()
    yield made
    made.close()


def whole(worker: Peer) -> Snapshot:
    report = worker.whole()
    assert report is not None
    return report


# --- the board -----------------------------------------------------------------------------------


async def test_whoever_is_asked_speaks_for_all(crew: Crew) -> None:
    async with crew.running(0, 1):
        crew.stats[0].received, crew.stats[1].received = 3, 4
        for worker in crew.workers:
            crew.clock.advance(0.01)
            await worker.refresh()
            assert whole(worker).stats.received == 7
        crew.not_ready[1].append(Detail("store", "locked"))
        crew.clock.advance(0.01)
        await crew.workers[0].refresh()
        report = whole(crew.workers[0])
        assert report.not_ready == [Detail("worker.1.store", "locked")]
        assert (report.workers, report.workers_up, report.restarts) == (2, 2, 0)


async def test_a_worker_that_is_gone_starting_or_silent_is_named_and_its_counts_stay(
    crew: Crew,
) -> None:
    async with crew.running(0, 1):
        crew.stats[1].received = 4
        crew.workers[1].publish()
    crew.board.count_restart(1)
    async with crew.running(0):
        for state in ("gone", "starting"):
            crew.board.set_state(1, state)
            report = whole(crew.workers[0])
            assert report.not_ready == [Detail("worker.1", state)]
            assert (report.stats.received, report.workers_up, report.restarts) == (4, 1, 1)
        crew.board.set_state(1, "ready")
        crew.clock.advance(SILENT_SECONDS + 0.1)
        assert whole(crew.workers[0]).not_ready == [Detail("worker.1", "silent")]


async def test_who_asks_does_not_wait_long_for_one_that_does_not_answer(crew: Crew) -> None:
    async with crew.running(0, 1):
        pass
    crew.board.set_state(1, "ready")
    async with crew.running(0):
        asking = asyncio.create_task(crew.workers[0].refresh())
        crew.clock.advance(0.01)
        await asyncio.sleep(0.01)
        assert not asking.done()
        crew.clock.advance(1.0)
        await asking


async def test_before_it_has_read_its_journal_a_worker_says_what_its_former_life_said(
    crew: Crew,
) -> None:
    worker = crew.workers[0]
    assert worker.inherited() is None
    assert worker.whole() is None
    async with crew.running(0):
        crew.stats[0].received = 5
    crew.stats[0].received = 6
    inherited = worker.inherited()
    assert inherited is not None
    assert inherited.stats.received == whole(worker).stats.received == 5


# --- letters -------------------------------------------------------------------------------------


async def test_a_connection_that_comes_too_late_is_closed(crew: Crew) -> None:
    async with crew.running(0):
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                crew.channels.put(0, CONNECTION, [theirs.fileno()])
            crew.workers[0].stops()
            assert ours.recv(1) == b""
    assert crew.board.state(0) == "stopping"


async def test_a_worker_stops_in_order_when_its_supervisor_is_gone(crew: Crew) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    try:
        async with crew.running(0):
            os.close(crew.line_end)
            await told.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def test_a_message_that_is_too_large_is_not_sent(crew: Crew) -> None:
    assert not crew.workers[0].tell(News(0, 1, "request", bytes(300_000)), 1)
    assert crew.workers[0].tell(News(0, 1, "request", bytes(150_000)), 1)


async def test_a_session_is_known_to_the_others_and_the_last_country_counts(crew: Crew) -> None:
    rosters = [KnownPlayers(MemorySink().reader()) for _ in crew.workers]
    for known_players, worker in zip(rosters, crew.workers, strict=True):
        known_players.share(worker)
    async with crew.running(0, 1):
        rosters[0]._waiting["app", "ada"] = (1, "US")
        crew.workers[1].tell(Known("app", "ada", "DE"))
        crew.workers[1].tell(Known("app", "bob", "FR"))
        known = await rosters[0].countries("app", ["ada", "bob", "cyd"])
        assert known == {"ada": "DE", "bob": "FR"}, "before the loop has come round"
        assert rosters[1].country("app", "ada") is None
        crew.workers[1].tell(Started(1))
        assert await eventually(lambda: rosters[1].country("app", "ada")) == "DE"


# --- watching ------------------------------------------------------------------------------------


def source(inspector: Inspector, worker: int) -> Source:
    return Source(inspector, Redactor([]), MemorySink().reader(), "", worker)


async def tell_all(away: Away) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []

    async def tell(name: str, data: bytes) -> None:
        told.append((name, msgspec.json.decode(data)))

    await away.tell_news(tell)
    return told


def see_one(inspector: Inspector, user_id: str) -> None:
    async def receive() -> Any:
        raise AssertionError("nobody reads")

    inspector.saw(
        inspector.hear(receive),
        path="/ingest/events",
        request_id=b"x",
        authorization=b"",
        answer=Answer(202, b"{}", [], make_batch(1, user_id=user_id)),
        seconds=0.001,
    )


async def test_a_watch_here_is_a_watch_there_until_it_ends(crew: Crew) -> None:
    here, there = Inspector(), Inspector()
    forwarder = Forwarder(crew.workers[0], source(here, 0))
    Forwarder(crew.workers[1], source(there, 1))
    watcher = here.watch()
    async with crew.running(0, 1):
        with forwarder.watching(Interest(player="ada"), watcher) as away:
            away.renew()
            await eventually(lambda: there.watched or None)
            see_one(there, "ada")
            see_one(there, "bob")
            await eventually(lambda: watcher.stirred.is_set() or None)
            ((name, shown),) = await tell_all(away)
            assert (name, shown["id"], shown["player"]) == ("request", f"1.{there.life}.1", "ada")
            away.renew()
        await eventually(lambda: None if there.watched else True)
    here.leave(watcher)


async def test_a_worker_that_starts_hears_of_those_who_watch(crew: Crew) -> None:
    here, there = Inspector(), Inspector()
    forwarder = Forwarder(crew.workers[0], source(here, 0))
    watcher = here.watch()
    async with crew.running(0):
        with forwarder.watching(Interest(), watcher) as away:
            away.renew()
            crew.workers[1].read()  # nobody was there to heed it
            Forwarder(crew.workers[1], source(there, 1))
            async with crew.running(1):
                await eventually(lambda: there.watched or None)
                there.close()
                await eventually(lambda: None if there.watched else True)


async def test_what_a_watcher_does_not_get_is_counted_wherever_it_was_dropped(crew: Crew) -> None:
    forwarder = Forwarder(crew.workers[0], source(Inspector(), 0))
    watcher = Watcher(Interest(), FakeClock())
    with forwarder.watching(Interest(), watcher) as away:
        for told in (3, 5):
            away.put(News(1, 1, "dropped", b"%d" % told))
        assert watcher.dropped == 5
        away.put(News(1, 1, "request", b'"%b"' % (b"x" * (MAX_QUEUED_BYTES - 2))))
        away.put(News(1, 1, "request", b"1"))
        away.put(News(1, 1, "fate", b"[]"))
        assert watcher.dropped == 6
        assert [name for name, _ in await tell_all(away)] == ["request"]
    forwarder._heard(News(1, 1, "request", b"1"))  # too late for this watch


async def test_a_sibling_that_has_too_many_watchers_or_no_room_for_letters(crew: Crew) -> None:
    there = Inspector(max_watchers=1)
    Forwarder(crew.workers[1], source(there, 1))
    async with crew.running(1):
        crew.workers[0].tell(Watch(0, 1, tuple(Interest())))
        await eventually(lambda: there.watched or None)
        crew.workers[0].tell(Watch(0, 2, tuple(Interest())))
        while crew.channels.put(0, bytes(1_000)):
            pass
        see_one(there, "ada")
        (watcher,) = there._watchers
        await eventually(lambda: watcher.dropped or None)
        there.close()
        await eventually(lambda: None if there.watched else True)


async def test_a_connection_without_its_descriptor_is_told_and_the_next_letter_is_read(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    """So the kernel delivers it to a process that has too many files open."""
    taken: list[int] = []
    async with crew.running(0):
        crew.workers[0].serves(taken.append)
        crew.channels.put(0, CONNECTION)
        crew.channels.put(0, CONNECTION, [crew.lifeline])  # any descriptor will do
        crew.workers[0].read()
        (descriptor,) = taken
        os.close(descriptor)
    assert "a connection was lost: too many open files" in caplog.text
