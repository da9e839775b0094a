"""Kills and signals, on real processes under real load."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.campaigns.crash.kills import (
    KINDS,
    Campaign,
    make_plan,
)
from tests.support.count import count
from tests.support.faults import locked
from tests.support.players import Client, Ledger, load
from tests.support.polling import until
from tests.support.target import Target

NEVER = 3_600

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))
"""Of each campaign, in the short form; ``make crash`` plays 200."""

SEEDS, MAX_INTERVAL = (2527, 2823), 0.5
"""Their first four rounds wait little, yet have something of everything, as a test checks."""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with Target(tmp_path) as target:
        yield target


def some_clients(target: Target, ledger: Ledger, number: int = 8) -> list[Client]:
    return [Client(f"player-{place}", target.port, ledger) for place in range(number)]


async def has_some(ledger: Ledger) -> bool:
    return bool(ledger.events("accepted"))


def test_the_short_form_has_rounds_of_every_sort() -> None:
    campaigns = [[make_plan(seed, n, MAX_INTERVAL) for n in range(1, 5)] for seed in SEEDS]
    assert all({plan.kind for plan in plans} == set(KINDS) for plans in campaigns)
    plans = [plan for plans in campaigns for plan in plans]
    assert {len(plan.later_kills) for plan in plans if plan.kind == "replay"} == {1, 2}
    assert {plan.pad for plan in plans} == {0, 100, 1_000}
    drawn = {(key, value) for plan in plans for key, value in plan.settings.items()}
    assert len(drawn) == len({"interval", "always", "never"}) + len({0.05, 0.2, 1.0}) + 2
    restless = [plan for plan in plans if plan.kind != "load"]
    assert len({plan.settings["journal.fsync"] for plan in restless}) == 3


async def test_a_killed_gateway_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Two campaigns at the same time: each of them mostly waits."""
    async with asyncio.TaskGroup() as both:
        for seed in SEEDS:
            both.create_task(killed_again_and_again(tmp_path / str(seed), seed))


async def killed_again_and_again(data: Path, seed: int) -> None:
    with Target(data) as target:
        await target.up()
        campaign = Campaign(target, seed=seed, max_interval=MAX_INTERVAL)
        for number in range(1, ROUNDS + 1):
            verdict = await campaign.round(number)
            assert verdict.good, (seed, number, verdict)
        verdict = await campaign.finish()
        assert verdict.good, verdict
        assert verdict.accepted_events
        assert campaign.total.integrity_ok == ROUNDS
        assert campaign.total.corrupt_records == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_under_load_drains_everything_and_exits_0(
    target: Target, number: signal.Signals
) -> None:
    target.settings["buffer.flush_interval_seconds"] = 2
    await target.up()
    ledger = Ledger()
    async with load(some_clients(target, ledger)):
        await until(partial(has_some, ledger), "a batch that is acknowledged")
        target.signal(number)
        assert await target.exit_code() == 0, target.log
    verdict = count(target.database, ledger)
    assert verdict.good, verdict
    assert verdict.accepted_events
    assert not list(target.journal.glob("*.journal"))


async def test_a_drain_that_cannot_finish_exits_1_and_the_next_start_stores_the_rest(
    target: Target,
) -> None:
    target.settings |= {"buffer.flush_interval_seconds": NEVER, "server.drain_timeout_seconds": 1}
    await target.up()
    ledger = Ledger()
    async with load(some_clients(target, ledger)):
        await until(partial(has_some, ledger), "a batch that is acknowledged")
    with locked(target.database):
        assert await target.stop() == 1
    waiting = ledger.events("accepted")
    await target.told(f"stopped with {waiting} events not stored: the journal keeps them")
    target.settings["buffer.flush_interval_seconds"] = 0.1
    await target.up()
    await target.drained()
    assert await target.stop() == 0
    verdict = count(target.database, ledger)
    assert verdict.good, verdict
    assert verdict.unknown_events == 0


