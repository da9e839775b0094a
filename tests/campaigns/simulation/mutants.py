"""Our own code, broken on purpose: each of these must be caught, or the simulation is blind.

A mutant is the part of the gateway with one decision turned round, passed in as a double. The last
ones undo what was mended because a seed had found it.
"""

import asyncio
import contextlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from playsmart_gateway.errors import JournalUnavailable, SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import decode_at
from playsmart_gateway.events.row import picked
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.intake import (
    Intake,
    Receipt,
)
from playsmart_gateway.pipeline.segments import Segment, SegmentFiles
from playsmart_gateway.pipeline.verdict import Judge
from playsmart_gateway.stores.memory.runs import MemoryRuns
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.runs import Claimed
from tests.campaigns.simulation.disk import SimDisk
from tests.campaigns.simulation.parts import (
    Parts,
    SimGateway,
    SimJournal,
)
from tests.campaigns.simulation.store import SimSink, Transaction


class _SkipsSync(SegmentFiles):
    def sync(self, files: Sequence[int], names_dirty: bool) -> None:
        pass


class _AnswersEarly(Intake):
    async def accept(self, batch: Batch) -> Receipt:
        accepting = asyncio.ensure_future(super().accept(batch))
        accepting.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.sleep(0)
        return Receipt(batch.count, self._buffer.events)


class _SkipsCrc(SimDisk):
    """Makes every checksum right, which is what not looking at it comes to."""

    def read(self, name: str) -> bytes:
        content = bytearray(super().read(name))
        for mark in list(re.finditer(rb"\xf5PS[HI]", content)):
            place = mark.start()
            if place > len(content) - 12:
                break
            (length,) = struct.unpack_from("<I", content, place + 4)
            if place + 12 + length <= len(content):
                checksum = zlib.crc32(content[place + 12 : place + 12 + length])
                struct.pack_into("<I", content, place + 8, checksum)
        return bytes(content)


class _LetsGoFirst(Flusher):
    async def flush(self, trigger: str = "explicit") -> int:
        batches = self._buffer.head(self._options.max_events, self._options.max_bytes)
        self._let_go(batches)
        written = await self._sink.write(batches)
        self._stats.stored += written.stored
        self._stats.duplicate += written.duplicate
        return written.stored


class _ReservesNothing(Buffer):
    def reserve(self, events: int, size: int) -> bool:
        return self.has_room(events, size)

    def release(self, events: int, size: int) -> None:
        pass

    def put_reserved(self, batch: Batch, size: int) -> None:
        self.put(batch)


class _TrimsUnsynced(Flusher):
    async def trim(self) -> None:
        await self._origin.remove_stored()


class _ReusesIdentity(SimJournal):
    def __init__(self, folder: Path, *, identity: bytes, **named: Any) -> None:
        super().__init__(folder, identity=bytes(len(identity)), **named)


class _LeavesFailedWrites(SimJournal):
    def _append(self, segment: Segment, buffers: list[bytes]) -> None:
        self._files.write(segment.descriptor, buffers)


class _BelievesShortWrites(SegmentFiles):
    def _write_all(self, file: int, buffers: list[bytes]) -> None:
        self._disk.write(file, buffers)


class _SkipsFolderSync(SegmentFiles):
    def sync(self, files: Sequence[int], names_dirty: bool) -> None:
        super().sync(files, False)


class _SettlesBackwards(Intake):
    def _commit(self) -> None:
        self._group.reverse()
        super()._commit()


class _TakesFailureForSuccess(Flusher):
    async def flush(self, trigger: str = "explicit") -> int:
        batches = self._buffer.head(self._options.max_events, self._options.max_bytes)[
            : self._limit
        ]
        try:
            return await super().flush(trigger)
        except SinkUnavailable:
            self._stats.stored += sum(batch.count for batch in batches)
            self._let_go(batches)
            return 0


class _RenamesOnReplay(SimJournal):
    def replay(self) -> Iterator[Batch]:
        for batch in super().replay():
            self._sequence += 1
            batch.journal, batch.sequence = self._journal, self._sequence
            yield batch


class _CancelsWithTheRequest(Intake):
    async def accept(self, batch: Batch) -> Receipt:
        try:
            return await super().accept(batch)
        except asyncio.CancelledError:
            self._group = [each for each in self._group if each[0] is not batch]
            raise


