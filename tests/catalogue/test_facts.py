"""What is learned of events: exact counts, bounded knowledge, nothing of players."""

import json
import string

import pytest

from playsmart_gateway.catalogue import facts as module
from playsmart_gateway.catalogue.discretion import MAX_EXAMPLES, Values, is_private
from playsmart_gateway.catalogue.facts import (
    MAX_ENTRIES,
    MAX_ENTRIES_OF_GAME,
    MAX_PROPERTIES,
    MAX_VERSIONS,
    OTHER,
    Facts,
    game_key,
)
from playsmart_gateway.stores.learned import TOO_LONG, Counted, EventKey
from tests.support.learning import GAME, NOON, key, learn, learn_at_once, looked

LEVEL = key("LevelCompleted")


def test_properties_are_known_with_their_types_shares_and_ranges() -> None:
    facts = Facts()
    learn(facts, looked(LEVEL, {"level": 3, "hard": True}), looked(LEVEL, {"level": 7.5}))
    learn(facts, looked(LEVEL, {"level": "boss", "list": [1], "none": None, "in": {}}))
    entry = facts.entries[LEVEL]
    assert (entry.events, entry.looked) == (3, 3)
    level = entry.properties["level"]
    assert {kind: seen.looks for kind, seen in level.types.items()} == {
        "integer": 1, "number": 1, "text": 1,
    }  # fmt: skip
    assert (level.values.least, level.values.most) == (3, 7.5)
    kinds = {name: [*known.types] for name, known in entry.properties.items() if name != "level"}
    assert kinds == {"hard": ["boolean"], "list": ["list"], "none": ["null"], "in": ["object"]}


def test_counts_are_exact_where_only_a_part_is_looked_at() -> None:
    facts = Facts()
    facts.count([Counted(LEVEL, 900, NOON, NOON)])
    facts.look([looked(LEVEL, {"level": 1})] * 9)
    entry = facts.entries[LEVEL]
    assert (entry.events, entry.looked, entry.properties["level"].looks) == (900, 9, 9)
    assert facts.games[game_key(LEVEL)].events == 900


def test_what_is_kept_is_what_is_read_back() -> None:
    facts = Facts()
    learn(facts, looked(LEVEL, {"level": 1}, version="1.0"), looked(key("Custom", "jump"), {}))
    again = Facts(dict(facts.texts()))
    assert again.entries == facts.entries
    assert again.games == facts.games
    facts.kept()
    assert facts.texts() == []


def test_what_somebody_damaged_is_learned_anew() -> None:
    facts = Facts({LEVEL: "{", game_key(LEVEL): '{"events": "many"}'})
    learn(facts, looked(LEVEL, {"level": 1}))
    assert facts.entries[LEVEL].events == 1


@pytest.mark.parametrize("text", ["{", "[1]", TOO_LONG, "{" + '"a":{' * 5_000 + "}" * 5_001])
def test_customdata_that_cannot_be_read_is_not_looked_at(text: str) -> None:
    facts = Facts()
    learn(facts, looked(LEVEL)._replace(customdata=text))
    assert (facts.entries[LEVEL].events, facts.entries[LEVEL].looked) == (1, 0)


def test_names_beyond_the_bound_go_by_how_rare_they_are() -> None:
    facts = Facts()
    usual = [key("Custom", f"usual {place}") for place in range(MAX_ENTRIES_OF_GAME - 1)]
    facts.count([Counted(each, 100, NOON, NOON) for each in usual])
    facts.kept()
    for junk in range(1_000):
        facts.count([Counted(key("Custom", f"junk {junk}"), 1, NOON, NOON)])
    assert len(facts.entries) == MAX_ENTRIES_OF_GAME
    assert set(usual) < set(facts.entries)
    assert facts.games[game_key(LEVEL)].dropped == 999
    facts.count([Counted(LEVEL, 2, NOON, NOON)])
    assert LEVEL in facts.entries
    assert facts.forgotten == {key("Custom", "junk 0")}
    events = facts.games[game_key(LEVEL)]
    assert events.events == events.dropped + sum(each.events for each in facts.entries.values())


def test_games_and_names_of_all_games_are_bounded_together() -> None:
    facts = Facts()
    for game in range(MAX_ENTRIES + 50):
        facts.count([Counted(EventKey("playsmart", f"game {game}", "AppOpen", ""), 1, NOON, NOON)])
    assert len(facts.entries) == len(facts.games) == MAX_ENTRIES


