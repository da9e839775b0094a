"""PostgreSQL in trouble: whatever happens to it, nothing is lost and nothing doubled."""

import asyncio
import contextlib
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.economy.points import (
    EventDefinition,
    Program,
)
from playsmart_gateway.errors import ConfigError, GatewayError, SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.postgres.connection import (
    WRITER_LOCK,
    Connection,
)
from playsmart_gateway.stores.postgres.schema import (
    MIGRATIONS,
    VERSION_TABLE,
)
from tests.support.doubles import make_batch
from tests.support.engines.postgres import (
    END_SESSIONS,
    PASSWORD,
    PostgresServer,
    connected,
    execute,
    fetch,
    trouble,
)
from tests.support.engines.wire import Fault, Wire
from tests.support.polling import eventually

LEVELS = Rule("com.example.game", 10, 10, 0, 1, 1_000_000)
"""Each event of ``make_batch`` earns ten coins."""


async def check(url: str, batches: int, events: int) -> None:
    """Everything is there, once: headers, rows, coins, and the profile that adds them up."""
    assert await fetch(url, "SELECT count(*), sum(event_count) FROM batches") == [(batches, events)]
    assert await fetch(url, "SELECT count(*) FROM event_rows") == [(events,)]
    assert await fetch(url, "SELECT count(DISTINCT customdata ->> 'n') FROM events") == [(events,)]
    coins = "SELECT coins_balance, (SELECT sum(amount) FROM coin_entries) FROM players"
    assert await fetch(url, coins) == [(10 * events, 10 * events)]
    async with open_store(url).reader() as reader:
        assert (await reader.audit(10**6)).violations == ()


async def insist(sink: Store, batches: list[Batch]) -> int:
    """Write until it works, as the flusher does; return how often it did not."""
    for failures in range(1_000):
        with contextlib.suppress(SinkUnavailable):
            await sink.write(batches)
            return failures
        await asyncio.sleep(0.005)
    raise AssertionError("it never worked")


# --- connections that break ----------------------------------------------------------------------


async def test_sessions_that_are_ended_in_the_middle_of_writes_lose_and_double_nothing(
    postgres_url: str,
) -> None:
    flushes = [
        [make_batch(sequence, count=50) for sequence in range(first, first + 10)]
        for first in range(1, 200, 10)
    ]
    done = asyncio.Event()

    async def end_sessions() -> None:
        """More and more seldom, so that it works at last where all is slow."""
        pause = 0.01
        async with connected(postgres_url) as connection:
            while not done.is_set():
                await connection.execute(END_SESSIONS)
                await asyncio.sleep(pause)
                pause *= 1.2

    async with open_store(postgres_url, [LEVELS]) as sink:
        ending = asyncio.create_task(end_sessions())
        failures = sum([await insist(sink, flush) for flush in flushes])
        done.set()
        await ending
        assert failures > 0
    await check(postgres_url, 200, 10_000)


@pytest.mark.parametrize("fault", ["cut before", "cut after"])
@pytest.mark.parametrize("trigger", [b"pg_advisory_xact_lock", b"COPY", b"PGCOPY", b"COMMIT\0"])
async def test_a_connection_that_breaks_at_any_step_leaves_a_write_that_can_be_repeated(
    postgres_server: PostgresServer, postgres_url: str, fault: Fault, trigger: bytes
) -> None:
    """Whether the COMMIT that nobody answered has worked, is found out by writing once more."""
    batches = [make_batch(1, count=20), make_batch(2, count=30)]
    async with Wire(postgres_server.port) as wire:
        through = postgres_url.replace(f":{postgres_server.port}/", f":{wire.port}/")
        async with open_store(through, [LEVELS]) as sink:
            wire.arm(fault, trigger)
            with pytest.raises(SinkUnavailable) as caught:
                await sink.write(batches)
            assert "network" in caught.value.hint
            committed = (fault, trigger) == ("cut after", b"COMMIT\0")
            assert await sink.write(batches) == (Written(0, 50) if committed else Written(50, 0))
            assert await sink.write(batches) == Written(0, 50)
    await check(postgres_url, 2, 50)


