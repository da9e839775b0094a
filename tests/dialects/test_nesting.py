"""How deep a text nests, against the obvious way of telling it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects.nesting import nests_deeper, nests_deeper_in_steps
from playsmart_gateway.http.turns import at_once

JSON = st.recursive(
    st.none() | st.integers() | st.text('"\\[]{}:,a\n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('"\\[]{}a', max_size=4), inner, max_size=3)
    ),
    max_leaves=60,
)


def measured(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(map(measured, inner), default=0) + isinstance(value, dict | list)


@given(JSON, st.integers(0, 8), st.booleans())
def test_a_text_nests_as_deep_as_what_it_says(value: object, levels: int, spaced: bool) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    text = json.dumps(value, separators=separators, ensure_ascii=spaced).encode()
    assert nests_deeper(text, levels) == (measured(value) > levels)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=40), st.integers(0, 200)
)
def test_it_is_told_wherever_the_deepest_place_is(slopes: list[tuple[int, int]], base: int) -> None:
    level, deepest, parts = base, base, ["[" * base]
    for up, down in slopes:
        deepest = max(deepest, level + up)
        down = min(down, level + up - 1)
        parts.append("[" * up + "]" * down)
        level += up - down
    text = ("".join(parts) + "]" * level).encode()
    assert not nests_deeper(text, deepest)
    assert deepest == 0 or nests_deeper(text, deepest - 1)


@given(JSON, st.integers(0, 8), st.integers(1, 40))
def test_it_is_told_the_same_wherever_the_text_is_cut(
    value: object, levels: int, slice_bytes: int
) -> None:
    for wrapped in (value, [value, '\\\\\\" [', '"[', {"\\": [[]]}]):
        content = json.dumps(wrapped).encode()
        in_steps = nests_deeper_in_steps(content, levels, slice_bytes=slice_bytes)
        assert at_once(in_steps) == nests_deeper(content, levels)


@pytest.mark.parametrize("text", [b'"[["', rb'"\"[[["', rb'["\\","[[","\\\"["]', b'{"[[[[":"]]"}'])
def test_brackets_in_strings_are_no_levels(text: bytes) -> None:
    assert not nests_deeper(text, 1)
