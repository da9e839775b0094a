"""``AppPlayers``: every store remembers, forgets and adds up what plain Python does."""

from collections.abc import AsyncIterator
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import Batch, run_key, run_of
from playsmart_gateway.stores.models import (
    OPT_OUT_STATES,
    AppPlayer,
    Statistics,
    Written,
)
from playsmart_gateway.stores.open import open_store
from tests.support.app_batches import (
    Kept,
    analytics,
    named,
    session,
    spin,
)
from tests.support.examples import examples
from tests.support.stores import empty

PAST = "2000-01-01T00:00:00.000000Z"
FUTURE = "2999-01-01T00:00:00.000000Z"
MAIL = "ada@example.com"
RUN, RUN_OF_BOB = (run_key(run_of(b"a key"), "app", user) for user in ("ada", "bob"))


@pytest.fixture
async def kept(url: str) -> AsyncIterator[Kept]:
    async with open_store(url) as sink:
        yield Kept(sink, url)


# --- sessions ------------------------------------------------------------------------------------


async def test_a_repeated_flush_of_sessions_changes_nothing(kept: Kept) -> None:
    batches = [session(1, email=MAIL), session(2)]
    assert await kept.sink.write(batches) == Written(3, 1)
    assert await kept.sink.write(batches) == Written(0, 4)
    assert [kind for _, _, kind, _ in await kept.events()] == ["Played", "Installed", "Played"]


@pytest.mark.parametrize("together", [True, False])
async def test_of_many_installs_of_a_player_the_first_stays(kept: Kept, together: bool) -> None:
    batches = [session(number) for number in range(1, 6)]
    written = (
        [await kept.sink.write(batches)]
        if together
        else [await kept.sink.write([each]) for each in batches]
    )
    assert sum(each.stored for each in written) == 6
    assert sum(each.duplicate for each in written) == 4
    stored = await kept.events()
    assert [kind for _, _, kind, _ in stored] == ["Played", "Installed", *["Played"] * 4]
    assert stored[1][3] == stored[0][3]
    assert await kept.batch_counts() == [2, 1, 1, 1, 1]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("installs", [(True, False), (False, True)])
async def test_a_session_by_the_same_key_is_stored_once_whoever_knew_the_player(
    kept: Kept, together: bool, installs: tuple[bool, bool]
) -> None:
    batches = [
        session(1, installs=installs[0], email=MAIL, run=RUN),
        session(2, installs=installs[1], email="other@example.com", country="FR", run=RUN),
        session(3, "bob", run=RUN_OF_BOB),
    ]
    written = (
        [await kept.sink.write(batches)]
        if together
        else [await kept.sink.write([each]) for each in batches]
    )
    assert sum(each.stored for each in written) == batches[0].count + 2
    assert sum(each.duplicate for each in written) == batches[1].count
    assert await kept.batch_counts() == [batches[0].count, 0, 2]
    assert await kept.emails() == {("app", "ada"): MAIL}
    async with kept.sink.reader() as reader:
        assert await reader.countries("app", ["ada", "bob"]) == {"ada": "US", "bob": "US"}


async def test_a_batch_of_wrong_events_alone_uses_their_numbers(kept: Kept) -> None:
    batches = [analytics(1), analytics(2, spin())]
    for place, batch in enumerate(batches):
        batch.run, batch.seq = RUN, place
    batches[0].about = About(refused=(0, 1))
    assert [await kept.sink.write([each]) for each in batches] == [Written(0, 0), Written(0, 1)]
    assert await kept.events() == []


async def test_a_session_among_the_dead_letters_is_one_when_it_is_replayed(kept: Kept) -> None:
    called_like_one = analytics(2, spin("bob", action="Played"))
    for batch in (session(1, email=MAIL), called_like_one):
        await kept.sink.bury(batch, "for a test")
        written = await kept.sink.replay(batch.journal, batch.sequence)
        assert written == Written(batch.count, 0)
    assert await kept.emails() == {("app", "ada"): MAIL}
    async with kept.sink.reader() as reader:
        assert await reader.countries("app", ["ada", "bob"]) == {"ada": "US"}


async def test_players_of_two_apps_and_two_players_of_one_each_install(kept: Kept) -> None:
    batches = [session(1), session(2, app="other"), session(3, "bob")]
    assert await kept.sink.write(batches) == Written(6, 0)


async def test_an_install_may_come_behind_a_session_without_one(kept: Kept) -> None:
    await kept.sink.write([session(1, installs=False)])
    assert await kept.sink.write([session(2), session(3)]) == Written(3, 1)


