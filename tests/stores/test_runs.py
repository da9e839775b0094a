"""Each number of a run is stored once, whatever batches bring it, by every store."""

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import Batch, run_key
from playsmart_gateway.events.intervals import MAX_GAPS
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.runs import MAX_COMPARED, decide
from tests.support.numbered import GAME, PLAYER, RUN, numbered
from tests.support.sinks import SINKS, TriedDatabase
from tests.support.stores import MakeSink, for_all, select

OTHER_RUN = bytes([9]) * 16


TOLD = """
    SELECT app_version, offset_ms FROM runs LEFT JOIN clients USING (client_id) ORDER BY (
        SELECT user_id FROM batches WHERE batches.batch_id = runs.batch_id
    ) DESC
"""
CLIENTS = "SELECT name, version, app_version, platform, runs FROM clients ORDER BY app_version"
GAME_1 = Program("unity", "1.0", "2.1.5", "ios")
GAME_2 = Program("unity", "1.0", "2.1.6", "")


@pytest.fixture(params=[kind for kind in SINKS if kind != "stream"])
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> TriedDatabase:
    """Each kind of sink in turn, with nothing in it; what a stream tells is not what it stores."""
    return SINKS[request.param](request, tmp_path, request.param)


async def stored(tried: TriedDatabase) -> list[str]:
    return [row[3]["n"] for row in await tried.rows()]


def names(first: int, end: int, run: bytes = RUN) -> list[str]:
    return [f"{run[0]}.{number}" for number in range(first, end)]


async def test_what_comes_again_in_another_batch_is_a_duplicate(tried: TriedDatabase) -> None:
    async with tried.make() as sink:
        assert await sink.write([numbered(1, 0, 3)]) == Written(3, 0)
        assert await sink.write([numbered(2, 0, 3)]) == Written(0, 3)
        assert await sink.write([numbered(3, 3, 5)]) == Written(2, 0)
        assert await stored(tried) == names(0, 5)


async def test_of_a_batch_that_overlaps_the_new_part_is_stored(tried: TriedDatabase) -> None:
    async with tried.make() as sink:
        await sink.write([numbered(1, 2, 4)])
        assert await sink.write([numbered(2, 0, 6)]) == Written(4, 2)
        assert await stored(tried) == [*names(2, 4), *names(0, 2), *names(4, 6)]


async def test_repeats_within_one_transaction_are_told_too(tried: TriedDatabase) -> None:
    batches = [numbered(1, 0, 2), numbered(2, 1, 3), numbered(3, 0, 3), numbered(4, 5, 6)]
    async with tried.make() as sink:
        assert await sink.write(batches) == Written(4, 4)
        assert await stored(tried) == [*names(0, 3), *names(5, 6)]


async def test_a_number_of_another_run_or_another_player_is_another_event(
    tried: TriedDatabase,
) -> None:
    other_game = numbered(4, 0, 1, game_id="com.example.other")
    batches = [
        numbered(1, 0, 1), numbered(2, 0, 1, run=OTHER_RUN), numbered(3, 0, 1, user_id="eve"),
        other_game, Batch("playsmart", GAME, PLAYER, 1, other_game.rows, "11" * 16, 5, 1),
    ]  # fmt: skip
    async with tried.make() as sink:
        assert await sink.write(batches) == Written(5, 0)


async def test_a_late_number_fills_its_gap_and_one_gap_too_many_closes_the_oldest(
    tried: TriedDatabase,
) -> None:
    gaps = [numbered(1 + n, 2 * n + 1, 2 * n + 2) for n in range(MAX_GAPS + 1)]
    async with tried.make() as sink:
        assert await sink.write(gaps) == Written(MAX_GAPS + 1, 0)
        assert await sink.write([numbered(100, 0, 2)]) == Written(0, 2), "its gap was closed"
        assert await sink.write([numbered(101, 2, 6)]) == Written(2, 2)


async def test_a_replay_is_told_by_its_name_first(tried: TriedDatabase) -> None:
    """Of a journal that is read again, the run does not say that a phone sent it twice."""
    batches = [numbered(1, 0, 3), numbered(2, 2, 4), numbered(3, 0, 4)]
    async with tried.make() as sink:
        await sink.write(batches)
        assert await sink.write([*batches, numbered(4, 4, 5)]) == Written(1, 9)
    if tried.url != "memory:":
        query = "SELECT next, missing, duplicates FROM runs"
        assert [tuple(row) for row in await select(tried.url, query)] == [(5, None, 5)]
        query = "SELECT event_count FROM batches ORDER BY sequence"
        assert [count for (count,) in await select(tried.url, query)] == [3, 1, 0, 1]


