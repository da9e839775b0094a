"""The parts of a pipeline are connected in one place, for whoever needs them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from playsmart_gateway.catalogue.judging import Standard
from playsmart_gateway.config import Buffer, Config, Journal
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.pipeline.wiring import HELD_TRANSACTIONS, Kinds, Wiring
from playsmart_gateway.stores.memory.store import MemorySink
from tests import ROOT
from tests.support.doubles import make_batch

PARTS = {"Flusher", "Intake", "CommitQueue", "Buffer", "Journal"}


def makers(folder: str, *without: str) -> Iterator[str]:
    """Yield where a part is made, or named as what is to be made."""
    for path in (ROOT / folder).rglob("*.py"):
        if any(part in path.parts for part in without):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            made = node.func if isinstance(node, ast.Call) else None
            if isinstance(made, ast.Name) and made.id in PARTS:
                yield f"{path.relative_to(ROOT)} makes a {made.id}"


def test_nobody_else_makes_a_part_of_a_pipeline() -> None:
    """``config`` has sections that go by the same names."""
    assert set(makers("playsmart_gateway", "config")) == {
        "playsmart_gateway/pipeline/wiring.py makes a CommitQueue"
    }
    assert list(makers("tests/campaigns")) == []


def test_one_place_is_called_the_one_where_parts_meet() -> None:
    files = [*(ROOT / "playsmart_gateway").rglob("*.py"), *ROOT.glob("*.md")]
    assert [path.name for path in files if "one place where" in path.read_text()] == ["build.py"]


def test_no_part_takes_more_than_eight_arguments() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in (ROOT / "playsmart_gateway" / "pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        and method.name == "__init__"
        and len(method.args.args) + len(method.args.kwonlyargs) > 9  # and ``self``
    ]
    assert found == []


class Noting(Flusher):
    """Takes down what it was made with."""

    options: FlushOptions

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self.options = self._options


@pytest.mark.parametrize(
    ("journal", "syncs"),
    [
        (Journal(fsync="always"), True),
        (Journal(fsync="interval"), False),
        (Journal(fsync="always", enabled=False), False),
    ],
)
async def test_commits_are_synced_where_the_journal_is(
    journal: Journal, syncs: bool, tmp_path: Path
) -> None:
    wiring = Wiring(Config(journal=journal), kinds=Kinds(flusher=Noting))
    sink = MemorySink()
    pipeline = wiring.pipeline(sink, sink, folder=tmp_path, stats=Stats(), observers={})
    assert isinstance(pipeline.flusher, Noting)
    assert pipeline.flusher.options.syncs_commits is syncs
    assert (pipeline.journal is not None) is journal.enabled


async def test_what_is_accepted_goes_through_all_of_it(tmp_path: Path) -> None:
    sink = MemorySink()
    stats = Stats()
    pipeline = Wiring(Config()).pipeline(sink, sink, folder=tmp_path, stats=stats, observers={})
    assert pipeline.journal is not None
    pipeline.journal.open()
    receipt = await pipeline.intake.accept(make_batch(count=3))
    assert (receipt.accepted, pipeline.buffer.events) == (3, 3)
    assert await pipeline.flusher.flush() == 3
    assert pipeline.journal.keeps_stored
    pipeline.flusher.stop()
    await pipeline.flusher.run()
    assert not pipeline.journal.size
    assert (stats.stored, stats.unaccounted(0)) == (3, 0)
    pipeline.journal.close()


async def test_a_worker_holds_a_few_transactions_in_any_order() -> None:
    config = Config(buffer=Buffer(flush_max_events=5, flush_max_bytes=50_000))
    outlet = Wiring(config).stream_outlet(MemorySink(), MemoryOnly(), 0.02)
    assert outlet.buffer.max_events == HELD_TRANSACTIONS * 5
    for sequence in (2, 1):
        outlet.buffer.put(make_batch(sequence))
    assert await outlet.flusher.flush() == 2


async def test_gateways_and_workers_hold_what_they_store_to_the_standard(tmp_path: Path) -> None:
    wiring = Wiring(
        Config(journal=Journal(enabled=False)), standard=Standard({}, [make_batch().game_id])
    )
    sink = MemorySink()
    worker = wiring.stream_outlet(sink, MemoryOnly(), 0.02)
    gateway = wiring.pipeline(sink, sink, folder=tmp_path, stats=Stats(), observers={})
    for sequence, (buffer, flusher) in enumerate(
        [(worker.buffer, worker.flusher), (gateway.buffer, gateway.flusher)]
    ):
        buffer.put(make_batch(sequence))
        await flusher.flush()
    assert {batch.sequence for batch, _ in sink.dead_letters.values()} == {0, 1}
    assert not sink.batches
