"""The body of ``POST /event``: the contract's examples, its limits, and a model of it all."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects.lynes.request import (
    MAX_DECIMAL_PLACES,
    MAX_FIELDS,
    MAX_STRING_LENGTH,
    MAX_STRINGS,
    Request,
    batch,
    decode,
)
from playsmart_gateway.economy.points.definitions import MAX_NAME_LENGTH
from playsmart_gateway.errors import Malformed
from tests.dialects.lynes.model import read
from tests.support.examples import examples

LOGIN = {"eventId": "daily_login", "userId": "user123"}
RECEIVED_AT_MS = 1_680_870_896_789


def problems(body: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Malformed) as caught:
        decode(body)
    return [(each.path, each.message) for each in caught.value.details]


def a_body(**members: Any) -> bytes:
    return json.dumps({**LOGIN, **members}).encode()


def with_value(text: str) -> bytes:
    """A body whose metadata field ``v`` has the value that is written as ``text``."""
    return a_body(metadata={"v": "TEXT"}).replace(b'"TEXT"', text.encode())


# --- the examples of the contract ----------------------------------------------------------------


def test_event_and_user_are_enough() -> None:
    assert decode(a_body()) == Request("daily_login", "user123", {})


@pytest.mark.parametrize(
    "metadata",
    [
        {"platform": "ios", "appVersion": "2.1.4", "sessionLength": 183},
        {"levelId": "world_2_level_5", "difficulty": "normal", "timeToComplete": 347,
         "attempts": 2, "starsEarned": 3, "scoreAchieved": 12850, "powerupsUsed": 2,
         "platform": "ios"},
        {"usergroup": "subscriber"}, {"usergroup": ["default"]}, {"usergroup": []},
        {"flag": True, "other": False, "nothing": None}, {}, {"empty": ""},
    ],
)  # fmt: skip
def test_metadata_is_read_as_it_is_sent(metadata: dict[str, Any]) -> None:
    assert decode(a_body(metadata=metadata)).metadata == metadata


def test_a_number_with_a_fraction_is_a_decimal() -> None:
    value = decode(a_body(metadata={"orderValue": 129.99})).metadata["orderValue"]
    assert isinstance(value, Decimal)
    assert str(value) == "129.99"


@pytest.mark.parametrize("name", ["eventId", "userId"])
def test_an_id_is_required_and_a_string_that_is_not_empty(name: str) -> None:
    members = {key: value for key, value in LOGIN.items() if key != name}
    assert problems(json.dumps(members).encode()) == [(name, "is required")]
    rule = "must be a string of 1 to 256 characters, none of them NUL"
    wrong: list[Any] = ["", None, 7, True, [], {}, "x" * 257, "a\0b"]
    for value in wrong:
        assert problems(a_body(**{name: value})) == [(name, rule)]
    assert decode(a_body(**{name: "é" * 256}))


def test_metadata_has_ten_fields_at_most() -> None:
    ten = {f"field{place}": place for place in range(MAX_FIELDS)}
    assert decode(a_body(metadata=ten)).metadata == ten
    assert problems(a_body(metadata={**ten, "one more": 1})) == [
        ("metadata", "must have at most 10 fields")
    ]


@pytest.mark.parametrize("metadata", [None, [], "{}", 1, True])
def test_metadata_that_is_no_object_is_refused(metadata: Any) -> None:
    assert problems(a_body(metadata=metadata)) == [("metadata", "must be a JSON object")]


def test_unknown_members_are_ignored_and_replace_nothing() -> None:
    extra = {"customerId": "x", "amount": 5, "timestamp": "2024-01-01", "event_id": 1}
    assert decode(a_body(**extra)) == Request("daily_login", "user123", {})
    assert problems(b'{"eventId":"e","customerId":"x"}') == [("userId", "is required")]


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        ("9" * 309, "1" + "0" * 309),
        ("-" + "9" * 309, "-1" + "0" * 309),
        ("9.99e308", "1e309"),
        ("1.7976931348623157e308", "-1.0e309"),
        ("5e-324", "1e-401"),
        ("0." + "0" * (MAX_DECIMAL_PLACES - 1) + "1", "0." + "0" * MAX_DECIMAL_PLACES + "1"),
        ("0e999999999", "1e999999999"),
        ("0e400", "1e-999999999"),
        ("-0.0", "1e99999999999999999999"),
        ("12345678901234567890.5", "9" * 5_000),
        ("0." + "0" * 1_017 + "1e700", "0." + "0" * 1_018 + "1e700"),
        (f'"{"é" * MAX_STRING_LENGTH}"', f'"{"é" * (MAX_STRING_LENGTH + 1)}"'),
        (f'["{"é" * MAX_STRING_LENGTH}"]', f'["{"é" * (MAX_STRING_LENGTH + 1)}"]'),
        (json.dumps(["x"] * MAX_STRINGS), json.dumps(["x"] * (MAX_STRINGS + 1))),
        ("[]", "[[]]"),
        ('"\\\\u0000"', '"\\u0000"'),
        ('["\\\\u0000"]', '["\\u0000"]'),
        ("null", "{}"),
        ('["a"]', '["a", 1]'),
        ('["null"]', "[null]"),
    ],
)
def test_a_value_has_a_type_and_a_size(fits: str, too_much: str) -> None:
    assert decode(with_value(fits)).metadata.keys() == {"v"}
    ((path, rule),) = problems(with_value(too_much))
    assert path == "metadata.v"
    assert rule.startswith("must be a string of at most 1,024 characters, none of them NUL")


def test_the_names_of_fields_have_a_size() -> None:
    assert decode(a_body(metadata={"é" * MAX_NAME_LENGTH: 1}))
    for name in ("", "x" * (MAX_NAME_LENGTH + 1), "a\0"):
        assert problems(a_body(metadata={name: 1})) == [
            ("metadata", "must have field names of 1 to 128 characters, none of them NUL")
        ]


def test_every_wrong_field_is_told_at_once() -> None:
    body = {"eventId": 1, "metadata": {"a": {}, "b": 1, "c": [1]}}
    assert [path for path, _ in problems(json.dumps(body).encode())] == [
        "eventId", "userId", "metadata.a", "metadata.c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"7", "must be a JSON object"),
        (b'{"a": "\xff"}', "is not UTF-8 at byte 7"),
        (b'{"eventId": "\xed\xa0\x80"}', "is not UTF-8 at byte 13"),
        (b'{"eventId": "e", "userId": "u", "other": "\xff"}', "is not UTF-8 at byte 42"),
        (b'{"a":' * 100_000, "nests too deep"),
        (b'{"metadata":{"a":' + b"[" * 100_000, "nests too deep"),
        (b'{"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nests too deep"),
    ],
)
def test_a_body_that_is_no_object_is_one_problem(body: bytes, problem: str) -> None:
    assert problems(body) == [("", problem)]


@pytest.mark.parametrize("body", [b"", b"{", b"{,}", b"{} {}", b'{"a":NaN}'])
def test_what_is_not_json_is_one_problem(body: bytes) -> None:
    ((path, message),) = problems(body)
    assert path == ""
    assert message.startswith("is not JSON: ")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"\\ud83d"', "\ufffd"),
        ('"\\ude00\\uD83D"', "\ufffd\ufffd"),
        ('["\\ud83d"]', ["\ufffd"]),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\\\\ud83d"', "\\ud83d"),
    ],
)
def test_half_a_surrogate_pair_is_the_replacement_character(text: str, kept: object) -> None:
    assert decode(with_value(text)).metadata == {"v": kept}


def test_half_a_pair_in_a_name_or_an_id_is_that_too_and_a_byte_order_mark_is_skipped() -> None:
    body = b'\xef\xbb\xbf{"eventId":"e\\ud83d","userId":"\\udc00u","metadata":{"\\ud83dk":1}}'
    assert decode(body) == Request("e\ufffd", "\ufffdu", {"\ufffdk": 1})


def test_of_two_members_of_one_name_the_last_counts() -> None:
    body = b'{"eventId":"a","userId":"u","eventId":"b","metadata":{"v":1,"v":2}}'
    assert decode(body) == Request("b", "u", {"v": 2})
    assert problems(body.replace(b'"b"', b"7"))[0][0] == "eventId"
    eleven = b'{"eventId":"a","userId":"u","metadata":{%s}}' % b",".join([b'"v":1'] * 11)
    assert decode(eleven).metadata == {"v": 1}


# --- the row -------------------------------------------------------------------------------------


def test_the_batch_holds_one_canonical_row() -> None:
    found = batch(
        decode(a_body(metadata={"a": 1, "é": ["x"]})),
        project="demo",
        received_at_ms=RECEIVED_AT_MS,
    )
    assert (found.source, found.game_id, found.user_id, found.count) == (
        "lynes", "demo", "user123", 1,
    )  # fmt: skip
    assert found.received_at == RECEIVED_AT_MS * 1_000
    assert found.rows.decode() == (
        '[["daily_login",null,"2023-04-07T12:34:56.789000Z",{"a":1,"é":["x"]}]]'
    )


def test_no_metadata_is_null_and_a_full_second_has_no_fraction() -> None:
    for body in (a_body(), a_body(metadata={})):
        rows = batch(decode(body), project="demo", received_at_ms=1_680_870_896_000).rows
        assert rows == b'[["daily_login",null,"2023-04-07T12:34:56Z",null]]'


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("129.990", "129.990"), ("0.285", "0.285"), ("1e5", "1E+5"), ("1.50E-9", "1.50E-9"),
     ("-0.0", "-0.0"), ("12345678901234567890123", "12345678901234567890123"),
     ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827")],
)  # fmt: skip
def test_a_number_is_kept_with_all_its_digits(sent: str, kept: str) -> None:
    rows = batch(decode(with_value(sent)), project="demo", received_at_ms=0).rows
    assert rows.decode().endswith('{"v":' + kept + "}]]")


# --- the model -----------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map(json.dumps)
numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds("{}e{}".format, st.integers(-99, 99), st.integers(-420, 320)),
)
good = st.one_of(
    texts, numbers, st.sampled_from(["true", "false", "null", "[]"]),
    st.lists(texts, max_size=3).map(lambda each: f"[{','.join(each)}]"),
)  # fmt: skip
odd = st.sampled_from(
    [
        "{}", "[1]", "[[]]", '{"a":1}', '"\\u0000"', "NaN", "-Infinity", "01", "1.", "", "tru",
        '"\\ud800"', '"\\x41"', '"\t"', '"', "1e309", "-0", "9" * 310, "9" * 5_000,
        "1e-999999999", "1e99999999999999999999", json.dumps("x" * 1_025), '"\\\\u0000"',
    ]
)  # fmt: skip
values = good | good | good | odd
names = st.sampled_from(["amount", "amount", "usergroup", "é", "", "x" * 129]) | st.text(
    "abcdefgh", min_size=1, max_size=2
)


def an_object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


metadatas = st.lists(st.tuples(names, values), max_size=12).map(an_object)
ids = st.sampled_from(['"daily_login"', '"\\u00e9"', '"e"', '""', "7", '"a\\u0000"'])
good_ids = st.sampled_from(['"daily_login"', '"\\u00e9"', '"e"'])
members = st.fixed_dictionaries(
    {"eventId": good_ids | good_ids | ids, "userId": good_ids | good_ids | ids},
    optional={"metadata": metadatas | metadatas | odd, "amount": good},
)
bodies = members.flatmap(lambda each: st.permutations(list(each.items()))).map(an_object)


def agrees_with_the_model(body: bytes) -> None:
    wrong, expected = read(body)
    if wrong:
        assert {path for path, _ in problems(body)} == wrong
        return
    found = decode(body)
    assert (found.event_id, found.user_id) == (expected["eventId"], expected["userId"])
    metadata = expected.get("metadata", {})
    assert found.metadata == metadata
    assert [type(each) for each in found.metadata.values()] == [
        type(each) for each in metadata.values()
    ]
    (row,) = json.loads(batch(found, project="p", received_at_ms=0).rows, parse_float=Decimal)
    assert row == [expected["eventId"], None, "1970-01-01T00:00:00Z", metadata or None]


@given(bodies)
@examples(400)
def test_the_dialect_and_the_model_read_a_body_alike(body: str) -> None:
    agrees_with_the_model(body.encode())


@given(bodies, st.data())
@examples(200)
def test_the_dialect_and_the_model_read_a_damaged_body_alike(
    body: str, data: st.DataObject
) -> None:
    damaged = bytearray(body.encode())
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(
        st.sampled_from([b"", b"\\", b'"', b"{", b"}", b",", b"\xff", b"\0", b"1", b" "])
    )
    agrees_with_the_model(bytes(damaged))
