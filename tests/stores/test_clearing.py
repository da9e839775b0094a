"""``Clearing.clear``: nothing of a game that was tried out is left, and all of the others is."""

from datetime import timedelta
from pathlib import Path

from hypothesis import strategies as st

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.learned import EventKey
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.rollups import DAY
from tests.support.coin_batches import complaints
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import count_all, following_by_hand
from tests.support.numbered import numbered
from tests.support.stores import MakeSink, empty, for_all, select
from tests.support.sums import recounted, tables

GAME = "load.playsmart"
TRACES = Traces(GAME, "load.playsmart-")
MADE, CASUAL, REGULAR, OTHER = "load.playsmart-1-000001", "casual", "ada", "eve"
RULES = [
    Rule("a", 7, 7, level_millionths=1_000_000, trigger_threshold=2, trigger_millionths=500_000),
    Rule(GAME, 3, 3, level_millionths=1_000_000, trigger_threshold=2, trigger_millionths=500_000),
]
PLAYED = [row(), row("LevelCompleted", level=1), row("Custom", "jump"), row("Custom", "jump"),
          row("GameEnd", level=2, reason="failed", score=9)]  # fmt: skip


def history() -> list[Batch]:
    sent = [
        (OTHER, "a", 0), (REGULAR, GAME, 0), (MADE, GAME, 0), (REGULAR, "a", 1), (CASUAL, GAME, 1),
        (MADE, GAME, 1), (OTHER, "a", 7), (REGULAR, GAME, 7), (REGULAR, "a", 8), (MADE, GAME, 8),
    ]  # fmt: skip
    return [
        batch(n, user, MONDAY + timedelta(days), *PLAYED, game=game)
        for n, (user, game, days) in enumerate(sent, 1)
    ]


async def rows(store: Store) -> list[tuple[object, ...]]:
    async with store.reader() as reader:
        page = await reader.events(upto=2**62, limit=1_000)
    return [(each.event_id, each.game_id, each.user_id, each.type) for each in page.events]


async def test_events_players_and_coins_of_the_game_go_and_all_others_stay(
    make_sink: MakeSink,
) -> None:
    async with make_sink() as store:
        await store.write(history())
        before = [each for each in await rows(store) if each[1] == "a"]
        counted = await store.clear(TRACES, dry_run=True)
        assert len(await rows(store)) > len(before), "it only counts"
        cleared = await store.clear(TRACES)
        assert {name: cleared[name] for name in counted if name in cleared} == counted
        assert (cleared["event_rows"], cleared["players"], cleared["batches"]) == (30, 2, 6)
        assert await rows(store) == before
        async with store.reader() as reader:
            assert await reader.player(MADE) is await reader.player(CASUAL) is None
            assert await reader.player(REGULAR) is not None
            assert (await reader.player(OTHER)).sessions == 2  # type: ignore[union-attr]
        again = await store.clear(TRACES)
        assert not any(again.values()), "there is nothing left"


