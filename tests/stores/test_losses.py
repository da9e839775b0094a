"""Which numbers of runs never came, as every store tells it by game, program and day."""

import time
from datetime import UTC, datetime
from itertools import count

import msgspec
from hypothesis import strategies as st

from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import MAX_SEQ, Batch
from playsmart_gateway.events.intervals import MAX_GAPS
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.losses import MAX_LOST, MAX_NUMBERS, OTHER, UNKNOWN, Loss, Losses
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.postgres import schema as postgres_schema
from playsmart_gateway.stores.readers import LossReader
from playsmart_gateway.stores.rollups import ProgramLoss
from playsmart_gateway.stores.sqlite import schema as sqlite_schema
from tests.support.numbered import GAME, numbered
from tests.support.stores import SQLITE, MakeSink, execute, for_all, select

DAY = 86_400_000_000
TODAY = 20_000
EVER = 2**62
PROGRAMS = (None, Program(), Program("unity", "1", "2.1.5", "ios"), Program("", "", "2.1.5", ""))


def of_run(
    run: int,
    sequence: int,
    first: int,
    end: int,
    *,
    day: int = TODAY,
    client: Program | None = None,
    game_id: str = GAME,
) -> Batch:
    """A batch of numbers of a run, of a game and a program, that was received on a day."""
    about = About(client=client) if client else None
    batch = numbered(
        sequence, first, end, run=run.to_bytes(16, "big"), game_id=game_id, about=about
    )
    return msgspec.structs.replace(batch, received_at=day * DAY + sequence)


async def read(reader: LossReader, before: int = EVER, limit: int = 99) -> list[Loss]:
    losses = Losses()
    position: bytes | None = b""
    while position is not None:
        page = await reader.losses(before, after=position, limit=limit)
        losses.add(page.losses)
        position = page.position
    return losses.all()


async def test_what_never_came_is_told_by_game_program_and_day(make_sink: MakeSink) -> None:
    new, old = Program("unity", "1", "2.1.5", "ios"), Program("unity", "1", "2.1.4", "android")
    batches = [
        of_run(1, 1, 0, 3, client=new), of_run(1, 2, 5, 8, client=new), of_run(1, 3, 9, 10),
        of_run(2, 4, 0, 10, client=new),
        of_run(3, 5, 4, 6, client=old, day=TODAY - 1), of_run(3, 6, 7, 8, day=TODAY),
        of_run(4, 7, 1, 2, game_id="com.example.other", day=TODAY - 1),
    ]  # fmt: skip
    async with make_sink() as store, store.reader() as reader:
        assert await read(reader) == []
        for batch in batches:
            await store.write([batch])
        assert await read(reader) == [
            Loss(TODAY - 1, "com.example.other", UNKNOWN, UNKNOWN, 1, 2, 1),
            Loss(TODAY, GAME, "2.1.4", "android", 1, 8, 5),
            Loss(TODAY, GAME, "2.1.5", "ios", 2, 20, 3),
        ]
        await store.write([of_run(1, 8, 3, 5), of_run(3, 9, 0, 4), of_run(3, 10, 0, 8)])
        assert [each.lost for each in await read(reader)] == [1, 0, 1], "some came later"
        await store.erase("player-1")
        assert await read(reader) == []


async def test_a_run_from_which_something_came_lately_is_left_out(make_sink: MakeSink) -> None:
    async with make_sink() as store, store.reader() as reader:
        await store.write([of_run(1, 1, 1, 2)])
        await store.write([of_run(2, 9, 1, 2)])
        assert [each.runs for each in await read(reader, TODAY * DAY + 9)] == [1]
        assert await read(reader, TODAY * DAY + 1) == []


async def test_nothing_of_lynes_can_be_lost_as_its_runs_are_single_requests(
    make_sink: MakeSink,
) -> None:
    lynes = msgspec.structs.replace(of_run(1, 1, 0, 1), source="lynes")
    async with make_sink() as store, store.reader() as reader:
        await store.write([lynes])
        assert await read(reader) == []


async def test_events_that_were_refused_or_are_dead_letters_are_not_lost(
    database_url: str,
) -> None:
    refused = numbered(1, 0, 4, about=About(refused=(1, 2)))
    async with open_store(database_url) as store, store.reader() as reader:
        await store.write([refused])
        await store.bury(numbered(2, 6, 8), "because")
        await store.bury(of_run(9, 3, 1, 3), "because")
        found = {(each.game_id, each.numbers, each.lost) for each in await read(reader)}
        assert found == {(GAME, 8, 2), (UNKNOWN, 3, 1)}, "a letter alone names no game"


