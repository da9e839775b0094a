"""Publishing and consuming on a real server."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from playsmart_gateway.config import Buffer, Config
from playsmart_gateway.errors import ConfigError, SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream.connection import (
    Connection,
    ConnectionLost,
    Message,
)
from playsmart_gateway.stream.consumer import Consumer
from playsmart_gateway.stream.link import (
    Link,
    reason,
)
from playsmart_gateway.stream.options import (
    JetStreamOptions,
    read_servers,
)
from playsmart_gateway.stream.sink import JetStreamSink
from playsmart_gateway.stream.source import SourceState
from tests.stream.pipeline import (
    connected,
    make_worker,
    new_stream,
    settled,
    working,
)
from tests.support.certificates import make_certificates
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers
from tests.support.polling import eventually

PASSWORD = "do-not-show-me"


def many(number: int, first: int = 1) -> list[Batch]:
    return [make_batch(sequence) for sequence in range(first, first + number)]


@pytest.fixture
def own_server() -> Iterator[NatsServers]:
    """A server that a test may do anything to."""
    pytest.importorskip("nats", reason="nats-py is not installed")
    with NatsServers() as servers:
        yield servers


def names(database: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(
            "SELECT identity, sequence FROM batches JOIN journals USING (journal_id)"
        ).fetchall()


# ---- Exactly once --------------------------------------------------------------------------------


async def test_two_workers_share_a_stream_and_nothing_is_doubled(
    nats_server: NatsServers, tmp_path: Path
) -> None:
    options = new_stream(max_ack_pending=200)
    url = f"sqlite:///{tmp_path}/events.db"
    config = Config(buffer=Buffer(flush_max_events=20))
    async with (
        JetStreamSink(nats_server.url, options, open_store(url).bury) as store,
        working(nats_server.url, options, open_store(url), config=config) as one,
        working(nats_server.url, options, open_store(url), config=config) as other,
    ):
        for first in range(1, 3_000, 500):
            await store.write(many(500, first))
        await settled(nats_server.url, options)
    assert len(names(tmp_path / "events.db")) == 3_000
    assert one.stats.stored + other.stats.stored == 3_000
    assert min(one.fetched, other.fetched) > 0


async def test_a_batch_that_is_published_again_is_known_by_the_stream(
    nats_server: NatsServers,
) -> None:
    options = new_stream()
    async with JetStreamSink(nats_server.url, options, MemorySink().bury) as store:
        assert await store.write(many(3)) == Written(3, 0)
        assert await store.write(many(4)) == Written(1, 3)


async def test_beyond_the_duplicate_window_the_database_knows_it(nats_server: NatsServers) -> None:
    options = new_stream(duplicate_window_seconds=0.1)
    database = MemorySink()
    async with JetStreamSink(nats_server.url, options, database.bury) as store:
        assert await store.write(many(3)) == Written(3, 0)
        await asyncio.sleep(0.5)
        assert await store.write(many(3)) == Written(3, 0)
        async with working(nats_server.url, options, database) as worker:
            await settled(nats_server.url, options)
    assert len(database.rows) == 3
    assert (worker.stats.stored, worker.stats.duplicate) == (3, 3)


async def test_what_a_dead_worker_held_is_stored_by_another(nats_server: NatsServers) -> None:
    options = new_stream(ack_wait_seconds=2.0)
    database = MemorySink()
    async with JetStreamSink(nats_server.url, options, database.bury) as store:
        await store.write(many(50))
        async with Consumer(nats_server.url, options) as dead:
            taken = [delivery async for delivery in dead.fetch(50)]
            assert len(taken) == 50
        async with working(nats_server.url, options, database) as worker:
            await settled(nats_server.url, options)
    assert len(database.rows) == 50
    assert worker.fetched_again == 50


async def test_an_ack_that_was_lost_is_harmless(nats_server: NatsServers) -> None:
    class Mute(Consumer):
        async def acknowledge(self, acks: Sequence[str]) -> None:
            pass

    options = new_stream(ack_wait_seconds=2.0)
    database = MemorySink()
    async with JetStreamSink(nats_server.url, options, database.bury) as store:
        await store.write(many(20))
        mute = make_worker(Mute(nats_server.url, options), database)
        async with mute.running():
            await eventually(lambda: mute.stats.stored == 20 or None)
        async with working(nats_server.url, options, database) as worker:
            await settled(nats_server.url, options)
    assert len(database.rows) == 20
    assert worker.stats.duplicate == 20


async def test_a_store_slower_than_the_ack_wait_brings_no_redelivery(
    nats_server: NatsServers,
) -> None:
    class Slow(MemorySink):
        async def write(self, batches: Sequence[Batch]) -> Written:
            await asyncio.sleep(4.5)
            return await super().write(batches)

    options = new_stream(ack_wait_seconds=1.5)
    database = Slow()
    async with (
        JetStreamSink(nats_server.url, options, database.bury) as store,
        working(nats_server.url, options, database) as worker,
    ):
        await store.write(many(10))
        await settled(nats_server.url, options)
    assert (worker.fetched, worker.fetched_again, len(database.rows)) == (10, 0, 10)


async def test_a_worker_that_stops_gives_back_what_it_did_not_take(
    nats_server: NatsServers,
) -> None:
    """With a minute to go until the next delivery others have it at once."""
    options = new_stream(ack_wait_seconds=60.0)
    async with JetStreamSink(nats_server.url, options, MemorySink().bury) as store:
        await store.write(many(10))
        async with Consumer(nats_server.url, options) as leaving:
            taken = await anext(leaving.fetch(10))
            assert await leaving.state() == SourceState(0, 10, 0)
            await leaving.give_back([taken.receipt])
        async with Consumer(nats_server.url, options) as other:
            assert len([delivery async for delivery in other.fetch(10)]) == 10


async def test_garbage_in_the_stream_is_buried(nats_server: NatsServers) -> None:
    options = new_stream()
    database = MemorySink()
    async with (
        JetStreamSink(nats_server.url, options, database.bury) as store,
        working(nats_server.url, options, database),
        connected(nats_server.url) as client,
    ):
        await client.jetstream().publish(f"{options.stream}.events.x", b"not a batch")
        await store.write(many(1))
        await settled(nats_server.url, options)
    assert [batch.rows for batch, _ in database.dead_letters.values()] == [b"not a batch"]
    assert len(database.rows) == 1


async def test_the_longest_game_id_gets_through(nats_server: NatsServers) -> None:
    options = new_stream()
    database = MemorySink()
    batch = make_batch(1)
    batch.game_id = "😀" * 256
    async with (
        JetStreamSink(nats_server.url, options, database.bury) as store,
        working(nats_server.url, options, database),
    ):
        await store.write([batch])
        await settled(nats_server.url, options)
    ((stored, _),) = database.batches.values()
    assert stored == batch


# ---- Refusals ------------------------------------------------------------------------------------


async def test_a_stream_that_differs_is_refused_with_every_difference(
    nats_server: NatsServers,
) -> None:
    options = new_stream()
    async with JetStreamSink(nats_server.url, options, MemorySink().bury):
        pass
    other = JetStreamOptions(
        stream=options.stream, max_age_seconds=60, max_bytes=10_000_000, duplicate_window_seconds=30
    )
    with pytest.raises(ConfigError) as caught:
        async with Consumer(nats_server.url, other):
            pass
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        f"nats.stream: {options.stream} has nats.max_age_seconds 0, not 60",
        f"nats.stream: {options.stream} has nats.max_bytes -1, not 10000000",
        f"nats.stream: {options.stream} has nats.duplicate_window_seconds 120, not 30",
    ]


async def test_somebody_elses_stream_is_refused(nats_server: NatsServers) -> None:
    options = new_stream()
    async with connected(nats_server.url) as client:
        await client.jsm().add_stream(name=options.stream, subjects=["something.else"])
    with pytest.raises(ConfigError, match="other subjects"):
        async with JetStreamSink(nats_server.url, options, MemorySink().bury):
            pass


async def test_three_replicas_need_three_servers(nats_server: NatsServers) -> None:
    async def prepare(connection: Connection) -> None:
        from playsmart_gateway.stream.topology import ensure_stream

        await ensure_stream(connection, new_stream(replicas=3))

    link = Link(nats_server.url, new_stream(), prepare)
    with pytest.raises(SinkUnavailable, match="replicas"):
        await link.open(patience_seconds=0)


async def test_nobody_there_is_said_without_the_password() -> None:
    async def prepare(_: Connection) -> None:
        raise AssertionError

    link = Link(f"nats://ada:{PASSWORD}@127.0.0.1:1", new_stream(), prepare)
    with pytest.raises(SinkUnavailable, match=r"NATS: 127\.0\.0\.1:1: ") as caught:
        await link.open(patience_seconds=0.2)
    assert PASSWORD not in str(caught.value)


async def test_a_password_is_used_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pytest.importorskip("nats", reason="nats-py is not installed")
    config = f'authorization {{ user: ada, password: "{PASSWORD}" }}'

    async def prepare(_: Connection) -> None:
        pass

    with NatsServers(config=config) as servers:
        for user_info, works in ((f"ada:{PASSWORD}", True), (f"ada:{PASSWORD}x", False)):
            url = servers.url.replace("//", f"//{user_info}@")
            link = Link(url, new_stream(), prepare)
            if works:
                await link.open(patience_seconds=5)
                await link.close()
            else:
                with pytest.raises(ConfigError, match="refuses the user, the password"):
                    await link.open(patience_seconds=0)
    assert PASSWORD not in caplog.text


async def test_tls_is_spoken_where_the_url_says_so_or_the_server_asks(tmp_path: Path) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    authority, certificate, key = make_certificates(tmp_path)
    options = {"tls_ca_file": authority, "tls_cert_file": certificate, "tls_key_file": key}

    async def prepare(_: Connection) -> None:
        pass

    files = f'ca_file: "{authority}", cert_file: "{certificate}", key_file: "{key}"'
    with NatsServers(config=f"tls {{ {files}, verify: true }}") as servers:
        for scheme in ("tls", "nats"):
            url = servers.url.replace("nats", scheme)
            link = Link(url, new_stream(**options), prepare)
            await link.open(patience_seconds=5)
            await link.close()
        for stranger in (new_stream(), new_stream(tls_ca_file=authority)):
            link = Link(servers.url, stranger, prepare)
            with pytest.raises(SinkUnavailable, match=r"NATS: 127"):
                await link.open(patience_seconds=0)
            await link.close()


@contextlib.asynccontextmanager
async def pretended(heard: bytearray) -> AsyncIterator[int]:
    """A port where every PING is answered and what is said kept, until the other end hangs up."""
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id": "x", "max_payload": 1048576}\r\n')
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                heard.extend(line)
                if line == b"PING\r\n":
                    writer.write(b"PONG\r\n")
        writer.transport.abort()
        gone.set()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]
        await gone.wait()


@pytest.mark.parametrize("user_info", ["", f"ada:{PASSWORD}@"])
async def test_a_url_that_insists_on_tls_sends_nothing_in_plain_text(user_info: str) -> None:
    async def prepare(_: Connection) -> None:
        raise AssertionError

    async with pretended(heard := bytearray()) as port:
        link = Link(f"tls://{user_info}127.0.0.1:{port}", new_stream(), prepare)
        with pytest.raises(SinkUnavailable, match="TLS is not spoken there"):
            await link.open(patience_seconds=0)
    assert PASSWORD.encode() not in heard


async def test_what_was_sent_is_settled_when_a_ping_that_came_after_it_is_answered() -> None:
    async with pretended(heard := bytearray()) as port:
        (server,) = read_servers(f"nats://127.0.0.1:{port}")
        connection = await Connection.open(server, new_stream())
        await connection.send("receipts", b"hello")
        await connection.settle()
        assert heard.rindex(b"PING") > heard.index(b"hello")
        await connection.close()


async def test_a_batch_larger_than_the_server_takes_is_rejected() -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    with NatsServers(config="max_payload: 2048") as servers:
        async with JetStreamSink(servers.url, new_stream(), MemorySink().bury) as store:
            with pytest.raises(SinkRejected, match="more than NATS takes"):
                await store.write([make_batch(1), make_batch(2, pad=3_000)])
            assert await store.write([make_batch(1)]) == Written(1, 0)


async def test_a_full_stream_refuses_until_workers_made_room(nats_server: NatsServers) -> None:
    options = new_stream(max_bytes=20_000)
    database = MemorySink()
    async with JetStreamSink(nats_server.url, options, database.bury) as store:
        batches = [make_batch(sequence, pad=1_000) for sequence in range(1, 31)]
        with pytest.raises(SinkUnavailable, match="maximum bytes exceeded"):
            await store.write(batches)
        async with working(nats_server.url, options, database):
            while len(database.rows) < 30:
                try:
                    await store.write(batches)
                except SinkUnavailable:
                    await asyncio.sleep(0.01)
            await settled(nats_server.url, options)
    assert len(database.rows) == 30


# ---- Faults --------------------------------------------------------------------------------------


async def test_a_server_that_dies_is_waited_for_and_found_again(
    own_server: NatsServers, caplog: pytest.LogCaptureFixture
) -> None:
    (node,) = own_server.nodes
    options = new_stream()
    database = MemorySink()
    async with (
        JetStreamSink(own_server.url, options, database.bury) as store,
        working(own_server.url, options, database) as worker,
    ):
        await store.write(many(10))
        node.kill()
        for _ in range(3):
            with pytest.raises(SinkUnavailable, match=r"NATS: "):
                await store.write(many(10, first=11))
        await eventually(lambda: worker.source_error)
        node.start()
        await asyncio.to_thread(own_server.wait_healthy)
        assert await store.write(many(10, first=11)) == Written(10, 0)
        await eventually(lambda: len(database.rows) == 20 or None)
    lost = [record for record in caplog.records if "connection to NATS" in record.getMessage()]
    assert len(lost) == 2  # the gateway's and the worker's, once each


async def test_a_server_that_stands_still_holds_nobody_up_for_ever(
    own_server: NatsServers,
) -> None:
    (node,) = own_server.nodes
    options = new_stream()
    async with JetStreamSink(own_server.url, options, MemorySink().bury) as store:
        await store.write(many(10))
        node.pause()
        try:
            with pytest.raises(SinkUnavailable, match=r"no answer in time|ConnectionLost"):
                await store.write([make_batch(20, pad=500_000) for _ in range(100)])
            with pytest.raises(SinkUnavailable, match="no answer in time"):
                await store.write(many(10))
        finally:
            node.resume()
        assert (await store.write(many(12))).stored >= 2


async def test_a_stream_that_somebody_deletes_is_made_anew(nats_server: NatsServers) -> None:
    options = new_stream()
    database = MemorySink()
    async with (
        JetStreamSink(nats_server.url, options, database.bury) as store,
        working(nats_server.url, options, database),
        connected(nats_server.url) as client,
    ):
        await store.write(many(1))
        await settled(nats_server.url, options)
        await client.jsm().delete_stream(options.stream)
        with pytest.raises(SinkUnavailable, match="no stream answers"):
            await store.write(many(1, first=2))
        while len(database.rows) < 2:
            try:
                await store.write(many(1, first=2))
            except SinkUnavailable:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
    assert len(database.rows) == 2


async def test_a_stream_that_somebody_changed_is_told_of_and_waited_for(
    nats_server: NatsServers,
) -> None:
    options = new_stream()
    async with (
        JetStreamSink(nats_server.url, options, MemorySink().bury) as store,
        connected(nats_server.url) as client,
    ):
        info = await client.jsm().stream_info(options.stream)
        await client.jsm().update_stream(info.config, max_age=600.0)
        await store._link.close()  # the next connection looks at it
        with pytest.raises(SinkUnavailable, match=r"has nats\.max_age_seconds 600, not 0"):
            await store.write(many(1))
        await client.jsm().update_stream(info.config, max_age=0.0)
        assert await store.write(many(1)) == Written(1, 0)


# ---- A connection --------------------------------------------------------------------------------


async def test_acks_that_come_twice_or_too_late_change_nothing(nats_server: NatsServers) -> None:
    (server,) = read_servers(nats_server.url)
    connection = await Connection.open(server, new_stream())
    async with connected(nats_server.url) as client:
        replies: list[str] = []

        async def answer(message: Msg) -> None:
            replies.append(message.reply)
            for number in (1, 2):
                await client.publish(message.reply, b'{"seq": %d}' % (len(replies) * 10 + number))

        await client.subscribe("acks.twice", cb=answer)
        await client.flush()
        await client.flush()  # the first can overtake what is to be known there
        messages = [Message("acks.twice", str(number), b"") for number in range(3)]
        acks = await connection.publish(messages)
        assert [ack.seq for ack in acks] == [11, 21, 31]
        await client.publish(replies[0], b'{"seq": 99}')
        await client.flush()
        assert [ack.seq for ack in await connection.publish(messages[:1])] == [41]
    await connection.close()


async def test_nothing_is_sent_on_a_connection_that_is_lost(own_server: NatsServers) -> None:
    (server,) = read_servers(own_server.url)
    connection = await Connection.open(server, new_stream())
    own_server.nodes[0].kill()
    await eventually(lambda: connection.is_lost or None)
    with pytest.raises(ConnectionLost):
        await connection.publish([Message("a", "1", b"")])
    await connection.close()
    await connection.close()
    assert reason(ConnectionLost()) == "the connection is lost"
    assert reason(OSError()) == "cannot be reached"


async def test_what_the_stream_acknowledged_waits_for_no_database() -> None:
    """A database that is down must not keep what is published in the journal."""
    buried: list[tuple[Batch, str]] = []

    async def bury(batch: Batch, reason: str) -> None:
        buried.append((batch, reason))

    sink = JetStreamSink("nats://one", new_stream(), bury)
    await sink.sync()
    await sink.bury(batch := make_batch(1), "because")
    assert buried == [(batch, "because")]
