"""Errands: what a command asks of a running gateway, by files that are its owner's alone."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from playsmart_gateway.pipeline.errands import (
    LOOK_SECONDS,
    STALE_SECONDS,
    Errands,
    Unanswered,
    ask_to_recall,
    ask_to_settle,
)
from tests.support.doubles import FakeClock
from tests.support.polling import eventually


def errands(folder: Path) -> tuple[Errands, list[str]]:
    asked: list[str] = []

    async def settle(user_id: str) -> None:
        asked.append(user_id)

    return Errands(folder, settle), asked


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_what_is_asked_is_done_in_every_folder_and_nothing_is_left(tmp_path: Path) -> None:
    folders = [tmp_path / "worker-0", tmp_path / "worker-1"]
    doing = []
    for folder in folders:
        folder.mkdir()
        doing.append(errands(folder))
    asking = asyncio.create_task(ask_to_settle(folders, "ada\udcff", 30))
    await eventually(lambda: all(names(folder) for folder in folders) or None)
    for folder in folders:
        (file,) = folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for each, _ in doing:
        await each.look()
        await each.look()
    await asking
    assert [asked for _, asked in doing] == [["ada\udcff"], ["ada\udcff"]]
    assert [names(folder) for folder in folders] == [[], []]


async def test_what_a_process_remembers_is_brought_back_and_nothing_is_left(tmp_path: Path) -> None:
    async def settle(_: str) -> None:
        raise AssertionError

    each = Errands(tmp_path, settle, recall=str.encode)
    asking = asyncio.create_task(ask_to_recall([tmp_path], "r-1", 30))
    while not names(tmp_path):  # noqa: ASYNC110 - files tell nobody
        await asyncio.sleep(0.001)
    await each.look()
    assert await asking == [b"r-1"]
    assert names(tmp_path) == []


async def test_who_does_not_answer_is_told_and_the_errand_is_taken_back(tmp_path: Path) -> None:
    with pytest.raises(Unanswered) as caught:
        await ask_to_settle([tmp_path], "ada", 0.01)
    assert (caught.value.folder, names(tmp_path)) == (tmp_path, [])
    assert LOOK_SECONDS < 1


async def test_an_errand_that_is_taken_back_meanwhile_is_not_answered(tmp_path: Path) -> None:
    async def settle(_: str) -> None:
        (tmp_path / "x.errand").unlink()

    (tmp_path / "x.errand").write_text("ada")
    await Errands(tmp_path, settle).look()
    assert names(tmp_path) == []


async def test_a_file_of_somebody_else_a_link_and_a_pipe_are_not_heeded(tmp_path: Path) -> None:
    each, asked = errands(tmp_path)
    (tmp_path / "text").write_text("ada")
    (tmp_path / "a.errand").symlink_to(tmp_path / "text")
    os.mkfifo(tmp_path / "b.errand")
    (tmp_path / "c.errand").mkdir()
    if os.geteuid() == 0:
        (tmp_path / "d.errand").write_text("ada")
        os.chown(tmp_path / "d.errand", 12_345, 12_345)
    await each.look()
    assert asked == []


async def test_an_answer_that_nobody_came_for_goes_and_a_folder_that_is_gone_is_no_trouble(
    tmp_path: Path,
) -> None:
    async def nothing(_: str) -> None:
        raise AssertionError

    clock = FakeClock()
    each = Errands(tmp_path, nothing, clock)
    (tmp_path / "old.done").touch()
    await each.look()
    clock.advance(STALE_SECONDS - 1)
    (tmp_path / "new.done").touch()
    await each.look()
    assert names(tmp_path) == ["new.done", "old.done"]
    clock.advance(2)
    await each.look()
    assert names(tmp_path) == ["new.done"]
    await errands(tmp_path / "gone")[0].look()
