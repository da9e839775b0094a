"""Letters between processes: whole or not at all, and nobody waits."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from playsmart_gateway.peers.channels import (
    MAX_LETTER_BYTES,
    Channels,
)


@pytest.fixture
def channels() -> Iterator[Channels]:
    with contextlib.closing(Channels(2)) as made:
        yield made


def test_letters_come_in_order_to_whom_they_are_for(channels: Channels) -> None:
    for text in (b"one", b"two"):
        assert channels.put(1, text)
    assert channels.take(0) is None
    letters = [channels.take(1), channels.take(1), channels.take(1)]
    assert letters == [(b"one", None), (b"two", None), None]


def test_a_letter_of_the_largest_size_arrives_whole(channels: Channels) -> None:
    content = os.urandom(MAX_LETTER_BYTES)
    assert channels.put(0, content)
    letter = channels.take(0)
    assert letter is not None
    assert letter.content == content


def test_a_letter_that_does_not_fit_is_dropped_and_the_others_are_there(
    channels: Channels,
) -> None:
    sent = 0
    while channels.put(0, b"x" * 10_000):
        sent += 1
    assert sent >= 10
    for _ in range(sent):
        assert channels.take(0) is not None
    assert channels.take(0) is None
    assert channels.put(0, b"room again")


def test_a_connection_can_be_handed_over(channels: Channels) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            assert channels.put(0, b"take this", [theirs.fileno()])
        letter = channels.take(0)
        assert letter is not None
        assert letter.file is not None
        with socket.socket(fileno=letter.file) as taken:
            taken.sendall(b"hello")
        assert ours.recv(100) == b"hello"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # xdist has threads
def test_what_is_sent_to_a_dead_process_is_read_by_the_next_one(channels: Channels) -> None:
    pid = os.fork()
    if not pid:
        channels.put(1, b"from the child")
        os._exit(0)
    os.waitpid(pid, 0)
    assert channels.take(1) == (b"from the child", None)
