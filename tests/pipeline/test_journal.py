import asyncio
import errno
import shutil
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import ConfigError, JournalUnavailable, NotNow
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import MARK, encode
from playsmart_gateway.pipeline.disk import OsDisk
from playsmart_gateway.pipeline.journal import (
    RETAKE_SECONDS,
    Journal,
)
from playsmart_gateway.pipeline.origin import Fsync, MemoryOnly
from tests.support.doubles import FakeClock, make_batch
from tests.support.examples import examples


class FailingDisk(OsDisk):
    """The real disk, but the calls named in ``broken`` raise; writes may be cut short before."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.short: int | None = None
        self.synced: list[int] = []
        self.folder_syncs = 0
        self.open: set[int] = set()

    def _maybe_fail(self, call: str) -> None:
        if call in self.broken:
            raise OSError(errno.EIO, "Input/output error")

    def create(self, name: str) -> int:
        self._maybe_fail("create")
        file = super().create(name)
        self.open.add(file)
        return file

    def close(self, file: int) -> None:
        self.open.remove(file)
        super().close(file)

    def sync_folder(self) -> None:
        self._maybe_fail("sync_folder")
        self.folder_syncs += 1
        super().sync_folder()

    def write(self, file: int, buffers: Sequence[bytes]) -> int:
        if self.short is not None:
            piece, self.short = b"".join(buffers)[: self.short], None
            return super().write(file, [piece])
        self._maybe_fail("write")
        return super().write(file, buffers)

    def truncate(self, file: int, size: int) -> None:
        self._maybe_fail("truncate")
        super().truncate(file, size)

    def sync(self, file: int) -> None:
        self._maybe_fail("sync")
        self.synced.append(file)
        super().sync(file)

    def read(self, name: str) -> bytes:
        self._maybe_fail("read")
        return super().read(name)

    def remove(self, name: str) -> None:
        self._maybe_fail("remove")
        super().remove(name)


OpenJournal = Callable[..., Journal]


@pytest.fixture
def disk() -> FailingDisk:
    return FailingDisk()


@pytest.fixture
def open_journal(tmp_path: Path, disk: FailingDisk) -> Iterator[OpenJournal]:
    opened: list[Journal] = []

    def make(*, fsync: Fsync = "interval", segment_bytes: int = 10_000) -> Journal:
        if opened:  # the process before died, and the kernel closed what it had open
            opened.pop().close()
        journal = Journal(tmp_path / "journal", fsync=fsync, segment_bytes=segment_bytes, disk=disk)
        journal.open()
        opened.append(journal)
        return journal

    yield make
    for journal in opened:
        journal.close()


def names(batches: Sequence[Batch]) -> list[tuple[str, int]]:
    return [(batch.journal, batch.sequence) for batch in batches]


def files(tmp_path: Path, suffix: str) -> list[Path]:
    return sorted((tmp_path / "journal").glob(f"*.{suffix}"))


# ---- Faults ------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_with_one_clear_line(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    first.open()
    with pytest.raises(ConfigError, match=r"journal\.path: .* is in use by another gateway"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"journal\.path: .* cannot be used"):
        Journal(tmp_path / "file" / "j").open()


def test_a_segment_that_cannot_be_read_stops_the_start(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    open_journal().write([make_batch()])
    journal = open_journal()
    disk.broken = {"read"}
    with pytest.raises(NotNow, match="cannot be read"):
        list(journal.replay())


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_tail_is_set_aside_and_the_rest_is_replayed(
    open_journal: OpenJournal, tmp_path: Path, cut: int
) -> None:
    open_journal().write([make_batch(), make_batch()])
    (segment,) = files(tmp_path, "journal")
    segment.write_bytes(segment.read_bytes()[:-cut])
    journal = open_journal()
    assert [batch.sequence for batch in journal.replay()] == [1]
    assert (journal.torn_tails, journal.corrupt_records) == (1, 0)
    assert len(files(tmp_path, "bad")) == 1


def of_unknown_kind(record: bytes) -> bytes:
    """A whole record as a later gateway may write it."""
    body = bytearray(record[12:])
    body[16 + 8 + 8 + 4] = 99
    return MARK + len(body).to_bytes(4, "little") + crc32(body).to_bytes(4, "little") + body


def of_unknown_mark(record: bytes) -> bytes:
    mark = MARK[:3] + b"Z"
    return mark + record[4:8] + crc32(mark + record[12:]).to_bytes(4, "little") + record[12:]


@pytest.mark.parametrize("changed", [of_unknown_kind, of_unknown_mark])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_record_of_a_later_version_stops_the_start_and_nothing_is_changed(
    open_journal: OpenJournal, tmp_path: Path, place: int, changed: Callable[[bytes], bytes]
) -> None:
    batches = [make_batch(), make_batch(), make_batch()]
    journal = open_journal()
    journal.write([make_batch()])
    journal.seal()
    journal.write(batches)
    torn, segment = files(tmp_path, "journal")
    torn.write_bytes(torn.read_bytes()[:-1])
    records = [b"".join(encode(batch)) for batch in batches]
    records[place] = changed(records[place])
    segment.write_bytes(segment.read_bytes()[:8] + b"".join(records))
    before = {file: file.read_bytes() for file in files(tmp_path, "*")}
    with pytest.raises(ConfigError, match=rf"journal\.path: {segment.name} .* then downgrade"):
        list(open_journal().replay())
    assert {file: file.read_bytes() for file in files(tmp_path, "*")} == before
    records[place] = b""
    segment.write_bytes(segment.read_bytes()[:8] + b"".join(records))
    assert len(list(open_journal().replay())) == 2
    assert len(files(tmp_path, "bad")) == 1


@pytest.mark.parametrize("changed", [of_unknown_kind, of_unknown_mark])
def test_a_broken_record_of_a_later_version_is_as_broken_as_any(
    open_journal: OpenJournal, tmp_path: Path, changed: Callable[[bytes], bytes]
) -> None:
    open_journal().write([make_batch()])
    (segment,) = files(tmp_path, "journal")
    content = segment.read_bytes()
    later = changed(content[8:])
    segment.write_bytes(content[:8] + later[:-1] + b"?" + content[8:])
    journal = open_journal()
    assert len(list(journal.replay())) == 1
    assert (journal.torn_tails, journal.corrupt_records) == (0, 1)


@examples(60)
@given(st.data())
def test_one_flipped_bit_loses_at_most_the_record_it_is_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    journal = Journal(folder, segment_bytes=10_000)
    journal.open()
    for _ in range(5):
        journal.write([make_batch(count=2)])
    journal.close()
    (segment,) = folder.glob("*.journal")
    content = bytearray(segment.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    segment.write_bytes(content)
    journal = Journal(folder)
    journal.open()
    replayed = [batch.sequence for batch in journal.replay()]
    journal.close()
    missing = set(range(1, 6)) - set(replayed)
    assert len(missing) <= 1
    assert replayed == sorted(replayed)
    assert bool(list(folder.glob("*.bad"))) == (bool(missing) or place < 8)
    assert journal.corrupt_records + journal.torn_tails >= len(missing)


def test_a_write_cut_short_is_finished(open_journal: OpenJournal, disk: FailingDisk) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    disk.short = 10
    journal.write([make_batch()])
    assert [batch.sequence for batch in open_journal().replay()] == [1, 2]


@pytest.mark.parametrize("also_broken", [set(), {"truncate"}])
def test_a_failed_write_leaves_nothing_and_the_next_one_works(
    open_journal: OpenJournal, disk: FailingDisk, also_broken: set[str]
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    disk.short = 30
    disk.broken = {"write"} | also_broken
    with pytest.raises(JournalUnavailable):
        journal.write([make_batch()])
    assert journal.last_error is not None
    disk.broken = set()
    journal.write([make_batch()])
    assert [batch.sequence for batch in open_journal().replay()] == [1, 3]


def test_a_full_disk_does_not_litter_the_folder_with_empty_segments(
    open_journal: OpenJournal, disk: FailingDisk, tmp_path: Path
) -> None:
    journal = open_journal()
    disk.broken = {"write"}
    for _ in range(3):
        with pytest.raises(JournalUnavailable):
            journal.write([make_batch()])
    assert files(tmp_path, "journal") == []


async def test_after_a_failed_sync_the_next_batch_goes_into_a_new_segment(
    open_journal: OpenJournal, disk: FailingDisk, tmp_path: Path
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    disk.broken = {"sync"}
    with pytest.raises(JournalUnavailable):
        await journal.sync()
    assert journal.last_error is not None
    disk.broken = set()
    journal.write([make_batch()])
    assert len(files(tmp_path, "journal")) == 2
    await journal.sync()
    assert [batch.sequence for batch in open_journal().replay()] == [1, 2]


@pytest.mark.parametrize("broken", ["create", "write", "sync", "remove"])
async def test_trouble_is_told_until_the_disk_works_again_though_nobody_sends(
    open_journal: OpenJournal, disk: FailingDisk, tmp_path: Path, broken: str
) -> None:
    journal = open_journal()
    disk.broken = {"write"}
    with pytest.raises(JournalUnavailable):
        journal.write([make_batch()])
    troubled = []
    for disk.broken in ({broken}, set()):
        await journal.heal()
        troubled.append(journal.last_error is not None)
    assert troubled == [True, False]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["lock"]


async def test_a_write_that_is_taken_back_is_not_replayed(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal(fsync="always")
    journal.write([make_batch()])
    await journal.sync()
    journal.write([make_batch(), make_batch()])
    disk.broken = {"sync"}
    with pytest.raises(JournalUnavailable):
        await journal.sync()
    journal.undo()
    disk.broken = set()
    journal.write([make_batch()])
    assert [batch.sequence for batch in open_journal().replay()] == [1, 4]


async def test_segments_that_cannot_be_removed_are_told_and_replayed(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    journal.stored(1)
    disk.broken = {"remove"}
    await journal.remove_stored()
    assert journal.last_error is not None
    disk.broken = set()
    assert len(list(open_journal().replay())) == 1


def test_storing_more_than_was_written_is_our_mistake(open_journal: OpenJournal) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    with pytest.raises(AssertionError):
        journal.stored(2)


# ---- The life of a batch -----------------------------------------------------------------------


def test_what_was_written_is_replayed_as_it_was(open_journal: OpenJournal) -> None:
    batches = [
        make_batch(count=3),
        Batch("teak", "", "u", 1, b"[]"),
        Batch("lynes", "g" * 300, "\u00e9\u6f22\U0001f600", 2, "[\u2028]".encode()),
    ]
    journal = open_journal()
    journal.write(batches[:2])
    journal.write(batches[2:])
    assert list(open_journal().replay()) == batches


def test_every_start_names_its_batches_anew(open_journal: OpenJournal) -> None:
    for _ in range(3):
        journal = open_journal()
        list(journal.replay())
        journal.write([make_batch()])
    replayed = list(open_journal().replay())
    assert len(set(names(replayed))) == 3
    assert [batch.sequence for batch in replayed] == [1, 1, 1]


def test_a_full_segment_is_followed_by_a_new_one(open_journal: OpenJournal, tmp_path: Path) -> None:
    journal = open_journal(segment_bytes=500)
    for _ in range(6):
        journal.write([make_batch()])
    assert len(files(tmp_path, "journal")) > 1
    assert journal.size == sum(path.stat().st_size for path in files(tmp_path, "journal"))
    assert [batch.sequence for batch in open_journal().replay()] == [1, 2, 3, 4, 5, 6]


async def test_only_segments_whose_batches_are_all_stored_are_removed(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    journal = open_journal(segment_bytes=1)  # a segment a write
    for _ in range(3):
        journal.write([make_batch(), make_batch()])
    journal.stored(3)
    assert journal.removable_bytes == files(tmp_path, "journal")[0].stat().st_size
    await journal.remove_stored()
    assert [batch.sequence for batch in open_journal().replay()] == [3, 4, 5, 6]


async def test_replayed_batches_are_stored_before_new_ones(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    open_journal().write([make_batch(), make_batch()])
    journal = open_journal()
    assert len(list(journal.replay())) == 2
    journal.write([make_batch()])
    journal.stored(2)
    await journal.remove_stored()
    assert [batch.sequence for batch in open_journal().replay()] == [1]


async def test_the_current_segment_goes_too_when_all_is_stored(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    journal.stored(1)
    await journal.remove_stored()
    assert files(tmp_path, "journal") == []
    journal.write([make_batch()])
    assert len(list(open_journal().replay())) == 1


async def test_numbers_of_segments_never_come_back_while_a_bad_one_is_kept(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    open_journal().write([make_batch()])
    (segment,) = files(tmp_path, "journal")
    segment.write_bytes(b"garbage")
    journal = open_journal()
    assert list(journal.replay()) == []
    await journal.remove_stored()
    journal.write([make_batch()])
    assert files(tmp_path, "journal")[0].stem > files(tmp_path, "bad")[0].stem


async def test_a_sync_covers_closed_segments_and_is_not_repeated(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal(segment_bytes=1)
    for _ in range(3):
        journal.write([make_batch()])
    await journal.sync()
    assert len(disk.synced) == 3
    await journal.sync()
    assert len(disk.synced) == 3


async def test_removal_waits_for_a_sync_that_is_under_way(
    tmp_path: Path, disk: FailingDisk
) -> None:
    may_end = asyncio.Event()

    async def slowly(function: Callable[[], object]) -> None:
        await may_end.wait()
        function()

    journal = Journal(tmp_path / "j", disk=disk, in_thread=slowly)
    journal.open()
    journal.write([make_batch()])
    journal.stored(1)
    syncing = asyncio.create_task(journal.sync())
    await asyncio.sleep(0)
    may_end_soon = asyncio.create_task(journal.remove_stored())
    await asyncio.sleep(0)
    assert journal.removable_bytes
    may_end.set()
    await asyncio.gather(syncing, may_end_soon)
    await journal.remove_stored()
    assert journal.removable_bytes == 0
    journal.close()


async def test_where_there_is_no_journal_batches_get_names_and_nothing_is_kept() -> None:
    origin = MemoryOnly()
    batches = [make_batch(), make_batch()]
    origin.write(batches)
    assert [batch.sequence for batch in batches] == [1, 2]
    assert len({batch.journal for batch in batches}) == 1
    origin.stored(1)
    assert not origin.keeps_stored
    assert not origin.is_due
    assert [piece async for piece in origin.once_more()] == []


async def test_a_folder_that_another_gateway_has_taken_meanwhile_is_left_to_it(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    batches = [make_batch(count=2), make_batch(count=3)]
    journal = Journal(tmp_path / "j", waiting=batches, clock=clock)
    journal.open()
    journal.write(batches)
    (tmp_path / "j").rename(tmp_path / "moved")
    other = Journal(tmp_path / "j")
    other.open()
    await journal.heal()
    gone = str(journal.last_error)
    assert "gone" in gone or "replaced" in gone
    with pytest.raises(JournalUnavailable):
        journal.write([make_batch()])
    await journal.heal()
    assert str(journal.last_error) == gone, "it is left alone for a moment, and told still"
    clock.advance(RETAKE_SECONDS)
    await journal.heal()
    assert "is in use by another gateway" in str(journal.last_error)
    other.close()
    await journal.heal()
    assert journal.last_error is None
    journal.write([third := make_batch()])
    journal.stored(1)
    journal.close()
    again = Journal(tmp_path / "j")
    again.open()
    assert names(list(again.replay())) == names([*batches, third])
    again.close()


async def test_what_waits_is_written_anew_before_the_old_segments_go(tmp_path: Path) -> None:
    """A crash between the two leaves both: each batch is replayed once, in its order."""
    clock = FakeClock()
    waiting = [make_batch() for _ in range(6)]
    journal = Journal(
        tmp_path, segment_bytes=600, waiting=waiting, clock=clock, disk=(disk := OsDisk())
    )
    journal.open()
    for batch in waiting:
        journal.write([batch])
    first, *others = files_of(tmp_path)
    assert others
    first.unlink()
    kept = {each: each.read_bytes() for each in others}
    await journal.heal()
    clock.advance(RETAKE_SECONDS)
    await journal.heal()
    assert disk.list() != []
    (made,) = files_of(tmp_path)
    for path, content in kept.items():
        path.write_bytes(content)
    journal.close()
    again = Journal(tmp_path)
    again.open()
    replayed = list(again.replay())
    assert names(replayed) == names(waiting)
    again.stored(5)
    await again.remove_stored()
    assert made in files_of(tmp_path), "they go together"
    again.stored(1)
    await again.remove_stored()
    assert files_of(tmp_path) == []
    again.close()


async def test_what_is_stored_and_still_here_can_be_had_once_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=300)
    journal.open()
    batches = [make_batch(number) for number in range(6)]
    for batch in batches:
        journal.write([batch])
    journal.stored(4)
    found = [batch async for piece in journal.once_more() for batch in piece]
    assert names(found) == names(batches[:4])
    files_of(tmp_path)[0].unlink()
    found = [batch async for piece in journal.once_more() for batch in piece]
    assert 0 < len(found) < 4
    assert journal.last_error is not None
    journal.close()


async def test_a_seal_begins_a_new_segment_and_what_is_sealed_is_here_until_it_is_stored(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    journal = open_journal()
    assert journal.seal() == 0, "nothing is here"
    journal.write([make_batch()])
    assert (sealed := journal.seal()) == 1
    journal.write([make_batch()])
    assert len(files(tmp_path, "journal")) == 2
    assert (journal.holds(0), journal.holds(sealed)) == (False, True)
    journal.stored(1)
    await journal.remove_stored()
    assert (journal.holds(1), journal.holds(2)) == (False, True)


async def test_no_seal_comes_before_a_batch_that_may_have_to_be_taken_back(
    tmp_path: Path, disk: FailingDisk
) -> None:
    may_end = asyncio.Event()

    async def slowly(function: Callable[[], object]) -> None:
        await may_end.wait()
        function()

    journal = Journal(tmp_path, fsync="always", disk=disk, in_thread=slowly)
    journal.open()
    journal.write([make_batch()])
    assert journal.seal() is None
    syncing = asyncio.create_task(journal.sync())
    await asyncio.sleep(0)
    assert journal.seal() is None
    may_end.set()
    await syncing
    assert journal.seal() == 1
    journal.close()


@pytest.mark.parametrize("broken", [set(), {"sync"}])
async def test_a_sync_that_is_cancelled_has_ended_before_its_caller_goes_on(
    tmp_path: Path, disk: FailingDisk, broken: set[str]
) -> None:
    may_end = asyncio.Event()

    async def slowly(function: Callable[[], object]) -> None:
        await may_end.wait()
        function()

    journal = Journal(tmp_path, disk=disk, in_thread=slowly)
    journal.open()
    journal.write([make_batch()])
    syncing = asyncio.create_task(journal.sync())
    await asyncio.sleep(0)
    syncing.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not syncing.done()
    disk.broken = broken
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await syncing
    assert len(disk.synced) == (0 if broken else 1)
    journal.close()


async def test_stored_segments_are_due_when_they_are_as_big_as_a_whole_one(
    open_journal: OpenJournal,
) -> None:
    journal = open_journal(segment_bytes=300)
    journal.write([make_batch()])
    assert (journal.keeps_stored, journal.is_due) == (False, False)
    journal.stored(1)
    assert (journal.keeps_stored, journal.is_due) == (True, False)
    while journal.size < 300:
        journal.write([make_batch()])
        journal.stored(1)
    assert journal.is_due


def test_room_is_needed_where_the_disk_is_in_trouble_and_something_could_go(
    open_journal: OpenJournal, disk: FailingDisk, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    disk.broken = {"write"}
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            journal.write([make_batch()])
        trouble = f"journal trouble in {tmp_path / 'journal'}: Input/output error"
        assert caplog.messages == [trouble]
    needed = [journal.needs_room]
    journal.stored(1)
    needed.append(journal.needs_room)
    journal.last_error = None
    needed.append(journal.needs_room)
    assert needed == [False, True, False]


@pytest.mark.parametrize(("fsync", "syncs"), [("interval", 1), ("always", 1), ("never", 0)])
def test_what_was_not_synced_is_synced_at_the_end_and_no_descriptor_stays_open(
    tmp_path: Path, disk: FailingDisk, fsync: Fsync, syncs: int
) -> None:
    journal = Journal(tmp_path, fsync=fsync, disk=disk)
    journal.open()
    journal.write([make_batch()])
    journal.close()
    assert (len(disk.synced), disk.folder_syncs, disk.open) == (syncs, 1, set())


def test_the_end_comes_though_the_disk_fails(tmp_path: Path, disk: FailingDisk) -> None:
    journal = Journal(tmp_path, disk=disk)
    journal.open()
    journal.write([make_batch()])
    disk.broken = {"sync", "sync_folder"}
    journal.close()
    assert disk.open == set()
    again = Journal(tmp_path)
    again.open()
    again.close()


async def test_only_files_that_somebody_may_write_or_sync_are_open(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal(segment_bytes=1)
    for _ in range(3):
        journal.write([make_batch()])
    assert len(disk.open) == 3
    await journal.sync()
    assert len(disk.open) == 1
    journal.stored(3)
    await journal.remove_stored()
    assert disk.open == set()


async def test_the_name_of_a_new_segment_is_synced_once_and_again_after_a_failure(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    disk.broken = {"sync_folder"}
    with pytest.raises(JournalUnavailable):
        await journal.sync()
    disk.broken = set()
    for _ in range(2):
        journal.write([make_batch()])
        await journal.sync()
    assert disk.folder_syncs == 1


async def test_a_place_where_nothing_can_be_written_anew_is_not_littered_and_tried_again(
    tmp_path: Path, disk: FailingDisk, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    folder = tmp_path / "j"
    journal = Journal(folder, waiting=[waits := make_batch()], clock=clock, disk=disk)
    journal.open()
    journal.write([waits])
    folder.rename(tmp_path / "moved")
    await journal.heal()
    clock.advance(RETAKE_SECONDS - 0.1)
    await journal.heal()
    assert files_of(folder) == [], "it may be under way yet"
    clock.advance(0.1)
    disk.broken = {"sync"}
    await journal.heal()
    assert files_of(folder) == []
    disk.broken = set()
    await journal.heal()
    assert len(files_of(folder)) == 1
    assert journal.size == files_of(folder)[0].stat().st_size
    assert f"the journal {folder} is made anew, with 1 batches that waited" in caplog.messages
    journal.stored(1)
    assert journal.keeps_stored
    (made,) = files_of(folder)
    shutil.copy(made, folder / "copy")
    (folder / "copy").rename(made)
    await journal.heal()
    assert "was replaced" in str(journal.last_error)
    journal.close()
    assert disk.open == set()


async def test_what_is_taken_back_counts_no_more_and_what_precedes_it_still_does(
    open_journal: OpenJournal, disk: FailingDisk, tmp_path: Path
) -> None:
    journal = open_journal(fsync="always")
    journal.write(kept := [make_batch(), make_batch(), make_batch()])
    await journal.sync()
    (segment,) = files(tmp_path, "journal")
    before = segment.read_bytes()
    journal.write([make_batch()])
    disk.broken = {"sync"}
    with pytest.raises(JournalUnavailable):
        await journal.sync()
    journal.undo()
    assert segment.read_bytes() == before
    assert journal.size == len(before)
    for stored in (1, 2):
        journal.stored(stored)
        found = [batch async for piece in journal.once_more() for batch in piece]
        assert names(found) == names(kept[: 1 if stored == 1 else 3])
    disk.broken = set()
    await journal.remove_stored()
    assert files(tmp_path, "journal") == []


def test_a_segment_of_just_the_size_is_full(open_journal: OpenJournal, tmp_path: Path) -> None:
    open_journal().write([make_batch()])
    (segment,) = files(tmp_path, "journal")
    full = segment.stat().st_size
    segment.unlink()
    journal = open_journal(segment_bytes=full)
    for count in (1, 2):
        journal.write([make_batch()])
        assert len(files(tmp_path, "journal")) == count


async def test_a_segment_that_is_synced_is_closed_when_the_next_one_begins(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    await journal.sync()
    assert len(disk.open) == 1
    journal.seal()
    assert disk.open == set()


async def test_a_name_that_could_not_be_synced_is_synced_at_the_end(
    tmp_path: Path, disk: FailingDisk
) -> None:
    journal = Journal(tmp_path, disk=disk)
    journal.open()
    journal.write([make_batch()])
    disk.broken = {"sync_folder"}
    with pytest.raises(JournalUnavailable):
        await journal.sync()
    disk.broken = set()
    journal.close()
    assert disk.folder_syncs == 1


async def test_a_healthy_journal_is_looked_at_and_nothing_is_written_for_that(
    open_journal: OpenJournal, disk: FailingDisk
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    disk.broken = {"create", "write", "sync", "remove"}
    await journal.heal()
    assert journal.last_error is None


async def test_a_lock_that_was_taken_away_is_told_with_its_folder(
    open_journal: OpenJournal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = open_journal()
    (tmp_path / "journal" / "lock").unlink()
    await journal.heal()
    (told,) = caplog.messages
    assert told.startswith(f"journal trouble in {tmp_path / 'journal'}: ")
    assert told.endswith("lock is gone")


async def test_a_segment_that_was_replaced_by_its_copy_is_told(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    journal = open_journal()
    journal.write([make_batch()])
    (segment,) = files(tmp_path, "journal")
    shutil.copy(segment, tmp_path / "copy")
    (tmp_path / "copy").rename(segment)
    await journal.heal()
    assert "was replaced" in str(journal.last_error)


async def test_to_remove_what_is_gone_already_is_no_trouble(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    journal = open_journal(segment_bytes=1)
    for _ in range(2):
        journal.write([make_batch()])
    files(tmp_path, "journal")[0].unlink()
    journal.stored(2)
    await journal.remove_stored()
    assert journal.last_error is None
    assert files(tmp_path, "journal") == []


class Gate:
    """Holds the next piece of work for a thread back until ``opened``; the others just run."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self.holds = False

    async def __call__(self, function: Callable[[], object]) -> None:
        if self.holds:
            self.holds = False
            self.reached.set()
            await self.opened.wait()
        function()


