"""A short form of the campaign: the faults one after the other, on one system."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.faults import (
    cut_the_network,
    kill_a_gateway,
    kill_a_worker,
    kill_the_stream_leader,
    kill_two_nodes,
)
from tests.cluster.harness import System
from tests.crash.clients import load


async def kill_a_worker_and_a_gateway(system: System, seconds: float) -> None:
    """Both at once."""
    await asyncio.gather(kill_a_worker(system, seconds), kill_a_gateway(system, seconds))


async def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    async with System(tmp_path) as system:
        for fault in (
            kill_a_worker_and_a_gateway,
            kill_the_stream_leader,
            cut_the_network,
            kill_two_nodes,
        ):
            async with load(system.clients):
                await system.accepted(50)
                await fault(system, 1.5)
            verdict = await system.verdict()
            assert verdict.accepted_events
        await system.stop()
