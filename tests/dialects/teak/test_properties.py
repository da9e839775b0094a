"""The parameters of player_properties."""

import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.body import FORM, JSON, open_body
from playsmart_gateway.dialects.teak.parameters import Errors, grouped
from playsmart_gateway.dialects.teak.properties import (
    Kind,
    PlayerProperties,
    decode_properties,
)
from playsmart_gateway.errors import Malformed
from tests.support.examples import examples

LARGEST = "999999999999999999999999999.999999999"
KINDS: dict[str, Kind] = {"level": "string", "coins": "number"}


def with_coins(number: str) -> bytes:
    return f'{{"user_id":"ada","properties":{{"coins":{number}}}}}'.encode()


def errors(fields: bytes) -> Errors:
    with pytest.raises(Malformed) as caught:
        decode_properties(fields, KINDS)
    return grouped(caught.value.details)


def test_known_properties_are_read_and_unknown_ones_named() -> None:
    sent = {"user_id": "ada", "properties": {"vip": True, "level": "elite", "coins": 5, "": None}}
    expected = PlayerProperties("ada", {"level": "elite", "coins": Decimal(5)}, ["vip", ""])
    assert decode_properties(json.dumps(sent).encode(), KINDS) == expected


def test_a_form_may_spell_the_properties_as_a_map_or_as_json() -> None:
    expected = PlayerProperties("ada", {"level": "7", "coins": Decimal("3.50")}, ["0"])
    pairs = {"user_id": "ada", "properties[level]": "7", "properties[coins]": "3.50"}
    as_map = urlencode(pairs | {"properties[0]": "x"}).encode()
    as_json = urlencode(
        {"user_id": "ada", "properties": '{"level":"7","coins":3.50,"0":[]}'}
    ).encode()
    for form in (as_map, as_json):
        assert decode_properties(open_body(form, FORM).fields(), KINDS) == expected


def test_an_empty_map_changes_nothing() -> None:
    fields = b'{"user_id":"ada","properties":{}}'
    assert decode_properties(fields, KINDS) == PlayerProperties("ada", {}, [])


@pytest.mark.parametrize("wrong", [None, "[]", "5", '"level"', "null"])
def test_the_properties_are_a_map(wrong: str | None) -> None:
    members = "" if wrong is None else f',"properties":{wrong}'
    rule = "must be a map of at most 256 properties"
    assert errors(f'{{"user_id":"ada"{members}}}'.encode()) == {"properties": [rule]}
    assert set(errors(f'{{"user_id":true{members}}}'.encode())) == {"user_id", "properties"}


def test_no_more_than_256_properties_are_read() -> None:
    def many(count: int) -> bytes:
        properties = dict.fromkeys(map(str, range(count)), 1)
        return json.dumps({"user_id": "ada", "properties": properties}).encode()

    assert len(decode_properties(many(256), KINDS).unknown) == 256
    assert set(errors(many(257))) == {"properties"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("5", "5"), ('"5"', "5"), ("1.10", "1.10"), ("-0", "0"), ("-0.0", "0"), ("1e5", "100000"),
        ("1.5e-3", "0.0015"), (LARGEST, LARGEST), (f"-{LARGEST}", f"-{LARGEST}"),
        ("0.1234567895", "0.123456790"), ("0.30000000000000004", "0.300000000"), ("1e-400", "0"),
        ("-0.0000000001", "0"), ("-0.0000000005", "-0.000000001"),
        ("1e26", "1" + "0" * 26),
    ],
)  # fmt: skip
def test_a_number_is_kept_in_plain_digits_and_nine_decimals(sent: str, kept: str) -> None:
    (value,) = decode_properties(with_coins(sent), KINDS).values.values()
    assert isinstance(value, Decimal)
    assert f"{value:f}" == kept


@pytest.mark.parametrize(
    "wrong",
    ["null", "true", "[]", '"a"', '"NaN"', "1e27", "-1e27", f"{LARGEST}1", "1e400",
     "1e999999999999999999999", "9" * 257],
)  # fmt: skip
def test_a_number_within_the_range_is_asked_for(wrong: str) -> None:
    rule = f"coins must be a number from -{LARGEST} to {LARGEST}"
    assert errors(with_coins(wrong)) == {"properties": [rule]}


@pytest.mark.parametrize("text", ["", "  ", "7", "x" * 16_384])
def test_a_string_is_kept_as_it_is(text: str) -> None:
    fields = json.dumps({"user_id": "ada", "properties": {"level": text}}).encode()
    assert decode_properties(fields, KINDS).values == {"level": text}


@pytest.mark.parametrize("wrong", [7, None, ["a"], "x" * 16_385, "a\0"])
def test_a_string_of_limited_length_is_asked_for(wrong: object) -> None:
    fields = json.dumps({"user_id": "ada", "properties": {"level": wrong, "coins": "a"}}).encode()
    string, number = errors(fields)["properties"]
    assert string == "level must be a string of at most 16384 characters, none of them NUL"
    assert number.startswith("coins must be a number")


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)


@examples(300)
@given(st.dictionaries(st.sampled_from(["level", "coins", "vip"]), values) | values)
def test_any_properties_are_read_or_refused(properties: object) -> None:
    fields = json.dumps({"user_id": "ada", "properties": properties}).encode()
    try:
        read = decode_properties(fields, KINDS)
    except Malformed:
        return
    assert isinstance(properties, dict)
    blank = {name for name in ("coins",) if str(properties.get(name, "")).isspace()}
    blank |= {name for name in ("coins",) if properties.get(name) == ""}
    assert {*read.values, *read.unknown} == set(properties) - blank


def test_a_blank_number_was_not_sent_and_a_blank_text_is_empty() -> None:
    form = b"user_id=ada&properties[coins]=&properties[level]=%20"
    assert decode_properties(open_body(form, FORM).fields(), KINDS) == PlayerProperties(
        "ada", {"level": ""}, []
    )


def test_half_an_emoji_in_a_property_is_the_replacement_character() -> None:
    content = rb'{"user_id":"a\ud83d","properties":{"level":"x\ud83d","\ude00":1}}'
    expected = PlayerProperties("a\ufffd", {"level": "x\ufffd"}, ["\ufffd"])
    assert decode_properties(open_body(content, JSON).fields(), KINDS) == expected
    form = urlencode({"user_id": "a\ufffd", "properties": r'{"level":"x\ud83d","\ude00":1}'})
    assert decode_properties(open_body(form.encode(), FORM).fields(), KINDS) == expected


def test_what_nests_too_deep_to_read_has_no_parameters() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert set(errors(b'{"a":' + deep + b"}")) == {"user_id", "properties"}