async def test_a_second_signal_stops_a_drain_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Of either kind, at the same time: mostly the two wait for SQLite to give up the lock."""
    async with asyncio.TaskGroup() as both:
        for second in (signal.SIGTERM, signal.SIGINT):
            both.create_task(stopped_by_a_second_signal(tmp_path / second.name, second))


async def stopped_by_a_second_signal(data: Path, second: signal.Signals) -> None:
    with Target(data) as target:
        target.settings["buffer.flush_interval_seconds"] = NEVER
        target.settings["server.drain_timeout_seconds"] = 90
        await target.up()
        ledger = Ledger()
        async with load(some_clients(target, ledger)):
            await until(partial(has_some, ledger), "a batch that is acknowledged")
        with locked(target.database):
            target.signal(signal.SIGTERM)
            await target.closed()
            await asyncio.sleep(0.2)
            assert target.process.poll() is None
            target.signal(second)
            assert await target.exit_code() != 0
        await target.up()
        target.kill()
        target.settings["buffer.flush_interval_seconds"] = 0.1
        await target.up()
        await target.drained()
        verdict = count(target.database, ledger)
        assert verdict.good, verdict
        assert verdict.accepted_events


async def test_a_signal_while_it_starts_is_obeyed(target: Target) -> None:
    """A journal that takes long to replay must not make a gateway deaf."""
    await target.up()
    assert await target.stop() == 0
    with locked(target.database):
        target.start()  # it waits for the lock

        async def is_starting() -> bool:
            return (target.journal / "lock").exists() and target.process.poll() is None

        (target.journal / "lock").unlink()
        await until(is_starting, "it has taken the journal")
        target.signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
    assert await target.exit_code() in (0, 1), target.log


async def test_a_second_gateway_on_the_same_journal_exits_2_with_one_clear_line(
    target: Target, tmp_path: Path
) -> None:
    await target.up()
    with Target(tmp_path / "second", journal__path=target.journal) as second:
        second.start()
        assert await second.exit_code() == 2
        (line,) = second.log.splitlines()
    assert line.startswith("error: journal.path: ")
    assert "in use by another gateway" in line
    assert await target.is_ready()
    assert await target.stop() == 0


async def test_a_start_with_a_broken_segment_stores_all_but_the_broken_batch(
    target: Target,
) -> None:
    target.settings["buffer.flush_interval_seconds"] = NEVER
    await target.up()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    for _ in range(9):
        assert await player.send(10) == 202
    await player.close()
    target.kill()
    (segment,) = target.journal.glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0x10  # in the fifth of nine
    segment.write_bytes(content)
    target.settings["buffer.flush_interval_seconds"] = 0.1
    await target.up()
    values = await target.drained()
    assert values["journal_corrupt_records_total"] == 1
    assert values["events_replayed_total"] == 80
    await target.told("corrupt record")
    aside = segment.with_suffix(".bad").read_bytes()
    assert b'"b":5,"n":0' in aside
    assert b'"b":4' not in aside
    assert count(target.database, ledger).lost == [("player", 5)]
    assert await target.stop() == 0


async def test_a_start_after_a_torn_tail_stores_all_before_it(target: Target) -> None:
    target.settings["buffer.flush_interval_seconds"] = NEVER
    await target.up()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    for _ in range(5):
        assert await player.send(10) == 202
    await player.close()
    target.kill()
    (segment,) = target.journal.glob("*.journal")
    segment.write_bytes(segment.read_bytes()[:-7])  # what a power failure may leave
    target.settings["buffer.flush_interval_seconds"] = 0.1
    await target.up()
    values = await target.drained()
    assert values["journal_torn_tails_total"] == 1
    assert values["events_replayed_total"] == 40
    await target.told("torn tail")
    assert segment.with_suffix(".bad").exists()
    assert count(target.database, ledger).lost == [("player", 5)]
    assert await target.stop() == 0


async def test_the_count_sees_what_is_lost_doubled_torn_and_unwanted(target: Target) -> None:
    """The control: without a journal a kill does lose events; and a database tampered with."""
    target.settings |= {"journal.enabled": "false", "buffer.flush_interval_seconds": NEVER}
    await target.up()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    assert await player.send(10) == 202
    target.kill()
    await player.close()
    target.settings |= {"buffer.flush_interval_seconds": 0.1}
    await target.up()
    for _ in range(4):
        assert await player.send(10) == 202
    await player.close()
    await target.drained()
    assert await target.stop() == 0
    verdict = count(target.database, ledger)
    assert verdict.lost == [("player", 1)]
    assert verdict.lost_events == 10
    db = sqlite3.connect(target.database)
    with db:  # batch 2 once more, behind the others; half of 3; and nobody was promised 4
        row = "type, custom_event_name, time, customdata"
        db.execute(
            f"INSERT INTO event_rows (event_id, {row})"
            f" SELECT event_id + 3 * 256 + 10, {row} FROM event_rows"
            " WHERE customdata->>'$.b' = 2"
        )
        db.execute("DELETE FROM event_rows WHERE customdata->>'$.b' = 3 AND customdata->>'$.n' > 4")
    db.close()
    ledger.batches["player", 3] = (10, "unknown")
    ledger.batches["player", 4] = (10, "refused")
    verdict = count(target.database, ledger)
    assert not verdict.good
    assert verdict.duplicated == verdict.disordered == [("player", 2)]
    assert verdict.torn == [("player", 3)]
    assert verdict.never_accepted == [("player", 4)]
