"""A short form of the campaign: one fault a test, on one system."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.faults import FAULTS, Fault
from tests.cluster.harness import System
from tests.crash.clients import load


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    pytest.importorskip("nats", reason="nats-py is not installed")
    async with System(tmp_path) as system:
        yield system


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_nothing_acknowledged_is_lost_or_doubled(system: System, fault: Fault) -> None:
    async with load(system.clients):
        await system.accepted(50)
        await fault(system, 1.5)
    verdict = await system.verdict()
    assert verdict.accepted_events
    await system.stop()
