"""Properties become columns of their own types, and nothing of customdata is lost or changed."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.lake.columns import MAX_PROPERTIES, PREFIX, table_of
from playsmart_gateway.lake.manifest import Properties
from playsmart_gateway.lake.shapes import FEW
from playsmart_gateway.stores.models import StoredEvent
from playsmart_gateway.stores.readers import BatchName

NAMES = {1: BatchName(1, "11" * 16, 5, None, None)}
WHEN = "2026-04-22T14:30:00.000000Z"


def events(*customdata: str | None) -> list[StoredEvent]:
    return [
        StoredEvent(256 + n, "s", "g", "ada", "Custom", f"e{n:03d}", WHEN, WHEN, text, WHEN, None)
        for n, text in enumerate(customdata)
    ]


def columns(
    *customdata: Any, known: Properties | None = None
) -> tuple[list[dict[str, Any]], Properties]:
    """The properties of each event as columns, with what is left of customdata."""
    texts = [
        each if each is None or isinstance(each, str) else json.dumps(each) for each in customdata
    ]
    table, properties = table_of(events(*texts), NAMES, known or {})
    rows = sorted(table.to_pylist(), key=lambda row: int(row["event_id"]))
    wanted = {"customdata", *(f"{PREFIX}{name}" for name in properties)}
    return [{name: row[name] for name in row if name in wanted} for row in rows], properties


def test_scalars_are_columns_and_the_rest_stays() -> None:
    rows, properties = columns({"level": 3, "score": 1.5, "won": True, "hat": "red", "path": [1]})
    assert properties == {"hat": "text", "level": "int", "score": "float", "won": "bool"}
    assert rows == [
        {"customdata": '{"path":[1]}', "p_hat": "red", "p_level": 3, "p_score": 1.5, "p_won": True}
    ]


def test_what_is_left_is_what_was_sent_to_the_letter() -> None:
    text = '{"level": 1, "deep": {"a" : 1.50, "b":[ 1e2 ]}, "big": 123456789012345678901234567890}'
    ((row,), _) = columns(text)
    assert (
        row["customdata"]
        == '{"deep":{"a" : 1.50, "b":[ 1e2 ]},"big":123456789012345678901234567890}'
    )


@pytest.mark.parametrize("text", [None, '{"a": 1e999}', '{"a": "\\ud800"}'])
def test_what_cannot_be_taken_apart_stays_whole(text: str | None) -> None:
    ((row,), properties) = columns(text)
    assert (row["customdata"], properties) == (text, {})


def test_whole_numbers_and_fractions_are_both_numbers() -> None:
    rows, properties = columns({"n": 1}, {"n": 2.5}, known={"n": "int"})
    assert properties == {"n": "float"}
    assert [row["p_n"] for row in rows] == [1.0, 2.5]
    assert [row["customdata"] for row in rows] == [None, None]


def test_a_value_that_its_column_cannot_hold_stays_in_customdata() -> None:
    rows, properties = columns({"n": 2**63}, {"n": 1}, {"n": "x"}, {"n": 2}, known={"n": "int"})
    assert properties == {"n": "int"}
    assert [row["p_n"] for row in rows] == [None, 1, None, 2]
    left = [row["customdata"] for row in rows]
    assert left == ['{"n":9223372036854775808}', None, '{"n":"x"}', None]
    rows, _ = columns({"n": 2**53 + 1}, {"n": 0.5})
    assert [row["customdata"] for row in rows] == ['{"n":9007199254740993}', None]


def test_once_most_values_do_not_fit_the_column_is_one_of_texts() -> None:
    rows, properties = columns({"n": "a"}, {"n": "b"}, {"n": 5}, {"n": True}, known={"n": "int"})
    assert properties == {"n": "text"}
    assert [row["p_n"] for row in rows] == ["a", "b", "5", "true"]


def test_a_stray_value_that_comes_first_does_not_decide() -> None:
    assert columns({"n": "x"}, {"n": 1}, {"n": 2})[1] == {"n": "int"}


def test_names_that_sql_cannot_tell_apart_are_one_column_the_commoner_one() -> None:
    rows, properties = columns({"level": 1}, {"level": 2}, {"Level": 3})
    assert properties == {"level": "int"}
    assert rows[2]["customdata"] == '{"Level":3}'


def test_no_name_that_is_not_plain_is_a_column() -> None:
    names = ["a b", 'x"', "", "é", "1st", "a" * 64, "x;drop"]
    _, properties = columns(dict.fromkeys(names, 1) | {"ok_1": 1})
    assert properties == {"ok_1": "int"}


def test_so_many_properties_are_columns_the_most_frequent_ones() -> None:
    flood = {f"x{n}": n for n in range(500)}
    rows, properties = columns(flood, {"level": 1}, {"level": 2})
    assert len(properties) == MAX_PROPERTIES
    assert properties["level"] == "int"
    assert len(json.loads(rows[0]["customdata"])) == 500 - MAX_PROPERTIES + 1
    rows, later = columns({"new": 1}, known=properties)
    assert (later, rows[0]["customdata"]) == (properties, '{"new":1}')


def test_a_stray_among_many_of_one_shape_stays_and_the_others_are_columns() -> None:
    many: list[Any] = [{"level": n, "won": True, "deep": None} for n in range(3 * FEW)]
    many[FEW] = {"level": "x", "won": True, "deep": [1]}
    many[FEW + 1] = '{"level": 1, "won": "\\ud800"}'
    many[FEW + 2] = None
    rows, properties = columns(*many)
    assert properties == {"level": "int", "won": "bool"}
    left = {n: row["customdata"] for n, row in enumerate(rows) if row["customdata"] is not None}
    assert left == {
        **{n: '{"deep":null}' for n in range(3 * FEW) if n not in (FEW, FEW + 1, FEW + 2)},
        FEW: '{"level":"x","deep":[1]}',
        FEW + 1: many[FEW + 1],
    }
    levels = [row["p_level"] for row in rows]
    strays = (FEW, FEW + 1, FEW + 2)
    assert levels == [None if n in strays else n for n in range(3 * FEW)]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2))
CUSTOMDATA = st.dictionaries(st.sampled_from(["a", "A", "b", "c", "d e"]), VALUES, max_size=5)


def test_a_name_of_its_own_for_each_event_costs_what_one_for_all_does() -> None:
    """A list of all events for each name would be 50 MB here, and 80 GB of a whole chunk."""
    many = [{"level": n, **{f"x{n}_{each}": each for each in range(10)}} for n in range(800)]
    tracemalloc.start()
    try:
        rows, properties = columns(*many)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert len(properties) == MAX_PROPERTIES
    assert [row["p_level"] for row in rows] == list(range(800))


@pytest.mark.hypothesis
@given(
    st.lists(CUSTOMDATA, min_size=1, max_size=8),
    st.sampled_from([1, FEW + 1]),
    st.dictionaries(st.sampled_from("abx"), st.sampled_from(["int", "float", "bool", "text"])),
)
def test_columns_and_what_is_left_are_what_was_sent(
    each: list[dict[str, Any]], times: int, known: Properties
) -> None:
    """Few of a shape, and so many that it is taken apart by itself."""
    sent = each * times
    rows, properties = columns(*sent, known=known)
    assert properties.keys() >= known.keys()
    for row, customdata in zip(rows, sent, strict=True):
        together = json.loads(row["customdata"] or "{}")
        for name, kind in properties.items():
            if (value := row[f"{PREFIX}{name}"]) is not None:
                assert name not in together
                sent_as = customdata[name]
                if kind == "text" and not isinstance(sent_as, str):
                    value = json.loads(value)
                together[name] = value
        plain = {name: value for name, value in customdata.items() if value is not None}
        assert {name: value for name, value in together.items() if value is not None} == plain
