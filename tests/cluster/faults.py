"""The faults, each played on a system that is up and under load."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.cluster.harness import STREAM, System
from tests.crash.clients import until


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


async def kill_a_gateway(system: System, seconds: float) -> None:
    """Kill -9; it comes back on its journal."""
    for gateway in system.gateways:
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


Fault = Callable[[System, float], Awaitable[None]]

FAULTS: tuple[Fault, ...] = (
    kill_the_stream_leader,
    kill_each_node_in_turn,
    kill_two_nodes,
    kill_a_worker,
    kill_a_gateway,
    cut_the_network,
)
