"""Rounds in which hands, a store and a log that nobody reads do what they do in production.

Each round has a folder of its own and draws from the seed and its number what happens half-way
through its load, and whether the gateway is killed (-9) afterwards or ends in order:

- ``database moved``, ``removed``, ``replaced`` (by an older copy of itself, over it).
- ``journal moved``, ``removed``: what is acknowledged in the second until it is made anew is in
  memory only, so nobody is killed before that.
- ``store away at start``: the database is locked by somebody when the gateway starts.
- ``log unread``: standard error is a pipe that is full.

Then it is started once more, left to drain, and counted over all files of the database together:
what was acknowledged is in one of them, and in none twice.
"""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from tests.support.faults import locked
from tests.support.players import Client, Ledger, load
from tests.support.polling import until
from tests.support.target import Target

Kind = Literal[
    "database moved",
    "database removed",
    "database replaced",
    "journal moved",
    "journal removed",
    "store away at start",
    "log unread",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
CLIENTS = 6
OLD = "old.db"
_ROWS = "SELECT user_id, customdata ->> 'b', customdata ->> 'n' FROM events"

Key = tuple[str, int, int]


@dataclass
class Counts:
    """What was found over all rounds; ``kept_twice`` are events in the old file and the new one."""

    rounds: int = 0
    killed: int = 0
    accepted_events: int = 0
    lost_events: int = 0
    doubled_events: int = 0
    never_accepted_events: int = 0
    kept_twice: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost_events or self.doubled_events or self.never_accepted_events)


async def play(folder: Path, seed: int, number: int, counts: Counts, *, workers: int = 1) -> Kind:
    """Play round ``number`` in ``folder`` and add to ``counts``; return what happened in it."""
    chance = Random(f"hands {seed} {number}")
    kind = KINDS[(number - 1) % len(KINDS)]
    seconds, is_killed = chance.uniform(0.3, 1.5), chance.random() < 0.5
    ledger = Ledger()
    settings: dict[str, Any] = {
        "journal__fsync": chance.choice(("interval", "interval", "always", "never")),
        "buffer__flush_interval_seconds": chance.choice((0.05, 0.2, 1.0)),
        "server__workers": workers,
    }
    with Target(folder, **settings) as target:
        target.is_unread = kind == "log unread"
        await target.up()
        clients = [
            Client(f"player-{place}", target.port, ledger, seed=seed + number, pause=0.02)
            for place in range(CLIENTS)
        ]
        if kind == "store away at start":
            assert await target.stop() == 0
            await _away_at_start(target, clients, seconds)
        else:
            async with load(clients):
                await asyncio.sleep(seconds / 2)
                await _happens(kind, target)
                await asyncio.sleep(seconds / 2)
                if kind.startswith("journal"):
                    await _made_anew(target)
                if is_killed:
                    target.kill()
        if is_killed:
            target.kill()
            await target.up()
        await target.wait_ready()
        await target.drained()
        assert await target.stop() == 0, target.log
        counts.rounds += 1
        counts.killed += is_killed
        counts.by_kind[kind] = counts.by_kind.get(kind, 0) + 1
        _count(target, ledger, counts)
    return kind


async def _away_at_start(target: Target, clients: list[Client], seconds: float) -> None:
    with locked(target.database):
        target.start()

        async def answers() -> bool:
            return (await target.ready())[0] == 503

        await until(answers, "it serves, and is not ready")
        async with load(clients):
            await asyncio.sleep(seconds)


async def _happens(kind: Kind, target: Target) -> None:
    database, journal = target.database, target.journal
    if kind == "database moved":
        database.rename(database.with_name(OLD))
    elif kind == "database removed":
        database.unlink()
    elif kind == "database replaced":
        copy = database.with_name("copy.db")
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as made,
        ):
            source.backup(made)
        await asyncio.sleep(0.3)
        shutil.copyfile(copy, database)
        copy.unlink()
    elif kind == "journal moved":
        journal.rename(journal.with_name("moved"))
    elif kind == "journal removed":
        shutil.rmtree(journal)


async def _made_anew(target: Target) -> None:
    async def has_segments() -> bool:
        return any(target.journal.rglob("*.journal")) and await target.is_ready()

    await until(has_segments, "the journal is made anew")


def _count(target: Target, ledger: Ledger, counts: Counts) -> None:
    old = target.database.with_name(OLD)
    files = [target.database, *([old] if old.exists() else [])]
    found: list[list[Key]] = []
    for file in files:
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], file
            is_ours = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone()
            found.append(db.execute(_ROWS).fetchall() if is_ours else [])
    whole: dict[Key, str] = {
        (name, batch, place): outcome
        for (name, batch), (size, outcome) in ledger.batches.items()
        for place in range(size)
    }
    stored = {key for rows in found for key in rows}
    counts.accepted_events += ledger.events("accepted")
    counts.lost_events += sum(
        outcome == "accepted" and key not in stored for key, outcome in whole.items()
    )
    counts.doubled_events += sum(len(rows) - len(set(rows)) for rows in found)
    counts.never_accepted_events += sum(whole.get(key, "refused") == "refused" for key in stored)
    counts.kept_twice += sum(len(set(rows)) for rows in found) - len(stored)
