"""What the lake costs: to write it, and to ask it beside the store and beside an export of it.

All figures are seconds of a processor, each question the least of some tries in turn, so they can
be held against each other on a machine that has other work, and only there. Events are those of a
real game, repeated, if they are beside the project, else made up to be like them.
"""

import gzip
import json
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run
from time import process_time
from typing import Any

import duckdb

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.lake.manifest import load
from playsmart_gateway.lake.place import open_place
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import NOON
from tests.support.process import clean_environment
from tests.support.waves import PATH

EVENTS_PER_SECOND = 20_000
PER_BATCH = 200
TRIES = 3
BATCHES_PER_WRITE = 50
_PLAYERS = (
    "SELECT type, custom_event_name, count(*), count(DISTINCT user_id) FROM {0} GROUP BY 1, 2"
)
_LEVELS = "SELECT {1}, count(*) FROM {0} GROUP BY 1 ORDER BY 1"
_MEANS = "SELECT {1}, avg({2}) FROM {0} WHERE type = 'LevelCompleted' GROUP BY 1 ORDER BY 1"
QUESTIONS = {"events and players by type and name": _PLAYERS, "events by level": _LEVELS,
             "mean of a property by level": _MEANS}  # fmt: skip


@dataclass
class Cost:
    """What it took; ``seconds`` of each question, by who was asked."""

    events: int
    seconds_per_100_000: float = 0.0
    cores_at_20_000_a_second: float = 0.0
    most_megabytes: int = 0
    megabytes: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)


def sample() -> Iterator[tuple[str, str, list[list[Any]]]]:
    """Yield batches for ever, some months apart for whoever sends them: game, player, rows."""
    if not PATH.exists():
        number = 0
        while True:
            number += 1
            yield (
                "com.example.game",
                f"player-{number % 499}",
                [made_up(n) for n in range(PER_BATCH)],
            )
    bodies = [json.loads(line) for line in gzip.decompress(PATH.read_bytes()).splitlines()]
    turn = 0
    while True:
        turn += 1
        for body in bodies:
            rows = [
                [
                    each["type"],
                    each.get("customEventName"),
                    each["timestamp"][:19] + "Z",
                    each["customdata"],
                ]
                for each in body["events"]
            ]
            yield body["game_id"], f"{body['user_id']}-{turn}", rows


def made_up(number: int) -> list[Any]:
    """An event like those of the sample: eleven properties, few values of most."""
    said: dict[str, Any] = {f"amplitude_{n}": number % 97 / 7 + n for n in range(6)}
    said |= {"level": number % 30, "closeness": number * 0.37, "browser": "Mozilla/5.0 " * 9}
    said |= {"server_time": f"2026-04-22T12:{number % 60:02d}:00", "wave": "left"}
    kind = "LevelCompleted" if number % 17 == 0 else "Custom"
    name = None if kind == "LevelCompleted" else f"event {number % 12}"
    return [kind, name, f"2026-04-22T12:00:{number % 60:02d}Z", said]


async def fill(url: str, events: int) -> int:
    """Store so many events or some more, and return how many."""
    count = sequence = 0
    waiting: list[Batch] = []
    async with open_store(url) as store:
        for game_id, user_id, rows in sample():
            sequence += 1
            content = json.dumps(rows, separators=(",", ":")).encode()
            waiting.append(
                Batch(
                    source="playsmart", game_id=game_id, user_id=user_id, count=len(rows),
                    rows=content, journal="11" * 16, sequence=sequence,
                    received_at=NOON + sequence * 1_000, run=b"", seq=0,
                )
            )  # fmt: skip
            count += len(rows)
            if len(waiting) == BATCHES_PER_WRITE or count >= events:
                await store.write(waiting)
                waiting = []
            if count >= events:
                return count
    raise AssertionError


async def measure(folder: Path, events: int) -> Cost:
    """Fill a store and measure; ``AssertionError`` if the answers are not the same."""
    url, lake, exported = f"sqlite:///{folder}/events.db", folder / "lake", folder / "all.parquet"
    cost = Cost(await fill(url, events))
    environment = {"PLAYSMART_STORAGE__URL": url, "PLAYSMART_LAKE__URL": str(lake)}

    def command(*arguments: str) -> tuple[float, int]:
        """Run it, and return the seconds of a processor that it took, and its most megabytes."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(
            [sys.executable, "-P", "-m", "playsmart_gateway", *arguments],
            env={**clean_environment(), **environment}, check=True, capture_output=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return took, after.ru_maxrss // 1_024

    seconds, cost.most_megabytes = command("lake", "--once")
    cost.seconds_per_100_000 = seconds / cost.events * 100_000
    command("export", "--output", str(exported))
    cost.cores_at_20_000_a_second = cost.seconds_per_100_000 * EVENTS_PER_SECOND / 100_000
    files = [each.name for each in (load(open_place(str(lake))) or missing()).files]
    cost.megabytes = {
        "store": (folder / "events.db").stat().st_size / 1e6,
        "export": exported.stat().st_size / 1e6,
        "lake": sum((lake / each).stat().st_size for each in files) / 1e6,
    }
    paths = ", ".join(f"'{lake / each}'" for each in files)
    with closing(sqlite3.connect(folder / "events.db")) as db, duckdb.connect() as duck:
        asked: dict[str, tuple[Callable[[str], list[Any]], tuple[str, str, str]]] = {
            "store": (
                lambda sql: db.execute(sql).fetchall(),
                ("events", "customdata ->> '$.level'", "customdata ->> '$.closeness'"),
            ),
            "export": (
                lambda sql: duck.execute(sql).fetchall(),
                (
                    f"'{exported}'",
                    "CAST(customdata ->> '$.level' AS BIGINT)",
                    "CAST(customdata ->> '$.closeness' AS DOUBLE)",
                ),
            ),
            "lake": (
                lambda sql: duck.execute(sql).fetchall(),
                (f"read_parquet([{paths}])", "p_level", "p_closeness"),
            ),
        }
        for question, sql in QUESTIONS.items():
            cost.seconds[question] = compared(sql, asked)
    return cost


def compared(
    sql: str, asked: dict[str, tuple[Callable[[str], list[Any]], tuple[str, str, str]]]
) -> dict[str, float]:
    """Return what a question takes each of them, all answers being the same."""
    least = dict.fromkeys(asked, float("inf"))
    answers: dict[str, list[Any]] = {}
    for _ in range(TRIES):
        for name, (ask, words) in asked.items():
            before = process_time()
            found = ask(sql.format(*words))
            least[name] = min(least[name], process_time() - before)
            answers[name] = sorted(
                [tuple(round(each, 6) if isinstance(each, float) else each for each in row)
                 for row in found], key=str,
            )  # fmt: skip
    assert answers["store"] == answers["lake"] == answers["export"], "answers differ"
    return least


def missing() -> Any:
    """There is no lake."""
    raise AssertionError("there is no lake")
