"""What the inspector remembers: never more than its bounds, whatever comes; and it forgets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.console.inspector.hub import Inspector
from playsmart_gateway.console.inspector.memory import (
    MAX_CONTENTS_BYTES,
    MAX_REASONS,
    MAX_REFUSED_AT_ONCE,
    MAX_REMEMBERED,
    MAX_REMEMBERED_BYTES,
    OTHER,
    REFUSED_PER_SECOND,
    TAKEN_PER_SECOND,
    Kept,
    Memory,
    Refill,
)
from playsmart_gateway.console.inspector.watcher import Seen, Sent
from playsmart_gateway.errors import Detail
from playsmart_gateway.http.answered import Passed
from playsmart_gateway.http.endpoint import Answer
from playsmart_gateway.http.error_body import Problems
from tests.support.doubles import FakeClock, make_batch
from tests.support.examples import examples


def seen(number: int = 1, **fields: Any) -> Seen:
    defaults: dict[str, Any] = {
        "at": 1_700_000_000.0,
        "path": "/ingest/events",
        "request_id": b"request-7",
        "status": 202,
        "answer": b"{}",
        "seconds": 0.001,
        "authorization": b"",
        "batch": None,
        "rows": None,
        "body": None,
        "body_bytes": 0,
        "state": None,
    }
    return Seen(number=number, **{**defaults, **fields})


def held(shelf: Kept) -> int:
    return sum(each.held_bytes for each in shelf.entries)


@examples(50)
@given(
    st.lists(
        st.builds(
            lambda rows, answer, path, details, reason: {
                "rows": b"r" * rows,
                "answer": b"a" * answer,
                "path": "/" * path,
                "reason": reason,
                "problems": Problems("", "m" * answer, [Detail("p" * 50, "m" * path)] * details),
            },
            st.sampled_from([0, 100, 30_000, MAX_CONTENTS_BYTES, 131_072]),
            st.sampled_from([0, 100, 60_000]),
            st.sampled_from([1, 1_024]),
            st.integers(0, 50),
            st.sampled_from(["", "a", "b", "c"]),
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 30),
)
def test_a_shelf_stays_within_its_bounds_whatever_is_put_there(
    requests: list[dict[str, Any]], times: int
) -> None:
    shelf = Kept()
    for number in range(times):
        for fields in requests:
            shelf.put(seen(number, **fields))
            assert len(shelf.entries) <= MAX_REMEMBERED
            assert shelf.bytes <= MAX_REMEMBERED_BYTES
    assert shelf.bytes == held(shelf)
    assert shelf.entries[-1].number == times - 1


def test_when_bytes_run_out_the_oldest_keep_who_where_and_why() -> None:
    shelf = Kept()
    rows = b"x" * (MAX_CONTENTS_BYTES - 4_096)
    for number in range(100):
        shelf.put(seen(number, rows=rows, path=f"/{number}"))
    bare = [each.was_let_go for each in shelf.entries]
    assert len(bare) == 100
    assert bare == sorted(bare, reverse=True)
    assert 0 < sum(bare) < 60
    assert shelf.entries[0].path == "/0"
    assert shelf.entries[0].rows is None
    assert shelf.entries[-1].rows == rows


def test_of_one_that_is_too_large_only_what_it_was_is_kept() -> None:
    shelf = Kept()
    body = b"x" * (MAX_CONTENTS_BYTES + 1)
    shelf.put(seen(body=body, sent=Sent(((b"a", b"b"),), body, body), authorization=b"Bearer x"))
    (kept,) = shelf.entries
    assert (kept.body, kept.sent, kept.authorization) == (None, None, b"")
    assert (kept.was_let_go, kept.path) == (True, "/ingest/events")


def test_a_flood_of_one_reason_leaves_the_others_remembered() -> None:
    shelf = Kept()
    for number in range(20):
        shelf.put(seen(number, reason="rare"))
    for number in range(20, 20 + 10 * MAX_REMEMBERED):
        shelf.put(seen(number, reason="flood"))
    reasons = [each.reason for each in shelf.entries]
    assert (reasons.count("rare"), len(reasons)) == (20, MAX_REMEMBERED)
    assert shelf.entries[-1].number == 19 + 10 * MAX_REMEMBERED


@examples(100)
@given(st.lists(st.floats(0, 3), max_size=200))
def test_no_more_is_granted_than_at_once_and_what_time_brings(waits: list[float]) -> None:
    refill, now, granted = Refill(5, 2.0), 0.0, 0
    for wait in waits:
        now += wait
        rested = now < refill.rests_until
        if refill.grants(now):
            granted += 1
            assert not rested
    assert granted <= 5 + now * 2.0 + 1


def test_beyond_a_burst_few_requests_a_second_are_kept_and_the_others_counted() -> None:
    memory = Memory()
    kept = sum(memory.wants("", n / 10_000) for n in range(100_000))  # ten seconds
    assert MAX_REMEMBERED <= kept <= MAX_REMEMBERED + 10 * TAKEN_PER_SECOND + 1
    totals = memory.totals()
    assert (totals.taken, totals.left_out) == (100_000, 100_000 - kept)
    assert memory.rests_until > 9.99
    assert memory.wants("", 30.0)  # and after a pause the next one is kept


def test_of_each_reason_few_a_second_are_kept_and_all_counted() -> None:
    memory = Memory()
    kept = sum(memory.wants("flood", n / 1_000) for n in range(10_000))
    assert kept <= MAX_REFUSED_AT_ONCE + 10 * REFUSED_PER_SECOND + 1
    assert memory.wants("rare", 10.0)
    totals = memory.totals()
    assert totals.reasons == {"flood": 10_000, "rare": 1}
    assert (totals.refused, totals.left_out) == (10_001, 10_000 - kept)


def test_reasons_beyond_so_many_are_counted_together() -> None:
    memory = Memory()
    for n in range(MAX_REASONS + 100):
        memory.wants(f"reason {n}", 0.0)
    reasons = memory.totals().reasons
    assert len(reasons) == MAX_REASONS + 1
    assert reasons[OTHER] == 100


class Scene:
    """An inspector that is told of requests, and nobody watches."""

    def __init__(self, *, shows_bodies: bool = False) -> None:
        self.clock = FakeClock()
        self.inspector = Inspector(
            shows_bodies=shows_bodies, clock=self.clock, wall_clock=lambda: 1_700_000_000.5
        )

    def request(self, answer: Answer, body: bytes | None = None) -> None:
        heard = None
        if body is not None:
            heard = self.inspector.heard({b"authorization": b"Bearer x", b"accept": b"y"}, body)
        self.inspector.saw(
            heard,
            path="/ingest/events",
            request_id=b"request-7",
            authorization=b"Bearer x",
            answer=answer,
            seconds=0.001,
            at=self.clock(),
        )

    @property
    def remembered(self) -> list[Seen]:
        memory = self.inspector.memory
        return [*memory.taken.entries, *memory.refused.entries]


def taken(sequence: int = 1, **fields: Any) -> Answer:
    return Answer(202, b"{}", [], make_batch(sequence, **fields))


def refused(reason: str = "invalid_payload", **fields: Any) -> Answer:
    return Answer(400, b"{}", [], reason=reason, **fields)


def test_what_is_remembered_says_what_became_of_its_batch() -> None:
    scene = Scene()
    for sequence in (1, 2, 3):
        scene.request(taken(sequence))
    first, second, third = scene.remembered
    scene.inspector.left_the_buffer([make_batch(1)])
    scene.inspector.buried(make_batch(2))
    scene.inspector.left_the_buffer([make_batch(2)])
    states = [scene.inspector.state_of(each) for each in (first, second, third)]
    assert states == ["stored", "buried", "buffered"]
    other = make_batch(900)
    other.journal = "22" * 16
    scene.inspector.left_the_buffer([other])
    assert scene.inspector.state_of(third) == "buffered"


def test_bodies_and_headers_are_kept_only_where_bodies_may_be_shown() -> None:
    for shows_bodies in (False, True):
        scene = Scene(shows_bodies=shows_bodies)
        scene.request(refused(), b'{"a": 1}' if shows_bodies else None)
        (kept,) = scene.remembered
        if shows_bodies:
            sent = Sent(((b"authorization", b"Bearer x"),), b'{"a": 1}', b'{"a": 1}')
            assert (kept.body, kept.sent) == (b'{"a": 1}', sent)
        else:
            assert (kept.body, kept.sent) == (None, None)


def test_no_token_is_kept_but_one_that_is_somewhere_in_what_is_shown() -> None:
    scene = Scene()
    scene.request(taken())
    scene.request(refused())
    scene.request(refused(problems=Problems("", "", [Detail("a", "x is no type")])))
    assert [each.authorization for each in scene.remembered] == [b"", b"", b"Bearer x"]


def test_a_request_that_reached_no_endpoint_is_remembered_without_its_query() -> None:
    scene = Scene()
    target = "/" + "a" * 5_000 + "?token=hush"
    scene.inspector.passed(Passed("GET", target, b"1", 404, "not_found", b"{}" * 5_000, 0.001))
    (kept,) = scene.remembered
    assert (kept.method, kept.status, kept.reason) == ("GET", 404, "not_found")
    assert kept.path == "/" + "a" * 1_023
    assert len(kept.answer) <= 1_024
    assert "hush" not in kept.path


@pytest.mark.parametrize(
    "answer",
    [
        taken(user_id="ada"),
        refused(problems=Problems("", "", [Detail("user_id", "ada is not grace")])),
        Answer(400, b'{"error": "ada"}', [], reason="x"),
    ],
)
def test_a_player_who_is_erased_is_forgotten(answer: Answer) -> None:
    scene = Scene()
    scene.request(answer)
    scene.request(taken(2, user_id="grace"))
    scene.inspector.forget("ada")
    assert [each.batch and each.batch.user_id for each in scene.remembered] == ["grace"]


@pytest.mark.parametrize(
    ("customdata", "stays"),
    [
        (rb'{"friend": "ada"}', False),
        (rb'{"friend": "\u0061da"}', False),
        (rb'{"friend": "grace"}', True),
    ],
)
def test_events_of_others_that_could_name_an_erased_player_are_forgotten(
    customdata: bytes, stays: bool
) -> None:
    scene = Scene()
    answer = taken(user_id="bea")
    assert answer.batch is not None
    answer.batch.rows = b'[["Custom","e","2026-04-22T14:30:00Z",%b]]' % customdata
    scene.request(answer)
    scene.inspector.forget("ada")
    assert bool(scene.remembered) == stays


@pytest.mark.parametrize(
    ("body", "stays"),
    [
        (json.dumps({"user_id": "ada"}).encode(), False),
        (rb'{"user_id": "\u0061da"}', False),
        (b"user_id=%61da", False),
        (b"\x1f\x8b\x08 who knows", False),
        (json.dumps({"user_id": "grace"}).encode(), True),
    ],
)
def test_a_body_in_which_an_erased_player_could_be_is_forgotten(body: bytes, stays: bool) -> None:
    scene = Scene(shows_bodies=True)
    scene.request(refused(), body)
    scene.inspector.forget("ada")
    assert bool(scene.remembered) == stays
    memory = scene.inspector.memory
    assert memory.refused.bytes == held(memory.refused)


def test_who_watches_and_what_is_remembered_have_one_number() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    scene.request(taken(1))
    scene.request(refused())
    numbers = []
    while (each := watcher.take()) is not None:
        numbers.append(each.number)
    assert numbers == [each.number for each in scene.remembered] == [1, 2]
