"""What ``erase`` and ``load --clean`` share: removing beside a gateway that runs, or without."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import click

from playsmart_gateway.build import jetstream_for, rules_for
from playsmart_gateway.catalogue.configured import standard_for
from playsmart_gateway.cli.common import database_file
from playsmart_gateway.config import Config
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.errors import ConfigError, LakeError, SinkUnavailable
from playsmart_gateway.lake.job import Job, job_for
from playsmart_gateway.pipeline.errands import (
    Unanswered,
    ask_to_settle,
)
from playsmart_gateway.pipeline.journal import Journal
from playsmart_gateway.pipeline.journal_folders import (
    adopt,
    cut_set_aside,
    held_folders,
    journal_folders,
)
from playsmart_gateway.pipeline.wiring import Outlet, Wiring
from playsmart_gateway.stores.contract import EventSink, Store
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream import open_consumer
from playsmart_gateway.stream.options import is_nats

PATIENCE_SECONDS = 60.0
"""For a gateway to store what it has accepted, and for workers to store what is in the stream."""


class Target(Protocol):
    """What is to be removed."""

    @property
    def name(self) -> str:
        """Of whom a gateway forgets what it remembers: a player, or the beginning of many ids."""
        ...

    async def names(self, store: Store) -> set[str]:
        """Return the texts that mark a broken record of a journal as one that is to go."""
        ...

    async def remove(self, store: Store, *, dry_run: bool) -> dict[str, int]:
        """Remove it from the store, or only count; return the rows by table."""
        ...

    async def remove_from_lake(self, job: Job, *, dry_run: bool) -> int:
        """Remove it from the lake, or only count; return the events."""
        ...


class Erasure:
    """One run of a command; ``set_aside`` are the files of broken records with the target."""

    def __init__(self, config: Config, target: Target, patience_seconds: float) -> None:
        self._config = config
        self._target = target
        self._path = Path(config.journal.path)
        self._patience_seconds = patience_seconds
        self.set_aside: list[str] = []

    async def count(self) -> dict[str, int]:
        """Return how many rows would go, by table."""
        await _require_store(self._config)
        async with open_store(self._config.storage.database_url, migrates=False) as store:
            self._cut(await self._target.names(store), dry_run=True)
            counted = await self._target.remove(store, dry_run=True)
        return counted | await self._lake(dry_run=True)

    async def erase(self, *, rewrite: bool) -> dict[str, int]:
        """Erase, with the gateway if one runs; return how many rows went, by table."""
        config = self._config
        await _require_store(config)
        _require_lake(config)
        url, rules, program = config.storage.database_url, rules_for(config), program_for(config)
        async with contextlib.AsyncExitStack() as stack:
            running = self._running()
            sink = open_store(url, rules, program)
            waiting = None
            if config.journal.enabled and not running:
                waiting = stack.enter_context(self._waiting(sink))
            store = await stack.enter_async_context(sink)
            if waiting is not None:
                await _store_what_waits(*waiting)
            await self._settle(running, "nothing was erased")
            await self._let_stream_run_dry()
            names = await self._target.names(store)
            erased = await self._target.remove(store, dry_run=False)
            # What came in the meantime is not to stay in the journal either.
            await self._settle(running, "the rows are gone, but not from the journal")
            self._cut(names, dry_run=False)
            try:
                await store.scrub(rewrite=rewrite)
            except SinkUnavailable as error:
                text = f"the rows are gone, but the files still have copies: {error}"
                raise click.ClickException(f"{text}. {error.hint} Run this again.") from error
            return erased | await self._lake(dry_run=False)

    async def _lake(self, *, dry_run: bool) -> dict[str, int]:
        """Erase, or count, in the lake: what is written to it now is from a store without them."""
        if (job := job_for(self._config)) is None:
            return {}
        try:
            return {"lake": await self._target.remove_from_lake(job, dry_run=dry_run)}
        except (LakeError, SinkUnavailable) as error:
            if dry_run:
                raise
            text = f"the rows are gone, but the lake still has them: {error}"
            raise click.ClickException(f"{text}. Run this again.") from error

    def _running(self) -> list[Path]:
        try:
            return held_folders(self._path) if self._config.journal.enabled else []
        except OSError as error:
            problem = f"journal.path: {self._path} cannot be looked at: {error.strerror}"
            raise ConfigError([problem]) from error

    @contextlib.contextmanager
    def _waiting(self, sink: EventSink) -> Iterator[tuple[Journal, Outlet]]:
        """Hold the journal of a gateway that does not run, with what empties it."""
        wiring = Wiring(self._config, standard=standard_for(self._config))
        journal, outlet = wiring.journal_outlet(sink, self._path)
        journal.open()
        with contextlib.closing(journal):
            adopt(self._path, journal_folders(self._path)[1:])
            yield journal, outlet

    async def _settle(self, running: list[Path], outcome: str) -> None:
        try:
            await ask_to_settle(running, self._target.name, self._patience_seconds)
        except Unanswered as error:
            text = f"the gateway with the journal {error.folder} does not answer"
            hint = "Is its store away? See /readyz; or stop it, or give more time with --wait"
            raise click.ClickException(
                f"{outcome}: {text} in {self._patience_seconds:g} s. {hint}"
            ) from None

    async def _let_stream_run_dry(self) -> None:
        """Wait until no message waits for workers: they would bring it back."""
        if not is_nats(self._config.storage.url):
            return
        deadline = time.monotonic() + self._patience_seconds
        async with open_consumer(self._config.storage.url, jetstream_for(self._config)) as stream:
            while (state := await stream.state()).lag + state.ack_pending:
                if time.monotonic() > deadline:
                    waiting = state.lag + state.ack_pending
                    raise click.ClickException(
                        f"nothing was erased: {waiting:,} messages in the stream wait for the "
                        "workers; let them store these first"
                    )
                await asyncio.sleep(0.1)

    def _cut(self, names: set[str], *, dry_run: bool) -> None:
        self.set_aside = cut_set_aside(self._path, names, dry_run=dry_run)


async def _require_store(config: Config) -> None:
    async with open_store(config.storage.database_url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there must not be made by this


def _require_lake(config: Config) -> None:
    """Refuse while the lake is away, rather than leave it with what is gone elsewhere."""
    if (job := job_for(config)) is not None:
        from playsmart_gateway.lake import errands

        try:
            errands.require_reachable(job)
        except LakeError as error:
            raise click.ClickException(f"nothing was erased: {error}") from error


def require_room(config: Config) -> None:
    """Refuse where a file could not be written anew: once beside itself, once in its log."""
    file = database_file(config)
    if file is None or not file.exists():
        return
    needed, free = 2 * file.stat().st_size, shutil.disk_usage(file.parent).free
    if free < needed:
        raise click.ClickException(
            f"nothing was erased: to write {file} anew takes {needed / 2**20:,.0f} MiB, and "
            f"{free / 2**20:,.0f} MiB are free. Free some, or give --no-rewrite"
        )


async def _store_what_waits(journal: Journal, outlet: Outlet) -> None:
    """Do what a start and a stop of the gateway would do to the journal: leave it empty."""
    for batch in journal.replay():
        outlet.buffer.put(batch)
    try:
        while len(outlet.buffer):
            await outlet.flusher.flush()
    except SinkUnavailable as error:
        waiting = f"{outlet.buffer.events:,} events that wait in the journal could not be stored"
        raise click.ClickException(f"nothing was erased: {waiting}: {error}") from error
    outlet.flusher.stop()
    await outlet.flusher.run()  # the buffer is empty; the journal is next
    if journal.size:
        raise click.ClickException("nothing was erased: the journal could not be emptied")
