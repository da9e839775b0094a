"""The folders of journals: what one number of workers left, another one finds."""

import contextlib
import fcntl
import os
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.pipeline.journal import RETAKE_SECONDS, Journal
from playsmart_gateway.pipeline.journal_folders import (
    HeldFolder,
    adopt,
    inspect_all,
    journal_folders,
    worker_folder,
)
from tests.support.doubles import FakeClock, make_batch


def leave(folder: Path, *users: str) -> None:
    """Be a gateway that takes a batch of each of these players, and dies."""
    journal = Journal(folder)
    journal.open()
    list(journal.replay())
    journal.write([make_batch(user_id=user) for user in users])
    journal.close()


def found(folder: Path) -> list[str]:
    journal = Journal(folder)
    journal.open()
    with contextlib.closing(journal):
        return [batch.user_id for batch in journal.replay()]


def test_the_folders_are_the_whole_one_and_those_of_workers_in_their_order(tmp_path: Path) -> None:
    for name in ("worker-10", "worker-2", "worker-x", "other"):
        (tmp_path / name).mkdir()
    assert journal_folders(tmp_path) == [tmp_path, tmp_path / "worker-2", tmp_path / "worker-10"]
    assert journal_folders(tmp_path / "nowhere") == [tmp_path / "nowhere"]


def test_what_others_left_is_replayed_behind_what_is_there_once(tmp_path: Path) -> None:
    workers = [worker_folder(tmp_path, number) for number in range(3)]
    leave(tmp_path, "own")
    leave(workers[1], "ada", "bob")
    leave(workers[1], "cyd")
    leave(workers[2], "dan")
    adopt(tmp_path, workers[1:])
    assert found(tmp_path) == ["own", "ada", "bob", "cyd", "dan"]
    assert not any(folder.exists() for folder in workers)


def test_the_whole_folder_is_left_by_a_gateway_that_gets_workers(tmp_path: Path) -> None:
    leave(tmp_path, "ada")
    first = worker_folder(tmp_path, 0)
    adopt(first, [tmp_path])
    assert found(first) == ["ada"]
    assert found(tmp_path) == []
    adopt(first, [tmp_path])
    assert found(first) == ["ada"]


def test_a_move_that_was_cut_short_is_finished_by_the_next_start(tmp_path: Path) -> None:
    other = worker_folder(tmp_path, 4)
    leave(other, "ada")
    leave(other, "bob")
    leave(tmp_path, "own")
    (other / "0000000000000001.journal").rename(tmp_path / "0000000000000002.journal")
    adopt(tmp_path, [other])
    assert found(tmp_path) == ["own", "ada", "bob"]


def test_what_was_set_aside_goes_along_with_its_number(tmp_path: Path) -> None:
    other = worker_folder(tmp_path, 4)
    leave(other, "ada")
    (other / "0000000000000001.bad").write_bytes(b"torn")
    (other / "note").write_text("somebody else's file stays, and so does the folder")
    assert inspect_all(tmp_path).set_aside == ("worker-4/0000000000000001.bad",)
    leave(tmp_path, "own")
    adopt(tmp_path, [other])
    assert (tmp_path / "0000000000000002.bad").read_bytes() == b"torn"
    assert [each.name for each in other.iterdir()] == ["note"]


def test_a_folder_that_somebody_holds_is_not_touched(tmp_path: Path) -> None:
    other = worker_folder(tmp_path, 1)
    leave(other, "ada")
    lock = os.open(other / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match=r"worker-1 is in use by another gateway"):
        adopt(tmp_path, [other])
    assert inspect_all(tmp_path).held
    os.close(lock)
    state = inspect_all(tmp_path)
    assert (state.held, state.batches, state.events) == (False, 1, 1)


def test_a_folder_that_cannot_be_moved_is_one_clear_line(tmp_path: Path) -> None:
    other = worker_folder(tmp_path, 1)
    leave(other, "ada")
    (tmp_path / "file").write_text("where a folder should be")
    with pytest.raises(ConfigError, match=r"worker-1 cannot be moved to .*: Not a directory"):
        adopt(tmp_path / "file", [other])


def test_an_empty_folder_of_a_worker_is_removed(tmp_path: Path) -> None:
    other = worker_folder(tmp_path, 1)
    other.mkdir()
    adopt(tmp_path, [other])
    assert list(tmp_path.iterdir()) == []


def test_who_only_keeps_a_folder_locked_locks_it_anew_where_it_was_taken_away(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    held = HeldFolder(tmp_path / "j", clock)
    held.open()
    assert trouble(held) == ""
    (tmp_path / "j").rename(tmp_path / "moved")
    assert "is gone" in trouble(held)
    assert not (tmp_path / "j").exists(), "it is left alone for a moment"
    other = Journal(tmp_path / "j")
    other.open()
    clock.advance(RETAKE_SECONDS)
    assert trouble(held), "somebody else has it"
    other.close()
    assert trouble(held) == ""
    with pytest.raises(ConfigError, match="in use by another gateway"):
        Journal(tmp_path / "j").open()
    held.close()


def trouble(held: HeldFolder) -> str:
    held.hold()
    return str(held.last_error or "")
