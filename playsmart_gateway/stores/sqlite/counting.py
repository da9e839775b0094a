"""What stored batches add to the sums of the dashboard, counted from long texts in plain Python.

SQLite is quick at putting thousands of rows into one text and slow at taking their JSON apart or
sorting them; ``msgspec`` and ``Counter`` are quick at that. So each event costs a share of a few
long calls. What is known already is looked up by who keeps the tables: see ``rollup``.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain, count, repeat
from typing import NamedTuple

import msgspec

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, PLAYSMART
from playsmart_gateway.stores.rollups import DAY
from playsmart_gateway.stores.sql.rollup import MAX_LEVEL, MAX_LEVEL_LENGTH, MAX_SECONDS, MIN_LEVEL

_NULL = msgspec.Raw(b"null")


class Data(msgspec.Struct, gc=False):
    """What of an event's customdata tells of a level; of two members of one name the last."""

    level: msgspec.Raw = _NULL
    duration_seconds: msgspec.Raw = _NULL
    reason: msgspec.Raw = _NULL


Attempt = tuple[int, int, Data | None]
"""An event that tells of a level: its id, what it is, and its data if that is not too long."""

COMPLETED, ENDED, FAILED = range(3)
"""What an attempt is. One that ended with the game failed, unless its reason is that it was
completed: that is told by an event of its own."""

decode_data = msgspec.json.Decoder(Data).decode
decode_attempts = msgspec.json.Decoder(list[Attempt]).decode


class Batches(NamedTuple):
    """The headers of some batches, a list for each column. Minutes and days since the epoch."""

    ids: Sequence[int]
    sources: Sequence[str]
    games: Sequence[str]
    users: Sequence[str]
    minutes: Sequence[int]
    days: Sequence[int]

    @classmethod
    def read(cls, ids: Sequence[int], text: str) -> "Batches":
        """Read source, game, user and minute of batches with these ids, with a NUL between all.

        Raises:
            ValueError: that is not what it is.
        """
        fields = text.split("\0") if text else []
        if len(fields) != 4 * len(ids):
            raise ValueError("a text holds NUL")
        times = fields[3::4]
        seconds = {time: int(datetime.fromisoformat(f"{time}Z").timestamp()) for time in {*times}}
        days = {time: at // DAY for time, at in seconds.items()}
        return cls(
            ids, fields[0::4], fields[1::4], fields[2::4],
            [*map(seconds.__getitem__, times)], [*map(days.__getitem__, times)],
        )  # fmt: skip


Sighting = tuple[str, str, int]
"""A player (or ``''`` for all) who played a game on a day."""


class Levels(NamedTuple):
    """Levels by game, day and name: completions, failures, how many were timed, seconds.

    ``completed`` has by game, player and level the day when they first completed it.
    """

    sums: dict[tuple[str, int, str], list[float]]
    completed: dict[tuple[str, str, str], int]


def count_events(
    batches: Batches, sizes: Sequence[int], types: Sequence[str]
) -> list[list[object]]:
    """Return minute, game, source, type and how many there are, of events of these types.

    The first ``sizes[0]`` types are those of the first batch, and so on.
    """
    kinds: dict[tuple[int, str, str], int] = {}
    keys = zip(batches.minutes, batches.games, batches.sources, strict=True)
    alike = [*map(kinds.setdefault, keys, count())]
    of_events = repeat(0) if len(kinds) == 1 else chain.from_iterable(map(repeat, alike, sizes))
    if sum(sizes) != len(types):
        raise ValueError("there are events without a batch, or a text holds NUL")
    counted = Counter(zip(of_events, types, strict=False))
    listed = {number: kind for kind, number in kinds.items()}
    return [[*listed[kind], type_, events] for (kind, type_), events in counted.items()]


def seen(batches: Batches, others: Mapping[int, Sequence[str]]) -> dict[Sighting, None]:
    """Return who played a game on a day, in the order of the batches.

    ``others`` are the players whom the events of a batch name that has none itself.
    """
    sightings = zip(batches.games, batches.users, batches.days, strict=True)
    if "" not in batches.users:
        return dict.fromkeys(sightings)
    found: dict[Sighting, None] = {}
    for batch_id, (game, user, day) in zip(batches.ids, sightings, strict=True):
        for each in [user] if user else others.get(batch_id, ()):
            found[game, each, day] = None
    return found


def count_levels(batches: Batches, attempts: Sequence[Attempt]) -> Levels:
    """Return what attempts, all of them with data, tell of levels."""
    levels = Levels(defaultdict(lambda: [0, 0, 0, 0.0]), {})
    places = {batch_id: place for place, batch_id in enumerate(batches.ids)}
    names, times = _Names(), _Times()
    _, sources, games, users, _, days = batches
    for event_id, what, data in attempts:
        assert data is not None
        level = names[bytes(data.level)]
        if level is None:
            continue
        place = places[event_id // MAX_EVENTS_PER_BATCH]
        if sources[place] != PLAYSMART or (what == ENDED and _is_completed(bytes(data.reason))):
            continue
        game, day = games[place], days[place]
        sums = levels.sums[game, day, level]
        if what == COMPLETED:
            sums[0] += 1
            levels.completed.setdefault((game, users[place], level), day)
            seconds = times[bytes(data.duration_seconds)]
            if seconds is not None:
                sums[2] += 1
                sums[3] += seconds
        else:
            sums[1] += 1
    return levels


class _Names(dict[bytes, str | None]):
    """By the JSON of a level what it is called (see ``sql.rollup``), None if it is none."""

    def __missing__(self, text: bytes) -> str | None:
        name = self[text] = _level(text)
        return name


def _level(text: bytes) -> str | None:
    if text[:1] == b'"':
        name = str(json.loads(text.decode("utf-8", "replace")))
        return name if 1 <= len(name) <= MAX_LEVEL_LENGTH and "\0" not in name else None
    if not text[:1].isdigit() and text[:1] != b"-":
        return None
    if len(text) <= 20 and text.lstrip(b"-").isdigit() and -(2**63) <= int(text) < 2**63:
        return str(int(text))
    number = float(text)
    if abs(number) > MAX_LEVEL:
        return None
    if abs(number) < MIN_LEVEL:
        return "0"
    if abs(number) < 9.2e18 and number.is_integer():
        return str(int(number))
    return f"{number:.15g}"


class _Times(dict[bytes, float | None]):
    """By the JSON of how long something took that number, None if it is none."""

    def __missing__(self, text: bytes) -> float | None:
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1
        time = self[text] = seconds if 0 <= seconds <= MAX_SECONDS else None
        return time


def _is_completed(text: bytes) -> bool:
    return text == b'"completed"' or (b"\\" in text and json.loads(text) == "completed")