async def test_the_country_is_that_of_the_latest_session_be_it_unknown(kept: Kept) -> None:
    async with kept.sink.reader() as reader:
        await kept.sink.write([session(1, country="US"), session(2, country="DE")])
        await kept.sink.write([session(3, "bob", country="FR"), session(4, app="other")])
        assert await reader.countries("app", ["ada", "bob", "eve"]) == {"ada": "DE", "bob": "FR"}
        await kept.sink.write([session(5, country="")])
        assert await reader.countries("app", ["ada"]) == {"ada": ""}
        assert (await reader.app_player("app", "ada")).country_code == ""
        assert await reader.countries("app", []) == {}


@pytest.mark.parametrize("user", ["ü😀", '"', "123", "a\\b", " x", "null", "x" * 256])
async def test_ids_of_any_form_are_found_again(kept: Kept, user: str) -> None:
    await kept.sink.write([session(1, user, app=user, email=MAIL)])
    async with kept.sink.reader() as reader:
        assert await reader.countries(user, [user]) == {user: "US"}
        assert (await reader.app_player(user, user)).country_code == "US"
    assert await kept.emails() == {(user, user): MAIL}


async def test_a_player_nobody_knows_is_new(kept: Kept) -> None:
    async with kept.sink.reader() as reader:
        assert await reader.app_player("app", "ada") == AppPlayer(None, OPT_OUT_STATES, {})


@pytest.mark.parametrize("value", ["1e9999", "-1e9999", "9" * 256, "1e-9999"])
async def test_an_event_that_is_called_like_a_session_is_none(kept: Kept, value: str) -> None:
    event = spin(action="Played", value=value)
    assert await kept.sink.write([analytics(1, event), analytics(2, event, event)]) == Written(3, 0)
    async with kept.sink.reader() as reader:
        assert await reader.countries("app", ["ada", ""]) == {}


@pytest.mark.parametrize("most", [10, 20])
async def test_an_app_may_have_the_id_of_a_game_that_pays(most: int, url: str) -> None:
    """By chance, too, where rows of the game carry a draw; in one flush with its events."""
    rules = [Rule("app", 10, most, 1_000_000, 1, 1_000_000)]
    level = ["LevelCompleted", None, "2026-04-22T14:30:00Z", None, 10]
    paid = named(Batch("playsmart", "app", "ada", 1, msgspec.json.encode([level])), 3)
    events = [spin(action="LevelCompleted"), spin("bob", action="Custom")]
    async with open_store(url, rules) as sink, sink.reader() as reader:
        written = await sink.write([session(1), analytics(2, *events), paid, session(4)])
        assert written == Written(6, 1)
        player = await reader.player("ada")
        assert player is not None
        assert player.coins_balance == 10
        assert await reader.player("bob") is None
        assert await reader.countries("app", ["ada", "bob"]) == {"ada": "US"}
        assert (await reader.audit(100)).violations == ()


# --- emails --------------------------------------------------------------------------------------


async def test_no_email_is_among_the_events(kept: Kept) -> None:
    await kept.sink.write([session(1, email=MAIL)])
    assert MAIL not in str(await kept.events())


async def test_a_player_has_the_last_email_that_was_sent(kept: Kept) -> None:
    await kept.sink.write([session(1, email=MAIL), session(2, email="new@x.de"), session(3)])
    assert await kept.emails() == {("app", "ada"): "new@x.de"}
    await kept.sink.write([session(4, email=MAIL)])
    assert await kept.emails() == {("app", "ada"): MAIL}


@pytest.mark.parametrize("together", [True, False])
async def test_an_email_moves_to_the_player_who_sent_it_last_but_not_between_apps(
    kept: Kept, together: bool
) -> None:
    batches = [
        session(1, email=MAIL),
        session(2, "bob", email="bob@example.com"),
        session(3, app="other", email=MAIL),
        session(4, "bob", email=MAIL),
    ]
    for flush in [batches] if together else [[each] for each in batches]:
        await kept.sink.write(flush)
    assert await kept.emails() == {("app", "bob"): MAIL, ("other", "ada"): MAIL}


async def test_players_may_swap_their_emails_in_one_flush(kept: Kept) -> None:
    await kept.sink.write([session(1, email="a@x.de"), session(2, "bob", email="b@x.de")])
    await kept.sink.write([session(3, email="b@x.de"), session(4, "bob", email="a@x.de")])
    assert await kept.emails() == {("app", "ada"): "b@x.de", ("app", "bob"): "a@x.de"}


