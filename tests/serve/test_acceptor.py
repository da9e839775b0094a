"""Connections in turn, to those who serve; the others of the kernel wait."""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from playsmart_gateway.errors import GatewayError
from playsmart_gateway.peers.channels import Channels
from playsmart_gateway.peers.scoreboard import (
    SILENT_SECONDS,
    Scoreboard,
)
from playsmart_gateway.serve.acceptor import (
    PORTION,
    Acceptor,
    listen,
    listen_everywhere,
)


class Table:
    """A acceptor and the workers it deals to; ``clients`` are who connected."""

    def __init__(self, workers: int) -> None:
        self.board = Scoreboard(workers)
        self.channels = Channels(workers)
        self.selector = selectors.DefaultSelector()
        self.listener = listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.acceptor = Acceptor(self.listener, self.board, self.channels, self.selector)
        self.clients: list[socket.socket] = []

    def serves(self, *workers: int) -> None:
        for number in workers:
            self.board.set_state(number, "ready")
            self.board.hang(number, b"well", time.monotonic())

    def connect(self, count: int) -> None:
        for _ in range(count):
            self.clients.append(socket.create_connection(("127.0.0.1", self.port)))
        self.acceptor.look()
        for _ in self.selector.select(0):
            self.acceptor.deal()

    def holds(self) -> bool:
        return self.acceptor.held is not None

    def got(self, worker: int) -> int:
        count = 0
        while (letter := self.channels.take(worker)) is not None:
            if letter.file is not None:
                socket.socket(fileno=letter.file).close()
                count += 1
        return count

    def close(self) -> None:
        self.acceptor.close()
        self.channels.close()
        self.selector.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def table() -> Iterator[Table]:
    with contextlib.closing(Table(3)) as made:
        yield made


def test_connections_are_dealt_in_turn(table: Table) -> None:
    table.serves(0, 1, 2)
    table.connect(7)
    table.connect(2)
    assert [table.got(number) for number in range(3)] == [3, 3, 3]


def test_of_many_a_portion_is_dealt_before_the_supervisor_looks_at_anything_else(
    table: Table,
) -> None:
    table.serves(0, 1, 2)
    table.connect(3 * PORTION + 1)
    counts = [sum(table.got(number) for number in range(3))]
    while counts[-1]:
        table.connect(0)
        counts.append(sum(table.got(number) for number in range(3)))
    assert counts == [PORTION, PORTION, PORTION, 1, 0]


def test_only_those_who_serve_get_any(table: Table) -> None:
    table.serves(0, 2)
    table.board.hang(2, b"silent", time.monotonic() - SILENT_SECONDS - 1)
    table.connect(4)
    assert [table.got(number) for number in range(3)] == [4, 0, 0]


def test_connections_wait_until_somebody_serves(table: Table) -> None:
    table.connect(4)
    assert not table.selector.get_map()
    table.serves(1)
    table.connect(0)
    assert table.got(1) == 4
    table.board.set_state(1, "gone")
    table.connect(2)
    assert not table.selector.get_map()
    table.serves(2)
    table.connect(0)
    assert table.got(2) == 2


def test_one_that_nobody_can_take_now_is_held_and_the_others_wait_behind_it(table: Table) -> None:
    table.serves(0)
    while table.channels.put(0, bytes(100)):
        pass
    table.connect(3)
    assert table.holds()
    table.connect(0)
    assert not table.selector.get_map(), "it does not go round and round meanwhile"
    assert table.got(0) == 0
    table.connect(0)
    assert not table.holds()
    assert table.got(0) == 3


def test_what_a_worker_died_without_having_taken_goes_to_the_others(table: Table) -> None:
    table.serves(0, 1)
    table.connect(4)
    table.channels.put(0, b"a letter")
    table.board.set_state(0, "gone")
    table.acceptor.take_back(0)
    table.connect(0)
    assert not table.acceptor.is_busy
    assert table.got(1) == 4
    letter = table.channels.take(0)
    assert letter is not None
    assert (letter.content, letter.file) == (b"a letter", None), "it waits for the next one"


def test_what_nobody_took_waits_until_somebody_serves(table: Table) -> None:
    table.serves(0)
    table.connect(2)
    table.board.set_state(0, "gone")
    table.acceptor.take_back(0)
    table.connect(0)
    assert table.acceptor.is_busy
    table.serves(2)
    table.connect(0)
    assert table.got(2) == 2


def test_what_comes_back_when_the_door_is_closed_is_hung_up_on(table: Table) -> None:
    table.serves(0)
    table.connect(1)
    table.acceptor.close()
    table.acceptor.take_back(0)
    assert table.clients[0].recv(1) == b""


def test_a_closed_dealer_takes_nothing_and_hangs_up_on_whom_it_held(table: Table) -> None:
    table.serves(0)
    while table.channels.put(0, bytes(100)):
        pass
    table.connect(1)
    table.acceptor.close()
    table.acceptor.deal()
    table.acceptor.look()
    assert table.clients[0].recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", table.port))


def test_an_accept_that_fails_is_said_and_tried_again(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    table.serves(0)
    table.connect(0)
    table.listener.close()
    table.acceptor.deal()
    assert "cannot accept a connection: Bad file descriptor" in caplog.text


def test_where_nobody_can_listen_is_one_clear_line() -> None:
    with (
        contextlib.closing(listen("127.0.0.1", 0)) as taken,
        pytest.raises(GatewayError, match=r"cannot listen on 127.0.0.1:\d+: address already"),
    ):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_host_that_is_not_known_is_named() -> None:
    with pytest.raises(GatewayError, match=r"cannot listen on nowhere\.invalid:8000: "):
        listen_everywhere("nowhere.invalid", 8_000)


def test_a_host_of_two_addresses_is_listened_to_at_both_by_one_port() -> None:
    listeners = listen_everywhere("localhost", 0)
    try:
        assert len({each.getsockname()[1] for each in listeners}) == 1
        for each in listeners:
            with socket.create_connection(each.getsockname()[:2], timeout=30):
                pass
    finally:
        for each in listeners:
            each.close()
