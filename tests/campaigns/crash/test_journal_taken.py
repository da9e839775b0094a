"""The journal's folder, or a file of it, is taken away under a running gateway."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.count import count
from tests.support.players import Client, Ledger, load
from tests.support.polling import until
from tests.support.target import Target

NEVER = 3_600


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    with Target(tmp_path / "data", server__workers=request.param) as target:
        target.settings["buffer.flush_interval_seconds"] = NEVER  # so it all is in the journal only
        yield target


def remove_the_folder(journal: Path) -> None:
    shutil.rmtree(journal)


def move_the_folder(journal: Path) -> None:
    journal.rename(journal.with_name("moved"))


def remove_the_locks(journal: Path) -> None:
    for lock in journal.rglob("lock"):
        lock.unlink()


def remove_the_segments(journal: Path) -> None:
    for segment in journal.rglob("*.journal"):
        segment.unlink()


def cut_the_segments_off(journal: Path) -> None:
    for segment in journal.rglob("*.journal"):
        segment.write_bytes(segment.read_bytes()[:100])


@pytest.mark.parametrize(
    "happens",
    [
        remove_the_folder,
        move_the_folder,
        remove_the_locks,
        remove_the_segments,
        cut_the_segments_off,
    ],
)
async def test_a_journal_that_is_taken_away_refuses_is_told_and_is_made_anew_with_what_waits(
    target: Target, happens: Callable[[Path], None]
) -> None:
    ledger = Ledger()
    await target.up()
    async with load([Client(f"player-{place}", target.port, ledger) for place in range(4)]):

        async def some(at_least: int) -> bool:
            return ledger.statuses.count(202) >= at_least

        await until(lambda: some(20), "some batches")
        happens(target.journal)

        async def is_told() -> bool:
            status, body = await target.ready()
            return status == 503 and 'journal"' in body

        await until(is_told, "/readyz tells of the journal")

        async def is_refused() -> bool:
            return ("UNAVAILABLE", "journal_unavailable") in ledger.refusals

        await until(is_refused, "a refusal")
        await target.wait_ready()
        more = ledger.statuses.count(202) + 20
        await until(lambda: some(more), "some more")
    await target.told("journal trouble in")
    await target.told("is made anew, with")
    if target.workers() and happens is not remove_the_segments:

        async def is_locked() -> bool:
            return (target.journal / "lock").exists()

        await until(is_locked, "the supervisor has the folder again")
    target.kill()
    target.settings["buffer.flush_interval_seconds"] = 0.1
    await target.up()
    await target.drained()
    assert await target.stop() == 0
    verdict = count(target.database, ledger)
    assert verdict.exactly_once, verdict
    assert verdict.lost_events == 0
