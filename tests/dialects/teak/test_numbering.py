"""The fields by which a server numbers its events: what they must be, and what they come to."""

import json
from typing import Any

import pytest

from playsmart_gateway.dialects.teak.analytics import Unknown, decode_batch, stretches
from playsmart_gateway.dialects.teak.numbering import MAX_FIRST, NONE, Numbering
from playsmart_gateway.errors import Malformed
from playsmart_gateway.events.about import Program

RUN = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"
EVENT = {"user_id": "ada", "action_type": "spin"}
WRONG_EVENT = {"user_id": "ada"}
NAMED = Numbering(bytes.fromhex(RUN.replace("-", "")))
BAD: dict[str, list[Any]] = {
    "run": [RUN.upper(), RUN[1:], RUN + "\n", 7, {}, f" {RUN}"],
    "seq": [-1, MAX_FIRST + 1, 1e300, 1.5, "7a", True, [], "9" * 300, int("9" * 300)],
    "client": ["server", [], {"name": 1}, {"name": "1" * 65}, {"platform": "i\0s"}],
}


def numbering(*events: Any, **fields: Any) -> Numbering:
    return decode_batch(json.dumps({"events": [*events] or [EVENT], **fields}).encode()).numbering


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, NONE),
        ({"run": None, "seq": None, "client": None}, NONE),
        ({"run": " ", "seq": "", "client": ""}, NONE),
        ({"seq": 7, "client": {"name": "server"}}, Numbering(client=Program("server"))),
        ({"run": RUN}, NAMED),
        ({"run": RUN, "seq": 7.0}, NAMED._replace(seq=7)),
        ({"run": RUN, "seq": "41"}, NAMED._replace(seq=41)),
        ({"run": RUN, "seq": MAX_FIRST}, NAMED._replace(seq=MAX_FIRST)),
        ({"run": RUN, "client": {}}, NAMED),
        ({"run": RUN, "client": {"name": None, "other": 1}}, NAMED),
        (
            {"run": RUN, "client": {"name": "server", "platform": "linux"}},
            NAMED._replace(client=Program("server", platform="linux")),
        ),
    ],
)
def test_each_field_is_optional_and_may_be_blank(
    fields: dict[str, Any], expected: Numbering
) -> None:
    """Beside an event that the typed decode does not take, each goes the slow way, too."""
    assert numbering(**fields) == expected
    assert numbering(WRONG_EVENT, **fields) == expected


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_wrong_one_is_refused_by_its_name(name: str, value: Any) -> None:
    for event in (EVENT, WRONG_EVENT):
        with pytest.raises(Malformed) as refusal:
            numbering(event, **{name: value})
        (detail,) = refusal.value.details
        assert (detail.path, detail.message[:8]) == (name, "must be ")


def test_all_that_is_wrong_with_a_batch_is_told_at_once() -> None:
    with pytest.raises(Malformed) as refusal:
        decode_batch(b'{"events": [], "run": "x", "seq": -1, "client": 7}')
    assert [detail.path for detail in refusal.value.details] == ["events", "run", "seq", "client"]


def test_stretches_lie_between_events_of_unknown_players() -> None:
    (known,) = decode_batch(json.dumps({"events": [EVENT]}).encode()).outcomes
    for pattern, expected in (
        ("", []), ("u", []), ("k", [(0, 1)]), ("uku", [(1, 1)]),
        ("kkukuuk", [(0, 2), (3, 1), (6, 1)]),
    ):  # fmt: skip
        outcomes = [known if each == "k" else Unknown("eve", {}) for each in pattern]
        assert [(first, len(each)) for first, each in stretches(outcomes)] == expected
