"""Analytics events: what is taken, what is refused, and the rows that come of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.analytics import (
    MAX_EVENTS,
    AnalyticsEvent,
    Rejected,
    decode_batch,
    decode_event,
    encode_rows,
)
from playsmart_gateway.dialects.teak.body import FORM, JSON, open_body
from playsmart_gateway.dialects.teak.parameters import MAX_COUNT, grouped
from playsmart_gateway.errors import Malformed
from tests.support.examples import examples

NOW = datetime(2026, 1, 15, 12, 0, 0, 250_000, tzinfo=UTC)
EVENT = {"user_id": "ada", "action_type": "spin"}


def nowhere(user_id: str) -> str:
    return ""


def customdata(
    event: AnalyticsEvent, last_country: Callable[[str], str] = nowhere, *, ip: bool = False
) -> str:
    """The customdata of the row of one event, as the text that is stored."""
    row = encode_rows([event], NOW, last_country, store_client_ip=ip).decode()
    before = f'[["{event.action_type}",null,"2026-01-15T12:00:00.250000Z",'
    after = f',null,"{event.user_id}"]]'
    assert row.startswith(before)
    assert row.endswith(after)
    return row[len(before) : -len(after)]


def an_event(members: str = "") -> bytes:
    """One event with more members, as JSON text."""
    return f'{{"user_id":"ada","action_type":"spin"{members}}}'.encode()


def errors(fields: bytes) -> dict[str, list[str]]:
    """What is wrong with a single event; the same event in a batch has the same wrong with it."""
    with pytest.raises(Malformed) as caught:
        decode_event(fields)
    found = grouped(caught.value.details)
    (outcome,) = decode_batch(b'{"events":[' + fields + b"]}").outcomes
    assert isinstance(outcome, Rejected)
    assert outcome.errors == found
    return found


# --- what is taken -------------------------------------------------------------------------------


def test_the_worked_example_becomes_two_rows() -> None:
    body = {
        "game_id": "g",
        "secret_key": "s",
        "events": [
            {"user_id": "player_123", "action_type": "level_up", "object_type": "character",
             "object_instance_id": "warrior", "event_count": 1},
            {"user_id": "player_456", "action_type": "spin", "object_instance_id": "bet_5000",
             "object_type": "Mr. Bling Bling's Slots", "event_count": 10, "value": 50000,
             "sum_of_squares": 250000000, "country_code": "US"},
        ],
    }  # fmt: skip
    events = decode_batch(json.dumps(body).encode()).outcomes
    taken = [event for event in events if isinstance(event, AnalyticsEvent)]
    rows = encode_rows(taken, NOW, {"player_123": "DE"}.__getitem__, store_client_ip=False)
    when = "2026-01-15T12:00:00.250000Z"
    assert json.loads(rows) == [
        ["level_up", None, when, {"object_type": "character", "object_instance_id": "warrior",
         "event_count": 1, "value": 1, "sum_of_squares": 1, "country_code": "DE"},
         None, "player_123"],
        ["spin", None, when, {"object_type": "Mr. Bling Bling's Slots", "event_count": 10,
         "object_instance_id": "bet_5000", "value": 50000, "sum_of_squares": 250000000,
         "country_code": "US"}, None, "player_456"],
    ]  # fmt: skip


def test_an_event_with_nothing_optional_stores_the_defaults() -> None:
    assert customdata(decode_event(an_event())) == (
        '{"event_count":1,"value":1,"sum_of_squares":1,"country_code":""}'
    )


@pytest.mark.parametrize("blank", ["null", '""', '" "', '"\\t\\n"'])
def test_blank_texts_and_nulls_were_not_sent(blank: str) -> None:
    members = "".join(
        f',"{name}":{blank}'
        for name in ("object_type", "object_instance_id", "client_ip", "country_code")
    )
    nulls = f',"event_count":{blank},"value":{blank},"sum_of_squares":{blank}'
    event = decode_event(an_event(members + nulls))
    assert customdata(event) == customdata(decode_event(an_event()))
    assert event == decode_event(an_event(members + ',"unknown":"\\u0000"'))


def test_defaults_do_not_follow_from_each_other() -> None:
    event = decode_event(an_event(',"event_count":10,"value":7'))
    assert '"event_count":10,"value":7,"sum_of_squares":1' in customdata(event)


NUMBERS = [
    "0", "-0", "-0.0", "1", "1.0", "1.10", "0.1", "-1", "1e400", "1E+5", "-1e-400",
    "0.30000000000000004", "12345678901234567890123", "9" * 256, "1e9999", "-1.5E-9999",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_stored_as_it_was_written(number: str) -> None:
    for sent in (number, f'"{number}"', '"' + "".join(f"\\u{ord(c):04x}" for c in number) + '"'):
        event = decode_event(an_event(f',"value":{sent},"sum_of_squares":{sent}'))
        assert f'"value":{number},"sum_of_squares":{number},' in customdata(event)


@pytest.mark.parametrize(
    "wrong",
    [
        "true", "[]", "{}", "[1]", '"a"', '"NaN"', '"Infinity"', '"-Infinity"',
        '"0x1"', '"1_000"', '"1,000"', '"\uff11"', '"\u0661"', '"+1"', '" 1"', '"1 "', '"01"',
        '"1."', '".5"', '"1e"', '"--1"', '"1\\n"', '"1\\u0000"', '"nan"', '"1e5x"', "9" * 257,
        "1e10000", "1e-10000",
        '"' + "9" * 257 + '"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["event_count", "value", "sum_of_squares"])
def test_what_is_no_number_is_refused(name: str, wrong: str) -> None:
    assert errors(an_event(f',"{name}":{wrong}')) == {name: ["must be a number"]}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1", "1"), ("3", "3"), ('"3"', "3"), ("1.0", "1"), ('"2.000"', "2"), ("1e3", "1000"),
        ("100e-2", "1"), (str(MAX_COUNT), str(MAX_COUNT)), (f"{MAX_COUNT}.0", str(MAX_COUNT)),
        ("9" * 18, "9" * 18),
    ],
)  # fmt: skip
def test_a_count_is_stored_as_an_integer(sent: str, stored: str) -> None:
    event = decode_event(an_event(f',"event_count":{sent}'))
    assert f'"event_count":{stored},' in customdata(event)


@pytest.mark.parametrize(
    "wrong",
    ["0", "-0", "-1", "0.5", "1.5", "-0.0", '"0"', '"-3"', '"1.000001"', str(MAX_COUNT + 1), "1e19",
     "1e400", "1e-400", "1e9999", "9" * 256, "1." + "0" * 250 + "1"],
)  # fmt: skip
def test_a_count_is_an_integer_of_1_or_more_that_fits_64_bits(wrong: str) -> None:
    rule = "must be an integer from 1 to 9223372036854775807"
    assert errors(an_event(f',"event_count":{wrong}')) == {"event_count": [rule]}


# --- texts ---------------------------------------------------------------------------------------

TEXTS = ("user_id", "action_type", "object_type", "object_instance_id", "client_ip", "country_code")


NAMES = TEXTS[:4]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("wrong", ["true", "false", "[]", "{}", '["a"]'])
def test_a_text_must_be_a_string(name: str, wrong: str) -> None:
    assert errors(an_event(f',"{name}":{wrong}')) == {name: ["must be a string"]}


@pytest.mark.parametrize("name", TEXTS[4:])
def test_a_number_is_no_place(name: str) -> None:
    assert errors(an_event(f',"{name}":5')) == {name: ["must be a string"]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("42", "42"),
        ("0", "0"),
        ("-7", "-7"),
        ("7.0", "7"),
        ("-0.0", "0"),
        ("4.2e1", "42"),
        ("12345678901234567890", "12345678901234567890"),
        ("7.50", "7.50"),
        ("1e300", "1e300"),
        ("1e-5", "1e-5"),
    ],
)
def test_a_numeric_id_is_the_text_that_a_form_would_carry(name: str, sent: str, read: str) -> None:
    assert getattr(decode_event(an_event(f',"{name}":{sent}')), name) == read


def test_an_event_with_a_numeric_id_keeps_its_numbers() -> None:
    event = decode_event(b'{"user_id":7,"action_type":"a","event_count":5,"value":"2.50"}')
    assert (bytes(event.event_count), bytes(event.value)) == (b"5", b"2.50")


def test_a_numeric_id_of_a_wrong_event_is_named_in_its_result() -> None:
    outcomes = decode_batch(
        b'{"events":[{"user_id":42,"action_type":"a"},{"user_id":42.0}]}'
    ).outcomes
    must = {"action_type": ["must be present"]}
    assert outcomes == [AnalyticsEvent("42", "a"), Rejected("42", must)]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_at_most_256_characters_and_no_nul(name: str) -> None:
    if name != "country_code":
        longest = "\U0001f600" * 256
        assert getattr(decode_event(an_event(f',"{name}":"{longest}"')), name) == longest
    too_long = f',"{name}":"{"x" * 257}"'
    assert errors(an_event(too_long)) == {name: ["must be at most 256 characters"]}
    assert errors(an_event(f',"{name}":"a\\u0000"')) == {name: ["must not contain NUL"]}


@pytest.mark.parametrize("absent", ["null", '""', '"  "'])
def test_the_player_and_the_action_must_be_present(absent: str) -> None:
    must = ["must be present"]
    assert errors(an_event(f',"user_id":{absent}')) == {"user_id": must}
    assert errors(an_event(f',"action_type":{absent}')) == {"action_type": must}
    assert errors(b"{}") == {"user_id": must, "action_type": must}


def test_nul_elsewhere_or_spelled_out_is_no_reason_to_refuse() -> None:
    event = decode_event(an_event(',"unknown":"\\u0000","object_type":"\\\\u0000"'))
    assert event.object_type == "\\u0000"


def test_everything_wrong_is_told_at_once_in_the_order_of_the_contract() -> None:
    found = errors(
        b'{"country_code":"XX","value":"a","event_count":0,"object_type":true,"client_ip":" "}'
    )
    assert list(found) == ["user_id", "action_type", "object_type", "event_count", "value",
                           "country_code"]  # fmt: skip
    assert found["country_code"] == ["is not a recognized ISO country code"]


# --- where the player is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "country"),
    [
        (',"client_ip":"193.0.6.139","country_code":"US"', "NL"),
        (',"client_ip":"127.0.0.1","country_code":"US"', ""),
        (',"client_ip":"nowhere"', ""),
        (',"country_code":"US"', "US"),
        (',"country_code":"us"', "US"),
        (',"client_ip":"","country_code":"US"', "US"),
        ("", "DE"),
    ],
)
def test_the_address_beats_the_code_beats_the_latest_session(members: str, country: str) -> None:
    data = json.loads(customdata(decode_event(an_event(members)), {"ada": "DE"}.__getitem__))
    assert data["country_code"] == country


@pytest.mark.parametrize("unknown", ["UK", "Mars", "xx", "1"])
def test_a_country_that_is_unknown_is_all_that_need_be_wrong(unknown: str) -> None:
    rule = "is not a recognized ISO country code"
    assert errors(an_event(f',"country_code":"{unknown}"')) == {"country_code": [rule]}


@pytest.mark.parametrize("name", ["object_type", "object_instance_id", "client_ip", "country_code"])
def test_a_blank_text_is_as_good_as_none(name: str) -> None:
    assert decode_event(an_event(f',"{name}":" \\t"')) == AnalyticsEvent("ada", "spin")


@pytest.mark.parametrize("unused", ['"UK"', '"Mars"', '""', "5", "{}", "null", '"a\\u0000"'])
def test_a_country_that_is_not_used_costs_no_event(unused: str) -> None:
    event = decode_event(an_event(f',"client_ip":"193.0.6.139","country_code":{unused}'))
    assert json.loads(customdata(event))["country_code"] == "NL"
    lone = decode_event(an_event(f',"client_ip":"nowhere","country_code":{unused}'))
    assert json.loads(customdata(lone))["country_code"] == ""


def test_the_address_is_stored_only_if_asked_to() -> None:
    event = decode_event(an_event(',"client_ip":"193.0.6.139"'))
    assert "193" not in customdata(event)
    assert json.loads(customdata(event, ip=True))["client_ip"] == "193.0.6.139"
    assert "client_ip" not in customdata(decode_event(an_event()), ip=True)


# --- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [None, "[]", "null", "{}", "5", '"[{}]"', '"events"', '{"0":{}}', "[" + "{}," * 100 + "{}]",
     "[" + "7," * 9_999 + "7]"],
)  # fmt: skip
def test_the_events_are_an_array_of_1_to_100(events: str | None) -> None:
    body = "{}" if events is None else f'{{"events":{events}}}'
    with pytest.raises(Malformed) as caught:
        decode_batch(body.encode())
    assert grouped(caught.value.details) == {
        "events": ["must be a non-empty array (max 100 items)"]
    }


def test_a_wrong_event_is_marked_and_keeps_its_place() -> None:
    body = {"events": [EVENT, 5, {**EVENT, "value": "a"}, EVENT, {"user_id": True}, EVENT, None, [],
                       {"user_id": "eve"}]}  # fmt: skip
    must = ["must be present"]
    event = AnalyticsEvent("ada", "spin")
    absent = Rejected(None, {"user_id": must, "action_type": must})
    assert decode_batch(json.dumps(body).encode()).outcomes == [
        event, absent, Rejected("ada", {"value": ["must be a number"]}), event,
        Rejected(None, {"user_id": ["must be a string"], "action_type": must}), event, absent,
        absent, Rejected("eve", {"action_type": must}),
    ]  # fmt: skip


def test_one_wrong_event_of_a_full_batch_costs_none_of_the_others() -> None:
    body = json.dumps({"events": [EVENT] * (MAX_EVENTS - 1) + [{**EVENT, "value": "a"}]}).encode()
    outcomes = decode_batch(body).outcomes
    assert outcomes[:-1] == [AnalyticsEvent("ada", "spin")] * (MAX_EVENTS - 1)
    assert outcomes[-1] == Rejected("ada", {"value": ["must be a number"]})


def test_the_same_player_may_come_a_hundred_times() -> None:
    body = json.dumps({"events": [EVENT] * MAX_EVENTS}).encode()
    assert decode_batch(body).outcomes == [AnalyticsEvent("ada", "spin")] * MAX_EVENTS


def test_what_nests_too_deep_to_read_is_refused_like_anything_wrong() -> None:
    deep = b'{"user_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(Malformed) as caught:
        decode_event(deep)
    assert set(grouped(caught.value.details)) == {"user_id", "action_type"}
    with pytest.raises(Malformed) as caught:
        decode_batch(b'{"events":[' + deep + b"]}")
    assert set(grouped(caught.value.details)) == {"events"}


# --- both encodings ------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["ada", "US", "zz", "193.0.6.139", " ", "x" * 257]
)
numbers = st.sampled_from([*NUMBERS, "", "a", "1.5", "NaN", "01"]) | st.integers(0, 9).map(str)
events_of_strings = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(TEXTS, texts)
    | dict.fromkeys(["event_count", "value", "sum_of_squares"], numbers)
    | {"unknown": texts},
)


def as_rows(fields: bytes) -> tuple[list[Any], bytes]:
    outcomes = decode_batch(fields).outcomes
    taken = [each for each in outcomes if isinstance(each, AnalyticsEvent)]
    rejected = [each if isinstance(each, Rejected) else None for each in outcomes]
    return rejected, encode_rows(taken, NOW, nowhere, store_client_ip=True)


@examples(300)
@given(st.lists(events_of_strings.filter(bool), min_size=1, max_size=4), st.booleans())
@example([{"user_id": "a", "action_type": "b", "value": "1.10"}], False)
def test_a_batch_means_the_same_in_both_encodings(
    events: list[dict[str, str]], is_shuffled: bool
) -> None:
    events = [{name: value.strip() for name, value in event.items()} for event in events]
    expected = as_rows(open_body(json.dumps({"events": events}).encode(), JSON).fields())
    indexed = [
        (f"events[{place * 7}][{name}]", value)
        for place, event in enumerate(events)
        for name, value in event.items()
    ]
    form = urlencode(indexed[::-1] if is_shuffled else indexed).encode()
    assert as_rows(open_body(form, FORM).fields()) == expected
    as_text = urlencode({"events": json.dumps(events)}).encode()
    assert as_rows(open_body(as_text, FORM).fields()) == expected
    if all(min(events[0]) == min(event) for event in events):  # so each begins by a repetition
        appended = [(f"events[][{n}]", event[n]) for event in events for n in sorted(event)]
        assert as_rows(open_body(urlencode(appended).encode(), FORM).fields()) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
wild_events = st.dictionaries(
    st.sampled_from([*TEXTS, "event_count", "value", "sum_of_squares", "unknown"]),
    json_values | texts | numbers,
)


@examples(500)
@given(json_values | st.lists(wild_events | json_values, max_size=3), st.binary(max_size=2))
def test_any_json_is_taken_or_refused(events: object, damage: bytes) -> None:
    content = json.dumps({"events": events}).encode()
    middle = len(content) // 2
    damaged = content[:middle] + damage + content[middle + len(damage) :]
    for each in (content, damaged):
        try:
            rejected, rows = as_rows(open_body(each, JSON).fields())
        except Malformed:
            continue
        assert len(json.loads(rows)) + sum(one is not None for one in rejected) == len(rejected)


@given(st.text('events[]0=&%{}"user_id:,a1', max_size=60))
def test_any_form_is_taken_or_refused(form: str) -> None:
    try:
        as_rows(open_body(form.encode(), FORM).fields())
    except Malformed:
        return


def test_a_full_batch_as_a_form_is_within_the_limits() -> None:
    event = dict.fromkeys(TEXTS, "US") | {"event_count": "2", "value": "3", "sum_of_squares": "4"}
    pairs = [(f"events[{n}][{k}]", v) for n in range(MAX_EVENTS) for k, v in event.items()]
    rejected, rows = as_rows(open_body(urlencode(pairs).encode(), FORM).fields())
    assert rejected == [None] * MAX_EVENTS
    assert len(json.loads(rows)) == MAX_EVENTS