async def test_more_gaps_than_are_known_make_the_loss_look_smaller(make_sink: MakeSink) -> None:
    holes = [of_run(1, 1 + n, 2 * n + 1, 2 * n + 2) for n in range(MAX_GAPS + 5)]
    async with make_sink() as store, store.reader() as reader:
        await store.write(holes)
        ((*_, numbers, lost),) = await read(reader)
    assert (numbers, lost) == (2 * MAX_GAPS + 10, MAX_GAPS)


def test_beyond_so_many_groups_there_is_one_more_a_day() -> None:
    losses = Losses(max_groups=2)
    for version in ("1", "2", "3", "4", "1"):
        losses.add([Loss(7, "game", version, "ios", 1, 10, 2)])
    assert losses.all() == [
        Loss(7, "game", "1", "ios", 2, 20, 4),
        Loss(7, "game", "2", "ios", 1, 10, 2),
        Loss(7, OTHER, OTHER, OTHER, 2, 20, 4),
    ]


examples = count(1)


@for_all(
    30,
    spans=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 25), st.integers(1, 4), st.integers(0, 2)),
        max_size=14,
    ),
    limit=st.integers(1, 4),
)
async def test_any_runs_add_up_as_sets_of_numbers_do(
    url: str, spans: list[tuple[int, int, int, int]], limit: int
) -> None:
    journal = f"{next(examples):032x}"
    batches = [
        msgspec.structs.replace(
            of_run(
                run, n, first, first + length, day=TODAY - age,
                client=PROGRAMS[run % 4], game_id=f"game-{run % 2}",
            ),
            journal=journal,
        )
        for n, (run, first, length, age) in enumerate(spans)
    ]  # fmt: skip
    came: dict[int, set[int]] = {}
    seen: dict[int, int] = {}
    for run, first, length, age in spans:
        came.setdefault(run, set()).update(range(first, first + length))
        seen[run] = max(seen.get(run, 0), TODAY - age)
    expected = Losses()
    for run, those in came.items():
        _, _, version, platform = PROGRAMS[run % 4] or Program()
        known = seen[run], f"game-{run % 2}", version or UNKNOWN, platform or UNKNOWN
        expected.add([Loss(*known, 1, max(those) + 1, max(those) + 1 - len(those))])
    async with open_store(url) as store, store.reader() as reader:
        for batch in batches:
            await store.write([batch])
        found = await read(reader, limit=limit)
        await store.forget_runs(2**62, after=b"", limit=99)
    assert found == expected.all()


async def test_the_views_say_it_in_sql_of_runs_that_are_quiet(database_url: str) -> None:
    now = int(time.time() * 1_000_000)
    quiet, client = now - 2 * 3_600_000_000, Program("unity", "1", "2.1.5", "ios")
    batches = [
        of_run(1, 1, 1, 3, client=client), of_run(1, 2, 5, 6), of_run(2, 3, 0, 4, client=client)
    ]  # fmt: skip
    late = msgspec.structs.replace(of_run(3, 4, 1, 2), received_at=now)
    async with open_store(database_url) as store:
        await store.write([msgspec.structs.replace(each, received_at=quiet) for each in batches])
        await store.write([late])
    day = f"{datetime.fromtimestamp(quiet / 1_000_000, UTC):%Y-%m-%d}"
    found = await select(database_url, "SELECT * FROM losses")
    assert [tuple(row) for row in found] == [(day, GAME, "2.1.5", "ios", 2, 10, 3)]
    query = "SELECT seen_at, day, game_id, app_version, numbers, lost, missing FROM run_losses"
    found = await select(database_url, f"{query} WHERE lost > 0 ORDER BY run")
    assert [tuple(row) for row in found][:1] == [(quiet, day, GAME, "2.1.5", 6, 3, "[[0,1],[3,5]]")]
    assert [row[3:] for row in found][1:] == [(UNKNOWN, 2, 1, "[[0,1]]")]


async def shown(store: Store, game_id: str | None, seconds: int, now_day: int) -> list[ProgramLoss]:
    rollups = store.rollups()
    assert rollups is not None
    async with rollups:
        return (await rollups.read(game_id, seconds, now_day * 86_400.0)).losses


def long_run(run: int, sequence: int, end: int) -> list[Batch]:
    """The batches of a run of so many numbers that lost few: a gap of 64 closes an older one."""
    firsts = range(end - 2 * MAX_GAPS - 1, end, 2)
    return [of_run(run, sequence + n, first, first + 1) for n, first in enumerate(firsts)]


