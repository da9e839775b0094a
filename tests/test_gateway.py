"""A gateway whose events go to another place than the database that answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
import pytest

from playsmart_gateway.auth.tokens import open_verifier
from playsmart_gateway.build import Storage, gateway_for
from playsmart_gateway.config import Auth, Buffer, Config, Journal
from playsmart_gateway.economy.points import EventDefinition, Program
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from tests.support.doubles import make_batch
from tests.support.polling import eventually
from tests.support.process import SECRET

PROGRAM = Program([EventDefinition(id="login", kind="fix", points=10)])


class ListSink:
    """Takes events and nothing else: no more than the five members of ``EventSink``."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.buried: list[tuple[int, str]] = []
        self.synced = 0
        self.life: list[str] = []
        self.troubles: list[Exception] = []

    async def __aenter__(self) -> Self:
        self.life.append("opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.life.append("closed")

    async def write(self, batches: Sequence[Batch]) -> Written:
        if self.troubles:
            raise self.troubles.pop()
        if any(batch.user_id == "eve" for batch in batches):
            raise SinkRejected("not of hers")
        self.taken += [batch.sequence for batch in batches]
        return Written(sum(batch.count for batch in batches), 0)

    async def bury(self, batch: Batch, reason: str) -> None:
        self.buried.append((batch.sequence, reason))

    async def sync(self) -> None:
        self.synced += 1


def make_config(folder: Path) -> Config:
    return Config(
        auth=Auth(secret=SECRET),
        buffer=Buffer(flush_interval_seconds=0.01),
        journal=Journal(path=str(folder / "journal")),
    )


async def test_events_go_to_the_sink_and_the_database_pays_and_answers(tmp_path: Path) -> None:
    sink, store = ListSink(), MemorySink(program=PROGRAM)
    config = make_config(tmp_path)
    gateway = gateway_for(config, Storage(sink, store), open_verifier(secret=SECRET))
    row = msgspec.json.encode([["login", None, "2026-04-22T14:30:00Z", {}]])
    async with gateway.running():
        assert sink.life == ["opened"]
        for number in range(3):
            await gateway.intake.accept(make_batch(count=number + 1))
        award = await gateway.commit_queue.submit(
            Batch("lynes", "demo", "ada", 1, row, received_at=1_776_868_200_000_000)
        )
    assert award.points == 10
    assert sink.taken == [1, 2, 3]
    assert sink.synced, "before the journal let go of them"
    assert sink.life == ["opened", "closed"]
    assert [batch.source for batch, _ in store.batches.values()] == ["lynes"]
    assert gateway.stats.stored == 1 + 2 + 3 + 1
    assert gateway.stats.unaccounted(0) == 0


async def test_a_sink_that_cannot_be_asked_who_is_to_blame_is_believed(tmp_path: Path) -> None:
    sink = ListSink()
    gateway = gateway_for(
        make_config(tmp_path), Storage(sink, MemorySink()), open_verifier(secret=SECRET)
    )
    async with gateway.running():
        for user in ("ada", "eve", "bob"):
            await gateway.intake.accept(make_batch(user_id=user))
    assert sink.taken == [1, 3]
    assert sink.buried == [(2, "not of hers")]


async def test_a_sink_that_was_away_is_found_back_by_writing_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ListSink()
    sink.troubles = [SinkUnavailable("asleep")]
    gateway = gateway_for(
        make_config(tmp_path), Storage(sink, MemorySink()), open_verifier(secret=SECRET)
    )
    async with gateway.running():
        gateway.flusher.note_failure(SinkUnavailable("asleep"))
        assert [str(reason) for reason in gateway.not_ready_because()]
        gateway.buffer.stirred.set()
        await eventually(lambda: None if gateway.not_ready_because() else True)
    assert sink.taken == []
    assert "store is back" in caplog.text
