"""The board: reports that outlive who wrote them."""

import os

import pytest

from playsmart_gateway.peers.scoreboard import (
    FRAME_BYTES,
    Scoreboard,
)


def test_the_last_report_of_each_is_shown() -> None:
    board = Scoreboard(2)
    assert board.read(0) is None
    for number in range(5):
        board.hang(0, b"report %d" % number, float(number))
        hung = board.read(0)
        assert hung is not None
        assert hung == (b"report %d" % number, float(number))
    assert board.read(1) is None


def test_states_and_restarts_are_kept_beside_the_reports() -> None:
    board = Scoreboard(2)
    board.hang(1, b"x" * (FRAME_BYTES - 64), 1.0)
    board.set_state(1, "ready")
    board.count_restart(1)
    board.count_restart(1)
    assert (board.state(1), board.restarts(1)) == ("ready", 2)
    assert (board.state(0), board.restarts(0)) == ("starting", 0)
    board.set_state(1, "gone")
    assert board.state(1) == "gone"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # xdist has threads
def test_what_a_process_showed_is_there_when_it_is_gone() -> None:
    board = Scoreboard(1)
    pid = os.fork()
    if not pid:
        board.hang(0, b"last words", 7.0)
        os._exit(0)
    os.waitpid(pid, 0)
    hung = board.read(0)
    assert hung is not None
    assert hung.content == b"last words"


def test_a_frame_that_is_being_written_is_read_again() -> None:
    board = Scoreboard(1)
    board.hang(0, b"before", 1.0)
    board.hang(0, b"shown", 2.0)
    frame = board._frame(0, board._memory[1])
    board._memory[frame + 16 : frame + 21] = b"torn!"
    times = iter((True, False))

    class Turning(Scoreboard):
        """One whose writer comes round while the reader reads."""

        def _frame(self, worker: int, page: int) -> int:
            if not next(times, False):
                board._memory[frame + 16 : frame + 21] = b"shown"
            return super()._frame(worker, page)

    turning = Turning(1)
    turning._memory = board._memory
    hung = turning.read(0)
    assert hung is not None
    assert hung.content == b"shown"
