"""The audit and the rollup task beside ingest: what they count, and what they tell."""

import logging
from collections.abc import Mapping, Sequence
from typing import Self

import pytest

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.background import (
    AUDIT_IDLE_SECONDS,
    LOSS_IDLE_SECONDS,
    MAX_LOSSES,
    ROLLUP_IDLE_SECONDS,
    RUN_IDLE_SECONDS,
    RUNS_PER_STEP,
    audit_task,
    losses_task,
    revocations_task,
    rollup_task,
    runs_task,
)
from playsmart_gateway.stores.losses import Loss
from playsmart_gateway.stores.memory.accounts import MemoryAccounts
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import (
    Account,
    Audited,
    Violation,
)
from playsmart_gateway.stores.rollups import (
    Figures,
    Property,
    RolledUp,
)
from playsmart_gateway.tasks import TROUBLED_SECONDS
from tests.support.doubles import FakeClock
from tests.support.numbered import numbered

MISSING = Violation("missing_grant", "ada's event 256 should have earned 10")


class ScriptedReader(MemorySink):
    """A reader whose audit says what it is told to."""

    def __init__(self, *script: Audited) -> None:
        super().__init__()
        self._script = list(script)

    async def audit(self, max_events: int) -> Audited:
        return self._script.pop(0)


async def test_violations_are_counted_by_kind_and_forgotten_when_it_begins_anew() -> None:
    stats = Stats()
    reader = ScriptedReader(
        Audited(0, 3, 9, (MISSING, MISSING)),
        Audited(3, 9, 9, (MISSING,)),
        Audited(0, 9, 9),
    )
    audit = audit_task(reader, stats)
    assert await audit.once() < AUDIT_IDLE_SECONDS
    assert (stats.audit_lag, stats.violations) == (6, {"missing_grant": 2})
    assert await audit.once() == AUDIT_IDLE_SECONDS
    assert (stats.audit_lag, stats.violations) == (0, {"missing_grant": 3})
    await audit.once()
    assert not stats.violations