async def test_an_award_whose_answer_was_lost_is_told_again_and_paid_once(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    program = Program([EventDefinition(id="login", kind="fix", points=10)])
    row: list[object] = ["login", None, "2026-04-22T14:30:00Z", {}]
    batch = Batch("lynes", "default", "ada", 1, msgspec.json.encode([row]), "11" * 16, 1, 10**15)
    async with Wire(postgres_server.port) as wire:
        through = postgres_url.replace(f":{postgres_server.port}/", f":{wire.port}/")
        async with open_store(through, program=program) as sink:
            wire.arm("cut after", b"COMMIT\0")
            with pytest.raises(SinkUnavailable):
                await sink.commit([batch])
            (award,) = await sink.commit([batch])
            assert award.points == 10
    assert await fetch(postgres_url, "SELECT points FROM lynes_users") == [(10,)]


async def test_a_server_that_goes_silent_is_given_up(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async def prepare(_: asyncpg.Connection) -> None:
        pass

    async with Wire(postgres_server.port) as wire:
        through = postgres_url.replace(f":{postgres_server.port}/", f":{wire.port}/")
        connection = Connection(through, prepare, patience_seconds=0.5)
        async with connection.transaction():
            pass
        wire.arm("dead", b"BEGIN")
        with pytest.raises(SinkUnavailable, match="does not answer"):
            async with connection.transaction():
                raise AssertionError("nothing begins on a dead wire")
        async with connection.transaction() as db:
            assert await db.fetchval("SELECT 1") == 1
        await connection.close()


async def test_hanging_up_on_a_server_that_went_silent_takes_a_bounded_time(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with Wire(postgres_server.port) as wire:
        through = postgres_url.replace(f":{postgres_server.port}/", f":{wire.port}/")
        async with open_store(through):
            wire.arm("dead", b"X\0\0\0\4")  # as a client takes its leave


# --- a server that stops -------------------------------------------------------------------------


@asynccontextmanager
async def flushing(sink: Store, *, flush_events: int) -> AsyncIterator[tuple[Buffer, Flusher]]:
    """A buffer and a flusher that empties it into the sink."""
    stats = Stats()
    buffer = Buffer(max_events=10**6, max_bytes=10**9, ripe_events=flush_events, ripe_bytes=10**9)
    flusher = Flusher(
        buffer, MemoryOnly(), sink, stats,
        FlushOptions(interval_seconds=0.01, max_events=flush_events, max_bytes=10**9),
        machine=Machine(chance=lambda: -0.5),
    )  # fmt: skip
    running = asyncio.create_task(flusher.run())
    yield buffer, flusher
    flusher.stop()
    await running


@pytest.mark.parametrize("how", [PostgresServer.stop, PostgresServer.kill])
async def test_a_server_that_is_restarted_under_a_flusher_loses_and_doubles_nothing(
    postgres_server: PostgresServer, postgres_url: str, how: Callable[[PostgresServer], None]
) -> None:
    sequence = 0
    async with (
        open_store(postgres_url, [LEVELS]) as sink,
        flushing(sink, flush_events=1_000) as (buffer, flusher),
    ):
        for _ in range(3):
            for _ in range(100):
                sequence += 1
                buffer.put(make_batch(sequence, count=100))
            await eventually(lambda: True if buffer.events < 9_000 else None)
            await asyncio.to_thread(how, postgres_server)
            try:
                await eventually(lambda: flusher.last_error)
            finally:
                await asyncio.to_thread(postgres_server.start)
        await eventually(lambda: True if not buffer.events else None)
        assert flusher.last_error is None
    await check(postgres_url, 300, 30_000)


async def test_a_server_that_is_not_there_is_unavailable_and_its_return_is_noticed(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_store(postgres_url) as sink:
        await asyncio.to_thread(postgres_server.stop)
        try:
            with pytest.raises(SinkUnavailable):
                await sink.write([make_batch(1)])
            with pytest.raises(SinkUnavailable) as caught:
                async with open_store(postgres_url):
                    pass
            assert "server runs" in caught.value.hint
        finally:
            await asyncio.to_thread(postgres_server.start)
        assert await sink.write([make_batch(1)]) == Written(1, 0)


# --- several gateways ----------------------------------------------------------------------------


async def test_many_gateways_that_start_at_once_make_the_tables_once(postgres_url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sinks = await asyncio.gather(
            *(stack.enter_async_context(open_store(postgres_url)) for _ in range(8))
        )
        for sequence, sink in enumerate(sinks, 1):
            await sink.write([make_batch(sequence)])
    assert await fetch(postgres_url, "SELECT version FROM schema_version") == [(len(MIGRATIONS),)]
    assert await fetch(postgres_url, "SELECT count(*) FROM batches") == [(8,)]


async def test_many_gateways_write_at_once_each_batch_once_and_in_the_order_of_ids(
    postgres_url: str,
) -> None:
    """Half of the batches are written by two of them; whoever follows the ids misses none."""
    batches = [make_batch(sequence, count=10) for sequence in range(1, 201)]
    writing = True
    seen: list[int] = []

    async def follow() -> None:
        async with connected(postgres_url) as connection:
            last = 0
            more = True
            while more:
                more = writing
                query = "SELECT batch_id FROM batches WHERE batch_id > $1 ORDER BY 1"
                seen.extend(row[0] for row in await connection.fetch(query, last))
                last = seen[-1] if seen else 0

    async def write(sink: Store, mine: list[Batch]) -> int:
        return sum([(await sink.write(mine[at : at + 3])).stored for at in range(0, len(mine), 3)])

    async with contextlib.AsyncExitStack() as stack:
        sinks = [
            await stack.enter_async_context(open_store(postgres_url, [LEVELS])) for _ in "abcd"
        ]
        following = asyncio.create_task(follow())
        stored = await asyncio.gather(
            *(write(sink, batches[n * 40 : n * 40 + 80]) for n, sink in enumerate(sinks))
        )
        writing = False
        await following
    assert sum(stored) == 2_000
    found = await fetch(postgres_url, "SELECT batch_id FROM batches ORDER BY 1")
    assert [(batch_id,) for batch_id in seen] == found
    await check(postgres_url, 200, 2_000)


async def test_the_same_batch_twice_in_one_write_is_stored_once(postgres_url: str) -> None:
    """A log delivers a message twice when in doubt."""
    async with open_store(postgres_url, [LEVELS]) as sink:
        twice = [make_batch(1, count=3), make_batch(2, count=4), make_batch(1, count=3)]
        assert await sink.write(twice) == Written(7, 3)
    await check(postgres_url, 2, 7)


# --- locks and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lock", "limit", "state"),
    [
        (f"SELECT pg_advisory_xact_lock({WRITER_LOCK})", "lock_timeout=50", "lock timeout"),
        ("LOCK TABLE event_rows", "lock_timeout=0&statement_timeout=2000", "statement timeout"),
    ],
)
async def test_a_lock_is_waited_for_a_bounded_time(
    postgres_url: str, lock: str, limit: str, state: str
) -> None:
    async with open_store(f"{postgres_url}?{limit}", [LEVELS]) as sink:
        async with connected(postgres_url) as other, other.transaction():
            await other.execute(lock)
            with pytest.raises(SinkUnavailable, match=state) as caught:
                await sink.write([make_batch(1)])
            assert "lock" in caught.value.hint
        assert await sink.write([make_batch(1)]) == Written(1, 0)
    await check(postgres_url, 1, 1)


async def test_a_transaction_whose_gateway_went_away_does_not_keep_the_lock(
    postgres_url: str,
) -> None:
    limited = f"{postgres_url}?idle_in_transaction_session_timeout=2000"
    async with open_store(limited) as held_up, open_store(postgres_url) as other:
        transaction = held_up._connection.transaction()  # type: ignore[attr-defined]
        await transaction.__aenter__()
        assert await other.write([make_batch(1)]) == Written(1, 0)
        with pytest.raises(SinkUnavailable):
            await transaction.__aexit__(None, None, None)
        assert await held_up.write([make_batch(2)]) == Written(1, 0)


async def test_a_database_that_takes_no_writes_is_unavailable_until_it_does(
    postgres_url: str,
) -> None:
    async with open_store(postgres_url) as sink:
        name = postgres_url.rpartition("/")[2]
        await execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await execute(postgres_url, END_SESSIONS)
        for _ in range(2):
            with pytest.raises(SinkUnavailable) as caught:
                await sink.write([make_batch(1)])
        assert "primary" in caught.value.hint
        script = f"BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only"
        await execute(postgres_url, f"{script}; COMMIT")
        await insist(sink, [make_batch(1)])


async def test_a_sync_waits_for_the_disk_even_where_commits_do_not(postgres_url: str) -> None:
    flushed = "SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn"
    async with open_store(f"{postgres_url}?synchronous_commit=off") as sink:
        await sink.write([make_batch(1, count=100)])
        ((written,),) = await fetch(postgres_url, "SELECT pg_current_wal_insert_lsn()")
        await sink.sync()
        assert await fetch(postgres_url, flushed, written) == [(True,)]


@pytest.mark.parametrize("when", [datetime.min, datetime.max, datetime(2026, 4, 22, 14, 30, 0, 1)])
async def test_the_first_and_the_last_instant_are_times_like_others(
    postgres_url: str, when: datetime
) -> None:
    when = when.replace(tzinfo=UTC)
    async with (
        open_store(postgres_url) as sink,
        sink._connection.transaction() as db,  # type: ignore[attr-defined]
    ):
        assert await db.fetchval("SELECT $1::timestamptz", when) == when
        assert await db.fetchval("SELECT isfinite($1::timestamptz)", when)


# --- what can never be stored --------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        rb'[["Custom","\ud800","2026-04-22T14:30:00Z",{}]]',
        rb'[["Custom","a\u0000b","2026-04-22T14:30:00Z",{}]]',
        b'[["Custom",null,"2026-04-22T14:30:00Z",{"a":}]]',
        b'[["Custom",null,"2026-04-22T14:30:00Z",{"a":"\xff"}]]',
        b'[["Custom",null,"tomorrow",{}]]',
        b'[["Custom",null,"2026-04-22T14:30:00Z",{},99999999999999999999]]',
        b'[["Custom",null,"2026-04-22T14:30:00Z",' + b'{"a":' * 50_000,
    ],
    ids=["surrogate", "NUL", "no JSON", "no UTF-8", "no time", "huge draw", "deep"],
)  # fmt: skip
async def test_rows_that_never_fit_are_rejected_and_others_go_on(
    postgres_url: str, rows: bytes
) -> None:
    chance = Rule("com.example.game", 1, 5, 1_000_000)
    bad = make_batch(2)
    bad.rows = rows
    async with open_store(postgres_url, [chance]) as sink:
        with pytest.raises(SinkRejected) as caught:
            await sink.write([make_batch(1), bad])
        assert "tomorrow" not in str(caught.value)
        await sink.bury(bad, str(caught.value))
        assert await sink.write([make_batch(1)]) == Written(1, 0)
    assert await fetch(postgres_url, "SELECT count(*) FROM batches") == [(1,)]


@pytest.mark.parametrize("text", [r"\u0000", r"\\u0000", r"\ud83d\ude00"])
async def test_escapes_that_are_no_text_are_kept_to_the_letter_and_stop_nothing(
    postgres_url: str, text: str
) -> None:
    """PostgreSQL would refuse to look for the score beside them."""
    data = f'{{"x":"{text}","score":5,"x":1}}'
    end = make_batch(1)
    end.rows = f'[["GameEnd",null,"2026-04-22T14:30:00Z",{data}]]'.encode()
    async with open_store(postgres_url) as sink, sink.reader() as reader:
        assert await sink.write([end]) == Written(1, 0)
        player = await reader.player("player-1")
        assert player is not None
        assert player.best_score == 5
    assert await fetch(postgres_url, "SELECT customdata::text FROM events") == [(data,)]


# --- what an operator is told --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ((PASSWORD, PASSWORD + "x"), ConfigError, "the password is wrong"),
        (("/test_", "/nowhere_"), ConfigError, "no such database"),
        (("gateway:", "somebody:"), ConfigError, "password"),
        (("@127.0.0.1:", "@127.0.0.1:1"), GatewayError, "storage.url"),
        (("@127.0.0.1:", "@127.0.0.1:5x,127.0.0.1:"), ConfigError, "cannot be used (ValueError)"),
        (("@127.0.0.1", "/@127.0.0.1"), ConfigError, "percent-encoded"),
        (("@127.0.0.1", "@[127.0.0.1"), ConfigError, "percent-encoded"),
        (("@127.0.0.1", "@"), ConfigError, "percent-encoded"),
        (("127.0.0.1", "no-such-host.invalid"), SinkUnavailable, ""),
        (("postgresql:", "postgres:"), ConfigError, "must be"),
    ],
)
async def test_no_trouble_tells_the_password(
    postgres_url: str, change: tuple[str, str], kind: type[Exception], said: str
) -> None:
    error = await trouble(postgres_url.replace(*change))
    assert isinstance(error, kind)
    assert said in str(error)
    told = "".join(traceback.format_exception(error)) + repr(error) + getattr(error, "hint", "")
    assert PASSWORD not in told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada@host/base",
        "postgresql://ada:p%40ss@[::1]:5432/base?sslmode=require",
        "postgresql://ada@one:5432,two:5433/base?target_session_attrs=read-write",
        "postgresql:///base?host=/run/postgresql",
    ],
)
def test_urls_of_every_form_can_be_used(url: str) -> None:
    open_store(url)


