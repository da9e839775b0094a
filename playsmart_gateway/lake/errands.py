"""What commands ask of a lake beside the one who writes it: each has the turn of the store."""

from datetime import datetime
from typing import NamedTuple

from playsmart_gateway.lake import forgetting
from playsmart_gateway.lake.following import require_same_store
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.manifest import load
from playsmart_gateway.lake.place import open_place
from playsmart_gateway.lake.writer import lag_between
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.open import open_store

PATIENCE_SECONDS = 60.0
"""For a step of the one who writes."""


class State(NamedTuple):
    """How a lake is: what is in it, and how many batches, or places for them, are not."""

    events: int
    files: int
    lag: int


async def look(job: Job) -> State | None:
    """Return how a lake is; None if there is none yet.

    Raises:
        LakeError: it cannot be read, or is another store's.
        SinkUnavailable: the store cannot be read.
    """
    manifest = load(open_place(job.lake_url))
    if manifest is None:
        return None
    async with open_store(job.database_url).reader() as reader:
        newest = await reader.newest_event_id()
        await require_same_store(reader, manifest)
    return State(manifest.events, len(manifest.files), lag_between(manifest.position, newest))


def require_reachable(job: Job) -> None:
    """Look whether the lake can be read.

    Raises:
        LakeError: it cannot.
    """
    load(open_place(job.lake_url))


def last_whole_batch(job: Job) -> int:
    """Return the id of the last batch of which everything is in the lake; 0 if there is none.

    Raises:
        LakeError: the lake cannot be read.
    """
    manifest = load(open_place(job.lake_url))
    return 0 if manifest is None else manifest.whole_batch


async def erase(job: Job, user_id: str, *, dry_run: bool) -> int:
    """Take a player out, or only count; return how many events it is about.

    Raises:
        LakeError: the lake cannot be reached; what was not done is done by calling it again.
        SinkUnavailable: somebody else has the turn for too long.
    """
    place = open_place(job.lake_url)
    if dry_run:
        return forgetting.count_player(place, user_id)
    async with (
        open_store(job.database_url).reader() as reader,
        reader.turn(PATIENCE_SECONDS),
    ):
        return forgetting.erase_player(place, user_id)


async def clear(job: Job, traces: Traces, *, dry_run: bool) -> int:
    """Take a game and made-up players out, or only count; return how many events it is about.

    Raises:
        LakeError: the lake cannot be reached; what was not done is done by calling it again.
        SinkUnavailable: somebody else has the turn for too long.
    """
    place = open_place(job.lake_url)
    if dry_run:
        return forgetting.clear(place, traces, dry_run=True)
    async with (
        open_store(job.database_url).reader() as reader,
        reader.turn(PATIENCE_SECONDS),
    ):
        return forgetting.clear(place, traces, dry_run=False)


async def expire(
    job: Job, before: datetime, game_id: str | None, type_: str | None, *, dry_run: bool
) -> int:
    """Delete what was received before then, or only count; see ``forgetting.expire``.

    Raises:
        LakeError: the lake cannot be reached; what was not done is done by calling it again.
        SinkUnavailable: somebody else has the turn for too long.
    """
    place = open_place(job.lake_url)
    async with (
        open_store(job.database_url).reader() as reader,
        reader.turn(PATIENCE_SECONDS),
    ):
        return forgetting.expire(place, before, game_id, type_, dry_run=dry_run)