async def test_a_message_of_the_stream_says_of_which_run_it_is(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tried = SINKS["stream"](request, tmp_path, "stream")
    async with tried.make() as sink:
        refused = About(refused=(1,))
        await sink.write([numbered(1, 2, 5, about=refused), numbered(2, 2, 5)])
        await sink.write([numbered(3, 0, 7)])
        assert sorted(await stored(tried)) == [name for name in names(0, 7) if name != "0.3"]


@st.composite
def spans(draw: st.DrawFn) -> tuple[bytes, int, int, About | None]:
    """Of a request: its run, its first number and the one behind the last, what was refused."""
    run, first = draw(st.sampled_from([RUN, OTHER_RUN])), draw(st.integers(0, 40))
    length = draw(st.integers(1, 15))
    refused = draw(st.just([]) | st.lists(st.integers(0, length - 1), unique=True))
    about = About(refused=tuple(sorted(refused[: length - 1]))) if refused else None
    return run, first, first + length, about


def claimed_one_by_one(batches: list[Batch]) -> list[str]:
    """What is stored if each number counts the first time that it comes, refused or not."""
    seen: set[tuple[bytes, int]] = set()
    found = []
    for batch in batches:
        rows = msgspec.json.decode(batch.rows)
        for place, row in zip(batch.places, rows, strict=True):
            if (batch.run, batch.seq + place) not in seen:
                found.append(row[3]["n"])
        refused = () if batch.about is None else batch.about.refused
        seen |= {(batch.run, batch.seq + place) for place in (*batch.places, *refused)}
    return found


@for_all(40, requests=st.lists(spans(), min_size=1, max_size=12), flushes=st.data())
async def test_whatever_is_sent_however_it_is_flushed_each_number_is_there_once(
    tried: TriedDatabase,
    requests: list[tuple[bytes, int, int, About | None]],
    flushes: st.DataObject,
) -> None:
    await tried.empty()
    batches = [
        numbered(place, first, end, run=run, about=about)
        for place, (run, first, end, about) in enumerate(requests, 1)
    ]
    async with tried.make() as sink:
        done, written = 0, Written(0, 0)
        while done < len(batches):
            size = flushes.draw(st.integers(1, len(batches) - done))
            again = flushes.draw(st.integers(0, done))
            now = await sink.write(batches[done - again : done + size])
            replayed = sum(batch.count for batch in batches[done - again : done])
            written = Written(
                written.stored + now.stored, written.duplicate + now.duplicate - replayed
            )
            done += size
        expected = claimed_one_by_one(batches)
        assert await stored(tried) == expected
        assert written == Written(len(expected), sum(b.count for b in batches) - len(expected))


LEVELS = Rule.paying(
    GAME, bounds=(10, 10), level_multiplier=1.0, trigger_threshold=0, trigger_multiplier=1.0
)


async def test_coins_and_profile_know_an_event_that_came_twice_once(url: str) -> None:
    opens = numbered(9, 20, 23, kind="AppOpen")
    again = numbered(10, 20, 23, kind="AppOpen")
    async with open_store(url, [LEVELS]) as store:
        await store.write([numbered(1, 0, 3, kind="LevelCompleted"), opens])
        await store.write([numbered(2, 1, 5, kind="LevelCompleted"), again])
        async with store.reader() as reader:
            player = await reader.player(PLAYER)
            assert player is not None
            assert (player.coins_balance, player.sessions) == (50, 3)
            assert (await reader.audit(1_000)).violations == ()
            assert (await reader.examine()).problems == ()
            names = [("11" * 16, number) for number in (1, 2, 9, 10)]
            found = await reader.outcomes(names)
            assert [found[name] for name in names] == [(3, 30), (2, 20), (3, 0), (0, 0)]


async def test_the_ids_of_what_is_left_of_a_batch_have_no_holes(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        await store.write([numbered(1, 1, 2), numbered(2, 3, 4)])
        await store.write([numbered(3, 0, 5)])
        async with store.reader() as reader:
            batch = await reader.stored_batch("11" * 16, 3)
            assert batch is not None
            first = batch.event_ids[0]
            assert batch.event_ids == (first, first + 1, first + 2)


async def test_a_buried_batch_has_used_its_numbers_and_is_no_repeat(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        await store.write([numbered(1, 0, 2)])
        await store.bury(numbered(2, 1, 5), "does not fit")
        assert await store.write([numbered(3, 0, 6)]) == Written(1, 5)
        await store.bury(numbered(2, 1, 5), "does not fit")
        with pytest.raises(SinkRejected):
            await store.write([numbered(2, 1, 5)])
        async with store.reader() as reader:
            (letter,) = await reader.buried()
            assert letter.event_count == 3, "what had come before is not kept twice"
        assert await store.replay("11" * 16, 2) == Written(3, 0)
        assert await store.write([numbered(2, 1, 5)]) == Written(0, 4)
        async with store.reader() as reader:
            found = await reader.events(upto=await reader.newest_event_id(), limit=99)
            numbers = [msgspec.json.decode(each.customdata or "")["n"] for each in found.events]
            assert sorted(numbers) == names(0, 6)


async def test_nothing_is_buried_of_what_has_come_as_another_batch(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        await store.write([numbered(1, 0, 4)])
        await store.bury(numbered(2, 1, 3), "delivered too often")
        async with store.reader() as reader:
            assert await reader.buried() == []


async def test_a_trial_shows_the_store_all_of_a_batch_and_claims_nothing(
    make_sink: MakeSink,
) -> None:
    async with make_sink() as store:
        await store.write([numbered(1, 0, 2)])
        await store.trial([numbered(2, 0, 4)])
        broken = numbered(3, 0, 2)
        broken.rows = b"[[oops"
        with pytest.raises(SinkRejected):
            await store.trial([broken])
        assert await store.write([numbered(4, 0, 4)]) == Written(2, 2)


async def test_rows_that_cannot_be_read_are_refused_where_they_would_be_cut(
    make_sink: MakeSink,
) -> None:
    broken = numbered(2, 1, 4)
    broken.rows = b"[[oops"
    async with make_sink() as store:
        await store.write([numbered(1, 0, 2)])
        with pytest.raises(SinkRejected):
            await store.write([broken])
        await store.bury(broken, "oops")
        async with store.reader() as reader:
            (letter,) = await reader.buried()
            assert letter.event_count == 3
        assert await store.write([numbered(3, 0, 5)]) == Written(1, 4)


async def test_with_a_player_go_their_runs_and_nobody_elses(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        buried = numbered(4, 0, 2, game_id="com.example.buried")
        await store.write([numbered(1, 0, 2), numbered(2, 0, 1, run=OTHER_RUN)])
        await store.write([numbered(3, 0, 1, user_id="eve")])
        await store.bury(buried, "does not fit")
        assert (await store.erase(PLAYER)).get("runs") == 3
        assert await store.write([numbered(11, 0, 2), numbered(12, 0, 1, user_id="eve")]) == (
            Written(2, 1)
        )


async def test_a_dry_run_of_erasing_counts_the_runs(database_url: str) -> None:
    async with open_store(database_url) as store:
        await store.write([numbered(1, 0, 2), numbered(2, 0, 1, run=OTHER_RUN)])
        await store.write([numbered(3, 0, 1, user_id="eve")])
        assert (await store.erase(PLAYER, dry_run=True))["runs"] == 2


async def test_runs_that_were_not_seen_for_long_are_forgotten_piece_by_piece(
    make_sink: MakeSink,
) -> None:
    runs = [bytes([n]) * 16 for n in range(10)]
    async with make_sink() as store:
        await store.write([numbered(n + 1, 0, 1, run=run) for n, run in enumerate(runs[:5])])
        await store.write([numbered(n + 90, 0, 1, run=run) for n, run in enumerate(runs[5:])])
        await store.write([numbered(80, 1, 2, run=runs[0])])
        before = numbered(50, 0, 1).received_at
        after, forgotten, looks = b"", 0, 0
        while True:
            piece = await store.forget_runs(before, after=after, limit=4)
            forgotten, looks = forgotten + piece.runs, looks + 1
            if piece.position is None:
                break
            after = piece.position
        assert (forgotten, looks) == (4, 3)
        again = [numbered(n + 200, 0, 1, run=run) for n, run in enumerate(runs)]
        assert await store.write(again) == Written(4, 6), "the first was seen again in time"


def changed(batch: Batch, old: bytes, new: bytes) -> Batch:
    """The same span, with other rows."""
    assert old in batch.rows
    return msgspec.structs.replace(batch, rows=batch.rows.replace(old, new))


def at_second(batch: Batch, second: int) -> Batch:
    return changed(batch, b"14:30:00Z", b"14:30:%02dZ" % second)


async def test_a_number_that_is_given_to_another_event_is_a_conflict(
    tried: TriedDatabase,
) -> None:
    async with tried.make() as sink:
        await sink.write([numbered(1, 0, 3), numbered(2, 3, 5)])
        again = [numbered(3, 3, 5), numbered(4, 3, 6), at_second(numbered(5, 3, 5), 1)]
        assert (await sink.write([again[0], again[2]])).conflicts == (again[2].name,)
        named = changed(numbered(7, 3, 5), b'"e"', b'"f"')
        assert await sink.write([named]) == Written(0, 2, (named.name,))
        typed = changed(numbered(8, 3, 5), b"Custom", b"AppOpen")
        assert await sink.write([typed]) == Written(0, 2, (typed.name,))
        assert await sink.write([named, typed]) == Written(0, 4), "these are known by their names"
        assert await sink.write([again[1]]) == Written(1, 2)
        other = [at_second(numbered(9, 5, 6), 1), at_second(numbered(10, 3, 5), 1)]
        assert (await sink.write(other)).conflicts == (other[0].name,), "it was stored last"


async def test_it_is_no_conflict_when_a_repeat_draws_other_coins_or_is_another_span(
    tried: TriedDatabase,
) -> None:
    async with tried.make() as sink:
        for sequence in (1, 2):
            drawn = numbered(sequence, 4, 7)
            rows = [[*row, sequence] for row in msgspec.json.decode(drawn.rows)]
            drawn.rows = msgspec.json.encode(rows)
            assert not (await sink.write([drawn])).conflicts
        for first, end in ((4, 6), (5, 7), (5, 6)):
            assert not (
                await sink.write([at_second(numbered(first + end, first, end), 1)])
            ).conflicts
        by_gateway = at_second(numbered(20, 4, 7), 1)
        by_gateway.source = "teak"
        assert not (await sink.write([by_gateway])).conflicts, "its times are the gateway's"
        many = [at_second(numbered(30 + n, 4, 7), 1) for n in range(MAX_COMPARED + 1)]
        assert len((await sink.write(many)).conflicts) == MAX_COMPARED


async def test_what_was_refused_or_erased_is_no_conflict(tried: TriedDatabase) -> None:
    about = About(refused=(0, 2))
    async with tried.make() as sink:
        await sink.write([numbered(1, 0, 4, about=about)])
        assert not (await sink.write([numbered(2, 0, 4, about=about)])).conflicts
        other = at_second(numbered(3, 0, 4, about=about), 1)
        assert (await sink.write([other])).conflicts == (other.name,)
        broken = msgspec.structs.replace(other, rows=b"[[oops", sequence=9)
        with contextlib.suppress(SinkRejected):
            assert not (await sink.write([broken])).conflicts


async def test_a_batch_says_of_which_run_it_is_until_its_player_is_erased(
    database_url: str,
) -> None:
    query = "SELECT sequence, run, seq FROM batches ORDER BY sequence"
    async with open_store(database_url) as store:
        bare = msgspec.structs.replace(numbered(3, 0, 2), run=b"", seq=0)
        mine, hers = numbered(1, 1, 3), numbered(4, 2**53 - 1, 2**53, user_id="eve")
        await store.write([mine, numbered(2, 0, 4), bare, hers])
        assert [tuple(row) for row in await select(database_url, query)] == [
            (1, mine.run, 1), (2, mine.run, 0), (3, None, None), (4, hers.run, 2**53 - 1),
        ]  # fmt: skip
        await store.erase(PLAYER)
        assert [tuple(row) for row in await select(database_url, query)] == [
            (1, None, None), (2, None, None), (3, None, None), (4, hers.run, 2**53 - 1),
        ]  # fmt: skip


def sent(received_at: int, ago_ms: int, client: Program | None = None) -> About:
    """What is said of a batch that was ``ago_ms`` on its way by two clocks that differ by that."""
    return About(received_at - 1_000 * ago_ms, client)


async def clients_of(url: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await select(url, CLIENTS)]


async def told(url: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await select(url, TOLD)]


async def test_a_run_knows_who_sends_it_and_the_smallest_offset_of_its_clock(
    database_url: str,
) -> None:
    at = numbered(0, 0, 1).received_at
    async with open_store(database_url) as store:
        await store.write([
            numbered(1, 0, 1, about=sent(at + 1, 900, GAME_1)),
            numbered(2, 1, 2, about=sent(at + 2, 700, GAME_2)),
            numbered(3, 2, 3, about=sent(at + 3, 800)),
            numbered(4, 0, 1, run=OTHER_RUN, user_id="eve", about=About(client=GAME_1)),
            numbered(5, 0, 1, user_id="bob"),
        ])  # fmt: skip
        assert await told(database_url) == [("2.1.5", 700), ("2.1.5", None), (None, None)]
        assert await clients_of(database_url) == [(*GAME_1, 2)]
        await store.write([numbered(6, 3, 4, about=sent(at + 6, 750, GAME_2))])
        assert await told(database_url) == [("2.1.5", 700), ("2.1.5", None), (None, None)]
        await store.write([
            numbered(7, 3, 5, about=sent(at + 7, -90_000_000)),
            numbered(8, 1, 2, user_id="bob", about=About(client=GAME_2)),
            numbered(9, 1, 2, run=OTHER_RUN, user_id="eve", about=sent(at + 9, 90_000_000)),
        ])  # fmt: skip
        assert await told(database_url) == [
            ("2.1.5", -90_000_000), ("2.1.5", 90_000_000), ("2.1.6", None),
        ]  # fmt: skip
        assert await clients_of(database_url) == [(*GAME_1, 2), (*GAME_2, 1)]


async def test_what_is_buried_tells_of_its_run_too(database_url: str) -> None:
    letter = numbered(1, 0, 4, about=About(client=GAME_1, refused=(1,)))
    async with open_store(database_url) as store:
        await store.bury(letter, "does not fit")
        assert await told(database_url) == [("2.1.5", None)]
        assert await store.write([numbered(2, 0, 4)]) == Written(0, 4)
        assert await store.replay(*letter.key) == Written(3, 0)
        assert await store.write([numbered(3, 0, 5)]) == Written(1, 4)


async def test_with_its_last_run_goes_a_client(database_url: str) -> None:
    both, one = About(client=GAME_1), About(client=GAME_2)
    async with open_store(database_url) as store:
        await store.write([
            numbered(1, 0, 1, about=both), numbered(2, 0, 1, run=OTHER_RUN, about=one),
            numbered(3, 0, 1, user_id="eve", about=both),
        ])  # fmt: skip
        await store.erase(PLAYER)
        assert await clients_of(database_url) == [(*GAME_1, 1)]
        recent = numbered(50, 0, 1, user_id="bob", about=one)
        await store.write([recent])
        await store.forget_runs(recent.received_at, after=b"", limit=1)
        await store.forget_runs(recent.received_at, after=b"", limit=10)
        assert await clients_of(database_url) == [(*GAME_2, 1)]
        await store.forget_runs(recent.received_at + 1, after=b"", limit=10)
        assert await clients_of(database_url) == []


async def test_the_twin_in_memory_is_told_the_same() -> None:
    at = numbered(0, 0, 1).received_at
    store = MemorySink()
    first, eve = numbered(1, 0, 1, about=sent(at + 1, 9, GAME_1)), numbered(2, 0, 1, user_id="eve")
    await store.write([first, eve, numbered(3, 1, 2, about=sent(at + 3, 7))])
    await store.write([numbered(4, 2, 3, about=sent(at + 4, 8, GAME_2))])
    assert store.runs.clients() == {GAME_1: 1}
    assert (store.runs.offset_ms(first.run), store.runs.offset_ms(eve.run)) == (7, None)
    await store.erase(PLAYER)
    assert not store.runs.clients()
    assert store.runs.offset_ms(first.run) is None


def test_nothing_is_told_that_is_known_or_not_said() -> None:
    said = About(1_000_000, GAME_1)
    batch = numbered(1, 0, 1, about=said)
    offset = (batch.received_at - 1_000_000) // 1_000
    assert decide([batch], []).told == [(batch.run, GAME_1, offset)]
    known = (batch.run, 0, None, 1, offset)
    assert decide([batch], [known]).told == []
    assert decide([batch], [(*known[:3], 1, offset + 1)]).told == [(batch.run, None, offset)]
    assert decide([batch], [(*known[:3], None, offset - 1)]).told == [(batch.run, GAME_1, None)]
    assert decide([numbered(2, 0, 1)], [(*known[:3], None, None)]).told == ()
    alone = Batch("playsmart", "g", "u", 1, b"[]", about=said)
    assert decide([alone], []).told == ()


def test_batches_without_a_run_are_not_looked_at() -> None:
    batch = Batch("playsmart", "g", "u", 1, b"[]")
    claimed = decide([batch], [])
    assert claimed.batches == [batch]
    assert claimed.runs == []


def test_a_run_is_known_by_whose_it_is() -> None:
    keys = {
        run_key(RUN, game, user) for game, user in [("g", "u"), ("g", "v"), ("gu", ""), ("", "gu")]
    }
    assert len(keys) == 4
    assert all(len(key) == 24 for key in keys)