class _StopsAtTheFirstBrokenRecord(SimDisk):
    def read(self, name: str) -> bytes:
        content = super().read(name)
        place = 8
        while place < len(content):
            batch, end = decode_at(content, place)
            if batch is None:
                break
            place = end
        return content[:place]


class _KeepsRoomForWhoGaveUp(Intake):
    def _take_room(self, waiter: "asyncio.Future[bool]", events: int, size: int) -> None:
        if waiter.done() and not waiter.cancelled() and waiter.result():
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                super()._take_room(waiter, events, size)


class _BelievesAFailedSync(SimJournal):
    async def sync(self) -> None:
        with contextlib.suppress(JournalUnavailable):
            await super().sync()


class _ForgetsThePoison(Flusher):
    async def _bury(self, batch: Batch, reason: str) -> int:
        self._stats.rejected["buried"] += batch.count
        self._let_go([batch])
        return batch.count


class _BuriesWhatABrokenStoreRefuses(Flusher):
    async def _judge(
        self, judge: Judge, batch: Batch, refusal: SinkRejected, waiting: Sequence[Batch]
    ) -> None:
        pass


class _ForgetsToCountReplays(SimGateway):
    def _replay(self) -> None:
        super()._replay()
        self.stats.received -= self.stats.replayed


class _LeavesAtOnce(Flusher):
    async def _next_trigger(self) -> str | None:
        trigger = await super()._next_trigger()
        return None if trigger == "drain" else trigger


class _CountsSegmentsAsStored(SimJournal):
    def stored(self, batches: int) -> None:
        super().stored(batches)
        if self._segments:
            self._segments[0].left = 0


class _DoesNotSyncWhatItReplays(SimDisk):
    def read(self, name: str) -> bytes:
        self._enter(f"read {name}")
        return bytes(self._medium.names[name].data)


async def _at_once() -> None:
    pass


class _DoesNotWaitForTheGroup(SimGateway):
    async def _drain(self, flushing: "asyncio.Task[None]") -> None:
        self.intake.settled = _at_once  # type: ignore[method-assign]
        await super()._drain(flushing)


class _StopsSyncingBeforeTheStoreClosed(SimGateway):
    async def _drain(self, flushing: "asyncio.Task[None]") -> None:
        self._parts.caretaker.sync_journal = _at_once  # type: ignore[method-assign]
        await super()._drain(flushing)


class _GivesUpAtTheFirstFailedSync(SegmentFiles):
    def sync(self, files: Sequence[int], names_dirty: bool) -> None:
        for file in files:
            self._disk.sync(file)
        if names_dirty:
            self._disk.sync_folder()


class _LeavesWhatItCouldNotSync(SimJournal):
    def undo(self) -> None:
        assert self._undo is not None
        segment, size, batches = self._undo
        segment.size -= size
        segment.left -= batches
        self._abandon_current()


class _LeavesThreadsBehind(SimJournal):
    async def _finish_in_thread(self, function: Callable[[], object]) -> None:
        await self._in_thread(function)


class _ForgetsRunsOnReplay(SimJournal):
    def replay(self) -> Iterator[Batch]:
        for batch in super().replay():
            batch.run = b""
            yield batch


class _ForgetsRunsAtStart(SimSink):
    async def __aenter__(self) -> Self:
        self._store.runs = MemoryRuns()
        return await super().__aenter__()


class _KnowsNoRuns(SimSink):
    def _claim(self, batches: list[Batch]) -> Claimed:
        return Claimed(batches)


class _ClaimsBeforeItStores(SimSink):
    def _write(self, batches: list[Batch]) -> Written:
        self._require_up()
        self._require_whole()
        claimed = self._claim(self._unknown(batches))
        self._store.commit(Transaction(claimed=claimed))
        self._fail_by_chance("store: locked")
        self._store.commit(Transaction(claimed.batches))
        stored = sum(batch.count for batch in claimed.batches)
        return Written(stored, sum(batch.count for batch in batches) - stored)