RUNS_AT_THE_BOUNDS = [
    of_run(1, 1, 0, 10), of_run(1, 2, 12, 13),
    of_run(2, 3, MAX_LOST, MAX_LOST + 1), of_run(3, 4, MAX_LOST + 1, MAX_LOST + 2),
    *long_run(4, 100, MAX_NUMBERS), *long_run(5, 200, MAX_NUMBERS + 1),
]  # fmt: skip
ABSURD_RUNS = [of_run(n, n, MAX_SEQ, MAX_SEQ + 1) for n in range(1_000, 2_100)]
COUNTED_OF_THEM = (3, 13 + MAX_LOST + 1 + MAX_NUMBERS, 2 + MAX_LOST + MAX_GAPS)


async def test_runs_that_say_what_no_game_can_do_hide_no_others(make_sink: MakeSink) -> None:
    async with make_sink() as store, store.reader() as reader:
        await store.write([*RUNS_AT_THE_BOUNDS, *ABSURD_RUNS])
        ((*_, counted, numbers, lost),) = await read(reader, limit=2_000)
        assert (counted, numbers, lost) == COUNTED_OF_THEM
        assert await read(reader, limit=100) == await read(reader, limit=2_000)


async def test_the_view_leaves_them_out_in_a_database_of_the_schema_before_them_too(
    new_database_url: str,
) -> None:
    if new_database_url.startswith(SQLITE):
        before = [*sqlite_schema.MIGRATIONS[:13], "PRAGMA user_version = 13;"]
    else:
        before = [postgres_schema.VERSION_TABLE, *postgres_schema.MIGRATIONS[:9]]
        before += ["UPDATE schema_version SET version = 9;"]
    full = "INSERT INTO rollup_losses VALUES (1, '{}', '', '', 1, 9000000000000000000, 0);"
    await execute(new_database_url, "\n".join([*before, full.format("a"), full.format("b")]))
    async with open_store(new_database_url) as store:
        await store.write([*RUNS_AT_THE_BOUNDS, *ABSURD_RUNS])
        assert (await shown(store, None, 2_592_000, 1)) == [], "sums that were full are gone"
    ((_, game_id, *_, counted, numbers, lost),) = await select(
        new_database_url, "SELECT * FROM losses"
    )
    assert (game_id, (counted, numbers, lost)) == (GAME, COUNTED_OF_THEM)
    ((runs, most),) = await select(
        new_database_url, "SELECT count(*), max(numbers) FROM run_losses"
    )
    assert (runs, most) == (5 + len(ABSURD_RUNS), MAX_SEQ + 1), "each is shown as it is"


async def test_the_figures_show_what_was_kept_last_by_version_and_platform(
    database_url: str,
) -> None:
    programs = [Program("", "", "2.1.5", "ios"), Program("", "", "2.1.4", "android")]
    runs = [of_run(1, 1, 1, 2, client=programs[0]), of_run(2, 2, 1, 2, client=programs[1])]
    kept = [
        Loss(TODAY, "a", "2.1.5", "ios", 1, 100, 1), Loss(TODAY, "b", "2.1.5", "ios", 2, 300, 3),
        Loss(TODAY - 8, "a", "2.1.4", "android", 1, 900, 90),
        Loss(TODAY, "a", UNKNOWN, UNKNOWN, 1, 10, 0), Loss(TODAY, OTHER, OTHER, OTHER, 1, 1, 1),
        Loss(TODAY, "a", "of nobody", "ios", 1, 1, 1), Loss(TODAY, "a", "2.1.4", "tv", 1, 1, 1),
    ]  # fmt: skip
    async with open_store(database_url) as store:
        rollups = store.rollups()
        assert rollups is not None
        await store.write(runs)
        async with rollups:
            await rollups.keep_losses([Loss(TODAY, "a", "2.1.4", "ios", 1, 7, 7)])
            await rollups.keep_losses(kept)
        assert await shown(store, None, 604_800, TODAY) == [
            ProgramLoss("2.1.5", "ios", 400, 4), ProgramLoss(UNKNOWN, UNKNOWN, 10, 0),
            ProgramLoss(OTHER, OTHER, 1, 1),
        ]  # fmt: skip
        month = await shown(store, "a", 2_592_000, TODAY)
        assert [(each.app_version, each.lost) for each in month] == [
            ("2.1.4", 90), ("2.1.5", 1), (UNKNOWN, 0)
        ]  # fmt: skip
        await store.erase("player-1")
        left = await shown(store, None, 2_592_000, TODAY)
        assert {each.app_version for each in left} == {UNKNOWN, OTHER}, "no word of theirs"