async def held(gate: Gate, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    """Begin work that waits at the gate."""
    gate.holds = True
    task = asyncio.create_task(work)
    reached = asyncio.ensure_future(gate.reached.wait())
    await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
    assert reached.done(), "it ended without coming there"
    return task


@pytest.mark.parametrize("what", ["removed", "taken back"])
async def test_what_goes_while_it_is_looked_for_is_no_trouble(tmp_path: Path, what: str) -> None:
    gate = Gate()
    journal = Journal(tmp_path, fsync="always", in_thread=gate)
    journal.open()
    journal.write([make_batch()])
    looking = await held(gate, journal.heal())
    if what == "removed":
        journal.stored(1)
        await journal.remove_stored()
        assert files_of(tmp_path) == []
    else:
        journal.undo()
    gate.opened.set()
    await looking
    assert journal.last_error is None
    journal.close()


async def test_what_is_stored_while_it_is_written_anew_is_removed_behind_that(
    tmp_path: Path,
) -> None:
    clock, gate = FakeClock(), Gate()
    folder = tmp_path / "j"
    journal = Journal(folder, waiting=[waits := make_batch()], clock=clock, in_thread=gate)
    journal.open()
    journal.write([waits])
    folder.rename(tmp_path / "moved")
    await journal.heal()
    clock.advance(RETAKE_SECONDS)
    writing = await held(gate, journal.heal())
    journal.stored(1)
    await journal.remove_stored()
    gate.opened.set()
    await writing
    assert len(files_of(folder)) == 1
    await journal.remove_stored()
    assert files_of(folder) == [], "no file is left that nobody knows"
    journal.close()


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))