async def test_an_email_that_was_passed_through_leaves_its_first_owner(kept: Kept) -> None:
    await kept.sink.write([session(1, "bob", email=MAIL)])
    await kept.sink.write([session(2, email=MAIL), session(3, email="new@x.de")])
    assert await kept.emails() == {("app", "ada"): "new@x.de"}


# --- exclusions and opt-out ----------------------------------------------------------------------


@pytest.mark.parametrize("until", [None, FUTURE])
async def test_an_exclusion_purges_the_email_and_records_none_until_it_ends(
    kept: Kept, until: str | None
) -> None:
    await kept.sink.write([session(1, email=MAIL), session(2, "bob", email="bob@x.de")])
    await kept.sink.exclude("app", "ada", until)
    assert await kept.emails() == {("app", "bob"): "bob@x.de"}
    await kept.sink.write([session(3, country="DE", email=MAIL), session(4, email="bob@x.de")])
    assert await kept.emails() == {("app", "bob"): "bob@x.de"}
    async with kept.sink.reader() as reader:
        assert await reader.countries("app", ["ada"]) == {"ada": "US"}, "sessions are tracked"
    assert await kept.sink.include("app", "ada")
    assert await kept.emails() == {("app", "bob"): "bob@x.de"}, "nothing is restored"
    await kept.sink.write([session(5, email=MAIL)])
    assert await kept.emails() == {("app", "ada"): MAIL, ("app", "bob"): "bob@x.de"}
    assert not await kept.sink.include("app", "ada")


async def test_an_exclusion_that_is_over_has_purged_and_stops_nothing(kept: Kept) -> None:
    await kept.sink.write([session(1, email=MAIL)])
    await kept.sink.exclude("app", "ada", PAST)
    assert await kept.emails() == {}
    await kept.sink.write([session(2, email=MAIL)])
    assert await kept.emails() == {("app", "ada"): MAIL}


async def test_the_last_exclusion_says_how_long(kept: Kept) -> None:
    await kept.sink.exclude("app", "ada", None)
    await kept.sink.exclude("app", "ada", PAST)
    await kept.sink.write([session(1, email=MAIL)])
    assert await kept.emails() == {("app", "ada"): MAIL}
    await kept.sink.exclude("app", "ada", FUTURE)
    await kept.sink.write([session(2, email=MAIL)])
    assert await kept.emails() == {}


async def test_one_can_be_excluded_before_ever_playing_and_in_one_app_only(kept: Kept) -> None:
    await kept.sink.exclude("app", "ada", None)
    await kept.sink.write([session(1, email=MAIL), session(2, app="other", email=MAIL)])
    assert await kept.emails() == {("other", "ada"): MAIL}


async def test_an_excluded_player_takes_no_email_from_another(kept: Kept) -> None:
    await kept.sink.exclude("app", "ada", None)
    await kept.sink.write([session(1, "bob", email=MAIL), session(2, email=MAIL)])
    assert await kept.emails() == {("app", "bob"): MAIL}


async def test_preferences_belong_to_a_known_player_and_outlive_sessions_and_exclusions(
    kept: Kept,
) -> None:
    assert not await kept.sink.set_opt_out("app", "ada", "push", "opt_out")
    await kept.sink.write([session(1)])
    assert await kept.sink.set_opt_out("app", "ada", "push", "opt_out")
    assert await kept.sink.set_opt_out("app", "ada", "sms", "opt_in")
    await kept.sink.exclude("app", "ada", None)
    await kept.sink.write([session(2)])
    async with kept.sink.reader() as reader:
        player = await reader.app_player("app", "ada")
        assert player.opt_out_states == {"email": "opt_in", "push": "opt_out", "sms": "opt_in"}
        assert list(player.opt_out_states) == ["email", "push", "sms"]
        assert (await reader.app_player("app", "bob")).opt_out_states == OPT_OUT_STATES


# --- properties ----------------------------------------------------------------------------------


async def test_a_property_keeps_its_kind_and_every_digit(kept: Kept) -> None:
    values: dict[str, str | Decimal] = {
        "title": "7",
        "nothing": "",
        "coins": Decimal("999999999999999999999999999.999999999"),
        "debt": Decimal("-0.000000001"),
        "whole": Decimal("300144"),
        "written": Decimal("1.50"),
        "ü": "😀" * 16_384,
    }
    assert await kept.sink.set_properties("app", "ada", values) == {}
    async with kept.sink.reader() as reader:
        found = (await reader.app_player("app", "ada")).properties
        assert found == values
        assert {name: type(value) for name, value in found.items()} == {
            name: type(value) for name, value in values.items()
        }
        assert {name: str(value) for name, value in found.items()} == {
            name: str(value) for name, value in values.items()
        }
        assert (await reader.app_player("other", "ada")).properties == {}


