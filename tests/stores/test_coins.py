"""``Coins``: every store pays what plain Python pays, once, whatever the flush boundaries were."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.errors import AdjustmentRefused, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.contract import (
    Store,
)
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.sqlite import SqliteSink
from playsmart_gateway.stores.sqlite.schema import MIGRATIONS
from tests.support.coin_batches import (
    COUNTS,
    EVENTS,
    LEVELS,
    RULES,
    balance,
    batch,
    complaints,
    ledger,
)
from tests.support.stores import empty, execute, for_all, select


def end(score: Any) -> list[Any]:
    return ["GameEnd", None, "2026-04-22T14:30:00.123456Z", {"score": score}]


# --- what is paid --------------------------------------------------------------------------------


async def test_games_that_are_unknown_or_stopped_are_stored_and_pay_nothing(url: str) -> None:
    async with open_store(url, RULES) as sink:
        level = EVENTS["level"]
        await sink.write([batch(1, level, game="unknown"), batch(2, level, game="stopped")])
        async with sink.reader() as reader:
            assert await ledger(reader) == []
            assert await balance(reader) == 0
            assert await complaints(reader) == []


async def test_a_completed_level_earns_its_coins_once(url: str) -> None:
    async with open_store(url, RULES) as sink:
        rows = [EVENTS["ad"], EVENTS["level"], EVENTS["level"]]
        for _ in range(3):
            await sink.write([batch(1, *rows)])
        await sink.write([batch(1, *rows), batch(2, EVENTS["level"])])
        async with sink.reader() as reader:
            entries = await ledger(reader)
            assert [(each.amount, each.balance_before, each.balance_after) for each in entries] == [
                (10, 0, 10),
                (10, 10, 20),
                (10, 20, 30),
            ]
            first = entries[0]
            assert (first.type, first.trigger, first.reason) == ("earn", "level_complete", None)
            assert (first.user_id, first.game_id) == ("ada", "levels")
            assert first.event_id == first.id
            assert await balance(reader) == 30


async def test_the_first_level_of_a_first_batch_is_paid_to_a_new_player(url: str) -> None:
    async with open_store(url, [LEVELS]) as sink:
        await sink.write([batch(1, EVENTS["level"])])
        async with sink.reader() as reader:
            assert await balance(reader) == 10
            assert await reader.player("nobody") is None
            assert await reader.coin_transactions("nobody", limit=5) == []


@pytest.mark.parametrize(
    ("draw", "amount"),
    [(5, 7), (6, 9), (15, 22), (0, 7), (99, 22), (None, 7)],
    ids=["least", "rounded down", "most", "below", "above", "missing"],
)
async def test_a_draw_travels_in_its_row_and_stays_within_the_bounds(
    url: str, draw: int | None, amount: int
) -> None:
    """1.5 times the draw; one from under another rule is bounded, a missing one is the least."""
    async with open_store(url, RULES) as sink:
        row = EVENTS["level"] if draw is None else [*EVENTS["level"], draw]
        await sink.write([batch(1, row, game="chance")])
        async with sink.reader() as reader:
            assert await balance(reader) == amount


async def test_custom_events_earn_at_each_multiple_of_the_threshold_in_their_game(url: str) -> None:
    async with open_store(url, RULES) as sink:
        custom = EVENTS["custom"]
        await sink.write([batch(1, *[custom] * 3, game="counts"), batch(2, custom, game="levels")])
        async with sink.reader() as reader:
            assert await ledger(reader) == []
            await sink.write([batch(3, *[custom] * 9, game="counts")])
            await sink.write([batch(4, *[custom] * 4, game="counts", user="bob")])
            entries = await ledger(reader)
            assert [(each.trigger, each.amount) for each in entries] == [("event_trigger", 1)] * 3
            assert [each.id % 256 for each in entries] == [0, 4, 8]
            assert await balance(reader, "bob") == 1
            assert await complaints(reader) == []


async def test_events_of_other_sources_earn_nothing_and_are_nobodys_profile(url: str) -> None:
    async with open_store(url, RULES) as sink:
        await sink.write([batch(1, EVENTS["level"], EVENTS["open"], source="teak")])
        async with sink.reader() as reader:
            assert await reader.player("ada") is None
            assert await complaints(reader) == []


async def test_each_type_has_its_effect_on_the_player(url: str) -> None:
    async with open_store(url, RULES) as sink:
        await sink.write([batch(1, EVENTS["open"], end(4800), end(1_200.5))])
        await sink.write([batch(2, end("a lot"), EVENTS["ad"]), batch(3, end(None), end(True))])
        await sink.write([batch(4, end(-3), EVENTS["open"]), batch(5, EVENTS["custom"])])
        async with sink.reader() as reader:
            player = await reader.player("ada")
            assert player is not None
            assert (player.sessions, player.total_games_played) == (2, 6)
            assert (player.best_score, player.last_score) == (4800, -3)
            assert player.first_seen_at == "2026-04-22T14:30:00.000001Z"
            assert player.last_seen_at == "2026-04-22T14:30:00.000005Z"


async def test_a_player_is_first_seen_when_the_earliest_batch_came_whichever_is_stored_first(
    url: str,
) -> None:
    async with open_store(url, RULES) as sink:
        await sink.write([batch(5, EVENTS["ad"]), batch(6, EVENTS["ad"], user="bob")])
        await sink.write([batch(2, EVENTS["ad"]), batch(3, EVENTS["ad"])])
        async with sink.reader() as reader:
            ada, bob = await reader.player("ada"), await reader.player("bob")
            assert ada is not None
            assert bob is not None
            assert ada.first_seen_at == "2026-04-22T14:30:00.000002Z"
            assert ada.last_seen_at == "2026-04-22T14:30:00.000005Z"
            assert bob.first_seen_at == bob.last_seen_at == "2026-04-22T14:30:00.000006Z"


async def test_what_is_changed_by_hand_in_players_is_what_they_have_then(database_url: str) -> None:
    async with open_store(database_url, RULES) as sink, sink.reader() as reader:
        await sink.write([batch(1, EVENTS["level"], EVENTS["open"], end(7))])
        before = await reader.player("ada")
        assert before is not None
        await execute(database_url, "UPDATE players SET coins_balance = 4, best_score = 9.5")
        changed = await reader.player("ada")
        assert changed == msgspec.structs.replace(before, coins_balance=4, best_score=9.5)
        await sink.write([batch(2, EVENTS["level"])])
        assert await balance(reader) == 14


async def test_players_are_the_same_whatever_of_them_is_folded(tmp_path: Path) -> None:
    chance = random.Random(15)
    twin = MemorySink(RULES)
    path = str(tmp_path / "events.db")
    names = [f"player {number}" for number in range(12)]
    kinds = [EVENTS["level"], EVENTS["open"], end(7), end(-1), end(4800.5), EVENTS["custom"]]
    numbers = iter(range(1, 1_000))
    async with SqliteSink(path, RULES, max_changes=4) as sink, twin, sink.reader() as reader:
        for _ in range(40):
            batches = [
                batch(next(numbers), *chance.sample(kinds, 2), user=chance.choice(names))
                for _ in range(chance.randint(1, 3))
            ]
            await sink.write(batches)
            await twin.write(batches)
            who = chance.choice(names)
            if await twin.reader().player(who):
                await sink.adjust(who, 3, "a gift")
                await twin.adjust(who, 3, "a gift")
        async with twin.reader() as expected:
            for name in names:
                assert await reader.player(name) == await expected.player(name)
        assert await complaints(reader) == []
    folded = await select(f"sqlite:///{path}", "SELECT count(*) FROM player_states")
    changed = await select(f"sqlite:///{path}", "SELECT count(*) FROM player_changes")
    assert folded == [(12,)]
    assert 0 < changed[0][0] < 12


@pytest.mark.parametrize("score", ["1e400", "-1e400", str(-(2**63)), str(2**70), "1e308", "0.1"])
async def test_scores_at_the_edge_of_numbers_stop_nothing(url: str, score: str) -> None:
    rows = f'[["GameEnd",null,"2026-04-22T14:30:00Z",{{"score":{score}}}]]'
    async with open_store(url, RULES) as sink:
        uncommon = batch(1, end(0))
        uncommon.rows = rows.encode()
        await sink.write([uncommon])
        async with sink.reader() as reader:
            player = await reader.player("ada")
            assert player is not None
            assert player.total_games_played == 1
            expected = None if "e400" in score else float(score)
            assert (
                player.last_score == pytest.approx(expected)
                if expected
                else player.last_score is None
            )


# --- rules that change ---------------------------------------------------------------------------


async def test_the_rule_in_force_when_events_are_stored_counts_and_the_audit_knows_it(
    database_url: str,
) -> None:
    url = database_url
    custom, level = EVENTS["custom"], EVENTS["level"]
    sequence = iter(range(1, 100))
    for rules in ([LEVELS, COUNTS], [], [Rule("levels", 20, 20, 500_000)], [LEVELS, COUNTS]):
        async with open_store(url, rules) as sink:
            await sink.write([batch(next(sequence), level)])
            await sink.write([batch(next(sequence), *[custom] * 3, game="counts")])
    async with open_store(url).reader() as reader:
        entries = await ledger(reader)
        assert [each.amount for each in entries] == [10, 10, 10, 1]
        assert await complaints(reader) == []
    known = await select(url, "SELECT game_id, max_amount FROM game_rules ORDER BY rule_id")
    assert sorted(known[:2]) == [("counts", 3), ("levels", 10)]
    assert len(known) == 7


async def test_two_processes_with_different_rules_each_pay_by_their_own(database_url: str) -> None:
    url = database_url
    other_rule = Rule("levels", 7, 7, 1_000_000)
    async with open_store(url, [LEVELS]) as one, open_store(url, [other_rule]) as other:
        for sequence in range(1, 9, 2):
            await one.write([batch(sequence, EVENTS["level"])])
            await other.write([batch(sequence + 1, EVENTS["level"])])
        async with one.reader() as reader:
            assert [each.amount for each in await ledger(reader)] == [10, 7] * 4
            assert await complaints(reader) == []


# --- caps ----------------------------------------------------------------------------------------

CAPPED = Rule("levels", 10, 10, 1_000_000, max_per_day=25)


async def test_a_cap_bounds_what_a_player_is_paid_on_a_day_and_all_events_are_stored(
    url: str,
) -> None:
    """Up to the cap, and then nothing; of each player, game and day of UTC."""
    level = EVENTS["level"]
    other = Rule("other", 10, 10, 1_000_000, max_per_day=25)
    async with open_store(url, [CAPPED, other]) as sink, sink.reader() as reader:
        await sink.write([batch(1, level), batch(2, level, level, level)])
        await sink.write([batch(3, level), batch(4, level, user="eve")])
        await sink.write([batch(5, level, level, game="other"), on_day(1, batch(6, level))])
        await sink.write([batch(7, level), on_day(1, batch(8, *[level] * 5))])
        assert (await sink.write([batch(1, level)])).stored == 0
        assert [entry.amount for entry in await ledger(reader)] == [10, 10, 5, 10, 10, 10, 10, 5]
        assert await balance(reader, "eve") == 10
        assert len((await reader.events(upto=10**9, limit=100)).events) == 15
        assert await complaints(reader) == []


async def test_the_audit_says_how_many_awards_a_cap_cut(database_url: str) -> None:
    async with open_store(database_url, [CAPPED]) as sink, sink.reader() as reader:
        await sink.write([batch(n, EVENTS["level"]) for n in range(1, 6)])
        for max_events in (2, 1_000):
            capped = 0
            async with sink.reader() as auditing:
                while True:
                    audited = await auditing.audit(max_events)
                    assert audited.violations == ()
                    capped += audited.capped
                    if audited.position == audited.end:
                        break
            assert capped == 3
        (cause,) = (await reader.causes([256 * 3])).values()
        assert cause.rule.max_per_day == 25


@pytest.mark.parametrize(
    ("tampering", "kinds"),
    [
        (
            "INSERT INTO coin_entries (id, player_id, trigger, amount, balance_after, created_at)"
            " SELECT 1024, player_id, 1, 10, 35, created_at FROM coin_entries WHERE id = 256",
            {"unearned_grant", "wrong_balance"},
        ),
        (
            "DELETE FROM coin_entries WHERE id = 768",
            {"missing_grant", "wrong_balance"},
        ),
    ],
)
async def test_the_audit_finds_what_a_cap_does_not_allow_or_does_not_take(
    database_url: str, tampering: str, kinds: set[str]
) -> None:
    async with open_store(database_url, [CAPPED]) as sink:
        await sink.write([batch(n, EVENTS["level"]) for n in range(1, 6)])
    await execute(database_url, OPEN_LEDGER[database_url.partition(":")[0]])
    await execute(database_url, tampering)
    for max_events in (1, 1_000):
        async with open_store(database_url).reader() as reader:
            found = {each.kind for each in await complaints(reader, max_events)}
            assert kinds <= found


async def test_a_cap_that_changes_counts_what_was_paid_while_there_was_one(
    database_url: str,
) -> None:
    level = EVENTS["level"]
    sequence = iter(range(1, 100))
    for cap, expected in ((0, 20), (25, 40), (35, 55), (5, 55), (0, 75)):
        rule = msgspec.structs.replace(CAPPED, max_per_day=cap)
        async with open_store(database_url, [rule]) as sink, sink.reader() as reader:
            await sink.write([batch(next(sequence), level, level)])
            assert await balance(reader) == expected, cap
            assert await complaints(reader) == []
            await sink.write([batch(next(sequence), EVENTS["open"])])


# --- adjustments ---------------------------------------------------------------------------------


async def test_an_adjustment_is_an_entry_of_its_own_in_the_one_order(url: str) -> None:
    async with open_store(url, RULES) as sink:
        await sink.write([batch(1, EVENTS["level"])])
        taken = await sink.adjust("ada", -4, "support case 17")
        assert (taken.type, taken.amount, taken.trigger) == ("deduct", 4, None)
        assert (taken.balance_before, taken.balance_after) == (10, 6)
        assert (taken.event_id, taken.game_id, taken.reason) == (None, None, "support case 17")
        await sink.write([batch(2, EVENTS["level"])])
        given = await sink.adjust("ada", 100, "sorry")
        assert (given.type, given.amount) == ("earn", 100)
        async with sink.reader() as reader:
            entries = await ledger(reader)
            assert [each.balance_after for each in entries] == [10, 6, 16, 116]
            assert await complaints(reader) == []


async def test_no_adjustment_takes_more_than_there_is_unless_forced(url: str) -> None:
    async with open_store(url, RULES) as sink:
        await sink.write([batch(1, EVENTS["level"])])
        async with sink.reader() as reader:
            with pytest.raises(AdjustmentRefused):
                await sink.adjust("ada", -11, "too much")
            with pytest.raises(AdjustmentRefused):
                await sink.adjust("nobody", 5, "who?")
            assert await balance(reader) == 10
            await sink.adjust("ada", -11, "fraud", force=True)
            assert await balance(reader) == -1
            await sink.adjust("ada", 1, "back to nothing")
            assert await complaints(reader) == []


async def test_pages_of_the_ledger_go_from_the_newest_to_the_oldest(url: str) -> None:
    async with open_store(url, RULES) as sink:
        await sink.write([batch(1, *[EVENTS["level"]] * 7)])
        async with sink.reader() as reader:
            first = await reader.coin_transactions("ada", limit=3)
            second = await reader.coin_transactions("ada", before=first[-1].id, limit=3)
            third = await reader.coin_transactions("ada", before=second[-1].id, limit=3)
            assert [each.balance_after for each in (*first, *second, *third)] == [
                70, 60, 50, 40, 30, 20, 10,
            ]  # fmt: skip


# --- the ledger ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM coin_entries",
        "UPDATE coin_entries SET amount = 1000",
        "DELETE FROM coin_transactions",
        "UPDATE coin_transactions SET amount = 1000",
    ],
)
async def test_the_ledger_is_append_only(database_url: str, statement: str) -> None:
    async with open_store(database_url, RULES) as sink:
        await sink.write([batch(1, EVENTS["level"])])
    refusal = r"append-only|because it is a view|cannot (delete from|update) view"
    with pytest.raises(Exception, match=refusal):
        await execute(database_url, statement)


@pytest.mark.parametrize(
    ("data", "best", "last"),
    [
        ('{"score":1,"score":2}', 2, 2),
        ('{"score":9,"x":{"score":7},"sc\\u006fre":3}', 3, 3),
        ('{"score":9,"score":"none"}', None, None),
        ('{"score":null,"score":4}', 4, 4),
        ('{"a":{"score":1,"score":2}}', None, None),
    ],
)
async def test_of_two_members_of_one_name_every_store_reads_the_last(
    url: str, data: str, best: int | None, last: int | None
) -> None:
    one = batch(1, end(0))
    one.rows = f'[["GameEnd",null,"2026-04-22T14:30:00Z",{data}]]'.encode()
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write([one])
        player = await reader.player("ada")
        assert player is not None
        assert (player.best_score, player.last_score) == (best, last)


async def test_an_older_file_gets_players_for_the_events_it_holds(tmp_path: Path) -> None:
    """Nothing is paid for them: no rule was in force."""
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(MIGRATIONS[0])
        db.execute("INSERT INTO journals VALUES (1, 'old')")
        seen_at = "2026-04-22T14:30:00.000001Z"
        db.execute(
            "INSERT INTO batches VALUES (1, 1, 1, 'playsmart', 'levels', 'ada', ?, 4)", (seen_at,)
        )
        for place, (kind, name, when, data) in enumerate(
            (EVENTS["open"], end(5), end(3), EVENTS["level"])
        ):
            db.execute(
                "INSERT INTO event_rows VALUES (?, ?, ?, ?, ?)",
                (256 + place, kind, name, when, data and json.dumps(data)),
            )
        db.execute("PRAGMA user_version = 1")
        db.commit()
    async with open_store(f"sqlite:///{path}", RULES) as sink, sink.reader() as reader:
        player = await reader.player("ada")
        assert player is not None
        assert (player.sessions, player.total_games_played) == (1, 2)
        assert (player.best_score, player.last_score, player.coins_balance) == (5, 3, 0)
        await sink.write([batch(2, EVENTS["level"])])
        assert await balance(reader) == 10
        assert await complaints(reader) == []


# --- the audit -----------------------------------------------------------------------------------

OPEN_LEDGER = {
    "sqlite": "DROP TRIGGER coin_entries_stay; DROP TRIGGER coin_entries_stay_as_they_are;",
    "postgresql": "DROP TRIGGER coin_entries_stay ON coin_entries",
}


@pytest.mark.parametrize(
    ("tampering", "kinds"),
    [
        ("DELETE FROM coin_entries WHERE id = 257", {"missing_grant", "broken_chain"}),
        (
            "DELETE FROM coin_entries WHERE id = (SELECT max(id) FROM coin_entries)",
            {"missing_grant", "wrong_balance"},
        ),
        (
            "UPDATE coin_entries SET amount = 11, balance_after = 11 WHERE id = 256",
            {"wrong_grant", "broken_chain"},
        ),
        ("UPDATE coin_entries SET trigger = 2 WHERE id = 256", {"wrong_grant"}),
        ("UPDATE coin_entries SET balance_after = 21 WHERE id = 257", {"broken_chain"}),
        ("UPDATE players SET coins_balance = 1", {"wrong_balance"}),
        (
            "INSERT INTO coin_entries (id, player_id, trigger, amount, balance_after, created_at)"
            " SELECT 300, player_id, 1, 5, 45, created_at FROM coin_entries WHERE id = 256",
            {"unearned_grant", "broken_chain"},
        ),
        ("DELETE FROM event_rows WHERE event_id = 257", {"unearned_grant"}),
        ("DELETE FROM coin_entries", {"missing_grant", "wrong_balance"}),
        ("DELETE FROM game_rules", {"unearned_grant"}),
    ],
)
async def test_the_audit_finds_each_kind_of_tampering(
    database_url: str, tampering: str, kinds: set[str]
) -> None:
    level = EVENTS["level"]
    async with open_store(database_url, RULES) as sink:
        await sink.write([batch(1, level, level, EVENTS["ad"]), batch(2, level, level)])
        async with sink.reader() as reader:
            assert await complaints(reader) == []
    await execute(database_url, OPEN_LEDGER[database_url.partition(":")[0]])
    await execute(database_url, tampering)
    for max_events in (1, 1_000):
        async with open_store(database_url).reader() as reader:
            assert {each.kind for each in await complaints(reader, max_events)} == kinds


async def test_an_audit_follows_what_is_written_and_starts_anew_on_a_new_connection(
    database_url: str,
) -> None:
    async with open_store(database_url, RULES) as sink:
        async with sink.reader() as reader:
            assert (await reader.audit(100)).end == 0
            await sink.write([batch(1, *[EVENTS["custom"]] * 5, game="counts")])
            first = await reader.audit(100)
            assert (first.start, first.position, first.end) == (0, 1, 1)
            await sink.write([batch(2, *[EVENTS["custom"]] * 3, game="counts")])
            second = await reader.audit(100)
            assert (second.start, second.position, second.violations) == (1, 2, ())
        async with reader:
            anew = await reader.audit(100)
        assert (anew.start, anew.position, anew.violations) == (0, 2, ())


async def test_a_store_that_is_not_there_is_unavailable_to_readers_who_make_none(
    new_database_url: str,
) -> None:
    for _ in range(2):
        async with open_store(new_database_url).reader() as reader:
            with pytest.raises(SinkUnavailable) as caught:
                await reader.player("ada")
            assert "Start the gateway once" in caught.value.hint
            with pytest.raises(SinkUnavailable):
                await reader.audit(1)


# --- against plain Python ------------------------------------------------------------------------

users = st.sampled_from(["ada", "bob", "eve"])
games = st.sampled_from(["levels", "chance", "counts", "both", "stopped", "unknown"])
rows = st.one_of(
    st.sampled_from([EVENTS["level"], EVENTS["custom"], EVENTS["custom"], EVENTS["open"]]),
    st.integers(0, 20).map(lambda draw: [*EVENTS["level"], draw]),
    st.integers(0, 20).map(lambda draw: [*EVENTS["custom"], draw]),
    st.one_of(st.integers(-5, 5), st.floats(-9, 9), st.text(max_size=2), st.none()).map(end),
)
uploads = st.lists(
    st.tuples(users, games, st.lists(rows, min_size=1, max_size=6), st.integers(0, 2)),
    min_size=1, max_size=12,
)  # fmt: skip
rule_sets = st.lists(
    st.builds(
        Rule,
        st.just(""),
        min_amount=st.integers(0, 4),
        max_amount=st.integers(4, 9),
        level_millionths=st.sampled_from([0, 1, 333_333, 1_000_000, 2_500_000]),
        trigger_threshold=st.integers(0, 4),
        trigger_millionths=st.sampled_from([0, 500_000, 1_000_000]),
        max_per_day=st.sampled_from([0, 0, 1, 7, 20]),
    ),
    min_size=4,
    max_size=4,
).map(
    lambda rules: [
        msgspec.structs.replace(rule, game_id=game)
        for rule, game in zip(rules, ["levels", "chance", "counts", "both"], strict=True)
    ]
)


def on_day(day: int, one: Batch) -> Batch:
    """Have a batch received so many days later."""
    one.received_at += day * 86_400_000_000
    return one


def cut(batches: list[Batch], sizes: list[int]) -> Iterator[list[Batch]]:
    """Cut a list into flushes of these sizes, then one of all that is left."""
    for size in sizes:
        yield batches[:size]
        batches = batches[size:]
    yield batches


async def everything(sink: Store) -> list[Any]:
    async with sink.reader() as reader:
        found: list[Any] = []
        for user in ("ada", "bob", "eve"):
            found.append(await reader.player(user))
            found.append(
                [
                    msgspec.structs.replace(entry, created_at="")
                    for entry in await ledger(reader, user)
                ]
            )
    return found


@for_all(
    120,
    sent=uploads,
    rules=rule_sets,
    sizes=st.lists(st.integers(1, 5), max_size=5),
    repeats=st.lists(st.integers(0, 5)),
)
async def test_each_store_pays_what_plain_python_pays_whatever_the_flushes_were(
    database_url: str,
    sent: list[tuple[str, str, list[list[Any]], int]],
    rules: list[Rule],
    sizes: list[int],
    repeats: list[int],
) -> None:
    """Python stores one batch at a time; a database in flushes of any size, some of them twice."""
    batches = [
        on_day(day, batch(sequence, *rows, user=user, game=game))
        for sequence, (user, game, rows, day) in enumerate(sent, 1)
    ]
    oracle = MemorySink(rules)
    for each in batches:
        await oracle.write([each])
    await empty(database_url)
    async with open_store(database_url, rules) as sink:
        for place, flush in enumerate(cut(batches, sizes)):
            if flush:
                await sink.write(flush)
            if place in repeats and flush:
                await sink.write(flush)
        assert await everything(sink) == await everything(oracle)
        async with sink.reader() as reader:
            assert await complaints(reader, max_events=1 + len(repeats)) == []
