"""What somebody did to the database beside the gateway: it is the store that fails, not batches."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.economy.points import (
    EventDefinition,
    Program,
)
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.pipeline.verdict import plain_copy
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import TroubledSink, make_batch
from tests.support.stores import SQLITE, execute, select

GAME = "com.example.game"
RULE = Rule.paying(
    GAME, bounds=(5, 5), level_multiplier=1.0, trigger_threshold=1, trigger_multiplier=1.0
)


class Line:
    """A buffer of batches in front of a store."""

    def __init__(self, sink: Store) -> None:
        self.stats = Stats()
        self.buffer = Buffer(
            max_events=10_000, max_bytes=10**7, ripe_events=10_000, ripe_bytes=10**7
        )
        self.commit_queue = CommitQueue(self.stats, sink, wake=lambda: None)
        self.flusher = Flusher(
            self.buffer, MemoryOnly(), sink, self.stats,
            FlushOptions(interval_seconds=3600, max_events=10_000, max_bytes=10**7),
            commit_queue=self.commit_queue, machine=Machine(chance=lambda: 0.3),
        )  # fmt: skip

    def put(self, *batches: Batch) -> None:
        for batch in batches:
            self.stats.received += batch.count
            self.buffer.put(batch)

    async def flush_all(self) -> None:
        """Until the buffer is empty, or the store is away."""
        while len(self.buffer):
            await self.flusher.flush()


def of_players(count: int, first: int = 1) -> list[Batch]:
    return [make_batch(number, 2, f"player-{number}") for number in range(first, first + count)]


_DROP_VIEWS = "; ".join(f"DROP VIEW {view}" for view in ("v_revenue", "v_purchases", "events"))
FAULTS = {
    "sqlite": {
        "a foreign trigger": (
            "CREATE TRIGGER guard BEFORE INSERT ON event_rows BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER guard",
            "guard",
        ),
        "a foreign trigger on one type": (
            "CREATE TRIGGER guard BEFORE INSERT ON event_rows WHEN new.type = 'Custom'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER guard",
            "guard",
        ),
        "a trigger that drops rows": (
            "CREATE TRIGGER guard BEFORE INSERT ON event_rows BEGIN SELECT RAISE(IGNORE); END",
            "DROP TRIGGER guard",
            "guard",
        ),
        "a trigger that drops headers": (
            "CREATE TRIGGER guard BEFORE INSERT ON batches BEGIN SELECT RAISE(IGNORE); END",
            "DROP TRIGGER guard",
            "guard",
        ),
        "a trigger on what is paid": (
            "CREATE TRIGGER guard BEFORE INSERT ON coin_entries BEGIN SELECT RAISE(FAIL, 'n'); END",
            "DROP TRIGGER guard",
            "guard",
        ),
        "a unique index": (
            "CREATE UNIQUE INDEX one_a_day ON batches (source)",
            "DROP INDEX one_a_day",
            "batches.source",
        ),
        "a column that is gone": (
            f"{_DROP_VIEWS}; ALTER TABLE event_rows RENAME COLUMN custom_event_name TO other",
            "ALTER TABLE event_rows RENAME COLUMN other TO custom_event_name",
            "custom_event_name",
        ),
        "a table that is gone": (
            "DROP VIEW coin_transactions; ALTER TABLE coin_entries RENAME TO entries",
            "ALTER TABLE entries RENAME TO coin_entries",
            "coin_entries",
        ),
    },
    "postgres": {
        "a foreign trigger": (
            "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no % here', NEW; END $$;"
            "CREATE TRIGGER guarded BEFORE INSERT ON event_rows"
            " FOR EACH ROW EXECUTE FUNCTION guard()",
            "DROP FUNCTION guard CASCADE",
            "guard",
        ),
        "a trigger that drops rows": (
            "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER guarded BEFORE INSERT ON event_rows"
            " FOR EACH ROW EXECUTE FUNCTION guard()",
            "DROP FUNCTION guard CASCADE",
            "guarded",
        ),
        "a trigger that drops headers": (
            "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER guarded BEFORE INSERT ON batches"
            " FOR EACH ROW EXECUTE FUNCTION guard()",
            "DROP FUNCTION guard CASCADE",
            "guarded",
        ),
        "a column that must not be null": (
            "ALTER TABLE event_rows ADD COLUMN extra INTEGER NOT NULL DEFAULT 0;"
            "ALTER TABLE event_rows ALTER COLUMN extra DROP DEFAULT",
            "ALTER TABLE event_rows DROP COLUMN extra",
            "extra",
        ),
        "a check": (
            "ALTER TABLE batches ADD CONSTRAINT few CHECK (event_count < 2) NOT VALID",
            "ALTER TABLE batches DROP CONSTRAINT few",
            "few",
        ),
        "a check of what is paid": (
            "ALTER TABLE coin_entries ADD CONSTRAINT poor CHECK (amount < 2) NOT VALID",
            "ALTER TABLE coin_entries DROP CONSTRAINT poor",
            "poor",
        ),
        "a counter set back": (
            "UPDATE batch_counter SET last_batch_id = 0",
            "UPDATE batch_counter SET last_batch_id = 1000",
            "batches_pkey",
        ),
        "a column that is gone": (
            "ALTER TABLE event_rows RENAME COLUMN custom_event_name TO other",
            "ALTER TABLE event_rows RENAME COLUMN other TO custom_event_name",
            "custom_event_name",
        ),
        "a column of another type": (
            "DROP VIEW events, v_names CASCADE;"
            " ALTER TABLE event_rows ALTER COLUMN type TYPE varchar(3) USING left(type, 3)",
            "ALTER TABLE event_rows ALTER COLUMN type TYPE text",
            "column type",
        ),
        "a table that is gone": (
            "ALTER TABLE coin_entries RENAME TO entries",
            "ALTER TABLE entries RENAME TO coin_entries",
            "coin_entries",
        ),
    },
}
CASES = [(engine, name) for engine, faults in FAULTS.items() for name in faults]


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest, tmp_path: object) -> str:
    if engine == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"{SQLITE}{tmp_path}/events.db"


@pytest.mark.parametrize("alone", [False, True], ids=["many wait", "one waits"])
@pytest.mark.parametrize(("engine", "name"), CASES)
async def test_nothing_is_buried_for_what_was_done_to_the_store(
    place: str, engine: str, name: str, alone: bool
) -> None:
    script, undo, named = FAULTS[engine][name]
    async with open_store(place, [RULE]) as sink:
        line = Line(sink)
        line.put(*of_players(1))
        await line.flush_all()
        await execute(place, script)
        count = 1 if alone else 40
        line.put(*of_players(count, 2))
        for _ in range(3):
            with pytest.raises(SinkUnavailable) as caught:
                await line.flush_all()
            assert named in str(caught.value)
            assert "player-" not in str(caught.value)
        assert await select(place, "SELECT count(*) FROM dead_letters") == [(0,)]
        await execute(place, undo)
        await line.flush_all()
        assert await select(place, "SELECT count(*) FROM event_rows") == [(2 * count + 2,)]
        assert await select(place, "SELECT sum(coins_balance) FROM players") == [
            (10 * (count + 1),)
        ]
        assert await select(place, "SELECT count(*) FROM players") == [(count + 1,)]
        assert await select(place, "SELECT count(*) FROM dead_letters") == [(0,)]
        assert line.stats.duplicate == 0


async def test_a_reason_does_not_name_triggers_of_our_own(tmp_path: Path) -> None:
    place = f"{SQLITE}{tmp_path}/events.db"
    async with open_store(place, [RULE]) as sink:
        assert await select(place, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'") > [
            (2,)
        ]
        await execute(place, FAULTS["sqlite"]["a foreign trigger"][0])
        with pytest.raises(SinkRejected, match=r"\(guard\)"):
            await sink.write(of_players(1))


POISON = {
    "sqlite": "CREATE TRIGGER no BEFORE INSERT ON event_rows WHEN new.customdata LIKE '%\"{}.%'"
    " BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgres": "ALTER TABLE event_rows ADD CONSTRAINT no CHECK (customdata::text"
    " NOT LIKE '%\"{}.%')",
}


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
@pytest.mark.parametrize("company", [0, 30])
async def test_what_only_one_batch_is_to_blame_for_is_buried_and_names_no_payload(
    place: str, engine: str, company: int
) -> None:
    async with open_store(place, [RULE]) as sink:
        await execute(place, POISON[engine].format(9_999))
        line = Line(sink)
        line.put(*of_players(company // 2), make_batch(9_999, 2, "eve"))
        line.buffer._ordered = False
        line.put(*of_players(company // 2, 100))
        await line.flush_all()
        ((user_id, reason),) = await select(place, "SELECT user_id, reason FROM dead_letters")
        assert user_id == "eve"
        assert "no" in reason
        assert "9999" not in reason
        assert await select(place, "SELECT count(*) FROM event_rows") == [(2 * company,)]
        assert await select(place, "SELECT count(*) FROM players WHERE user_id LIKE '%trial%'") == [
            (0,)
        ]


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_a_game_that_is_refused_is_buried_once_another_gets_through(
    place: str, engine: str
) -> None:
    scripts = {
        "sqlite": "CREATE TRIGGER no BEFORE INSERT ON batches WHEN new.game_id = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END",
        "postgres": "ALTER TABLE batches ADD CONSTRAINT no CHECK (game_id <> 'bad')",
    }
    async with open_store(place) as sink:
        await execute(place, scripts[engine])
        line = Line(sink)
        bad = of_players(3)
        for batch in bad:
            batch.game_id = "bad"
        line.put(*bad)
        with pytest.raises(SinkUnavailable):
            await line.flush_all()
        line.put(*of_players(2, 10))
        await line.flush_all()
        assert await select(place, "SELECT count(*) FROM dead_letters") == [(3,)]
        assert await select(place, "SELECT count(*) FROM batches") == [(2,)]


def refuses(which: Callable[[Batch], bool], sink: TroubledSink) -> list[Batch]:
    """Have a double refuse batches; returns those that it was shown in trials."""
    shown: list[Batch] = []

    async def write(batches: list[Batch]) -> object:
        if any(map(which, batches)):
            raise SinkRejected("odd")
        return await TroubledSink.write(sink, batches)

    async def trial(batches: list[Batch]) -> None:
        shown.extend(batches)
        if any(map(which, batches)):
            raise SinkRejected("odd")

    sink.write = write  # type: ignore[method-assign,assignment]
    sink.trial = trial  # type: ignore[method-assign,assignment]
    return shown


async def test_players_that_are_refused_one_after_the_other_with_nothing_stored_are_not() -> None:
    sink = TroubledSink()
    refuses(lambda batch: batch.user_id.startswith("player"), sink)
    line = Line(sink)
    for batch in of_players(3):  # each alone
        line.put(batch)
        await line.flush_all()
    assert len(sink.dead_letters) == 3
    line.put(*of_players(1, 4))
    for _ in range(3):
        with pytest.raises(SinkUnavailable, match="refuses good batches: odd"):
            await line.flush_all()
    line.put(make_batch(10, 1, "ada"))
    await line.flush_all()
    assert len(sink.dead_letters) == 4
    assert len(sink.stored.batches) == 1


async def test_the_work_of_burying_many_of_one_player_is_bounded() -> None:
    sink = TroubledSink()
    shown = refuses(lambda batch: batch.user_id == "eve", sink)
    line = Line(sink)
    line.put(*[make_batch(number, 1, "eve") for number in range(1, 200)])
    line.put(*of_players(100, 1_000))
    await line.flush_all()
    assert len(sink.dead_letters) == 199
    assert len(sink.stored.batches) == 100
    assert len(shown) <= 4
    assert sink.attempts < 200


async def test_dead_letters_that_are_refused_leave_the_batch_where_it_is() -> None:
    sink = TroubledSink(poison=[1])

    async def bury(batch: Batch, reason: str) -> None:
        raise SinkRejected("a column of dead_letters")

    sink.bury = bury  # type: ignore[method-assign]
    line = Line(sink)
    line.put(make_batch(1))
    with pytest.raises(SinkUnavailable, match="dead letters are refused"):
        await line.flush_all()
    assert len(line.buffer) == 1


def test_a_plain_copy_has_nothing_that_somebody_sent() -> None:
    batch = make_batch(1, 3, "ada", pad=50)
    copy = plain_copy(batch)
    assert copy is not None
    assert (copy.count, copy.source, copy.received_at) == (3, batch.source, batch.received_at)
    assert b"xxx" not in copy.rows
    assert b"1.0" not in copy.rows
    assert "ada" not in (copy.user_id, copy.game_id)
    assert b'"e0"' not in copy.rows
    batch.rows = b"[[oops"
    assert plain_copy(batch) is None


async def test_a_trial_leaves_nothing(place_of_any: str) -> None:
    async with open_store(place_of_any, [RULE]) as sink:
        await sink.write(of_players(2))
        tables = ("batches", "event_rows", "players", "journals", "coin_entries")
        before = [await select(place_of_any, f"SELECT count(*) FROM {each}") for each in tables]
        await sink.trial(of_players(3))
        await sink.trial(())
        other = make_batch(1, 2, "eve")
        other.journal = "22" * 16
        await sink.trial([other])
        after = [await select(place_of_any, f"SELECT count(*) FROM {each}") for each in tables]
        assert after == before
        assert (await sink.write([other])).stored == 2
        assert (await sink.write([other])).duplicate == 2


@pytest.fixture(params=["sqlite", "postgres"])
def place_of_any(request: pytest.FixtureRequest, tmp_path: object) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"{SQLITE}{tmp_path}/events.db"


PROGRAM = Program([EventDefinition(id="login", kind="fix", points=10)])
LANE_FAULTS = {
    "sqlite": (
        "CREATE TRIGGER guard BEFORE INSERT ON lynes_history BEGIN SELECT RAISE(ABORT, 'n'); END",
        "DROP TRIGGER guard",
    ),
    "postgres": (
        "ALTER TABLE lynes_users ADD CONSTRAINT guard CHECK (points < 5) NOT VALID",
        "ALTER TABLE lynes_users DROP CONSTRAINT guard",
    ),
}


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_who_waits_for_points_is_told_that_the_store_is_away(place: str, engine: str) -> None:
    script, undo = LANE_FAULTS[engine]
    async with open_store(place, program=PROGRAM) as sink:
        line = Line(sink)
        await execute(place, script)
        row = b'[["login",null,"2026-04-22T14:30:00Z",{"level":3}]]'
        batch = Batch("lynes", "demo", "ada", 1, row, received_at=1_776_868_200_000_000)
        waiting = asyncio.create_task(line.commit_queue.submit(batch))
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(SinkUnavailable, match="guard"):
                await line.flusher.commit()
        await execute(place, undo)
        await line.flusher.commit()
        assert (await waiting).points == 10
        assert await select(place, "SELECT user_id, points FROM lynes_users") == [("ada", 10)]