class _CutsTheWrongEnd(SimSink):
    def _claim(self, batches: list[Batch]) -> Claimed:
        whole = {batch.key: batch for batch in batches}
        claimed = super()._claim(batches)
        for batch in claimed.batches:
            sent = whole[batch.key]
            if 0 < batch.count < sent.count:
                batch.rows = picked(sent.rows, sent.count, range(batch.count)) or b""
        return claimed


class _CountsReplaysAsRepeats(SimSink):
    def _claim(self, batches: list[Batch]) -> Claimed:
        claimed = super()._claim(batches)
        known = self._store.rows
        return claimed._replace(batches=[known.get(each.key, each) for each in claimed.batches])

    def _unknown(self, batches: list[Batch]) -> list[Batch]:
        return [batch for batch in batches if batch.run or batch.key not in self._store.rows]


class _CountsNoRepeats(SimSink):
    def _write(self, batches: list[Batch]) -> Written:
        return Written(super()._write(batches).stored, 0)


class _WritesTwice(Flusher):
    """Names a batch anew when the store failed, as a store without names would see it."""

    async def flush(self, trigger: str = "explicit") -> int:
        try:
            return await super().flush(trigger)
        except SinkUnavailable:
            _rename(self._buffer.head(self._options.max_events, self._options.max_bytes))
            raise


def _rename(batches: Sequence[Batch]) -> None:
    for batch in batches:
        batch.journal += "'"


MUTANTS: dict[str, Parts] = {
    "skips every sync": Parts(files=_SkipsSync),
    "answers before the journal has it": Parts(intake=_AnswersEarly),
    "skips the CRC": Parts(disk=_SkipsCrc),
    "lets go before the store has it": Parts(flusher=_LetsGoFirst),
    "reserves room only after the journal": Parts(buffer=_ReservesNothing),
    "trims the journal before the store synced": Parts(flusher=_TrimsUnsynced),
    "keeps its identity over a restart": Parts(journal=_ReusesIdentity),
    "leaves a failed write behind": Parts(journal=_LeavesFailedWrites),
    "believes a short write": Parts(files=_BelievesShortWrites),
    "does not sync the folder": Parts(files=_SkipsFolderSync),
    "commits a group backwards": Parts(intake=_SettlesBackwards),
    "takes a failed store for a stored flush": Parts(flusher=_TakesFailureForSuccess),
    "retries under another name": Parts(flusher=_WritesTwice),
    "gives replayed batches a new name": Parts(journal=_RenamesOnReplay),
    "takes a batch back when its client hangs up": Parts(intake=_CancelsWithTheRequest),
    "stops reading at the first broken record": Parts(disk=_StopsAtTheFirstBrokenRecord),
    "keeps room for who gave up": Parts(intake=_KeepsRoomForWhoGaveUp),
    "believes a failed sync": Parts(journal=_BelievesAFailedSync),
    "drops what cannot be stored": Parts(flusher=_ForgetsThePoison),
    "buries what a broken store refuses": Parts(flusher=_BuriesWhatABrokenStoreRefuses),
    "does not count what it replays": Parts(gateway=_ForgetsToCountReplays),
    "does not drain": Parts(flusher=_LeavesAtOnce),
    "counts a segment as stored with its first batch": Parts(journal=_CountsSegmentsAsStored),
    "does not sync what it replays": Parts(disk=_DoesNotSyncWhatItReplays),
    "does not wait for the group when it stops": Parts(gateway=_DoesNotWaitForTheGroup),
    "stops syncing before the store closed": Parts(gateway=_StopsSyncingBeforeTheStoreClosed),
    "gives up at the first failed sync": Parts(files=_GivesUpAtTheFirstFailedSync),
    "leaves what it could not sync": Parts(journal=_LeavesWhatItCouldNotSync),
    "closes files under a running thread": Parts(journal=_LeavesThreadsBehind),
    "forgets runs when it replays": Parts(journal=_ForgetsRunsOnReplay),
    "forgets runs when it starts": Parts(sink=_ForgetsRunsAtStart),
    "knows no runs": Parts(sink=_KnowsNoRuns),
    "claims numbers before it stores": Parts(sink=_ClaimsBeforeItStores),
    "cuts the wrong end": Parts(sink=_CutsTheWrongEnd),
    "counts replays as repeats": Parts(sink=_CountsReplaysAsRepeats),
    "counts no repeats": Parts(sink=_CountsNoRepeats),
}
