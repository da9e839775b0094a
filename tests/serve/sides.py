"""Two gateways in this process, one with the express path and one without, sent the same."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import uvicorn

from playsmart_gateway.app import create_app
from playsmart_gateway.build import rules_for
from playsmart_gateway.config import Auth, Buffer, Config, Ingest, Journal, Server
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.pipeline.segments import records
from playsmart_gateway.serve.connection import Protocol
from playsmart_gateway.serve.server import uvicorn_config
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.process import SECRET
from tests.support.transport import Wire

REST = 40
"""Behind a part: go on until all is answered."""

NOW = 1_776_868_200.0
MADE = re.compile(rb"x-request-id: [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}\r\n")
DATE = re.compile(rb"date: [^\r]*\r\n")


class Outcome(NamedTuple):
    """All that a client and an operator can see of what was sent."""

    answers: bytes
    ended: str
    counts: dict[str, Any]
    remembered: list[Any]
    written: list[Any]
    stored: list[Any]


def seen(batch: Batch) -> tuple[Any, ...]:
    name = (batch.sequence, batch.source, batch.game_id, batch.user_id, batch.kind)
    return *name, batch.count, batch.rows, batch.run, batch.seq, batch.received_at


class Side:
    """A gateway in this process with one connection, with the express path or without."""

    def __init__(self, folder: Path, config: Config, *, express: bool) -> None:
        self.store = MemorySink(rules_for(config), program_for(config))
        self.app = create_app(config, sink=self.store, clock=lambda: NOW)
        self.gateway = self.app.state.gateway
        self.folder = folder / "journal"
        self.asked = 0
        set_up = uvicorn_config(self.app.frame, config, self.gateway.slots)
        set_up.load()
        self.server = uvicorn.Server(set_up)
        self.gateway.slots.announce([(b"date", b"today")])
        self.connection = Protocol(
            config=set_up,
            server_state=self.server.server_state,
            app_state={},
            slots=self.gateway.slots,
            attempt=self.attempt if express else None,
        )
        self.wire = Wire()

    def attempt(self, *asked: Any) -> bool:
        is_answered = self.app.frame.attempt(*asked)
        self.asked += is_answered
        return is_answered

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """Go on until nothing is under way but what waits for the client."""
        for _ in range(3):
            await self.rounds(30)
            await self.gateway.intake.settled()

    async def send(self, parts: Sequence[bytes], rounds: Sequence[int]) -> Outcome:
        async with self.app.router.lifespan_context(self.app):
            self.connection.connection_made(self.wire)
            await self.rest()
            for part, count in zip(parts, rounds, strict=True):
                if not self.wire.is_closing():
                    self.connection.data_received(part)
                await self.rounds(count) if count < REST else await self.rest()
            await self.rest()
            ended = self.wire.ended
            stats = self.gateway.stats
            counts = {
                "requests": {key: each.count for key, each in stats.requests.items()},
                "law": (stats.received, stats.accepted, stats.rejected, stats.refused_requests),
                "auth": stats.auth_failures,
                "closed": stats.connections_closed,
                "unaccounted": stats.unaccounted(self.gateway.buffer.events),
            }
            remembered = list(self.gateway.answered.find(b"mine-1"))
            contents = [each.read_bytes() for each in sorted(self.folder.rglob("*.journal"))]
            written = [
                seen(batch) for each in contents for batch, *_ in records(each) if batch is not None
            ]
            self.connection.connection_lost(None)
        answers = DATE.sub(b"", MADE.sub(b"x-request-id: made\r\n", self.wire.sent))
        stored = [seen(batch) for batch, *_ in self.store.batches.values()]
        for each in remembered:
            each.batch, each.at = each.batch.partition("-")[2], 0.0
        return Outcome(answers, ended, counts, remembered, written, stored)


def make_config(folder: Path, **tables: Any) -> Config:
    return Config(
        auth=tables.get("auth", Auth(secret=SECRET)),
        buffer=Buffer(
            max_events=tables.get("room", 100), flush_interval_seconds=60, wait_for_room_ms=0
        ),
        journal=Journal(path=str(folder / "journal"), fsync=tables.get("fsync", "interval")),
        ingest=Ingest(**tables.get("ingest", {})),
        server=Server(**tables.get("server", {})),
        dialects=tables.get("dialects", {}),
    )


async def on_both(
    parts: Sequence[bytes], rounds: Sequence[int], **tables: Any
) -> tuple[Outcome, int]:
    """Return what became of it without the express path, after it was the same with it."""
    outcomes, answered = [], 0
    for express in (False, True):
        with TemporaryDirectory() as name:
            side = Side(Path(name), make_config(Path(name), **tables), express=express)
            outcomes.append(await side.send(parts, rounds))
            answered = side.asked
    assert outcomes[1] == outcomes[0]
    return outcomes[0], answered
