"""The limits of the machine: a full disk under the journal, sizes, descriptors, slow clients."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.crash.slow import measure
from tests.support.count import count
from tests.support.faults import (
    MountRefused,
    fill,
    limited,
    open_files,
    tmpfs,
)
from tests.support.players import Client, Ledger, close, load, read_answer, request
from tests.support.polling import until
from tests.support.target import Target

linux_only = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="limits of a running process need prlimit (Linux)"
)
REFUSAL = {("UNAVAILABLE", "journal_unavailable")}


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with Target(tmp_path / "data") as target:
        yield target


async def send_until(player: Client, status: int, size: int = 50) -> None:
    """Send until the answer is that status."""

    async def is_answered() -> bool:
        return await player.send(size) == status

    await until(is_answered, f"a {status}")


async def refused_and_told(player: Client, target: Target) -> None:
    """Send until the answer is 503, and health and metrics say that the journal fails."""

    async def is_told() -> bool:
        if await player.send(50) != 503:
            return False
        status, body = await target.ready()
        return status == 503 and '"journal"' in body and not (await target.metrics())["journal_up"]

    await until(is_told, "a refusal, and /readyz tells of the journal")


async def test_a_full_disk_under_the_journal_refuses_and_heals(target: Target) -> None:
    target.data.mkdir()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    try:
        with tmpfs(target.journal, "4m"):
            await target.up()
            assert await player.send(10) == 202
            ballast = fill(target.journal)
            await refused_and_told(player, target)
            assert ledger.refusals == REFUSAL
            ballast.unlink()
            await send_until(player, 202)
            await target.wait_ready()
            await target.drained()
            assert count(target.database, ledger).good
            assert await target.stop() == 0
    except MountRefused as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
    finally:
        await player.close()
    verdict = count(target.database, ledger)
    assert verdict.good, verdict
    assert verdict.unknown_events == 0


async def test_a_full_disk_under_the_journal_heals_though_nobody_sends(target: Target) -> None:
    """A balancer sends nothing to a gateway that is not ready: it must find out by itself."""
    target.data.mkdir()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    try:
        with tmpfs(target.journal, "4m"):
            await target.up()
            ballast = fill(target.journal)
            await refused_and_told(player, target)
            ballast.unlink()
            await until(target.is_ready, "ready without a request")
    except MountRefused as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
    finally:
        await player.close()


async def test_a_journal_full_of_what_is_stored_already_makes_room_by_itself(
    target: Target,
) -> None:
    """A disk smaller than a segment must not end in refusing for ever."""
    target.data.mkdir()
    ledger = Ledger()
    player = Client("player", target.port, ledger, pad=500)
    try:
        with tmpfs(target.journal, "1m"):
            await target.up()

            async def is_far_beyond_its_size() -> bool:
                for _ in range(10):
                    await player.send(200)
                return ledger.events("accepted") > 20_000

            await until(is_far_beyond_its_size, "five times the disk went through the journal")
            await target.drained()
            await target.wait_ready()
            assert await target.stop() == 0
    except MountRefused as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
    finally:
        await player.close()
    verdict = count(target.database, ledger)
    assert verdict.good, verdict


@linux_only
async def test_a_limit_on_file_sizes_refuses_what_does_not_fit_and_heals(target: Target) -> None:
    """RLIMIT_FSIZE: a write ends short, then fails with EFBIG; SQLite calls that an I/O error."""
    await target.up()
    ledger = Ledger()
    clients = [Client(f"player-{place}", target.port, ledger) for place in range(4)]
    with limited(target.process.pid, resource.RLIMIT_FSIZE, 300_000):
        async with load(clients):

            async def is_refused() -> bool:
                return 503 in ledger.statuses

            await until(is_refused, "a write that does not fit")
        assert ledger.refusals == REFUSAL
        await target.told("journal trouble")
        await target.told("File too large")
    await send_until(clients[0], 202)
    await clients[0].close()
    await target.drained()
    await target.wait_ready()
    assert await target.stop() == 0
    verdict = count(target.database, ledger)
    assert verdict.good, verdict
    assert verdict.accepted_events


@linux_only
async def test_an_io_error_of_the_store_fails_no_request_and_heals(target: Target) -> None:
    """Many small flushes: the write-ahead log meets the limit long before the journal does."""
    target.settings["buffer.flush_interval_seconds"] = 0.01
    await target.up()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    with limited(target.process.pid, resource.RLIMIT_FSIZE, 200_000):

        async def fails() -> bool:
            assert await player.send(1) == 202
            return (await target.metrics()).get("flush_failures_total", 0) > 0

        await until(fails, "a flush that fails")
        assert (await target.ready())[0] == 503
        assert await player.send(1) == 202
    await target.drained()
    await target.wait_ready()
    await player.close()
    assert await target.stop() == 0
    assert count(target.database, ledger).good


@linux_only
async def test_connections_beyond_the_limit_of_descriptors_do_not_kill_it(target: Target) -> None:
    await target.up()
    ledger = Ledger()
    player = Client("player", target.port, ledger)
    assert await player.send(1) == 202
    writers = []
    limit = open_files(target.process.pid) + 20
    with limited(target.process.pid, resource.RLIMIT_NOFILE, limit):
        for _ in range(100):
            with contextlib.suppress(OSError):
                async with asyncio.timeout(5):
                    _, writer = await asyncio.open_connection("127.0.0.1", target.port)
                    writers.append(writer)
        for _ in range(20):
            assert await player.send(10) == 202  # whoever was there first goes on
        for writer in writers:
            await close(writer)
        await target.wait_ready()
    late = Client("late", target.port, ledger)
    await send_until(late, 202)
    await late.close()
    await player.close()
    await target.drained()
    assert await target.stop() == 0
    assert count(target.database, ledger).good


async def test_slow_clients_cost_the_others_little(tmp_path: Path) -> None:
    """The campaign prints the ratio, which is to stay below 2; here only what noise cannot do.

    Not three times in a row, that is: another program may stop everybody for a moment.
    """
    ratios: list[float] = []
    while not ratios or ratios[-1] >= 10:
        assert len(ratios) < 3, ratios
        with Target(tmp_path / str(len(ratios))) as target:
            await target.up()
            ledger = Ledger()
            latencies = await measure(target, ledger, turns=1, turn_seconds=0.7, ahead_seconds=0.3)
            assert set(ledger.statuses) == {202}
            assert latencies.slow_accepted
            ratios.append(latencies.ratio)
            await target.drained()
            assert await target.stop() == 0
            assert count(target.database, ledger).good


async def test_a_request_that_never_ends_is_dropped(target: Target) -> None:
    """Whether it stops within its head or within its body."""
    target.settings["server.request_timeout_seconds"] = 0.5
    await target.up()
    ledger = Ledger()
    content = request("slow", 1, 10)
    part_of_a_head, part_of_a_body = content[:40], content[: content.index(b"\r\n\r\n") + 20]
    connections = []
    for part in (part_of_a_head, part_of_a_body):
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(part)
        connections.append((reader, writer))
    player = Client("player", target.port, ledger)
    async with load([player]), asyncio.timeout(60):
        for reader, writer in connections:
            status, _ = await read_answer(reader)
            assert status == 408
            assert await reader.read() == b""
            await close(writer)
    assert set(ledger.statuses) == {202}
    await target.drained()
    assert await target.stop() == 0