def test_properties_versions_and_their_lengths_are_bounded() -> None:
    facts = Facts()
    learn(facts, looked(LEVEL, {f"p{place}": place for place in range(MAX_PROPERTIES + 10)}))
    learn(facts, looked(LEVEL, {"x" * 1_000: 1}))
    entry = facts.entries[LEVEL]
    assert (len(entry.properties), entry.unnamed) == (MAX_PROPERTIES, 11)
    for place in range(10 * MAX_VERSIONS):
        learn(facts, looked(LEVEL, {"app_version": f"{place}" * 100}), times=2)
    assert len(entry.versions) <= MAX_VERSIONS + 1
    assert OTHER in entry.versions
    assert max(map(len, entry.versions)) <= module.MAX_VERSION_LENGTH
    assert len(json.dumps(facts.texts())) < 100_000


def test_the_version_is_where_the_game_says_it_is_before_the_usual_names_and_behind_the_run() -> (
    None
):
    facts = Facts(version_keys={GAME: "build"})
    other = key("LevelCompleted", game="other")
    said = {"build": "7", "version": "3"}
    learn(facts, looked(LEVEL, said), looked(LEVEL, {"build": 8, "version": "4"}))
    learn(facts, looked(LEVEL, said, version="2"), looked(other, said))
    assert [*facts.entries[LEVEL].versions] == ["7", "4", "2"]
    assert [*facts.entries[other].versions] == ["3"]


def test_the_version_is_that_of_the_run_or_else_the_one_that_the_event_names() -> None:
    facts = Facts()
    learn(facts, looked(LEVEL, {"app_version": "1"}, version="2"), looked(LEVEL, {"version": "3"}))
    learn(facts, looked(LEVEL, {"app_version": 4}), looked(LEVEL, {"appVersion": ""}))
    assert [*facts.entries[LEVEL].versions] == ["2", "3"]


def test_a_text_is_an_example_only_if_two_players_sent_it() -> None:
    facts = Facts()
    facts.count([Counted(LEVEL, 4, NOON, NOON)])
    seen = [("ada", "dragon"), ("bob", "dragon"), ("ada", "mine alone"), ("ada", "mine alone")]
    facts.look([looked(LEVEL, {"boss": boss}, player=player) for player, boss in seen])
    assert facts.entries[LEVEL].properties["boss"].values.examples == ["dragon"]


@pytest.mark.parametrize(
    "name",
    ["email", "userEmail", "player_name", "PHONE", "deviceId", "ip", "geo_lat", "Nickname", "IDs"],
)
def test_nothing_is_shown_of_what_sounds_like_a_person(name: str) -> None:
    values = Values()
    values.take_number(name, 17)
    assert is_private(name)
    assert not values.may_take(name, "gold")
    assert values == Values()


@pytest.mark.parametrize("name", ["boss", "level", "width", "valid", "mode", "currency", "country"])
def test_other_names_are_nobodys(name: str) -> None:
    assert not is_private(name)
    assert Values().may_take(name, "gold")


@pytest.mark.parametrize(
    "value",
    ["a@b.de", "+49 171 1", "1234567", "https://x", "9f86d081884c7d65", "10.0.0.17", "I live here",
     "Zoë", "", "x" * 25],
)  # fmt: skip
def test_no_value_is_shown_that_looks_like_a_persons_or_is_long(value: str) -> None:
    assert not Values().may_take("boss", value)


def test_there_are_few_examples_and_large_numbers_are_none() -> None:
    values = Values()
    for letter in string.ascii_lowercase:
        if values.may_take("boss", letter):
            values.take_text(letter)
    assert len(values.examples) == MAX_EXAMPLES
    for number in (10**400, 1e300, float("inf"), 1_700_000_000):
        values.take_number("score", number)
    assert values.least is None


def test_events_of_a_name_that_is_not_kept_are_not_looked_at() -> None:
    facts = Facts()
    facts.look([looked(LEVEL, {"level": 1})])
    assert facts.entries == {}


def test_each_game_is_told_by_itself() -> None:
    facts = Facts()
    other = LEVEL._replace(game_id="com.example.other")
    learn(facts, looked(LEVEL, {}), looked(other, {}))
    assert [[*each.entries] for each in facts.by_game()] == [[LEVEL], [other]]
    assert {key.game_id for each in facts.by_game() for key in each.games} == {GAME, other.game_id}


def test_what_one_player_may_have_written_as_a_name_is_not_kept_until_another_sends_it() -> None:
    facts, event = Facts(), key("LevelCompleted")
    learn_at_once(facts, looked(event, {"her own field": 1, "level": 2}), looked(event, {}))
    assert set(facts.entries[event].properties) == {"level"}
    assert facts.entries[event].unnamed == 1
    both = [looked(event, {"hard mode": True}, player=player) for player in ("ada", "bob")]
    learn_at_once(facts, *both)
    learn(facts, looked(event, {"hard mode": True}))
    assert facts.entries[event].properties["hard mode"].looks == 3
    assert not any("her own" in text for _, text in facts.texts())