async def test_setting_a_property_tells_what_it_was(kept: Kept) -> None:
    await kept.sink.set_properties("app", "ada", {"a": "x", "b": Decimal(1)})
    before = await kept.sink.set_properties("app", "ada", {"c": "z", "a": Decimal("2.5")})
    assert before == {"a": "x"}
    assert await kept.sink.set_properties("app", "ada", {"a": "y"}) == {"a": Decimal("2.5")}
    assert await kept.sink.set_properties("app", "bob", {"a": "y"}) == {}
    async with kept.sink.reader() as reader:
        found = (await reader.app_player("app", "ada")).properties
        assert found == {"a": "y", "b": Decimal(1), "c": "z"}


# --- statistics ----------------------------------------------------------------------------------


async def test_sums_are_by_action_and_country_and_of_one_app(kept: Kept) -> None:
    ten = spin(count="10", value="50000", squares="250000000")
    await kept.sink.write([session(1), analytics(2, ten, spin(action="open"), country="")])
    await kept.sink.write([analytics(3, ten, ten), analytics(4, ten, app="other")])
    async with kept.sink.reader() as reader:
        assert await reader.action_statistics("nobody") == []
        found = {
            (each.action_type, each.country_code): each.statistics
            for each in await reader.action_statistics("app")
        }
    assert list(found) == [
        ("Installed", "US"), ("Played", "US"), ("open", ""), ("spin", ""), ("spin", "US"),
    ]  # fmt: skip
    sums = found["spin", "US"]
    assert (sums.events, sums.occurrences) == (2, 20)
    assert (int(sums.value), int(sums.squares)) == (100_000, 500_000_000)
    assert (sums.mean, sums.variance, sums.deviation) == (5_000, 0, 0)
    assert (found["Played", "US"].occurrences, int(found["Played", "US"].value)) == (1, 1)


numbers = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=9).map(lambda number: f"{number:f}"),
    st.sampled_from(
        [
            "1e9999", "-1e9999", "1e-9999", "0e9999", "0.1", "-0", "9" * 256, "1E+400", "5e-324",
            "9" * 251 + "e9999", "0." + "0" * 247 + "1e-9999", "-0." + "9" * 247 + "e-9999",
        ]
    ),
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 2**63 - 1).map(str), numbers, numbers), max_size=6))
@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("1", "9" * 251 + "e9999", "1"), ("1", "0." + "0" * 247 + "1e-9999", "1")])
@example([("1", "0e9999", "0e-9999")] * 2)
async def test_no_digit_of_a_sum_is_lost(url: str, sent: list[tuple[str, str, str]]) -> None:
    events = [spin(count=count, value=value, squares=squares) for count, value, squares in sent]
    await empty(url)
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write([analytics(n, event) for n, event in enumerate(events)])
        found = await reader.action_statistics("app")
    if not sent:
        assert found == []
        return
    (sums,) = (each.statistics for each in found)
    assert sums.events == len(sent)
    assert sums.occurrences == sum(int(count) for count, _, _ in sent)
    # As truths: fractions of that size cannot be printed.
    assert (Fraction(sums.value) == sum(Fraction(Decimal(each[1])) for each in sent)) is True
    assert (Fraction(sums.squares) == sum(Fraction(Decimal(each[2])) for each in sent)) is True
    _ = sums.mean, sums.variance, sums.deviation  # whatever they are, they can be told


def test_what_is_beyond_a_float_is_infinite_and_what_cannot_be_is_nan() -> None:
    huge = Statistics()
    huge.add(2, Decimal("-1e9999"), Decimal("1e9999"))
    assert huge.mean == -float("inf")
    assert str(huge.variance) == str(huge.deviation) == "nan"
    spread = Statistics()
    spread.add(2, Decimal(0), Decimal("1e9999"))
    assert (spread.mean, spread.variance, spread.deviation) == (0, float("inf"), float("inf"))
    two = Statistics()
    two.add(2, Decimal(4), Decimal(10))
    assert (two.mean, two.variance, two.deviation) == (2, 1, 1)
