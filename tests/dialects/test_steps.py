"""Large bodies are decoded in steps: the answer is that of one step, and no step is long."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.dialects.loose import mended, mended_in_steps
from playsmart_gateway.dialects.playsmart.request import decode, decode_in_steps
from playsmart_gateway.errors import Malformed
from playsmart_gateway.http.turns import SLICE_BYTES, at_once

WHEN = st.sampled_from(
    [
        "2026-04-22T14:30:00Z",
        "2026-04-22T14:30:00.1234567Z",
        "2026-04-22T14:30:00.1234564+02:00",
        "2025-12-31T23:59:59.9999999+00:00",
        r"2026-04-22T14:30:00\u002e1234567Z",
        "0001-01-01T00:00:00+14:00",
        "2026-W17-3T14:30:00Z",
        "yesterday",
    ]
)
VALUE = st.sampled_from(
    [
        "1", "[]", "{}", "null", '"x"', r'"\ud83d"', r'"\ud83d\ude00"', r'"\\\ud83d"', r'"\u0000"',
        r'"\udc00\ud83d\ude00"', '"é"', "[" * 499 + "]" * 499, "[" * 500 + "]" * 500, "nonsense",
        '"[[[["', r'"\"[["',
    ]
)  # fmt: skip
TEXT = st.sampled_from(["u", "", r"\u0000", r"\ud83d", "é", "x" * 300])


def outcome(body: bytes, *, in_steps: bool) -> object:
    """Return the batch, or what is told to be wrong."""
    try:
        return msgspec.structs.asdict(at_once(decode_in_steps(body)) if in_steps else decode(body))
    except Malformed as error:
        return error.details


@given(
    TEXT,
    st.lists(st.tuples(WHEN, VALUE, st.integers(0, 70_000)), max_size=3),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff"]),
)
@example("u", [("2026-04-22T14:30:00.1234567Z", "1", SLICE_BYTES - 90)], b"")
def test_what_is_decoded_in_steps_is_what_is_decoded_at_once(
    user: str, events: list[tuple[str, str, int]], before: bytes
) -> None:
    texts = [
        f'{{"type":"AppOpen","customdata":{{"p":"{"." * pad}","a":{value}}},"timestamp":"{when}"}}'
        for when, value, pad in events
    ]
    body = f'{{"user_id":"{user}","game_id":"g","events":[{",".join(texts)}]}}'.encode()
    assert outcome(before + body, in_steps=True) == outcome(before + body, in_steps=False)


def test_a_fraction_is_cut_off_wherever_a_slice_ends() -> None:
    for pad in range(SLICE_BYTES - 180, SLICE_BYTES - 60):
        event = f'{{"type":"AppOpen","customdata":{{"p":"{"." * pad}"}},"timestamp":"'
        text = f'{{"user_id":"u","game_id":"g","events":[{event}2026-04-22T14:30:00.1234567Z"}}]}}'
        assert b'"2026-04-22T14:30:00.123456Z"' in at_once(decode_in_steps(text.encode())).rows


ESCAPES = st.lists(
    st.sampled_from(
        [r"\ud83d", r"\uDE00", r"\ud83d\ude00", r"\\", r"\u00e9", "a", r"\"", "ud83d", r"\n", "é"]
    ),
    max_size=30,
)


@given(ESCAPES, st.integers(1, 40))
@example([r"\ud83d", r"\uDE00", r"\uDE00"], 6)
@example([r"\ud83d", r"\ud83d", r"\uDE00"], 12)
def test_halves_of_pairs_are_told_wherever_the_text_is_cut(
    parts: list[str], slice_bytes: int
) -> None:
    body = f'"{"".join(parts)}"'.encode()
    in_slices = at_once(mended_in_steps(body, slice_bytes=slice_bytes))
    assert in_slices == mended(body)
    expected = json.loads(body).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(in_slices) == expected


def test_halves_of_pairs_are_mended_slice_by_slice() -> None:
    steps = list(mended_in_steps(rb'"%b"' % (rb"\ud83d" * 100), slice_bytes=60))
    assert len(steps) >= 602 // (60 + len(r"\ud83d\ude00"))


@pytest.mark.parametrize(
    "text",
    [
        ",".join(["[]"] * 330_000),
        ",".join(["[" * 490 + "]" * 490] * 1_000),
        '"' + r"\ud83d" * 170_000 + '"',
        '"' + r"\"[" * 330_000 + '"',
        '"' + "." * 1_000_000 + '"',
    ],
)
def test_between_the_slices_of_a_large_body_others_have_their_turns(text: str) -> None:
    event = f'{{"type":"AppOpen","timestamp":"2026-04-22T14:30:00Z","customdata":{{"a":[{text}]}}}}'
    body = f'{{"user_id":"u","game_id":"g","events":[{event}]}}'.encode()
    steps, turns = decode_in_steps(body), 0
    while True:
        try:
            next(steps)
        except StopIteration:
            break
        turns += 1
    assert turns >= len(body) // SLICE_BYTES
