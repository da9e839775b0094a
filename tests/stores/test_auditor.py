"""The audit beside ingest: what it counts, and what it tells."""

import logging

import pytest

from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.auditor import (
    IDLE_SECONDS,
    auditor,
)
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import (
    Audited,
    Violation,
)

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
    audit = auditor(reader, stats)
    assert await audit.once() < IDLE_SECONDS
    assert (stats.audit_lag, stats.violations) == (6, {"missing_grant": 2})
    assert await audit.once() == IDLE_SECONDS
    assert (stats.audit_lag, stats.violations) == (0, {"missing_grant": 3})
    await audit.once()
    assert not stats.violations


async def test_the_log_names_the_violation_and_not_the_player(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    await auditor(ScriptedReader(Audited(0, 9, 9, (MISSING,))), Stats()).once()
    assert "missing_grant" in caplog.text
    assert "ada" not in caplog.text
