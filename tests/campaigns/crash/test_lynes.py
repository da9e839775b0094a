"""Points under ``kill -9``: an award that was answered is there, once, and nothing half.

Clients send events that wait for their commit while the gateway is killed again and again. Then the
stored events, in their order, are awarded once more by the plain step: balances, history, streaks
and statistics must be what that gives, and every answer must be among it.
"""

import asyncio
import os
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec

from playsmart_gateway.config import Config
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.dialects.lynes.request import Request, batch
from playsmart_gateway.economy.points import summarize
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from tests.support.players import token
from tests.support.process import NO_TLS
from tests.support.target import Target

EVENTS = (
    '[{id="once",kind="fix",points=10,max_completions=1},{id="thrice",kind="fix",points=7,'
    'max_completions=3,completion_window="daily"},{id="buy",kind="transactional",'
    'reward_value_field="amount",points_per_unit=1}]'
)
STREAKS = '[{id="days",events=["once","buy"],milestones=[{count=1,points=3}]}]'
USERS = 6
CLIENTS = 12
KILLS = int(os.environ.get("CRASH_KILLS", "4"))

Answered = tuple[str, int, int, int]
"""User, time in milliseconds, points of the event, points of its streaks."""


async def send(target: Target, chance: Random, kill_after: int) -> list[Answered]:
    """Send until the gateway is killed, which it is when so many are answered."""
    answered: list[Answered] = []
    headers = {"authorization": f"Bearer {token('app')}"}

    async def client() -> None:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{target.port}",
            trust_env=False,
            verify=NO_TLS,
            headers=headers,
        ) as http:
            while True:
                user = f"user-{chance.randrange(USERS)}"
                body = {
                    "eventId": chance.choice(["once", "thrice", "buy"]),
                    "userId": user,
                    "metadata": {"amount": chance.randint(-1, 9), "os": chance.choice("abc")},
                }
                answer = await http.post("/event", json=body)
                assert answer.status_code == 200, answer.text
                data = answer.json()["data"]
                streaks = sum(each["pointsAwarded"] for each in data["streaks"])
                answered.append((user, data["timestamp"], data["pointsAwarded"], streaks))
                if len(answered) == kill_after:
                    target.kill()

    await asyncio.gather(*(_until_it_is_killed(client()) for _ in range(CLIENTS)))
    return answered


async def _until_it_is_killed(work: Any) -> None:
    with suppress(httpx.TransportError):
        await work


def stored_requests(database: Path) -> list[tuple[Request, int]]:
    """Every stored event with the time at which it was received, in their order."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    with closing(sqlite3.connect(database)) as db:
        rows = db.execute(
            "SELECT type, user_id, customdata, strftime('%s', occurred_at) * 1000"
            " + substr(occurred_at, 21, 3) FROM events WHERE source = 'lynes' ORDER BY event_id"
        ).fetchall()
    return [(Request(kind, user, decode(data)), at_ms) for kind, user, data, at_ms in rows]


async def test_answered_awards_outlive_the_process_and_are_there_once(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "lynes__events": EVENTS,
        "lynes__streaks": STREAKS,
        "lynes__rate_limit": 0,
    }
    config: Config = load_config(
        None, {"PLAYSMART_LYNES__EVENTS": EVENTS, "PLAYSMART_LYNES__STREAKS": STREAKS}
    )
    program = program_for(config)
    chance = Random(11)
    answered: list[Answered] = []
    with Target(tmp_path, **settings) as target:
        for _ in range(KILLS):
            await target.up()
            answered += await send(target, chance, chance.randint(5, 150))
        await target.up()
        await target.drained()
        target.kill()

    stored = stored_requests(target.database)
    assert len(answered) <= len(stored) <= len(answered) + KILLS * CLIENTS
    twin = MemorySink(program=program)
    for place, (request, at_ms) in enumerate(stored):
        again = batch(request, project="default", received_at_ms=at_ms)
        again.journal = str(place)
        await twin.commit([again])
    found: Counter[Answered] = Counter()
    async with open_store(f"sqlite:///{target.database}").reader() as reader:
        for number in range(USERS):
            user = "default", f"user-{number}"
            assert await reader.points.points(*user) == await twin.points.points(*user)
            assert await reader.points.streaks(*user) == await twin.points.streaks(*user)
            everything: dict[str, Any] = {"from_ms": 0, "to_ms": 2**62, "offset": 0, "limit": 9999}
            entries = await reader.points.history(*user, types=["event"], **everything)
            bonuses = await reader.points.history(*user, types=["streak_milestone"], **everything)
            by_event = {each.id - 1: each.points for each in bonuses}
            found.update(
                (user[1], each.timestamp_ms, each.points, by_event.get(each.id, 0))
                for each in entries
            )
            paid = sum(each.points for each in (*entries, *bonuses))
            assert await reader.points.points(*user) == paid
        for event_id in program.events:
            cells = {"first": date.min, "last": date.max, "group": None}
            figures = await reader.points.event_stats("default", event_id, **cells)  # type: ignore[arg-type]
            assert summarize(figures) == summarize(
                await twin.points.event_stats("default", event_id, **cells)  # type: ignore[arg-type]
            )
    assert not Counter(answered) - found, "every answer is in a history, as it was told"
    assert sum(found.values()) == len(stored)
