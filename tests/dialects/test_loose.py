"""Bodies that hold anything, and arrays of which no more is made than is asked for."""

import json
from typing import Any

import msgspec
import pytest

from playsmart_gateway.dialects.loose import at_most, decode_loosely
from playsmart_gateway.errors import Detail, Malformed


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"a":"\xff"}', "is not UTF-8 at byte 6"),
        (b'{"a":' + b"[" * 100_000, "nests too deep"),
        (b"", "is not JSON: Input data was truncated"),
        (b"{a}", "is not JSON: JSON is malformed: object keys must be strings (byte 1)"),
    ],
)
def test_what_is_no_object_at_all_is_told_in_one_problem_under_its_path(
    body: bytes, problem: str
) -> None:
    with pytest.raises(Malformed) as caught:
        decode_loosely(body, msgspec.json.Decoder(dict[str, Any]).decode, path="inner")
    assert list(caught.value.details) == [Detail("inner", problem)]


@pytest.mark.parametrize(("sent", "made"), [(0, 0), (1, 1), (3, 3), (4, 4), (5, 4), (10_000, 4)])
def test_one_more_than_the_limit_is_made_however_many_come(sent: int, made: int) -> None:
    items = at_most(3)(json.dumps(list(range(sent))).encode())
    assert [bytes(each) for each in items] == [b"%d" % place for place in range(made)]


def test_a_null_that_was_sent_is_an_item() -> None:
    assert at_most(2)(msgspec.Raw(b"[null]")) == [msgspec.Raw(b"null")]


@pytest.mark.parametrize("text", [b"{}", b"null", b"7", b'[1, "x"]', b'["x", 1, "x"]'])
def test_what_is_no_array_of_such_items_is_refused(text: bytes) -> None:
    assert at_most(2, str)(b'["x", "y", "z", 7]') == ["x", "y", "z"]
    with pytest.raises(msgspec.ValidationError):
        at_most(2, str)(text)
