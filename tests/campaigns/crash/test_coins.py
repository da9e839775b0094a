"""Real play, killed again and again: what is stored is paid exactly once, and the audit says so."""

import asyncio
import gzip
import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from playsmart_gateway.stores.open import open_store
from tests import ROOT
from tests.support.players import token
from tests.support.process import NO_TLS
from tests.support.target import Target

PATH = ROOT.parent / "shared/data/waves_batches.ndjson.gz"
WAVES = (
    '[{id="org.fielddaylab.waves",coins_enabled=true,reward_fixed_amount=10,'
    "event_trigger_threshold=7}]"
)
REPLAYS = int(os.environ.get("CRASH_REPLAYS", "3"))


async def send(target: Target, bodies: list[bytes], kill_after: int) -> None:
    """Send them, four at a time; kill the gateway when so many are acknowledged."""
    waiting = iter(bodies)
    taken = 0

    async def client() -> None:
        nonlocal taken
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{target.port}", trust_env=False, verify=NO_TLS
        ) as http:
            for body in waiting:
                headers = {
                    "authorization": f"Bearer {token(json.loads(body)['user_id'])}",
                    "content-type": "application/json",
                }
                answer = await http.post("/ingest/events", content=body, headers=headers)
                assert answer.status_code == 202
                taken += 1
                if taken == kill_after:
                    target.kill()

    with suppress(httpx.TransportError):
        await asyncio.gather(*(client() for _ in range(4)))
    assert kill_after <= taken < len(bodies), "it was killed in the middle"


@pytest.mark.skipif(not PATH.exists(), reason=f"the data set is not at {PATH}")
async def test_replays_that_are_killed_halfway_are_paid_for_what_is_stored(tmp_path: Path) -> None:
    bodies = [line.rstrip(b"\n") for line in gzip.decompress(PATH.read_bytes()).splitlines()]
    chance = Random(7)
    with Target(tmp_path, buffer__flush_interval_seconds=0.02, games=WAVES) as target:
        for _ in range(REPLAYS):
            await target.up()
            await send(target, bodies, kill_after=chance.randint(1, len(bodies) - 10))
            await target.up()
            await target.drained()
            target.kill()
            with closing(sqlite3.connect(target.database)) as db:
                (levels,) = db.execute(
                    "SELECT count(*) FROM events WHERE type = 'LevelCompleted'"
                ).fetchone()
                paid, coins = db.execute(
                    "SELECT count(*), ifnull(sum(amount), 0) FROM coin_transactions"
                    " WHERE trigger = 'level_complete'"
                ).fetchone()
                (balance,) = db.execute("SELECT sum(coins_balance) FROM players").fetchone()
                (triggered,) = db.execute(
                    "SELECT sum(count / 7) * 5 FROM (SELECT count(*) AS count FROM events"
                    " WHERE type = 'Custom' GROUP BY user_id)"
                ).fetchone()
            assert (paid, coins) == (levels, 10 * levels)
            assert balance == coins + triggered
            async with open_store(f"sqlite:///{target.database}").reader() as reader:
                audited = await reader.audit(10_000_000)
            assert audited.violations == ()
            assert audited.position == audited.end
    assert balance > 0
