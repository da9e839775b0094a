"""Which players, days of players and levels of players are new in the sums, and what adds them.

Players are told by game and id; all games together are the game ``''``.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from playsmart_gateway.stores.sqlite.counting import Levels, Sighting

_KNOWN = """
    SELECT group_concat(ifnull(player_id, 0)), group_concat(ifnull(first_day, 0)),
           group_concat(EXISTS (
               SELECT 1 FROM rollup_player_days AS played
               WHERE played.player_id = known.player_id AND played.day = ?2
           ))
    FROM json_each(?1) AS game CROSS JOIN json_each(game.value) AS player
    LEFT JOIN rollup_players AS known ON game_id = game.key AND user_id = player.atom
"""
_KNOWN_LEVELS = """
    SELECT group_concat(EXISTS (
        SELECT 1 FROM rollup_player_levels AS known
        WHERE known.player_id = player.atom AND known.level = level.key
    ))
    FROM json_each(?) AS level CROSS JOIN json_each(level.value) AS player
"""
_LAST = "SELECT ifnull(max(player_id), 0) FROM rollup_players"


def _lists(*names: str) -> str:
    """Return SQL of lists and their items; a row of ``$1`` has what is named, and then those.

    The LIMIT, of none, has what is named taken out once a list and not once an item.
    """
    columns = "".join(f"value ->> {place} AS {name}, " for place, name in enumerate(names))
    return (
        f"(SELECT {columns}value -> {len(names)} AS items FROM json_each($1) LIMIT -1)"  # noqa: S608
        " CROSS JOIN json_each(items) AS item WHERE true"
    )


ADD_PLAYERS = f"""
    INSERT INTO rollup_players (player_id, game_id, user_id, first_day)
    SELECT item.atom, game, item.key, first FROM {_lists("game", "first")}
"""  # noqa: S608 - built from our own constants
ADD_PLAYER_DAYS = f"""
    INSERT INTO rollup_player_days (player_id, day)
    SELECT item.atom, played_on FROM {_lists("played_on")}
"""  # noqa: S608 - built from our own constants
ADD_PLAYER_LEVELS = f"""
    INSERT INTO rollup_player_levels (player_id, level, day)
    SELECT item.atom, done, done_on FROM {_lists("done", "done_on")}
"""  # noqa: S608 - built from our own constants
ADD_DAYS = """
    INSERT INTO rollup_days (game_id, day, players, new_players, retained_1, retained_7)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each($1) WHERE true
    ON CONFLICT DO UPDATE SET
        players = players + excluded.players,
        new_players = new_players + excluded.new_players,
        retained_1 = retained_1 + excluded.retained_1,
        retained_7 = retained_7 + excluded.retained_7
"""
ADD_LEVELS = """
    INSERT INTO rollup_levels
        (game_id, day, level, completions, failures, timed, seconds, players)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
           CAST(value ->> 6 AS REAL), value ->> 7
    FROM json_each($1) WHERE true
    ON CONFLICT DO UPDATE SET
        completions = completions + excluded.completions,
        failures = failures + excluded.failures,
        timed = timed + excluded.timed,
        seconds = seconds + excluded.seconds,
        players = players + excluded.players
"""

Player = tuple[str, str]
Rows = list[tuple[str, list[list[Any]]]]
"""Statements, each with what it adds."""


class Newcomers:
    """What is new of the players of a chunk, looked up in the read transaction of ``db``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        ((last,),) = db.execute(_LAST)
        self._first_id = self._next_id = last + 1
        self._known: dict[Player, tuple[int, int]] = {}
        """By player the number and the first day."""
        self._players: list[list[Any]] = []
        self._played = defaultdict[int, list[int]](list)
        self._days = defaultdict[tuple[str, int], list[int]](lambda: [0, 0, 0, 0])

    def see(self, sightings: Mapping[Sighting, None]) -> None:
        """Take note of who played a game on a day, in the order in which it was seen.

        Who is known to have played it on that day is known to have played any.
        """
        fresh = self._fresh(sightings)
        self._come(fresh)
        self._come(self._fresh({("", user, day): None for _, user, day in fresh}))

    def additions(self, levels: Levels) -> Rows:
        """Return what adds who was seen, and levels with who completed them first."""
        sums = {whose: [*numbers, 0] for whose, numbers in levels.sums.items()}
        firsts = defaultdict[tuple[str, int], list[int]](list)
        for (game, _, level), day, player_id in self._first_levels(levels.completed):
            sums[game, day, level][-1] += 1
            firsts[level, day].append(player_id)
        return [
            (ADD_PLAYERS, self._players),
            (ADD_PLAYER_DAYS, [[day, ids] for day, ids in self._played.items()]),
            (ADD_DAYS, [[*whose, *numbers] for whose, numbers in self._days.items()]),
            (ADD_LEVELS, [[*whose, *numbers] for whose, numbers in sums.items()]),
            (ADD_PLAYER_LEVELS, [[*level, ids] for level, ids in firsts.items()]),
        ]

    def _fresh(self, sightings: Mapping[Sighting, None]) -> list[Sighting]:
        """Return those that the sums do not have; the players of all are known afterwards."""
        by_day = defaultdict[int, defaultdict[str, list[str]]](lambda: defaultdict(list))
        for game, user, day in sightings:
            by_day[day][game].append(user)
        known: set[Sighting] = set()
        for day, games in by_day.items():
            (texts,) = self._db.execute(_KNOWN, (_json(games), day))
            asked = ((game, user) for game, users in games.items() for user in users)
            ids, firsts, played = (text.split(",") for text in texts)
            for player, number, first, has_played in zip(asked, ids, firsts, played, strict=True):
                if number != "0":
                    self._known[player] = int(number), int(first)
                    if has_played == "1":
                        known.add((*player, day))
        return [each for each in sightings if each not in known] if known else [*sightings]

    def _come(self, sightings: Iterable[Sighting]) -> None:
        """Give numbers to who is not known, and count all."""
        new = defaultdict[tuple[str, int], dict[str, int]](dict)
        again = []
        for sighting in sightings:
            game, user, day = sighting
            player = game, user
            if player in self._known:
                again.append(sighting)
            else:
                self._known[player] = self._next_id, day
                new[game, day][user] = self._next_id
                self._next_id += 1
        for (game, day), numbers in new.items():
            self._players.append([game, day, numbers])
            self._played[day] += numbers.values()
            self._days[game, day][0] += len(numbers)
            self._days[game, day][1] += len(numbers)
        for game, user, day in again:
            number, first = self._known[game, user]
            self._played[day].append(number)
            self._days[game, day][0] += 1
            if day - first in (1, 7):
                self._days[game, first][2 if day - first == 1 else 3] += 1

    def _first_levels(
        self, completed: Mapping[tuple[str, str, str], int]
    ) -> Iterator[tuple[tuple[str, str, str], int, int]]:
        """Yield what was completed for the first time, on which day, and by which number."""
        asked = defaultdict[str, list[tuple[tuple[str, str, str], int, int]]](list)
        for which, day in completed.items():
            game, user, level = which
            number, _ = self._known.get((game, user), (0, 0))
            if number >= self._first_id:
                yield which, day, number
            elif number:
                asked[level].append((which, day, number))
        if not asked:
            return
        numbers = {level: [number for *_, number in each] for level, each in asked.items()}
        ((known,),) = self._db.execute(_KNOWN_LEVELS, (_json(numbers),))
        each = (one for listed in asked.values() for one in listed)
        for one, is_known in zip(each, known.split(","), strict=True):
            if is_known == "0":
                yield one


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
