"""What looks after a journal and a store while a gateway runs, each of it a task of its own."""

import asyncio
import contextlib

from playsmart_gateway.errors import JournalUnavailable, SinkUnavailable
from playsmart_gateway.pipeline.flusher import COMMIT
from playsmart_gateway.pipeline.wiring import Pipeline
from playsmart_gateway.stores.contract import Awarding, EventSink, Replaceable
from playsmart_gateway.tasks import heed_cancellation

LOOK_SECONDS = 0.5
"""How often it is looked whether the store is still there, if nothing else finds out."""


class Caretaker:
    """Looks after what is behind ``pipeline``: its journal, the ``sink``, and commits of ``store``.

    The journal is synced, and looked at, every ``interval_seconds``.
    """

    def __init__(
        self, pipeline: Pipeline, sink: EventSink, store: Awarding, interval_seconds: float
    ) -> None:
        self._pipeline = pipeline
        self._sink = sink
        self._store = store
        self._interval_seconds = interval_seconds
        self._synced_commits = 0

    async def keep_synced(self) -> None:
        """Sync the journal at its interval; once more at the end, before the store closes."""
        journal = self._pipeline.journal
        try:
            while journal and journal.fsync == "interval":
                await asyncio.sleep(self._interval_seconds)
                await self.sync_journal()
                await self._sync_commits()
        finally:
            await self.sync_journal()  # a store that closes slowly must not keep this waiting

    async def sync_journal(self) -> None:
        """Sync the journal; that it failed is in its ``last_error``."""
        if self._pipeline.journal:
            with contextlib.suppress(JournalUnavailable):
                await self._pipeline.journal.sync()

    async def keep_healthy(self) -> None:
        """Find out when trouble with the journal ends.

        A task of its own: it may take its time, and the time between two syncs is a promise.
        """
        while self._pipeline.journal:
            await asyncio.sleep(self._interval_seconds)
            await self._pipeline.journal.heal()

    async def look_after_sink(self) -> None:
        """Find out when the sink was moved or replaced, though nothing is to be stored.

        The flusher then asks it until it is back.
        """
        flusher = self._pipeline.flusher
        while isinstance(self._sink, Replaceable):
            await asyncio.sleep(LOOK_SECONDS)
            if flusher.last_error is None:
                try:
                    await self._sink.look()
                except SinkUnavailable as error:
                    heed_cancellation()
                    flusher.note_failure(error)
                    self._pipeline.buffer.stirred.set()

    async def _sync_commits(self) -> None:
        """Sync what the commit queue has committed, which is in no journal, as often as that."""
        commits = self._pipeline.stats.flushes[COMMIT]
        if commits != self._synced_commits:
            try:
                await self._store.sync_commits()
                self._synced_commits = commits
            except SinkUnavailable:  # the next interval will do
                heed_cancellation()
