"""Compressed bodies: what is refused, what is inflated, how much of it, and in how many steps."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.errors import (
    Malformed,
    Overcrowded,
    Refused,
    TooLarge,
    Unauthenticated,
    UnsupportedEncoding,
)
from playsmart_gateway.http.content_encoding import (
    INPUT_BYTES,
    Inflater,
    Inflation,
    is_gzip,
)
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers
from playsmart_gateway.http.error_body import Said, envelope
from playsmart_gateway.http.turns import (
    LARGE_BODY_BYTES,
    SLICE_BYTES,
    TURN_SECONDS,
    LongWork,
    Turns,
)
from playsmart_gateway.metrics import Stats

MAX_BYTES = 1_048_576
TEXT = b"".join(b'{"level":%d,"score":%d},' % (n, n * n) for n in range(20_000))
NO_TEXT = zlib.compressobj(9, zlib.DEFLATED, 31).flush()
"""A member of nothing: its header, one empty block, its trailer."""


def empty_blocks(size: int) -> bytes:
    """The beginning of a body of nothing but empty blocks, five bytes each, without an end."""
    return NO_TEXT[:10] + b"\x00\x00\x00\xff\xff" * (size // 5)


def each_step_is_long() -> Callable[[], float]:
    return partial(next, count(0.0, TURN_SECONDS))


class CountedTurns(Turns):
    """Turns that are counted."""

    count = 0

    def put(self, loop: asyncio.AbstractEventLoop, call: Any) -> None:
        self.count += 1
        super().put(loop, call)


class Recording(Endpoint[str, bytes]):
    """An endpoint that believes ``ada``; ``taken`` is what she sent, as it was understood."""

    def __init__(self, max_bytes: int = MAX_BYTES, *, reads_first: bool = False) -> None:
        self.turns = CountedTurns()
        self.inflater = Inflater(
            max_bytes, 4 * max_bytes, LongWork(self.turns, each_step_is_long())
        )
        super().__init__(Stats(), self.inflater)
        self.reads_first = reads_first  # type: ignore[misc]
        self.taken: list[bytes] = []
        self.refusals: list[tuple[str, int]] = []

    async def authenticate(self, headers: Headers, body: bytes) -> str:
        if (body if self.reads_first else headers.get(b"who", b""))[:3] != b"ada":
            raise Unauthenticated
        return "ada"

    def decode(self, who: str, body: bytes) -> bytes:
        return body

    async def act(self, who: str, asked: bytes, size: int) -> Answer:
        assert self.inflater.held_bytes >= (size if self.inflater.held_bytes else 0)
        self.taken.append(asked)
        return Answer(200, b"", [])

    def sound(self, refusal: Refused) -> Said:
        return envelope(refusal)

    def refused(self, refusal: Refused, who: str | None, size: int) -> None:
        self.refusals.append((refusal.message, size))

    def ask(self, parts: Sequence[bytes], who: bytes = b"ada", coding: bytes = b"gzip") -> Answer:
        """Send a body in these parts."""
        left = list(parts)

        async def receive() -> dict[str, Any]:
            assert left, "nobody asks for more than there is"
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        answers: list[Answer | None] = []

        async def run() -> None:  # the result of a task is printed, whatever for
            answers.append(await self({b"who": who, b"content-encoding": coding}, receive))

        asyncio.run(run())
        (answer,) = answers
        assert answer is not None
        assert self.inflater.held_bytes == 0, "what is answered is held no longer"
        return answer


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", [b"br", b"deflate", b"zstd", b"", b"gzip, gzip", b"identity,x"])
def test_other_codings_are_refused_and_told_which_one_is_taken(coding: bytes) -> None:
    with pytest.raises(UnsupportedEncoding):
        is_gzip({b"content-encoding": coding})
    answer = Recording().ask([b"ada"], coding=coding)
    assert answer.status == 415
    assert (b"accept-encoding", b"gzip") in answer.headers


def test_who_is_not_believed_has_nothing_read() -> None:
    endpoint = Recording()
    answer = endpoint.ask([gzip.compress(TEXT)], who=b"eve")
    assert (answer.status, endpoint.refusals) == (401, [("invalid_token", 0)])


BROKEN = {
    "nothing": b"",
    "no gzip": b"ada",
    "zlib": zlib.compress(b"ada"),
    "without its last byte": gzip.compress(b"ada")[:-1],
    "with a byte behind it": gzip.compress(b"ada") + b"\0",
    "two members": gzip.compress(b"ada") + gzip.compress(b"ada"),
    "large, without its last byte": gzip.compress(TEXT, 0)[:-1],
    "large, with a step behind it": gzip.compress(TEXT, 0) + b"x" * INPUT_BYTES,
    "another sum": gzip.compress(b"ada")[:-8] + bytes(8),
    "without an end": empty_blocks(100_000),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_not_one_whole_member_is_400(body: bytes) -> None:
    endpoint = Recording()
    answer = endpoint.ask([body])
    assert (answer.status, answer.reason) == (400, "malformed:gzip")
    assert answer.inflated == b""
    assert endpoint.taken == []


@pytest.mark.parametrize("over", [0, 1, 2, 200_000_000])
@pytest.mark.parametrize("reads_first", [False, True])
def test_of_a_bomb_no_more_is_inflated_than_may_be(over: int, reads_first: bool) -> None:
    content = b"ada" + bytes(MAX_BYTES - 3 + over)
    bomb, endpoint = gzip.compress(content), Recording(reads_first=reads_first)
    tracemalloc.start()
    try:
        answer = endpoint.ask([bomb])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status == (413 if over else 200)
    assert endpoint.taken == ([] if over else [content])
    assert peak < 3 * MAX_BYTES, "the slices, and what they make together"
    if over:
        assert endpoint.refusals == [("body_too_large", MAX_BYTES + 1)]
        assert endpoint.turns.count == MAX_BYTES // SLICE_BYTES


def test_of_many_only_so_much_is_held_at_once() -> None:
    inflater = Inflater(MAX_BYTES, 2 * MAX_BYTES, LongWork(Turns()))
    packed = gzip.compress(bytes(MAX_BYTES))

    async def all_at_once() -> None:
        bodies = [inflater.begin() for _ in range(3)]
        found = await asyncio.gather(*(b.inflate(packed) for b in bodies), return_exceptions=True)
        assert [type(each) for each in found].count(Overcrowded) >= 1
        assert inflater.held_bytes <= 2 * MAX_BYTES + 3 * SLICE_BYTES
        for body in bodies:
            body.let_go()
        assert inflater.held_bytes == 0
        assert await inflater.begin().inflate(packed) == bytes(MAX_BYTES)

    asyncio.run(all_at_once())


# --- taken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"x-gzip", b"gzip \t"])
@pytest.mark.parametrize("reads_first", [False, True])
def test_a_compressed_body_is_what_it_was(coding: bytes, reads_first: bool) -> None:
    endpoint = Recording(reads_first=reads_first)
    answer = endpoint.ask([gzip.compress(b"ada" + TEXT)], coding=coding)
    assert (answer.status, answer.inflated) == (200, b"ada" + TEXT)
    assert endpoint.taken == [b"ada" + TEXT]


@pytest.mark.parametrize("coding", [b"identity", b"Identity", b"identity "])
def test_a_plain_body_is_as_it_came(coding: bytes) -> None:
    endpoint, body = Recording(), gzip.compress(TEXT)
    answer = endpoint.ask([body], coding=coding)
    assert (endpoint.taken, answer.inflated) == ([body], None)
    assert not is_gzip({})


def test_a_small_body_waits_for_no_turn_and_a_large_one_for_one_a_slice() -> None:
    endpoint = Recording()
    endpoint.ask([gzip.compress(TEXT[: SLICE_BYTES - 1])])
    assert endpoint.turns.count == 0
    endpoint.ask([gzip.compress(TEXT)])
    assert endpoint.turns.count >= len(TEXT) // SLICE_BYTES


def test_a_body_of_nothing_but_blocks_is_looked_at_in_steps() -> None:
    endpoint = Recording()
    assert endpoint.ask([empty_blocks(MAX_BYTES - 10)]).status == 400
    assert endpoint.turns.count == -(-MAX_BYTES // INPUT_BYTES)


PIECES = st.lists(st.integers(1, 700), max_size=6)
CONTENT = st.one_of(st.binary(max_size=300), st.integers(0, 3_000).map(lambda n: TEXT[:n]))


@given(CONTENT, st.integers(0, 9), PIECES)
@example(TEXT, 0, [1, 1, 1])
def test_wherever_it_is_split_it_is_the_same(content: bytes, level: int, sizes: list[int]) -> None:
    endpoint, rest, parts = Recording(), gzip.compress(content, level), []
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    assert endpoint.ask([*parts, rest]).status == 200
    assert endpoint.taken == [content]


@given(CONTENT, st.integers(0, 9), st.data())
def test_wherever_it_is_cut_off_nothing_is_taken(
    content: bytes, level: int, data: st.DataObject
) -> None:
    endpoint, packed = Recording(), gzip.compress(content, level)
    end = data.draw(st.integers(0, len(packed) - 1))
    assert endpoint.ask([packed[:end]]).status == 400
    assert endpoint.taken == []


@given(CONTENT, st.integers(0, 9), st.integers(1, 255), st.data())
def test_wherever_it_is_damaged_nothing_else_is_taken(
    content: bytes, level: int, flip: int, data: st.DataObject
) -> None:
    """A byte of the header that says nothing about the content may be another: date, system."""
    endpoint, packed = Recording(max_bytes=4_096), bytearray(gzip.compress(content, level))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= flip
    answer = endpoint.ask([bytes(packed)])
    assert answer.status in (200, 400, 413)
    assert endpoint.taken == ([content] if answer.status == 200 else [])


@given(st.binary(max_size=400))
def test_whatever_is_sent_is_answered(noise: bytes) -> None:
    assert Recording().ask([b"\x1f\x8b\x08" + noise]).status == 400


async def test_a_body_given_up_in_the_middle_is_let_go() -> None:
    turns = Turns(100)
    inflater = Inflater(MAX_BYTES, 2 * MAX_BYTES, LongWork(turns, each_step_is_long()))
    turns.put(asyncio.get_running_loop(), lambda: None)
    body: Inflation = inflater.begin()
    work = asyncio.create_task(body.inflate(gzip.compress(TEXT)))
    await asyncio.sleep(0)
    assert inflater.held_bytes > 0
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    body.let_go()
    assert inflater.held_bytes == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"x", Malformed), (gzip.compress(TEXT), TooLarge)],
    ids=["no gzip", "a large one"],
)
async def test_what_fails_says_why(body: bytes, error: type[Refused]) -> None:
    with pytest.raises(error):
        await Inflater(1_024, 4_096, LongWork(Turns())).begin().inflate(body)


def at_once(body: bytes, max_bytes: int = MAX_BYTES) -> bytes | None:
    return Inflater(max_bytes, MAX_BYTES, LongWork(Turns())).at_once(body)


@given(st.binary(max_size=2_000))
def test_a_small_body_is_inflated_at_once(content: bytes) -> None:
    assert at_once(gzip.compress(content), len(content)) == content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        gzip.compress(b"x")[:-1],
        gzip.compress(b"x") + b"\0",
        gzip.compress(b"x") + gzip.compress(b"y"),
        zlib.compress(b"x"),
        gzip.compress(b"x" * (LARGE_BODY_BYTES + 2)),
        gzip.compress(bytes(range(256)) * 100, compresslevel=0),
    ],
    ids=["nothing", "cut", "tail", "two", "zlib", "large", "much"],
)
def test_what_is_wrong_or_much_is_not_inflated_at_once(body: bytes) -> None:
    assert at_once(body) is None


def test_what_is_too_large_is_not_inflated_at_once() -> None:
    assert at_once(gzip.compress(b"x" * 65), max_bytes=64) is None
