"""What clients prefer, in all the spellings of RFC 7240."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.http.preferences import MAX_BYTES, by_name, preference
from playsmart_gateway.serve.heads import Heads


@pytest.mark.parametrize(
    ("prefer", "handling"),
    [
        (b"handling=lenient", b"lenient"),
        (b"HANDLING=Lenient", b"lenient"),
        (b'handling="lenient"', b"lenient"),
        (b'handling="len\\ient"', b"lenient"),
        (b"handling = lenient", b"lenient"),
        (b"handling=lenient; a=1;b", b"lenient"),
        (b"handling=lenient;", b"lenient"),
        (b"respond-async, wait=100, handling=lenient", b"lenient"),
        (b",, ,handling=lenient,", b"lenient"),
        (b'why="a, b; \\"c", handling=lenient', b"lenient"),
        (b"handling=strict, handling=lenient", b"strict"),
        (b"handling, handling=lenient", b""),
        (b'handling=""', b""),
        (b"return=minimal", b""),
        (b"return=minimal; handling=lenient", b""),
        (b'why="handling=lenient"', b""),
        (b"mishandling=lenient", b""),
        (b"", b""),
    ],
)
def test_a_preference_is_found_in_any_spelling(prefer: bytes, handling: bytes) -> None:
    assert preference(prefer, b"handling") == handling


@pytest.mark.parametrize(
    "broken",
    [b"handling=lenient x", b'why="a, handling=lenient', b"a b, handling=lenient", b"a=b=c"],
)
def test_behind_what_is_broken_nothing_is_looked_for(broken: bytes) -> None:
    assert preference(broken, b"handling") == b""


def test_a_header_that_is_endless_is_as_good_as_none() -> None:
    padding = b"a" * (MAX_BYTES - len(b",handling=lenient"))
    assert preference(padding + b",handling=lenient", b"handling") == b"lenient"
    assert preference(padding + b"a,handling=lenient", b"handling") == b""


TOKENS = st.text("abcXYZ019-_.!", min_size=1, max_size=6)
SPACE = st.sampled_from(["", " ", "\t "])


@st.composite
def written(draw: st.DrawFn, name: str, value: str) -> str:
    """One preference in a spelling of its own."""
    name = "".join(draw(st.sampled_from([each.lower(), each.upper()])) for each in name)
    if draw(st.booleans()):
        escaped = "".join(draw(st.sampled_from([each, f"\\{each}"])) for each in value)
        value = f'"{escaped}"'
    more = draw(st.sampled_from(["", ";a", '; a = "b, c;d"', " ;", ';x="\\""']))
    return f"{draw(SPACE)}{name}{draw(SPACE)}={draw(SPACE)}{value}{more}{draw(SPACE)}"


@given(st.lists(st.tuples(TOKENS | st.just("handling"), TOKENS), max_size=6), st.data())
def test_of_any_list_the_first_of_a_name_is_found(
    listed: list[tuple[str, str]], data: st.DataObject
) -> None:
    header = ",".join(data.draw(written(name, value)) for name, value in listed).encode()
    expected = next((value for name, value in listed if name.lower() == "handling"), "")
    assert preference(header, b"handling") == expected.lower().encode()


@given(st.binary(max_size=60) | st.text(' ,;="\\ab', max_size=60).map(str.encode))
def test_nothing_that_is_sent_is_an_error(prefer: bytes) -> None:
    assert isinstance(preference(prefer, b"handling"), bytes)


def test_several_headers_are_one_list() -> None:
    raw = [(b"host", b"a"), (b"prefer", b"wait=1"), (b"x", b"1"), (b"prefer", b"handling=lenient")]
    for headers in (by_name(raw), Heads().read(raw, "1.1")):
        assert headers[b"prefer"] == b"wait=1, handling=lenient"
    assert by_name([(b"x", b"1"), (b"x", b"2")]) == {b"x": b"2"}
