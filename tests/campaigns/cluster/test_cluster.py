"""A short form of the campaign: the faults of each scene one after the other, on one system."""

import asyncio
from pathlib import Path

import pytest

from tests.campaigns.cluster.faults import (
    AnyFleet,
    Fault,
    cut_the_network,
    kill_a_gateway,
    kill_a_worker,
    kill_postgres,
    kill_the_stream_leader,
    kill_two_nodes,
    restart_postgres,
)
from tests.campaigns.cluster.harness import (
    Fleet,
    System,
)
from tests.support.engines.postgres import PostgresServer
from tests.support.players import load


async def kill_a_worker_and_a_gateway(system: System, seconds: float) -> None:
    """Both at once."""
    await asyncio.gather(kill_a_worker(system, seconds), kill_a_gateway(system, seconds))


async def restart_postgres_and_kill_a_worker(system: System, seconds: float) -> None:
    """One after the other, with no time in between to catch up."""
    await restart_postgres(system, seconds)
    await kill_a_worker(system, seconds)


async def play(fleet: AnyFleet, *faults: Fault[AnyFleet], seconds: float) -> None:
    async with fleet:
        for place, fault in enumerate(faults):
            fleet.number_events(place)
            async with load(fleet.clients):
                await fleet.accepted(50)
                await fault(fleet, seconds)
            verdict = await fleet.verdict()
            assert verdict.accepted_events
            assert verdict.repeated_events
        await fleet.stop()


async def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    await play(
        System(tmp_path, f"sqlite:///{tmp_path}/store/playsmart.db"),
        kill_a_worker_and_a_gateway,
        kill_the_stream_leader,
        cut_the_network,
        kill_two_nodes,
        seconds=1.5,
    )


async def test_nothing_is_lost_or_doubled_when_postgresql_is_restarted_under_two_gateways(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    await play(
        Fleet(tmp_path, postgres_url, postgres=postgres_server),
        restart_postgres,
        kill_postgres,
        kill_a_gateway,
        seconds=0.3,
    )


async def test_nothing_is_lost_or_doubled_when_postgresql_is_restarted_under_two_workers(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    await play(
        System(tmp_path, postgres_url, postgres=postgres_server),
        restart_postgres_and_kill_a_worker,
        seconds=0.3,
    )
