"""The sums of the dashboard as they are, and as they must be by the events alone."""

import json
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from playsmart_gateway.stores.rollups import DAY, SPANS
from tests.support.stores import select


async def tables(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the sums are, players by name."""
    player = "JOIN rollup_players USING (player_id)"
    queries = {
        "counts": "SELECT span, start, game_id, source, type, events FROM rollup_counts",
        "days": "SELECT game_id, day, players, new_players, retained_1, retained_7 "
        "FROM rollup_days",
        "player_days": f"SELECT game_id, user_id, day FROM rollup_player_days {player}",
        "player_levels": f"SELECT game_id, user_id, level, day FROM rollup_player_levels {player}",
        "levels": "SELECT game_id, day, level, completions, failures, players, timed, "
        "seconds FROM rollup_levels",
        "coins": "SELECT day, game_id, coins FROM rollup_coins",
        "actions": "SELECT game_id, day, action, events, occurrences, value FROM rollup_actions",
    }
    return {name: sorted(rounded(await select(url, query))) for name, query in queries.items()}


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The last number of a row is a sum of numbers with fractions, if it is a float."""
    return [
        (*row[:-1], round(row[-1], 6) if isinstance(row[-1], float) else row[-1]) for row in rows
    ]


async def recounted(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The same sums, from the view of the events alone, in plain Python."""
    events = await select(
        url,
        "SELECT source, game_id, user_id, type, custom_event_name, customdata,"
        " received_at, event_id FROM events ORDER BY event_id",
    )
    earned = dict(
        await select(url, "SELECT event_id, amount FROM coin_transactions WHERE trigger <> ''")
    )
    counts: Counter[tuple[Any, ...]] = Counter()
    played: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    levels: defaultdict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0.0])
    completed: dict[tuple[str, str, str], int] = {}
    coins: Counter[tuple[int, str]] = Counter()
    actions: defaultdict[tuple[str, int, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for source, game, user, kind, name, text, received_at, event_id in events:
        at = int(datetime.fromisoformat(received_at).timestamp())
        day, data = at // DAY, json.loads(text or "{}")
        for width in (*SPANS.values(), DAY):
            counts[width, at - at % width, game, source, kind] += 1
        for whose in (game, ""):
            if day not in played[whose, user]:
                played[whose, user].append(day)
        if event_id in earned:
            coins[day, game] += earned[event_id]
        if source == "teak":
            sums = actions[game, day, kind]
            sums[0] += 1
            sums[1] += data.get("event_count", 1)
            sums[2] += data.get("value", 1)
        level = data.get("level")
        done = kind == "LevelCompleted"
        lost = (kind == "GameEnd" and data.get("reason") != "completed") or (
            kind == "Custom" and name in ("LevelFailed", "level_failed", "FAIL")
        )
        if source == "playsmart" and (done or lost) and (level := level_of(level)) is not None:
            cell = levels[game, day, level]
            cell[0 if done else 1] += 1
            if done and (game, user, level) not in completed:
                completed[game, user, level] = day
                cell[2] += 1
            seconds = data.get("duration_seconds")
            if done and type(seconds) in (int, float) and 0 <= seconds <= 86_400:
                cell[3] += 1
                cell[4] += seconds
    days: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (game, _), on in played.items():
        days[game, on[0]][1] += 1
        for day in on:
            days[game, day][0] += 1
        days[game, on[0]][2] += on[0] + 1 in on
        days[game, on[0]][3] += on[0] + 7 in on
    newest = {
        width: max(start for span, start, *_ in counts if span == width) - 2 * seconds
        for seconds, width in SPANS.items()
    } if counts else {}  # fmt: skip
    return {
        "counts": sorted((*k, n) for k, n in counts.items() if k[1] >= newest.get(k[0], 0)),
        "days": sorted((*k, *n) for k, n in days.items()),
        "player_days": sorted((*who, day) for who, on in played.items() for day in on),
        "player_levels": sorted((*k, day) for k, day in completed.items()),
        "levels": sorted((*k, *n[:4], round(n[4], 6)) for k, n in levels.items()),
        "coins": sorted((*k, n) for k, n in coins.items()),
        "actions": sorted((*k, *n[:2], round(n[2], 6)) for k, n in actions.items()),
    }


def level_of(level: object) -> str | None:
    """What a level is called, None if it is none."""
    if isinstance(level, str):
        return level if 1 <= len(level) <= 40 and "\0" not in level else None
    if type(level) is int and -(2**63) <= level < 2**63:
        return str(level)
    if type(level) not in (int, float):
        return None
    number = float(level)  # type: ignore[arg-type]
    if abs(number) > 1.7e308:
        return None
    if abs(number) < 1e-300:
        return "0"
    is_whole = abs(number) < 9.2e18 and number.is_integer()
    return str(int(number)) if is_whole else f"{number:.15g}"