async def test_the_log_names_the_violation_and_not_the_player(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    await audit_task(ScriptedReader(Audited(0, 9, 9, (MISSING,))), Stats()).once()
    assert "missing_grant" in caplog.text
    assert "ada" not in caplog.text


class ScriptedRollups:
    """Sums that are rolled up as they are told to."""

    def __init__(self, *script: RolledUp | Exception | None) -> None:
        self.busy_seconds, self.step_seconds = 0.0, 0.0
        self.asked: list[int] = []
        self.losses: list[Sequence[Loss]] = []
        self._script = list(script)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def roll_up(self, max_events: int) -> RolledUp | None:
        self.asked.append(max_events)
        self.busy_seconds += self.step_seconds
        return self._next()

    async def skip(self) -> RolledUp:
        self.asked.append(0)
        done = self._next()
        assert done is not None
        return done

    def _next(self) -> RolledUp | None:
        outcome = self._script.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def keep_losses(self, losses: Sequence[Loss]) -> None:
        self.losses.append(losses)

    async def name_properties(self, properties: Sequence[Property]) -> None:
        raise AssertionError("that is another task's")

    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        raise AssertionError("nobody looks")


async def test_it_goes_on_until_it_is_there() -> None:
    steps = rollup_task(ScriptedRollups(RolledUp(3, 9), RolledUp(9, 9)), 0.1, Stats())
    assert await steps.once() < ROLLUP_IDLE_SECONDS
    assert await steps.once() == ROLLUP_IDLE_SECONDS


async def test_it_waits_while_somebody_else_does_it() -> None:
    steps = rollup_task(ScriptedRollups(None, RolledUp(3, 9)), 0.1, Stats())
    assert await steps.once() == ROLLUP_IDLE_SECONDS
    assert await steps.once() < ROLLUP_IDLE_SECONDS


@pytest.mark.parametrize(("share", "rest"), [(0.1, 4.3), (0.5, 0.3), (1.0, 0.0)])
async def test_it_takes_its_share_of_a_core_and_no_more(share: float, rest: float) -> None:
    """Half a second of work took 0.7 seconds, as others worked, too."""
    rollups = ScriptedRollups(RolledUp(3, 9))
    rollups.step_seconds = 0.5
    times = iter((10.0, 10.7))
    task = rollup_task(rollups, share, Stats(), clock=lambda: next(times))
    assert await task.once() == pytest.approx(rest)


async def test_it_goes_on_behind_a_batch_that_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    odd = SinkRejected("malformed")
    rollups = ScriptedRollups(*[odd] * 6, RolledUp(4, 9), RolledUp(5, 9), RolledUp(9, 9))
    stats = Stats()
    steps = rollup_task(rollups, 0.1, stats)
    assert await steps.once() < TROUBLED_SECONDS
    assert (stats.figures_skipped, stats.figures_lag) == (1, 5)
    assert "leave out batch 4: malformed" in caplog.text
    await steps.once()
    await steps.once()
    assert rollups.asked == [20_000, 2_500, 312, 39, 4, 1, 0, 1, 8]
    assert stats.figures_lag == 0
    assert not stats.side_failures


async def test_sums_that_take_nothing_leave_nothing_out() -> None:
    odd = SinkRejected("a trigger")
    rollups = ScriptedRollups(*[odd] * 7, SinkUnavailable("gone"))
    stats = Stats()
    steps = rollup_task(rollups, 0.1, stats)
    assert [await steps.once() for _ in range(2)] == [TROUBLED_SECONDS] * 2
    assert stats.figures_skipped == 0
    assert stats.side_failures == {"figures": 2}


DAY = 86_400


async def test_runs_are_forgotten_for_their_age_a_piece_at_a_step_and_then_from_the_start() -> None:
    store, wall = MemorySink(), FakeClock(1_000 * DAY)
    for number in range(RUNS_PER_STEP + 1):
        seen = 1 if number % 2 else 950
        batch = numbered(number + 1, 0, 1, run=number.to_bytes(16, "big"))
        batch.received_at = seen * DAY * 1_000_000
        store.runs.write_down(store.runs.claim([batch], ()))
    task = runs_task(store, 90, Stats(), wall=wall)
    assert await task.once() < RUN_IDLE_SECONDS, "there is more"
    assert await task.once() == RUN_IDLE_SECONDS
    assert len(store.runs.runs) == RUNS_PER_STEP // 2 + 1
    wall.advance(90 * DAY)
    await task.once()
    assert not store.runs.runs


def a_run(store: MemorySink, number: int, day: int, version: str = "1") -> None:
    """Two of its four numbers never came; the last one came at the beginning of a day."""
    about = About(client=Program(app_version=version))
    batch = numbered(number + 1, 2, 4, run=number.to_bytes(16, "big"), about=about)
    batch.received_at = day * DAY * 1_000_000
    store.runs.write_down(store.runs.claim([batch], ()))


async def test_losses_are_added_up_a_piece_at_a_step_and_kept_and_counted_at_the_end() -> None:
    store, stats, rollups = MemorySink(), Stats(), ScriptedRollups()
    for number in range(RUNS_PER_STEP):
        a_run(store, number, (1_000, 999, 998, 970)[number % 4])
    wall = FakeClock(1_000 * DAY + 3_601)
    task = losses_task(store, rollups, stats, wall=wall)
    for walk in (1, 2):
        assert await task.once() < LOSS_IDLE_SECONDS, "there may be more"
        assert len(rollups.losses) == walk - 1
        assert await task.once() == LOSS_IDLE_SECONDS
        assert [(each.day, each.lost) for each in rollups.losses[-1]] == [
            (998, RUNS_PER_STEP // 2), (999, RUNS_PER_STEP // 2), (1_000, RUNS_PER_STEP // 2)
        ], "what was lost longer than a month ago is not shown"  # fmt: skip
        assert (stats.run_numbers, stats.run_lost) == (2 * RUNS_PER_STEP, RUNS_PER_STEP)
    wall.advance(2 * DAY)
    await task.once()
    await task.once()
    assert (stats.run_numbers, stats.run_lost) == (0, 0)


async def test_clients_that_name_ever_new_versions_take_no_more_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("playsmart_gateway.stores.background.MAX_LOSSES", 3)
    store, rollups = MemorySink(), ScriptedRollups()
    for number in range(9):
        a_run(store, number, 1_000, f"version {number}")
    await losses_task(store, rollups, Stats(), wall=FakeClock(1_001 * DAY)).once()
    assert [each.lost for each in rollups.losses[0]] == [2, 2, 2, 12]
    assert MAX_LOSSES >= 1_000


async def test_losses_that_cannot_be_kept_are_added_up_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(ScriptedRollups):
        async def keep_losses(self, losses: Sequence[Loss]) -> None:
            await super().keep_losses(losses)
            if len(self.losses) == 1:
                raise SinkUnavailable("gone")

    store, stats, rollups = MemorySink(), Stats(), Away()
    a_run(store, 1, 1_000)
    task = losses_task(store, rollups, stats, wall=FakeClock(1_001 * DAY))
    assert await task.once() == TROUBLED_SECONDS
    assert stats.side_failures == {"losses": 1}
    assert "it is not known how many events never came: gone" in caplog.text
    assert await task.once() == LOSS_IDLE_SECONDS
    assert rollups.losses[0] == rollups.losses[1] != []


async def test_a_store_without_figures_has_its_losses_counted() -> None:
    store, stats = MemorySink(), Stats()
    a_run(store, 1, 1_000)
    await losses_task(store, None, stats, wall=FakeClock(1_000 * DAY + 3_600)).once()
    assert (stats.run_numbers, stats.run_lost) == (0, 0), "more may be on its way"
    await losses_task(store, None, stats, wall=FakeClock(1_000 * DAY + 3_601)).once()
    assert (stats.run_numbers, stats.run_lost) == (4, 2)


async def test_whose_tokens_were_revoked_is_told_as_long_as_one_may_be_good() -> None:
    store, wall = MemorySink(), FakeClock(1_000.0 * DAY)
    told: list[Mapping[str, float]] = []
    task = revocations_task(store.accounts, told.append, 30 * DAY, Stats(), wall=wall)
    now = int(wall())
    await store.accounts.register(Account("ada", None, None, now, now))
    await task.once()
    await store.accounts.revoke("ada", now + 1)
    await task.once()
    wall.advance(30 * DAY + 1)
    await task.once()
    assert told == [{}, {"ada": now + 1}, {}]


async def test_revocations_that_cannot_be_read_are_counted_and_the_last_ones_hold() -> None:
    class Away(MemoryAccounts):
        async def revoked(self, since: int, limit: int) -> dict[str, int]:
            raise SinkUnavailable("gone")

    told: list[Mapping[str, float]] = []
    stats = Stats()
    task = revocations_task(Away(lambda _: False), told.append, DAY, stats)
    assert await task.once() == TROUBLED_SECONDS
    assert (told, stats.side_failures) == ([], {"revocations": 1})
