"""What waits in the stream, for who looks: it is counted, and looking disturbs nobody."""

import asyncio

import pytest

from playsmart_gateway.console.promise.routes import Relaying
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stream.sink import JetStreamSink
from tests.stream.pipeline import new_stream, settled, working
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers


def many(number: int) -> list[Batch]:
    return [make_batch(sequence) for sequence in range(1, number + 1)]


async def test_it_is_what_no_worker_has_stored(nats_server: NatsServers) -> None:
    options, database = new_stream(), MemorySink()
    async with JetStreamSink(nats_server.url, options, database.bury) as store:
        assert isinstance(store, Relaying)
        assert await store.backlog() == 0
        await store.write(many(30))
        assert await store.backlog() == 30
        async with working(nats_server.url, options, database):
            await settled(nats_server.url, options)
        assert await store.backlog() == 0


async def test_it_is_not_known_while_nobody_answers_and_nothing_is_dropped_for_asking() -> None:
    with NatsServers() as servers:
        (node,) = servers.nodes
        async with JetStreamSink(servers.url, new_stream(), MemorySink().bury) as store:
            await store.write(many(3))
            node.pause()
            asking = asyncio.create_task(store.backlog())
            done, _ = await asyncio.wait([asking], timeout=0.2)
            assert not done
            asking.cancel()
            node.resume()
            assert await store.write(many(4)) == Written(1, 3)  # on the connection that there was
            assert await store.backlog() == 4
            node.kill()
            with pytest.raises(SinkUnavailable):
                await store.backlog()
