"""The faults, each played on a system that is up and under load."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.campaigns.cluster.harness import (
    STREAM,
    Fleet,
    System,
)
from tests.support.engines.postgres import PostgresServer, connected
from tests.support.polling import until


async def kill_the_stream_leader(system: System, seconds: float) -> None:
    """Kill -9, and back some time later."""
    leader = system.servers.stream_leader(STREAM)
    assert leader is not None
    leader.kill()
    await asyncio.sleep(seconds)
    await system.accepted(1)
    leader.start()


async def kill_each_node_in_turn(system: System, seconds: float) -> None:
    """Kill -9; the next one goes as soon as this one has caught up."""
    for node in system.servers.nodes:
        node.kill()
        await asyncio.sleep(seconds / 3)
        node.start()
        await asyncio.to_thread(system.servers.wait_healthy)


async def kill_two_nodes(system: System, seconds: float) -> None:
    """Kill -9, so that the rest has no majority: the rings fill, and then it is 503."""
    victims = system.servers.nodes[:2]
    for node in victims:
        node.kill()
    before = len(system.ledger.statuses)

    async def is_refused() -> bool:
        return 503 in system.ledger.statuses[before:]

    await until(is_refused, "the rings are full", seconds=60)
    await asyncio.sleep(seconds)
    assert ("UNAVAILABLE", "buffer_full") in system.ledger.refusals
    for node in victims:
        node.start()


async def kill_a_worker(system: System, seconds: float) -> None:
    """Kill -9, again and again, in the middle of whatever it does."""
    for worker in system.workers * 2:
        await asyncio.sleep(seconds / 4)
        worker.kill()
        worker.start()


async def kill_a_gateway(fleet: Fleet, seconds: float) -> None:
    """Kill -9; it comes back on its journal."""
    for gateway in fleet.gateways:
        await asyncio.sleep(seconds / 2)
        gateway.kill()
        gateway.start()


async def cut_the_network(system: System, seconds: float) -> None:
    """Stop every node where it is, so that connections stay and nobody answers."""
    for node in system.servers.nodes:
        node.pause()
    await asyncio.sleep(seconds)
    for node in system.servers.nodes:
        node.resume()


async def restart_postgres(fleet: Fleet, seconds: float) -> None:
    """Stop the server in mid-flush, in order: whoever is connected is thrown out."""
    await _end_postgres(fleet, seconds, PostgresServer.stop)


async def kill_postgres(fleet: Fleet, seconds: float) -> None:
    """The same as a crash does it: the server comes back on its log."""
    await _end_postgres(fleet, seconds, PostgresServer.kill)


async def _end_postgres(
    fleet: Fleet, seconds: float, end: Callable[[PostgresServer], None]
) -> None:
    server = fleet.postgres
    assert server is not None
    async with connected(fleet.url) as db:
        await db.execute("BEGIN; LOCK TABLE coin_entries IN SHARE MODE")

        async def is_held_up() -> bool:
            return bool(await db.fetchval(_HELD_UP))

        await until(is_held_up, "a flush has written its rows and comes to its coins")
        await asyncio.to_thread(end, server)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)


_HELD_UP = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE relation = 'coin_entries'::regclass AND NOT granted
    )
"""

AnyFleet = TypeVar("AnyFleet", bound=Fleet)
Fault = Callable[[AnyFleet, float], Awaitable[None]]

OF_THE_STREAM: tuple[Fault[System], ...] = (
    kill_the_stream_leader,
    kill_each_node_in_turn,
    kill_two_nodes,
    kill_a_worker,
    kill_a_gateway,
    cut_the_network,
)
OF_POSTGRES: tuple[Fault[Fleet], ...] = (restart_postgres, kill_postgres, kill_a_gateway)
OF_POSTGRES_BEHIND_THE_STREAM: tuple[Fault[System], ...] = (
    restart_postgres,
    kill_postgres,
    kill_a_worker,
)