async def test_a_batch_that_comes_again_from_a_journal_stays_away(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        await store.write(history())
        await store.clear(TRACES)
        before = await rows(store)
        written = await store.write(history())
        assert (written.stored, await rows(store)) == (0, before)


async def test_dead_letters_and_runs_of_the_game_go(make_sink: MakeSink) -> None:
    async with make_sink() as store:
        theirs = [
            numbered(1, 0, 3, user_id=MADE, game_id=GAME),
            numbered(2, 0, 3, user_id=OTHER, game_id="a"),
        ]
        await store.write(theirs)
        await store.bury(batch(3, CASUAL, MONDAY, game=GAME), "poison")
        await store.bury(batch(4, OTHER, MONDAY), "poison")
        counted = await store.clear(TRACES, dry_run=True)
        assert (counted["runs"], counted["dead_letters"]) == (1, 1)
        cleared = await store.clear(TRACES)
        assert (cleared["runs"], cleared["dead_letters"]) == (1, 1)
        async with store.reader() as reader:
            assert [each.game_id for each in await reader.buried()] == ["a"]
        fresh = numbered(5, 0, 3, user_id=MADE, game_id=GAME)
        assert (await store.write([fresh])).stored == fresh.count, "its numbers are new again"


async def test_coins_of_who_stays_are_kept_and_the_audit_finds_every_coin_right(
    database_url: str,
) -> None:
    async with open_store(database_url, RULES) as store:
        await store.write(history())
        await store.adjust(CASUAL, 5, "sorry")
        before = await select(
            database_url, "SELECT user_id, coins_balance FROM players ORDER BY user_id"
        )
        cleared = await store.clear(TRACES)
        assert cleared["kept_coin_entries"] == 3 * 2
        after = await select(
            database_url, "SELECT user_id, coins_balance FROM players ORDER BY user_id"
        )
        assert after == [each for each in before if each[0] != MADE]
        async with store.reader() as reader:
            assert await complaints(reader) == []
        await store.write([batch(20, REGULAR, MONDAY, *PLAYED, game=GAME)])
        async with store.reader() as reader:
            assert await complaints(reader) == [], "and when it is played again"


Sent = st.tuples(
    st.sampled_from([MADE, "load.playsmart-1-000002", CASUAL, REGULAR, OTHER]),
    st.sampled_from([GAME, GAME, "a", "b"]),
    st.integers(0, 3),
    st.integers(1, 3),
)


@for_all(12, sent=st.lists(Sent, min_size=1, max_size=12), counted=st.integers(0, 12))
async def test_the_sums_are_as_if_the_game_had_never_been(
    database_url: str, sent: list[tuple[str, str, int, int]], counted: int
) -> None:
    """Whatever was counted before; made-up players play no other game here."""
    await empty(database_url)
    day, batches = 0, []
    for n, (user, game, later, level) in enumerate(sent, 1):
        day += later * 2 if later > 1 else later
        whose = GAME if TRACES.made(user) else game
        events = [row(), row("LevelCompleted", level=level), row("GameEnd", level=level)]
        batches.append(batch(n, user, MONDAY + timedelta(day), *events, game=whose))
    async with open_store(database_url, RULES) as store:
        if batches[:counted]:
            await store.write(batches[:counted])
            await count_all(store)
        if batches[counted:]:
            await store.write(batches[counted:])
        await store.clear(TRACES)
        await count_all(store)
        assert await select(database_url, f"SELECT 1 FROM events WHERE game_id = '{GAME}'") == []
        found, must_be = await tables(database_url), await recounted(database_url)
        for sums in (found, must_be):  # what is shown of minutes ends at the newest one
            sums["counts"] = [each for each in sums["counts"] if each[0] == DAY]
        assert found == must_be


async def test_made_up_players_go_from_other_games_and_from_who_played_there(
    database_url: str,
) -> None:
    async with open_store(database_url) as store:
        await store.write(
            [batch(n, user, MONDAY, *PLAYED) for n, user in enumerate((OTHER, MADE), 1)]
        )
        await count_all(store)
        counted = await store.clear(TRACES, dry_run=True)
        cleared = await store.clear(TRACES)
        assert {name: cleared.get(name, 0) for name in counted} == counted
        found = await tables(database_url)
        assert {each[1] for each in found["player_days"]} == {OTHER}
        assert [each[2:] for each in found["days"]] == [(1, 1, 0, 0)] * 2
        assert {(each[2], each[5]) for each in found["levels"]} == {("1", 1), ("2", 0)}
        assert await select(database_url, "SELECT DISTINCT user_id FROM events") == [(OTHER,)]


async def test_sums_and_what_was_learned_of_it_before_are_not_added_after(
    database_url: str,
) -> None:
    async with open_store(database_url) as store:
        learned = store.learned
        assert learned is not None
        await store.write(history())
        sight = await learned.look(0, max_events=1_000, max_looked=100)
        assert await learned.keep(0, 5, [(EventKey("playsmart", GAME, "", ""), "{}")])
        async with learned, following_by_hand(database_url) as by_hand:
            chunk = await by_hand.gather(1_000)
            await store.clear(TRACES)
            assert not await by_hand.add(chunk)
            late = [(EventKey("playsmart", GAME, "AppOpen", ""), "{}")]
            assert not await learned.keep(5, 9, late, erasures=sight.erasures)
            kept = await learned.kept()
            assert (kept.learned, kept.erasures) == ({}, sight.erasures + 1)
        async with keeper(store) as figures:
            await figures.roll_up(1_000)
        assert await tables(database_url) == await recounted(database_url)


async def test_many_batches_go_in_many_short_transactions(tmp_path: Path) -> None:
    """More players and batches than one of them takes."""
    async with open_store(url := f"sqlite:///{tmp_path}/events.db") as store:
        made = [
            batch(
                n, f"{TRACES.players}{n % 450}", MONDAY, row("LevelCompleted", level=n), game=GAME
            )
            for n in range(1_100)
        ]
        await store.write([*made, batch(2_000, OTHER, MONDAY)])
        cleared = await store.clear(TRACES)
        assert (cleared["event_rows"], cleared["players"]) == (1_100, 450)
        assert await select(url, "SELECT DISTINCT user_id FROM players") == [(OTHER,)]
