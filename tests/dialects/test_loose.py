"""Arrays of which no more is made into objects than is asked for."""

import json

import msgspec
import pytest

from playsmart_gateway.dialects.loose import at_most


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
