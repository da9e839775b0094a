"""What a store can tell about games over time."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

DAY = 86_400
"""Seconds; days are those of UTC, by the server's clock."""

SPANS = {3_600: 60, DAY: 900, 7 * DAY: 7_200, 30 * DAY: 28_800}
"""The time ranges that can be asked for, and the width of a bucket in each; seconds."""

DAYS_SHOWN = 30
"""What is kept by day is shown for 7 days in the short ranges and for so many in the long one."""


class Property(NamedTuple):
    """In a game's customdata, what has the ``meaning`` (price, country ...) is called ``name``."""

    game_id: str
    meaning: str
    name: str


class PropertyNames(Protocol):
    """Keeps what games call the properties that the views look for."""

    async def name_properties(self, properties: Sequence[Property]) -> None:
        """Have the views look for these properties by these names, and for all others as usual."""
        ...


class RolledUp(msgspec.Struct, frozen=True):
    """How far the figures follow the stored events: up to ``position``, of now ``end``."""

    position: int
    end: int


class Count(msgspec.Struct, frozen=True):
    """Events of one type that were received in the bucket that begins at ``start``."""

    start: int
    source: str
    type: str
    events: int


class Day(msgspec.Struct):
    """One day, numbered since the epoch.

    ``retained_1`` and ``retained_7`` are those of its new players who came back on the first and
    on the seventh day after it.
    """

    day: int
    players: int = 0
    new_players: int = 0
    retained_1: int = 0
    retained_7: int = 0
    sessions: int = 0
    ads: int = 0
    purchases: int = 0


class Level(msgspec.Struct, frozen=True):
    """One level: ``players`` completed it for the first time in the days asked for.

    ``seconds`` are the sum over those ``timed`` completions that say how long they took.
    """

    level: str
    completions: int
    failures: int
    players: int
    timed: int
    seconds: float


class GameCoins(msgspec.Struct, frozen=True):
    """Coins that the events of one game earned on one day; adjustments have no game."""

    day: int
    game_id: str
    coins: int


class Action(msgspec.Struct, frozen=True):
    """Sums over the events of one action type of Teak's; ``stats --app`` has them exactly."""

    action: str
    events: int
    occurrences: float
    value: float


class ProgramLoss(msgspec.Struct, frozen=True):
    """Of what the runs of an app version on a platform numbered, how much never came.

    The runs are those of which something came last in the days asked for; see ``stores.losses``.
    """

    app_version: str
    platform: str
    numbers: int
    lost: int


class Field(msgspec.Struct, frozen=True):
    """The values of one metadata field in the newest events of Lynes."""

    name: str
    kind: str
    values: int
    least: float | None
    mean: float | None
    most: float | None
    common: list[tuple[str, int]]


class ActiveGame(msgspec.Struct, frozen=True):
    """A game that sent something in the last 30 days, and how much."""

    game_id: str
    events: int


class Figures(msgspec.Struct, frozen=True):
    """Everything at once, as of one moment; events up to ``counted_until`` are in it.

    ``levels`` are those of ``levels_game``: the game asked for, or else the busiest.
    """

    followed: RolledUp
    counted_until: str | None
    games: list[ActiveGame]
    counts: list[Count]
    days: list[Day]
    levels_game: str | None
    levels: list[Level]
    coins: list[GameCoins]
    actions: list[Action]
    losses: list[ProgramLoss]
    fields: list[Field]
