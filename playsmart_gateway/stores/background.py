"""What runs beside ingest, off its path: the audit of the coins, the sums of the dashboard, runs.

The audit goes from the beginning at each start, then close behind what is stored. The rollup task
counts what is stored into small sums. A batch that cannot be counted, as somebody damaged its rows,
is found by ever smaller steps, left out and told of. The sums show first that they take something
else, or all would be left out. Runs that were not seen for long are forgotten, and what runs lost
is added up, a piece of their table at a time. Of accounts it is asked whose tokens were revoked.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.contract import (
    Accounts,
    LossSums,
    Rollups,
    Upkeep,
)
from playsmart_gateway.stores.losses import QUIET_SECONDS, Losses
from playsmart_gateway.stores.readers import Checks, LossReader
from playsmart_gateway.stores.rollups import DAY, DAYS_SHOWN, Property, PropertyNames, RolledUp
from playsmart_gateway.tasks import PacedTask

logger = logging.getLogger(__name__)

AUDITED_PER_STEP = 20_000
AUDIT_RESTS = 19
"""A twentieth of one core at most."""

AUDIT_IDLE_SECONDS = 5.0

ROLLED_UP_PER_STEP = 20_000
"""What one step counts; the store's connection is busy for the time of adding its sums."""

ROLLUP_IDLE_SECONDS = 1.0
NARROWING = 8

RUNS_PER_STEP = 5_000
RUN_RESTS = 19
RUN_IDLE_SECONDS = 3_600.0
"""Between two looks at all runs."""

PROPERTIES_IDLE_SECONDS = 3_600.0
LOSS_IDLE_SECONDS = 600.0
MAX_LOSSES = 10_000
"""Groups that are told apart: some megabytes, and a tenth of a second to write them."""

REVOCATIONS_IDLE_SECONDS = 10.0
MAX_REVOCATIONS = 100_000
"""Players who were revoked while tokens of theirs may be good; of more the latest count."""

_DAY_MICROSECONDS = 86_400_000_000


def audit_task(
    reader: Checks, stats: Stats, clock: Callable[[], float] = time.monotonic
) -> PacedTask:
    """Return what audits the store behind ``reader`` and counts what it finds in ``stats``."""

    async def step() -> bool:
        audited = await reader.audit(AUDITED_PER_STEP)
        if audited.start == 0:
            stats.violations.clear()
        stats.audit_lag = audited.end - audited.position
        for violation in audited.violations:
            stats.violations[violation.kind] += 1
        if audited.violations:  # their texts name players, so they are not for a log
            logger.error(
                "the audit found %d violations, the first is %s; see playsmart-gateway audit",
                len(audited.violations), audited.violations[0].kind,
            )  # fmt: skip
        return stats.audit_lag > 0

    trouble = "the audit cannot read the store"
    failed = partial(stats.count_side_failure, "audit")
    return PacedTask(
        step, trouble,
        rests=AUDIT_RESTS, idle_seconds=AUDIT_IDLE_SECONDS, clock=clock, failed=failed,
    )  # fmt: skip


def rollup_task(
    rollups: Rollups, share: float, stats: Stats, clock: Callable[[], float] = time.monotonic
) -> PacedTask:
    """Return what has ``rollups`` count the store, and notes in ``stats`` how far it is.

    While that is behind it takes up to a ``share`` of one core.
    """
    max_events = ROLLED_UP_PER_STEP

    async def roll_up() -> RolledUp | None:
        nonlocal max_events
        try:
            done = await rollups.roll_up(max_events)
        except SinkRejected as error:
            if max_events > 1:
                max_events = max(max_events // NARROWING, 1)
                return await roll_up()
            done = await rollups.skip()
            stats.figures_skipped += 1
            logger.error("the figures leave out batch %d: %s", done.position, error)
        else:
            max_events = min(max_events * NARROWING, ROLLED_UP_PER_STEP)
        return done

    async def step() -> bool:
        done = await roll_up()
        stats.figures_lag = 0 if done is None else done.end - done.position
        return stats.figures_lag > 0

    trouble = "the figures of the dashboard cannot follow the store"
    failed = partial(stats.count_side_failure, "figures")
    return PacedTask(
        step,
        trouble,
        rests=1 / share - 1,
        idle_seconds=ROLLUP_IDLE_SECONDS,
        clock=clock,
        busy=lambda: rollups.busy_seconds,
        failed=failed,
    )


def runs_task(
    store: Upkeep,
    keep_days: int,
    stats: Stats,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> PacedTask:
    """Return what has ``store`` forget the runs that were not seen for ``keep_days``."""
    position = b""

    async def step() -> bool:
        nonlocal position
        before = int(wall() * 1_000_000) - keep_days * _DAY_MICROSECONDS
        forgotten = await store.forget_runs(before, after=position, limit=RUNS_PER_STEP)
        position = forgotten.position or b""
        return forgotten.position is not None

    return PacedTask(
        step,
        "runs of long ago cannot be forgotten",
        rests=RUN_RESTS,
        idle_seconds=RUN_IDLE_SECONDS,
        clock=clock,
        failed=partial(stats.count_side_failure, "runs"),
    )


def properties_task(
    names: PropertyNames,
    properties: Sequence[Property],
    stats: Stats,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> PacedTask:
    """Return what tells a store how games name what its views look for."""

    async def step() -> bool:
        await names.name_properties(properties)
        return False

    return PacedTask(
        step,
        "the views do not know how games name their properties",
        rests=0,
        idle_seconds=PROPERTIES_IDLE_SECONDS,
        clock=clock,
        failed=partial(stats.count_side_failure, "properties"),
    )


def losses_task(
    reader: LossReader,
    sums: LossSums | None,
    stats: Stats,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> PacedTask:
    """Return what adds up the losses of all runs: for the dashboard, if there are ``sums``.

    ``stats`` get those of runs that were seen last today or yesterday (UTC).
    """
    losses, position = Losses(MAX_LOSSES), b""

    async def step() -> bool:
        nonlocal losses, position
        now = wall()
        before = int((now - QUIET_SECONDS) * 1_000_000)
        page = await reader.losses(before, after=position, limit=RUNS_PER_STEP)
        today = int(now) // DAY
        losses.add(each for each in page.losses if each.day > today - DAYS_SHOWN)
        if page.position is not None:
            position = page.position
            return True
        found, losses, position = losses.all(), Losses(MAX_LOSSES), b""
        stats.run_numbers = sum(each.numbers for each in found if each.day >= today - 1)
        stats.run_lost = sum(each.lost for each in found if each.day >= today - 1)
        if sums is not None:
            await sums.keep_losses(found)
        return False

    return PacedTask(
        step,
        "it is not known how many events never came",
        rests=RUN_RESTS,
        idle_seconds=LOSS_IDLE_SECONDS,
        clock=clock,
        failed=partial(stats.count_side_failure, "losses"),
    )


def revocations_task(
    accounts: Accounts,
    revoke: Callable[[Mapping[str, float]], None],
    token_seconds: int,
    stats: Stats,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> PacedTask:
    """Return what tells ``revoke`` from when on tokens are believed, of players who were revoked.

    A token is good for ``token_seconds``: what was revoked before that has none left.
    """

    async def step() -> bool:
        revoke(await accounts.revoked(int(wall()) - token_seconds, MAX_REVOCATIONS))
        return False

    return PacedTask(
        step,
        "it is not known whose tokens were revoked",
        rests=0,
        idle_seconds=REVOCATIONS_IDLE_SECONDS,
        clock=clock,
        failed=partial(stats.count_side_failure, "revocations"),
    )