def test_without_its_driver_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"checkout, pip install '\.\[postgres\]'"):
        open_store("postgresql://ada@host/base")


def test_who_stores_elsewhere_never_imports_the_driver() -> None:
    script = (
        "import sys; from playsmart_gateway import cli;"
        "from playsmart_gateway.stores.open import open_store;"
        "open_store('sqlite:///events.db').reader(); open_store('memory:');"
        "sys.exit('asyncpg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


async def test_a_schema_of_a_later_version_is_left_alone(postgres_url: str) -> None:
    async with open_store(postgres_url) as sink:
        await execute(postgres_url, "UPDATE schema_version SET version = 99")
        error = await trouble(postgres_url)
        assert "newer than the" in str(error)
        await execute(postgres_url, END_SESSIONS)
        with pytest.raises(SinkUnavailable):
            await sink.write([make_batch(1)])
        with pytest.raises(SinkUnavailable, match="upgrade playsmart-gateway"):
            await sink.write([make_batch(1)])


async def test_a_database_that_cannot_hold_every_text_is_refused(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    await execute(postgres_url, "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII'")
    error = await trouble(postgres_server.url("ascii"))
    await execute(postgres_url, "DROP DATABASE ascii WITH (FORCE)")
    assert "UTF8" in str(error)


async def test_a_user_who_may_not_make_tables_is_told_so(postgres_url: str) -> None:
    await execute(postgres_url, f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    await execute(postgres_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    error = await trouble(postgres_url.replace("gateway:", "guest:"))
    await execute(postgres_url, "DROP ROLE guest")
    assert isinstance(error, ConfigError)
    assert "granted CREATE" in str(error)


async def test_events_and_batches_are_indexed_by_time(postgres_url: str) -> None:
    async with open_store(postgres_url):
        query = "SELECT tablename FROM pg_indexes WHERE indexdef LIKE '%brin%' ORDER BY 1"
        assert await fetch(postgres_url, query) == [("batches",), ("event_rows",)]


async def test_a_database_of_an_older_version_learns_to_read_pairs_and_levels(
    postgres_url: str,
) -> None:
    older = VERSION_TABLE + MIGRATIONS[0] + "UPDATE schema_version SET version = 1"
    await execute(postgres_url, older)
    async with open_store(postgres_url):
        pass
    read = r"""SELECT readable('{"a":"\ud83d\ude00\\ud83d\u0000"}') ->> 'a', level_of(5.50)"""
    assert await fetch(postgres_url, read) == [("\U0001f600\\ud83d\ufffd", "5.5")]
