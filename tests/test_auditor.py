"""The audit beside ingest: it counts what it finds, rests, and outlives a store in trouble."""

import logging

import pytest

from playsmart_gateway.auditor import IDLE_SECONDS, PAUSES_PER_STEP, Auditor
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.sinks import Audited, Violation
from playsmart_gateway.sinks.memory import MemorySink
from playsmart_gateway.stats import Stats
from tests.doubles import FakeClock

MISSING = Violation("missing_grant", "event 256 should have earned 10")


class ScriptedReader(MemorySink):
    """A reader whose audit says what it is told to, and takes two seconds a step."""

    def __init__(self, clock: FakeClock, *script: Audited | SinkUnavailable) -> None:
        super().__init__()
        self._clock = clock
        self._script = list(script)

    async def audit(self, max_events: int) -> Audited:
        self._clock.advance(2.0)
        step = self._script.pop(0)
        if isinstance(step, SinkUnavailable):
            raise step
        return step


async def test_a_store_that_cannot_be_read_is_told_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, stats = FakeClock(), Stats()
    gone = SinkUnavailable("gone")
    reader = ScriptedReader(clock, gone, gone, Audited(0, 5, 5), gone)
    auditor = Auditor(reader, stats, clock=clock)
    assert [await auditor.step() for _ in range(4)] == [IDLE_SECONDS] * 4
    assert [record.message for record in caplog.records] == [
        "the audit cannot read the store: gone"
    ] * 2


async def test_violations_are_counted_by_kind_and_forgotten_when_it_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, stats = FakeClock(), Stats()
    caplog.set_level(logging.ERROR)
    reader = ScriptedReader(
        clock,
        Audited(0, 3, 9, (MISSING, MISSING)),
        Audited(3, 9, 9, (MISSING,)),
        Audited(0, 9, 9),
    )
    auditor = Auditor(reader, stats, clock=clock)
    assert await auditor.step() == 2.0 * PAUSES_PER_STEP
    assert (stats.audit_lag, stats.violations) == (6, {"missing_grant": 2})
    assert await auditor.step() == IDLE_SECONDS
    assert (stats.audit_lag, stats.violations) == (0, {"missing_grant": 3})
    assert "missing_grant: event 256 should have earned 10" in caplog.text
    await auditor.step()
    assert not stats.violations


async def test_it_goes_on_for_ever_with_rests_between() -> None:
    clock, rests = FakeClock(), []

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            raise Enough

    reader = ScriptedReader(clock, *[Audited(0, 1, 1)] * 3)
    with pytest.raises(Enough):
        await Auditor(reader, Stats(), clock=clock, sleep=sleep).run()
    assert rests == [IDLE_SECONDS] * 3
