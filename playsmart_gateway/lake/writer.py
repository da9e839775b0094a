"""Follows the store into the lake: a chunk of events a step, each in exactly one file."""

import time
from collections.abc import Callable

import msgspec

from playsmart_gateway.catalogue.definitions import Definitions
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.lake.compaction import FULL_EVENTS, compact
from playsmart_gateway.lake.following import Chunk, read_chunk, require_same_store
from playsmart_gateway.lake.kinds import defined_kinds
from playsmart_gateway.lake.manifest import File, Manifest, begin, commit, sweep, with_files
from playsmart_gateway.lake.place import Place
from playsmart_gateway.lake.tables import in_order, joined, write
from playsmart_gateway.stores.readers import LakeReader

CHUNK_EVENTS = FULL_EVENTS
"""Of one step: a file of so many is not written once more."""

PATIENCE_SECONDS = 30.0
"""For somebody else to give back the turn."""


class Written(msgspec.Struct, frozen=True):
    """How far a lake is after a step: ``events`` were written; ``more`` wait, or can be merged.

    It goes up to ``position`` of now ``end``, and ``lag_batches`` is what is in between.
    """

    events: int
    position: int
    end: int
    files: int
    more: bool

    @property
    def lag_batches(self) -> int:
        """Batches, or places for them, that are not in the lake."""
        return lag_between(self.position, self.end)


def lag_between(position: int, end: int) -> int:
    """Return how many batches, or places for them, are between two events."""
    return max(0, end // MAX_EVENTS_PER_BATCH - position // MAX_EVENTS_PER_BATCH)


class Writer:
    """Writes what ``reader`` reads to the lake at ``place``; ``wall`` tells when a day is over.

    ``definitions`` say which properties are columns, before what was learned does.
    It remembers nothing that the manifest does not say, so there may be several of them.
    """

    def __init__(
        self,
        place: Place,
        reader: LakeReader,
        wall: Callable[[], float] = time.time,
        *,
        chunk_events: int = CHUNK_EVENTS,
        definitions: Definitions | None = None,
    ) -> None:
        self._place = place
        self._reader = reader
        self._wall = wall
        self._chunk_events = chunk_events
        self._defined = defined_kinds(definitions or {})
        self._is_tidy = False

    async def step(self) -> Written:
        """Write the next events, if there are any, and merge files if some are due.

        Raises:
            LakeError: the lake cannot be written now, or follows another store.
            SinkUnavailable: the store cannot be read now, or others had the turn for too long.
        """
        async with self._reader.turn(PATIENCE_SECONDS):
            tidy, self._is_tidy = self._is_tidy, False
            manifest = begin(self._place)
            await require_same_store(self._reader, manifest)
            if manifest.batch is not None and not tidy:
                sweep(self._place, manifest)
                tidy = True
            chunk = await read_chunk(
                self._reader, manifest, self._chunk_events, defined=self._defined
            )
            if chunk.position > manifest.position:
                manifest = commit(self._place, manifest, self._with(manifest, chunk))
                if not tidy:  # before, nobody knew whose a new lake is, and what is in it
                    sweep(self._place, manifest)
            behind = chunk.position < chunk.end
            merged = compact(self._place, manifest, None if behind else self._wall())
            if merged is not None:
                manifest = commit(self._place, manifest, merged)
            self._is_tidy = True
        more = behind or merged is not None
        return Written(chunk.events, manifest.position, chunk.end, len(manifest.files), more)

    def _with(self, manifest: Manifest, chunk: Chunk) -> Manifest:
        """Write files of a chunk, and return the manifest with them."""
        new = []
        for pile in chunk.piles:
            ids = pile.first, pile.last
            file = File(pile.game_id, pile.day, *ids, manifest.version + 1)
            table, properties = joined(pile.tables)
            new.append((write(self._place, file, in_order(table)), properties))
        assert chunk.batch is not None
        now = msgspec.structs.replace(
            manifest,
            position=chunk.position,
            # A batch is stored at once.
            whole_batch=chunk.batch.batch_id - (chunk.position < chunk.end),
            batch=(chunk.batch.journal, chunk.batch.sequence),
            games=chunk.games,
        )
        return with_files(now, manifest.files, new)
