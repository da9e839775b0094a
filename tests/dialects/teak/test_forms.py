"""Form bodies: the structure that a JSON body would have, within limits."""

import contextlib
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.forms import MAX_DEPTH, MAX_FIELDS, listed, parse
from playsmart_gateway.errors import Malformed


def problem(body: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        parse(body)
    ((path, message),) = [(each.path, each.message) for each in caught.value.details]
    assert path == "body"
    return message


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("", {}),
        ("&&", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a=&b", {"a": "", "b": None}),
        ("a==&b=c=d", {"a": "=", "b": "c=d"}),
        ("a=x+y%20z%2B", {"a": "x y z+"}),
        ("a=x=41%20y=", {"a": "x=41 y="}),
        ("a=%C3%A9%F0%9F%98%80", {"a": "é\U0001f600"}),
        ("a=é", {"a": "é"}),
        ("a=%5B1%5d&a%5Bb=1", {"a": "[1]", "a[b": "1"}),
        ("a=%255B", {"a": "%5B"}),
        ("a[b]=1&a[c][d]=2", {"a": {"b": "1", "c": {"d": "2"}}}),
        ("a%5Bb%5D=1&a%5bc%5d=2", {"a": {"b": "1", "c": "2"}}),
        ("a[]=1&a[]=2&a[]", {"a": ["1", "2", None]}),
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        (
            "a[][b][c]=1&a[][b][d]=2&a[][b][c]=3",
            {"a": [{"b": {"c": "1", "d": "2"}}, {"b": {"c": "3"}}]},
        ),
        ("a[][b][]=1&a[][b][]=2&a[][c]=3", {"a": [{"b": ["1", "2"], "c": "3"}]}),
        ("a[]=1&a[][b]=2", {"a": ["1", {"b": "2"}]}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a&a[b]=1", {"a": {"b": "1"}}),
        ("a[0][b]=1&a[2][b]=2&a[1]=3", {"a": {"0": {"b": "1"}, "2": {"b": "2"}, "1": "3"}}),
        ("=1&[b]=2&a[b=3&a]=4&a[][]=5&a[b]c=6&a[b[c]]=7",
         {"": "1", "[b]": "2", "a[b": "3", "a]": "4", "a[][]": "5", "a[b]c": "6", "a[b[c]]": "7"}),
    ],
)  # fmt: skip
def test_names_nest_as_in_rack(body: str, fields: dict[str, Any]) -> None:
    assert parse(body.encode()) == fields


@pytest.mark.parametrize(
    "body",
    ["a=1&a[b]=2", "a=1&a[]=2", "a[b]=1&a[]=2", "a[]=1&a[b]=2", "a[][b]=c&a[][b][c]=1"],
)
def test_one_name_for_two_kinds_of_value_is_refused(body: str) -> None:
    assert problem(body.encode()) == "uses one name for two kinds of value"


@pytest.mark.parametrize("body", ["a=%", "a=%1", "a=%zz", "a=%-1", "%=1", "a=%%41", "a[%5]=1"])
def test_broken_escapes_are_refused(body: str) -> None:
    assert problem(body.encode()) == "has a broken percent escape"


@pytest.mark.parametrize(
    "body", [b"a=\xff", b"a=%ff", b"%c3=1", b"a=%C3", b"a=%ED%A0%80", b"a=%C0%80", b"a=\xc3%A9"]
)
def test_what_is_not_utf_8_is_refused(body: bytes) -> None:
    assert problem(body) == "is not UTF-8"


def test_the_number_of_fields_is_limited() -> None:
    assert len(parse(b"&".join(b"a%d=1" % n for n in range(MAX_FIELDS)))) == MAX_FIELDS
    for count in (MAX_FIELDS + 1, 10_000, 300_000):
        assert problem(b"&".join([b"a=1"] * count)) == "has more than 4096 fields"


def test_the_depth_of_names_is_limited() -> None:
    fields: Any = parse(b"a" + b"[b]" * MAX_DEPTH + b"=1")
    for _ in range(MAX_DEPTH):
        (fields,) = fields.values()
    assert fields == {"b": "1"}
    assert (
        problem(b"a" + b"[b]" * (MAX_DEPTH + 1) + b"=1") == "has a name with more than 8 brackets"
    )
    assert problem(b"a" + b"[b]" * 100_000) == "has a name with more than 8 brackets"


def test_a_huge_index_is_only_a_name() -> None:
    assert parse(b"a[999999999][b]=1") == {"a": {"999999999": {"b": "1"}}}
    assert listed({"9" * 18: "b", "7": "a"}) == ["a", "b"]


@pytest.mark.parametrize(
    "value",
    [None, "a", ["a"], {}, {"a": 1}, {"0": 1, "a": 2}, {"-1": 1}, {"1.0": 1}, {"\u0661": 1},
     {"1" * 19: 1}, {"1" * 5_000: 1}],
)  # fmt: skip
def test_what_has_no_indices_is_not_made_a_list(value: object) -> None:
    assert listed(value) is value


names = st.text("ab01_[]é %", max_size=6)
values = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.tuples(names, values), max_size=8), st.sampled_from([quote, quote_plus]))
@example([("a", "1"), ("a[]", "2")], quote)
def test_any_fields_are_read_or_refused(fields: list[tuple[str, str | None]], escape: Any) -> None:
    pairs = [
        escape(name, safe="[]") + ("" if value is None else f"={escape(value, safe='')}")
        for name, value in fields
    ]
    try:
        parsed = parse("&".join(pairs).encode())
    except Malformed:
        return
    for name, value in {name: value for name, value in fields if "[" not in name}.items():
        assert (
            not name
            or type(parsed[name]) in (list, dict)
            or parsed[name] == (value and value.strip())
        )


@given(st.binary(max_size=40) | st.text("ab[]=&%5BD+\xe9").map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse(body)
