"""What a command asks of a running gateway through its folder."""

import os
from pathlib import Path

import pytest

from playsmart_gateway.errands import STALE_SECONDS, Errands
from tests.doubles import FakeClock


async def settle(_: str) -> None:
    raise AssertionError("nothing was asked")


@pytest.mark.parametrize("written_at", [0.0, 4_000_000_000.0])
async def test_an_answer_that_nobody_came_for_goes_after_a_while_whatever_the_wall_clock_says(
    tmp_path: Path, written_at: float
) -> None:
    clock = FakeClock()
    errands = Errands(tmp_path, settle, clock)
    answer = tmp_path / "1.done"
    answer.touch()
    os.utime(answer, (written_at, written_at))
    for seconds in (0.0, STALE_SECONDS):
        clock.advance(seconds)
        await errands.look()
        assert answer.exists()
    clock.advance(1)
    await errands.look()
    assert not answer.exists()
    await errands.look()
