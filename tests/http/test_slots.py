"""Stages, places and bytes of connections, with a clock that stands: no socket, no time."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from playsmart_gateway.config import Config
from playsmart_gateway.http.request_frame import ANSWER
from playsmart_gateway.http.slots import (
    ANSWER_SECONDS,
    PROBE_SLOTS,
    PROGRESS_BYTES,
    ROUNDS,
    YIELD_SECONDS,
    Limits,
    Slots,
    group_of,
)
from playsmart_gateway.metrics import Stats
from playsmart_gateway.serve.connection import (
    TURNS,
    Protocol,
)
from playsmart_gateway.serve.reading import MAX_QUEUED
from playsmart_gateway.serve.server import uvicorn_config
from tests.support.doubles import FakeClock
from tests.support.polling import eventually
from tests.support.transport import Wire

GET = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE_POST = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
POST = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


class House:
    """Connections to an application that answers when it is told to."""

    def __init__(self, **limits: Any) -> None:
        self.clock = FakeClock()
        self.stats = Stats()
        self.slots = Slots(Limits(**limits), self.stats, self.clock)
        self.waiting: list[asyncio.Event] = []
        self._config = uvicorn_config(self, Config(), self.slots)
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._server.server_state.connections = self.slots.connections  # type: ignore[assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        turn = asyncio.Event()
        if scope["path"] == "/read":
            while (await receive()).get("more_body", False):
                pass
        self.waiting.append(turn)
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await turn.wait()
        scope["extensions"][ANSWER](200, [(b"content-length", b"0")], b"")

    async def open(self, *data: bytes) -> tuple[Protocol, Wire]:
        connection: Protocol = self._config.http_protocol_class(  # type: ignore[call-arg,assignment]
            config=self._config, server_state=self._server.server_state, app_state={}
        )
        wire = Wire()
        connection.connection_made(wire)
        for each in data:
            connection.data_received(each)
            await self.go_round()
        return connection, wire

    async def go_round(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def answer(self, count: int = 1) -> None:
        for _ in range(count):
            self.waiting.pop(0).set()
            await self.go_round()

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.slots.sweep()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        return self._server.server_state.tasks

    async def close(self) -> None:
        for each in list(self.slots.connections):
            each.connection_lost(None)  # type: ignore[attr-defined]
        for turn in self.waiting:
            turn.set()
        await self.go_round()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.close()


@pytest.fixture
async def small_house() -> AsyncIterator[House]:
    """One with place for three."""
    made = House(max_connections=3)
    yield made
    await made.close()


# --- deadlines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("closing", [False, True])
async def test_an_answer_that_nobody_reads_is_cut_off(house: House, closing: bool) -> None:
    """Though it is whole, and though the connection is being closed already."""
    _, wire = await house.open(GET)
    await house.answer()
    wire.unsent = 100_000
    if closing:
        wire.ended = "closed"
    house.later(1)
    for _ in range(5):
        wire.unsent -= PROGRESS_BYTES
        house.later(9)
        assert wire.ended != "aborted", "who reads slowly is waited for"
    house.later(9)
    assert wire.ended != "aborted"
    house.later(2)
    assert wire.ended == "aborted"
    assert house.stats.connections_closed == {"answer_not_read": 1}


async def test_an_idle_connection_ends_at_its_time_and_blank_lines_change_nothing(
    house: House,
) -> None:
    connection, wire = await house.open(GET)
    house.later(5)
    await house.answer()
    for _ in range(9):
        house.later(9.9)
        connection.data_received(b"\r\n")
    assert not wire.is_closing()
    house.later(1)
    assert wire.is_closing()
    assert house.stats.connections_closed == {"idle": 1}


async def test_an_answer_that_never_begins_ends_and_a_stream_goes_on(house: House) -> None:
    _, slow = await house.open(GET)
    _, stream = await house.open(GET.replace(b"/slow", b"/stream"))
    house.later(ANSWER_SECONDS)
    assert not slow.ended
    house.later(1)
    assert (slow.ended, stream.ended) == ("closed", "")
    assert house.stats.connections_closed == {"not_answered": 1}


async def test_whoever_is_hung_up_on_has_a_moment_to_read_why(house: House) -> None:
    connection, wire = await house.open(b"garbage\r\n\r\n")
    assert (wire.ended, wire.statuses) == ("eof", [400])
    connection.data_received(b"more of it")
    house.later(1)
    assert not wire.is_closing()
    house.later(2)
    assert wire.ended == "closed"


async def test_whoever_sends_on_without_end_has_no_moment(house: House) -> None:
    connection, wire = await house.open(b"garbage\r\n\r\n")
    for _ in range(20):
        connection.data_received(bytes(100_000))
    assert wire.ended == "closed"


async def test_what_is_thrown_away_is_read_by_one_connection_at_a_time(house: House) -> None:
    """Or a thousand that are refused and send on would have the whole loop."""
    opened = [await house.open(b"garbage\r\n\r\n") for _ in range(3)]
    for connection, _ in opened:
        connection.data_received(bytes(60_000))
        assert sum(wire.reads for _, wire in opened) <= 1
    await eventually(lambda: all(wire.reads for _, wire in opened) or None)


async def test_large_bodies_are_read_one_at_a_time(house: House) -> None:
    head = POST.replace(b"/slow", b"/read").replace(b"100000", b"1000000")
    opened = [await house.open(head) for _ in range(20)]
    for connection, _ in opened:
        connection.data_received(bytes(70_000))
    reading: list[int] = []
    for _ in range(60):
        await asyncio.sleep(0)
        reading.append(sum(wire.reads for _, wire in opened))
    assert max(after - before for before, after in pairwise(reading)) == 1
    assert reading[-1] == len(opened)


async def test_half_a_head_behind_a_request_ends_with_the_answer_that_is_due(house: House) -> None:
    connection, wire = await house.open(GET, b"GET /slow HT")
    house.later(11)
    assert (wire.ended, wire.sent) == ("", b"")
    assert not wire.reads
    await house.answer()
    assert (wire.ended, wire.statuses) == ("eof", [200])
    assert b"connection: close" in wire.sent
    connection.data_received(b"TP/1.1\r\n\r\n")
    assert wire.statuses == [200]


async def test_who_works_beyond_the_time_to_stop_is_hung_up_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """What became of the request nobody knows, so nothing is said of it."""
    _, wire = await house.open(GET)
    (task,) = house.tasks
    task.cancel()
    await house.go_round()
    assert (wire.ended, wire.sent) == ("aborted", b"")
    (record,) = caplog.records
    assert record.getMessage() == "hung up: a request was not answered in the time to stop"
    assert record.exc_info is None


# --- the pipeline --------------------------------------------------------------------------------


async def test_few_requests_of_a_pipeline_are_known_at_once(house: House) -> None:
    connection, wire = await house.open(GET * 100)
    assert (len(house.waiting), len(connection.pipeline), wire.reads) == (1, MAX_QUEUED, False)
    connection.data_received(GET * 100)  # what was read before reading could be paused
    for done in range(1, 201):
        await house.answer()
        assert len(house.waiting) <= 1
        assert len(connection.pipeline) <= MAX_QUEUED
        assert wire.statuses == [200] * done
    assert (house.waiting, wire.reads) == ([], True)


async def test_pipelines_take_turns_and_who_asks_one_thing_does_not_wait(house: House) -> None:
    await asyncio.gather(*(house.open(GET * 3) for _ in range(30)))
    for turn in house.waiting:
        turn.set()
    begun = len(house.waiting)
    for _ in range(6):
        before = len(house.waiting)
        await asyncio.sleep(0)
        assert len(house.waiting) - before <= TURNS
    assert len(house.waiting) > begun
    await house.open(GET)
    house.waiting[-1].set()
    while house.waiting:
        await house.answer()
    assert not house.slots.queue


async def test_requests_that_come_one_by_one_wait_unread_too(house: House) -> None:
    connection, wire = await house.open(*[GET] * (MAX_QUEUED + 1))
    assert (len(house.waiting), len(connection.pipeline), wire.reads) == (1, MAX_QUEUED, False)
    await house.answer()
    assert (len(connection.pipeline), wire.reads) == (MAX_QUEUED - 1, True)
    await house.answer(MAX_QUEUED)
    assert wire.statuses == [200] * (MAX_QUEUED + 1)


async def test_a_broken_body_in_a_pipeline_costs_no_answer_before_it(house: House) -> None:
    chunked = b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    broken = chunked + b"5\r\nhello\r\nwhat?\r\n"
    _, wire = await house.open(GET, GET + broken)
    await house.answer(2)
    assert house.slots.body_bytes == 0
    assert (wire.ended, wire.statuses) == ("eof", [200, 200, 400])
    _, wire = await house.open(chunked + b"0\r\n\r\n" + broken)
    assert house.slots.body_bytes == 0
    await house.answer(2)
    assert (wire.ended, wire.statuses, house.waiting) == ("eof", [200], [])


async def test_who_leaves_is_missed_by_every_request_of_the_pipeline(house: House) -> None:
    connection, _ = await house.open(GET * 3 + POST + b"hello")
    cycles = [connection.cycle, *(cycle for cycle, _ in connection.pipeline)]
    connection.connection_lost(None)
    assert all(cycle.disconnected for cycle in cycles)
    assert (house.slots.body_bytes, house.slots.states().total()) == (0, 0)


async def test_a_body_is_not_read_before_its_turn(house: House) -> None:
    """Or strangers that read no answers would hold all that may be held of bodies."""
    post = POST.replace(b"100000", b"30000") + b"x" * 30_000
    connection, wire = await house.open(GET + post * 3)
    assert (house.slots.body_bytes, wire.reads, len(house.waiting)) == (0, False, 1)
    house.later(100)
    assert wire.statuses == [], "and it is not late, either"
    await house.answer()
    assert (house.slots.body_bytes, wire.reads) == (30_000, False)
    await house.answer(2)
    assert (house.slots.body_bytes, wire.reads) == (30_000, True)
    await house.answer()
    assert (house.slots.body_bytes, wire.statuses) == (0, [200] * 4)
    connection.data_received(GET)
    await house.go_round()
    await house.answer()
    assert wire.statuses == [200] * 5


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 10])
@pytest.mark.parametrize("before", [b"", b"4\r\nabcd\r\n0\r\n\r\n"])
async def test_no_cut_in_a_pipeline_has_a_body_read_before_its_turn(
    house: House, at: int, before: bytes
) -> None:
    """As when the blank line of its head comes in two parts, or a body of chunks is before it."""
    chunked = POST.replace(b"Content-Length: 100000", b"Transfer-Encoding: chunked")
    post = POST.replace(b"100000", b"9000")
    begin = (chunked + before if before else b"") + post
    cut = len(begin) - at
    data = begin + b"x" * 9_000 + GET
    _, wire = await house.open(GET, data[:cut], data[cut:])
    assert house.slots.body_bytes <= 1_024
    await house.answer(4 if before else 3)
    assert (wire.statuses, house.waiting) == ([200] * (4 if before else 3), [])


async def test_of_large_bodies_that_are_whole_one_at_a_time_goes_on(house: House) -> None:
    """Or who asks for little would wait until all of them are decoded."""
    whole = LARGE_POST + b"x" * 200_000
    begun: list[int] = []
    opened = [await house.open(whole[:-1]) for _ in range(3)]
    for connection, _ in opened:
        connection.data_received(b"x")
    for _ in range(3 * ROUNDS + 9):
        begun.append(len(house.waiting))
        await asyncio.sleep(0)
    assert house.waiting
    assert [begun.count(number) > ROUNDS // 2 for number in (1, 2)] == [True, True]
    await house.answer(3)
    assert [wire.statuses for _, wire in opened] == [[200]] * 3
    assert house.slots.body_bytes == 0


async def test_who_leaves_while_a_large_body_waits_for_its_turn_is_missed(house: House) -> None:
    whole = LARGE_POST + b"x" * 200_000
    opened = [await house.open(whole[:-1]) for _ in range(2)]
    for connection, _ in opened:
        connection.data_received(b"x")
    opened[1][0].connection_lost(None)
    for _ in range(2 * ROUNDS + 9):
        await asyncio.sleep(0)
    assert house.slots.body_bytes == opened[0][0].cycle.held
    await house.answer(len(house.waiting))
    assert (opened[0][1].statuses, opened[1][1].statuses) == ([200], [])


async def test_a_body_whose_turn_it_is_has_the_time_of_a_request(house: House) -> None:
    await house.open(GET + POST + b"hello")
    house.later(100)
    await house.answer()
    house.later(9)
    assert not house.stats.connections_closed
    house.later(2)
    assert house.stats.connections_closed == {"request_timeout": 1}


# --- places --------------------------------------------------------------------------------------


async def test_who_does_nothing_gives_way_before_who_sends(small_house: House) -> None:
    house = small_house
    _, head = await house.open(b"GET /slow HT")
    house.clock.advance(1)
    _, nothing = await house.open()
    house.clock.advance(1)
    _, idle = await house.open(GET)
    await house.answer()
    for expected in (nothing, idle):
        await house.open(GET)
        assert expected.ended == "closed"
        assert expected.statuses in ([], [200])
        assert not head.ended
    await house.open(GET)
    assert (head.ended, head.statuses) == ("closed", [503])
    assert house.stats.connections_closed["for_another"] == 3


async def test_a_body_gives_way_when_it_takes_long_and_an_answer_never(small_house: House) -> None:
    house = small_house
    bodies = [await house.open(POST) for _ in range(2)]
    await house.open(GET)
    _, refused = await house.open(GET)
    assert (refused.statuses, refused.ended) == ([503], "eof")
    house.clock.advance(YIELD_SECONDS + 1)
    for count in (1, 2):
        _, served = await house.open(GET)
        assert (refused.ended, served.statuses) == ("closed", [])
        assert sum(wire.ended == "closed" for _, wire in bodies) == count
    assert all(wire.statuses == [503] for _, wire in bodies)
    _, refused = await house.open(GET)
    assert refused.statuses == [503], "the others are being answered"
    await house.answer(len(house.waiting))


async def test_beyond_the_places_of_probes_everybody_is_refused_at_once(small_house: House) -> None:
    house = small_house
    for _ in range(3):
        await house.open(GET)
    probes = [await house.open(GET.replace(b"/slow", b"/healthz")) for _ in range(PROBE_SLOTS)]
    assert all(wire.statuses == [] for _, wire in probes)
    _, refused = await house.open()
    assert (refused.statuses, refused.ended) == ([503], "eof")
    assert house.stats.connections_refused == {"too_many_connections": 1}
    await house.answer(len(house.waiting))
    assert all(wire.statuses == [200] for _, wire in probes)
    assert all(b"connection: close" in wire.sent for _, wire in probes)


async def test_many_places_are_made_with_one_look(house: House) -> None:
    crowd = House(max_connections=640)
    idle = [await crowd.open() for _ in range(640)]
    await crowd.open()
    assert sum(wire.ended == "closed" for _, wire in idle) == 10
    await crowd.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("a name", "a name", True),
    ],
)
def test_an_address_of_ipv6_counts_with_its_network(one: str, other: str, same: bool) -> None:
    assert (group_of(one) == group_of(other)) is same


async def test_who_comes_after_many_have_left_is_looked_at_as_soon_as_ever() -> None:
    house = House(request_seconds=10.0)
    many = [await house.open() for _ in range(100)]
    house.slots.sweep(5)
    for connection, _ in many:
        connection.connection_lost(None)
    _, silent = await house.open()
    house.clock.now += 11.0
    for _ in range(10):
        house.slots.sweep(5)
    assert silent.statuses == [408]


async def test_a_sweep_in_parts_has_looked_at_all_after_so_many_calls() -> None:
    house = House(request_seconds=10.0)
    held = [await house.open() for _ in range(7)]
    house.clock.now += 11.0
    house.slots.sweep(3)
    refused = [wire for _, wire in held if wire.statuses]
    assert 0 < len(refused) < len(held)
    gone, _ = next(each for each in held if not each[1].statuses)
    gone.connection_lost(None)
    for _ in range(2):
        house.slots.sweep(3)
    assert all(wire.statuses == [408] for connection, wire in held if connection is not gone)
