"""A gateway, or a worker, that finds what only a later version can read, as real processes."""

import asyncio
import contextlib
import os
import sqlite3
import zlib
from pathlib import Path

import pytest

from playsmart_gateway.events.codec import MARK, encode
from playsmart_gateway.pipeline.segments import MAGIC
from tests.stream.pipeline import connected, new_stream, settled
from tests.support.commands import Run, outcome, start_and_fail
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers
from tests.support.polling import wait_until

_BATCH = make_batch(7)
_KNOWN = b"".join(encode(_BATCH))
_MARK = MARK[:3] + b"Z"
_LATER = (
    _MARK
    + _KNOWN[4:8]
    + zlib.crc32(_KNOWN[12:], zlib.crc32(_MARK)).to_bytes(4, "little")
    + _KNOWN[12:]
)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_gateway_does_not_start_and_leaves_the_journal_as_it_is(
    tmp_path: Path, workers: str
) -> None:
    folder = tmp_path / "data" / "journal" / ("" if workers == "1" else "worker-0")
    folder.mkdir(parents=True)
    segment = folder / "0000000000000001.journal"
    segment.write_bytes(MAGIC + _KNOWN + b"broken" + _LATER)
    code, errors = start_and_fail(tmp_path, "--port", "0", "--workers", workers)
    assert code == 2, errors
    assert f"error: journal.path: {segment.name} at byte " in errors
    assert "a record of a later version of this program" in errors
    assert segment.read_bytes() == MAGIC + _KNOWN + b"broken" + _LATER
    assert not list(tmp_path.rglob("*.bad"))


def test_a_worker_ends_and_leaves_the_message_in_the_stream(
    nats_server: NatsServers, tmp_path: Path, run: Run
) -> None:
    options = new_stream(stream=f"later-{os.getpid()}")
    database = tmp_path / "events.db"

    async def publish(content: bytes) -> None:
        async with connected(nats_server.url) as client:
            await client.jetstream().publish(f"{options.stream}.events.game", content)

    async def messages() -> int:
        async with connected(nats_server.url) as client:
            return (await client.jetstream().stream_info(options.stream)).state.messages

    arguments = ("worker", "--from", nats_server.url, "--to", f"sqlite:///{database}")
    asyncio.run(settled(nats_server.url, options))
    asyncio.run(publish(_KNOWN))
    worker = run(*arguments, NATS__STREAM=options.stream)
    wait_until(lambda: asyncio.run(messages()) == 0 or None)
    asyncio.run(publish(_LATER))
    code, output = outcome(worker)
    assert code == 2, output
    assert "error: nats.stream: there is a message of a later version" in output
    assert "Traceback" not in output
    assert asyncio.run(messages()) == 1
    with contextlib.closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT count(*) FROM events").fetchone() == (_BATCH.count,)
        assert opened.execute("SELECT count(*) FROM dead_letters").fetchone() == (0,)
