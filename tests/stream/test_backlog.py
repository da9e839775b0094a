"""What waits in the stream, for who looks: it is counted, and looking disturbs nobody."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.console.promise.routes import Relaying
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream.sink import JetStreamSink
from tests.stream.pipeline import new_stream, settled, working
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers
from tests.support.polling import wait_until
from tests.support.process import StartGateway
from tests.support.uploads import make_event, make_upload

TOKEN = "the token of an operator"


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
            await asyncio.to_thread(wait_until, lambda: node.ask("/healthz") is None or None)
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


async def test_a_gateway_that_publishes_tells_what_no_worker_has_stored(
    nats_server: NatsServers, start_gateway: StartGateway, tmp_path: Path
) -> None:
    options = new_stream(replicas=1)
    url = f"sqlite:///{tmp_path}/events.db"
    running = start_gateway(
        "--workers", "2",
        OPERATOR__TOKEN=TOKEN, STORAGE__URL=nats_server.url, STORAGE__READS_URL=url,
        NATS__STREAM=options.stream, BUFFER__FLUSH_INTERVAL_SECONDS="0.05",
    )  # fmt: skip

    def stream() -> dict[str, Any]:
        headers = {"authorization": f"Bearer {TOKEN}"}
        told = running.client.get("/promise/data", headers=headers).json()
        fates = {each["name"]: each["kept"] for each in told["promise"]["fates"]}
        assert (fates["stream_server_lost"], fates["disk_lost"]) == ("most", "most")
        (found,) = [each for each in told["followers"] if each["name"] == "stream"]
        assert isinstance(found, dict)
        return found

    for _ in range(5):
        upload = make_upload("ada", make_event())
        assert (await asyncio.to_thread(running.post, upload, sub="ada")).is_success
    await asyncio.to_thread(wait_until, lambda: stream()["behind"] == 5 or None)
    async with working(nats_server.url, options, open_store(url)):
        await settled(nats_server.url, options)
    await asyncio.to_thread(wait_until, lambda: stream()["state"] == "done" or None)
    assert await asyncio.to_thread(running.stop) == 0
