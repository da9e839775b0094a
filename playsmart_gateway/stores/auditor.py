"""The audit beside ingest: from the beginning at each start, then close behind what is stored."""

import logging
from functools import partial

from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.readers import Checks
from playsmart_gateway.tasks import PacedTask

logger = logging.getLogger(__name__)

EVENTS_PER_STEP = 20_000
RESTS = 19
"""A twentieth of one core at most."""

IDLE_SECONDS = 5.0


def auditor(reader: Checks, stats: Stats) -> PacedTask:
    """Return what audits the store behind ``reader`` and counts what it finds in ``stats``."""

    async def step() -> bool:
        audited = await reader.audit(EVENTS_PER_STEP)
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
    return PacedTask(step, trouble, rests=RESTS, idle_seconds=IDLE_SECONDS, failed=failed)
