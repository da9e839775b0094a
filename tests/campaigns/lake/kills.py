"""The lake is killed again and again while the store grows, days end and players are erased.

Each round a process that follows the store is killed with SIGKILL at a random moment, while batches
of several games and days come in; the days are over, so it merges all the time. Every few rounds a
player is erased. Whatever was killed where: the files that count are there, have each event once,
and when it is left alone the lake has what the store has.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.lake import follower
from playsmart_gateway.lake.errands import erase
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.manifest import load
from playsmart_gateway.lake.place import open_place
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import batch, rows_in
from tests.support.stores import select

PLAYERS = [f"player-{letter}" for letter in "abcdefghijkl"]
GAMES = ["com.example.game", "com.example.other"]
DAYS = 3
START_SECONDS = 60.0
LONGEST_LIFE_SECONDS = 0.25
"""Behind its first step."""

ERASE_EVERY = 25
LOOK_EVERY = 10


@dataclass
class Total:
    """The campaign so far."""

    kills: int = 0
    events: int = 0
    erased: int = 0
    merged: int = 0
    left_by_the_dead: int = 0


def live(job: Job, started: Event) -> None:
    """Follow the store until killed."""
    follower.RESTS, follower.TROUBLED_SECONDS = 0, 0.0
    asyncio.run(follower.follow(job, lambda _: started.set(), asyncio.Event()))


class Campaign:
    """Rounds on one store and one lake below ``folder``, drawn from ``seed``."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.total = Total()
        self._random = Random(seed)
        self._folder = folder
        self._url = f"sqlite:///{folder}/events.db"
        self._job = Job(str(folder / "lake"), self._url, 0.001)
        self._sequence = 0
        self._fork = multiprocessing.get_context("forkserver")
        self._fork.set_forkserver_preload(["tests.campaigns.lake.kills"])

    async def round(self, number: int) -> None:
        """Play one.

        Raises:
            AssertionError: something is lost, doubled or not erased.
        """
        async with open_store(self._url) as store:
            await store.write([self._batch() for _ in range(self._random.randint(1, 8))])
        started = self._fork.Event()
        life = self._fork.Process(target=live, args=(self._job, started))
        life.start()
        assert await asyncio.to_thread(started.wait, START_SECONDS)
        deadline = time.monotonic() + self._random.uniform(0, LONGEST_LIFE_SECONDS)
        async with open_store(self._url) as store:
            while time.monotonic() < deadline:
                await asyncio.sleep(self._random.uniform(0, 0.02))
                await store.write([self._batch()])
        assert life.pid is not None
        os.kill(life.pid, signal.SIGKILL)
        await asyncio.to_thread(life.join)
        assert life.exitcode == -signal.SIGKILL, "it ended by itself"
        self.total.kills += 1
        if number % ERASE_EVERY == 0:
            await self._erase(self._random.choice(PLAYERS))
        if number % LOOK_EVERY == 0:
            await self.look()

    async def end(self) -> None:
        """Let the lake catch up, and compare all of it.

        Raises:
            AssertionError: something is lost, doubled or not erased.
        """
        await follower.write_all(self._job)
        await self.look()
        wanted = "event_id, user_id, type, game_id, p_n"
        place = open_place(self._job.lake_url)
        stored = "event_id, user_id, type, game_id, customdata ->> 'n'"
        assert sorted(rows_in(place, wanted)) == await select(
            self._url, f"SELECT {stored} FROM events ORDER BY event_id"
        )
        files = {str(each.relative_to(place.root)) for each in self._files()}
        manifest = load(place)
        assert manifest is not None
        assert files == {each.name for each in manifest.files}
        self.total.events = manifest.events

    async def look(self) -> None:
        """See that each event up to where the lake is, and no other, is there once."""
        place = open_place(self._job.lake_url)
        manifest = load(place)
        if manifest is None:
            return
        names = {each.name for each in manifest.files}
        there = {str(each.relative_to(place.root)) for each in self._files()}
        assert names <= there, "a file that counts is gone"
        self.total.left_by_the_dead += len(there - names)
        self.total.merged += sum(each.first // 256 != each.last // 256 for each in manifest.files)
        ids = sorted(event_id for (event_id,) in rows_in(place))
        query = f"SELECT event_id FROM events WHERE event_id <= {manifest.position} ORDER BY 1"
        assert ids == [event_id for (event_id,) in await select(self._url, query)]
        assert manifest.events == len(ids)

    async def _erase(self, player: str) -> None:
        async with open_store(self._url) as store:
            await store.erase(player)
        self.total.erased += await erase(self._job, player, dry_run=False)
        for each in self._files():
            assert player.encode() not in each.read_bytes()
        place = open_place(self._job.lake_url)
        assert not rows_in(place, "1", f"WHERE user_id = '{player}'")

    def _files(self) -> list[Path]:
        return [each for each in (self._folder / "lake/events").rglob("*") if each.is_file()]

    def _batch(self) -> Batch:
        self._sequence += 1
        draw = self._random
        return batch(
            self._sequence,
            *({"n": self._sequence} for _ in range(draw.randint(1, 5))),
            user_id=draw.choice(PLAYERS),
            game_id=draw.choice(GAMES),
            day=draw.randrange(DAYS),
        )
