"""Batches with properties, and what of them is in a lake."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from playsmart_gateway.events.batch import Batch, run_key
from playsmart_gateway.lake.manifest import Manifest, load
from playsmart_gateway.lake.place import Place, open_place
from playsmart_gateway.lake.writer import Writer, Written
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import LakeReader

DAY = 86_400_000_000
NOON = 1_776_859_200_000_000
"""2026-04-22T12:00:00Z, in microseconds; batches of the tests come on that day."""

AFTERWARDS = NOON / 1e6 + 3 * 86_400
"""When that day is over."""

GAME = "com.example.game"


def batch(
    sequence: int,
    *customdata: Any,
    user_id: str = "ada",
    game_id: str = GAME,
    day: int = 0,
    run: bytes = b"",
    kind: str = "Custom",
) -> Batch:
    """A batch whose events have this customdata: values, or JSON as text."""
    rows = [
        [
            kind,
            f"e{place}" if kind == "Custom" else None,
            f"2026-04-22T14:30:{place % 60:02d}Z",
            ...,
        ]
        for place in range(len(customdata))
    ]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in customdata]
    encoded = [
        json.dumps(row[:3])[:-1] + "," + text + "]" for row, text in zip(rows, texts, strict=True)
    ]
    return Batch(
        source="playsmart",
        game_id=game_id,
        user_id=user_id,
        count=len(rows),
        rows=f"[{','.join(encoded)}]".encode(),
        journal="11" * 16,
        sequence=sequence,
        received_at=NOON + sequence * 1_000 + day * DAY,
        run=run_key(run, game_id, user_id) if run else b"",
        seq=7 if run else 0,
    )


async def store(url: str, *batches: Batch) -> None:
    async with open_store(url) as sink:
        for each in batches:
            await sink.write([each])


async def write_all(
    place: Place, reader: LakeReader, *, chunk_events: int = 50_000, now: float = NOON / 1e6
) -> Written:
    """Write and merge until nothing is due."""
    writer = Writer(place, reader, lambda: now, chunk_events=chunk_events)
    while (done := await writer.step()).more:
        pass
    return done


def lake_in(folder: Path) -> Place:
    return open_place(str(folder / "lake"))


def manifest_of(place: Place) -> Manifest:
    found = load(place)
    assert found is not None
    return found


def files_in(folder: Path) -> set[str]:
    """All files below the lake's events, by their names."""
    lake = folder / "lake"
    return {str(each.relative_to(lake)) for each in lake.glob("events/**/*") if each.is_file()}


def rows_in(place: Place, columns: str = "event_id", rest: str = "") -> list[tuple[Any, ...]]:
    """What DuckDB finds in the files that count, past everything that is ours but the manifest."""
    files = [place.path(each.name) for each in manifest_of(place).files]
    if not files:
        return []
    query = f"SELECT {columns} FROM read_parquet(?, union_by_name = true) {rest}"
    with duckdb.connect() as db:
        return db.execute(query, [files]).fetchall()


def ids_in(place: Place) -> Sequence[int]:
    return sorted(event_id for (event_id,) in rows_in(place))
