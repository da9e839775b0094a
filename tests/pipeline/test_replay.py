"""What an earlier process left: what is broken is set aside and told, the rest is read once."""

import errno
from pathlib import Path

import pytest

from playsmart_gateway.errors import NotNow
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import encode
from playsmart_gateway.pipeline.disk import OsDisk
from playsmart_gateway.pipeline.journal import Journal
from playsmart_gateway.pipeline.replay import JournalState, inspect
from playsmart_gateway.pipeline.segments import MAGIC
from tests.support.doubles import make_batch


def journal_in(folder: Path, *, segment_bytes: int = 10_000, disk: OsDisk | None = None) -> Journal:
    journal = Journal(folder, segment_bytes=segment_bytes, disk=disk)
    journal.open()
    return journal


def record(sequence: int, journal: str = "11" * 16) -> bytes:
    batch = make_batch(sequence, count=2)
    batch.journal = journal
    return b"".join(encode(batch))


def leave(folder: Path, *segments: bytes) -> None:
    """Leave these segments, numbered from 1."""
    for number, content in enumerate(segments, 1):
        (folder / f"{number:016d}.journal").write_bytes(content)


def segments_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.journal"))


def sequences(batches: list[Batch]) -> list[int]:
    return [batch.sequence for batch in batches]


def test_a_segment_that_cannot_be_synced_is_not_taken_for_what_would_survive_a_power_cut(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{1:016d}.journal").symlink_to("/dev/null")  # reading works, syncing does not
    journal = journal_in(tmp_path)
    with pytest.raises(NotNow, match="cannot be read"):
        list(journal.replay())
    journal.close()


def test_names_that_cannot_be_synced_are_not_either(tmp_path: Path) -> None:
    class NoFolderSync(OsDisk):
        def sync_folder(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

    leave(tmp_path, MAGIC + record(1))
    journal = journal_in(tmp_path, disk=NoFolderSync())
    with pytest.raises(NotNow, match="cannot be read"):
        list(journal.replay())
    journal.close()


def test_each_part_that_is_set_aside_is_told_with_its_place_and_kept_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, three, torn = record(1), record(2), record(3), record(4)[:-5]
    leave(tmp_path, MAGIC + one + b"?" + two + b"garbage" + three + torn, MAGIC + torn)
    journal = journal_in(tmp_path)
    assert sequences(list(journal.replay())) == [1, 2, 3]
    assert (journal.corrupt_records, journal.torn_tails) == (2, 2)
    name, at = f"journal {1:016d}.journal: ", len(MAGIC + one)
    then = at + 1 + len(two)
    last = then + 7 + len(three)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", f"{name}corrupt record at byte {at}, 1 bytes set aside"),
        ("ERROR", f"{name}corrupt record at byte {then}, 7 bytes set aside"),
        ("WARNING", f"{name}torn tail at byte {last}, {len(torn)} bytes set aside"),
        (
            "WARNING",
            f"journal {2:016d}.journal: torn tail at byte 8, {len(torn)} bytes set aside",
        ),
    ]
    aside = {path.name: path.read_bytes() for path in tmp_path.glob("*.bad")}
    assert aside == {f"{1:016d}.bad": b"?garbage" + torn, f"{2:016d}.bad": torn}
    journal.close()


def test_a_segment_that_does_not_begin_as_one_is_set_aside_up_to_its_first_record(
    tmp_path: Path,
) -> None:
    leave(tmp_path, b"X" + MAGIC[1:] + record(1))
    journal = journal_in(tmp_path)
    assert sequences(list(journal.replay())) == [1]
    assert (tmp_path / f"{1:016d}.bad").read_bytes() == b"X" + MAGIC[1:]
    journal.close()


async def test_what_is_replayed_goes_segment_by_segment_and_is_no_trouble(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, segment_bytes=1)
    for _ in range(3):
        journal.write([make_batch()])
    written = journal.size
    journal.close()
    journal = journal_in(tmp_path)
    list(journal.replay())
    assert journal.size == written
    await journal.heal()
    assert journal.last_error is None
    for left in (2, 1, 0):
        journal.stored(1)
        await journal.remove_stored()
        assert len(segments_in(tmp_path)) == left
    journal.close()


async def test_what_was_written_anew_and_not_removed_before_is_read_once_and_goes_together(
    tmp_path: Path,
) -> None:
    """Journals keep the order in which they came, whatever they are called."""
    early, late = "ff" * 16, "00" * 16
    old = [MAGIC + record(1, early), MAGIC + record(1, late), MAGIC + record(2, late)]
    leave(tmp_path, *old, MAGIC + b"".join(segment[8:] for segment in old))
    journal = journal_in(tmp_path)
    batches = list(journal.replay())
    assert [batch.key for batch in batches] == [(early, 1), (late, 1), (late, 2)]
    found = [each async for piece in journal.once_more() for each in piece]
    assert {batch.key for batch in found} == {batch.key for batch in batches}
    journal.write([make_batch()])
    journal.stored(2)
    await journal.remove_stored()
    assert len(segments_in(tmp_path)) == 5
    journal.stored(2)
    await journal.remove_stored()
    assert not segments_in(tmp_path)
    journal.close()


async def test_the_only_batch_that_waited_is_read_once_where_it_was_written_anew(
    tmp_path: Path,
) -> None:
    leave(tmp_path, MAGIC + record(1), MAGIC + record(1))
    journal = journal_in(tmp_path)
    assert sequences(list(journal.replay())) == [1]
    journal.stored(1)
    await journal.remove_stored()
    assert not segments_in(tmp_path)
    journal.close()


def test_looking_at_a_journal_counts_what_is_there_and_changes_nothing(tmp_path: Path) -> None:
    leave(
        tmp_path,
        MAGIC + record(1) + b"garbage" + record(2) + record(3) + b"torn",
        MAGIC + record(4) + b"torn",
    )
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert inspect(tmp_path) == JournalState(
        held=False, set_aside=(), batches=4, events=8, broken=3
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    journal = journal_in(tmp_path)
    list(journal.replay())
    aside = f"{1:016d}.bad", f"{2:016d}.bad"
    assert inspect(tmp_path) == JournalState(held=True, set_aside=aside)
    journal.close()
