"""The fan-out to those who watch: what they get, what is dropped, what it may hold."""

from collections.abc import Iterator
from typing import Any

import pytest

from playsmart_gateway.console.inspector.hub import (
    MAX_WATCHERS,
    Inspector,
    TooManyWatchers,
)
from playsmart_gateway.console.inspector.watcher import (
    BYTES_PER_SECOND,
    MAX_FOLLOWED,
    MAX_QUEUED_BYTES,
    MAX_SHOWN_BYTES,
    REQUEST_COST_BYTES,
    Interest,
    Seen,
    Watcher,
)
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.endpoint import Answer
from tests.support.doubles import FakeClock, make_batch


class Scene:
    """An inspector, its clock, and requests to tell it about."""

    def __init__(self, *, shows_bodies: bool = False) -> None:
        self.clock = FakeClock()
        self.inspector = Inspector(
            shows_bodies=shows_bodies, clock=self.clock, wall_clock=lambda: 1_700_000_000.5
        )

    async def request(
        self,
        batch: Batch | None = None,
        *,
        status: int = 0,
        body: bytes = b"{}",
        inflated: bytes | None = None,
    ) -> None:
        """One request, read in two parts."""
        parts: Iterator[dict[str, Any]] = iter(
            [
                {"type": "http.request", "body": body[:1], "more_body": True},
                {"type": "http.request", "body": body[1:]},
            ]
        )

        async def receive() -> dict[str, Any]:
            return next(parts)

        heard = self.inspector.hear(receive)
        await heard.receive()
        await heard.receive()
        self.inspector.saw(
            heard,
            path="/ingest/events",
            request_id=b"request-7",
            authorization=b"Bearer abc",
            answer=Answer(status or (202 if batch else 400), b"{}", [], batch, inflated=inflated),
            seconds=0.0015,
        )


def taken(watcher: Watcher) -> list[Seen]:
    def each() -> Iterator[Seen]:
        while (seen := watcher.take()) is not None:
            yield seen

    return list(each())


async def test_each_watcher_sees_each_request_in_order() -> None:
    scene = Scene()
    watchers = [scene.inspector.watch(), scene.inspector.watch()]
    await scene.request(make_batch(1))
    await scene.request(status=503)
    for watcher in watchers:
        assert watcher.stirred.is_set()
        first, second = taken(watcher)
        assert (first.number, first.status, first.state) == (1, 202, "buffered")
        assert first.rows == make_batch(1).rows
        assert (first.at, first.seconds, first.request_id) == (
            1_700_000_000.5,
            0.0015,
            b"request-7",
        )
        assert (second.number, second.status, second.state, second.batch) == (2, 503, None, None)


async def test_nobody_watching_is_told_by_one_flag_and_holds_nothing() -> None:
    scene = Scene()
    flags = [scene.inspector.watched]
    watcher = scene.inspector.watch()
    flags.append(scene.inspector.watched)
    scene.inspector.leave(watcher)
    flags.append(scene.inspector.watched)
    assert flags == [False, True, False]
    await scene.request(make_batch(1))  # it began while somebody watched
    assert watcher.take() is None


async def test_no_more_may_watch_than_there_are_places_and_nobody_after_the_end() -> None:
    inspector = Scene().inspector
    watchers = [inspector.watch() for _ in range(MAX_WATCHERS)]
    with pytest.raises(TooManyWatchers):
        inspector.watch()
    inspector.leave(watchers[0])
    watcher = inspector.watch()
    closed = [watcher.closed]
    inspector.close()
    assert [*closed, watcher.closed] == [False, True]
    assert watcher.stirred.is_set()
    inspector.leave(watcher)
    with pytest.raises(TooManyWatchers):
        inspector.watch()


async def test_a_batch_is_followed_until_it_is_stored_or_buried() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    for sequence in (1, 2, 3):
        await scene.request(make_batch(sequence))
    assert watcher.take_fates() == []
    scene.inspector.left_the_buffer([make_batch(1), make_batch(2)])
    scene.inspector.buried(make_batch(3))
    scene.inspector.left_the_buffer([make_batch(3)])
    assert [(fate.number, fate.state, fate.batch.sequence) for fate in watcher.take_fates()] == [
        (1, "stored", 1),
        (2, "stored", 2),
        (3, "buried", 3),
    ]
    assert watcher.take_fates() == []


async def test_a_batch_that_was_stored_before_the_answer_is_seen_as_stored() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    scene.inspector.left_the_buffer([make_batch(1)])
    await scene.request(make_batch(1))
    await scene.request(make_batch(2))
    assert [seen.state for seen in taken(watcher)] == ["stored", "buffered"]


async def test_batches_of_an_earlier_journal_say_nothing_about_those_of_this_one() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    await scene.request(make_batch(1))
    replayed = make_batch(900)
    replayed.journal = "00" * 16
    scene.inspector.left_the_buffer([replayed])
    assert watcher.take_fates() == []


async def test_what_is_over_the_budget_is_dropped_and_counted_for_that_watcher_alone() -> None:
    scene = Scene()
    greedy = scene.inspector.watch()
    modest = scene.inspector.watch(Interest(player="ada"))
    at_once = MAX_QUEUED_BYTES // (REQUEST_COST_BYTES + len(make_batch().rows)) + 2
    for sequence in range(2 * at_once):
        await scene.request(make_batch(sequence))
        greedy.take()
    assert at_once - 20 < greedy.dropped <= 2 * at_once
    assert modest.dropped == 0
    await scene.request(make_batch(user_id="ada"))
    assert len(taken(modest)) == 1
    scene.clock.advance(1)
    dropped = greedy.dropped
    for sequence in range(at_once):
        await scene.request(make_batch(sequence))
    assert len(taken(greedy)) <= BYTES_PER_SECOND // REQUEST_COST_BYTES + 1
    assert greedy.dropped > dropped


async def test_one_who_never_takes_anything_holds_a_bounded_number_of_bytes() -> None:
    scene = Scene(shows_bodies=True)
    watcher = scene.inspector.watch()
    for _ in range(200):
        await scene.request(body=b"x" * 100_000)
        scene.clock.advance(3_600)
    waiting = taken(watcher)
    held = sum(len(seen.body or b"") for seen in waiting)
    assert held <= MAX_QUEUED_BYTES + MAX_SHOWN_BYTES
    assert watcher.dropped == 200 - len(waiting)


async def test_a_batch_or_body_too_large_to_show_is_seen_without_its_contents() -> None:
    scene = Scene(shows_bodies=True)
    watcher = scene.inspector.watch()
    await scene.request(make_batch(1, pad=MAX_SHOWN_BYTES))
    await scene.request(body=b"x" * (MAX_SHOWN_BYTES + 1))
    batch, body = taken(watcher)
    assert batch.batch is not None
    assert (batch.rows, batch.batch.rows, batch.batch.count) == (None, b"", 1)
    assert (body.body, body.body_bytes) == (None, MAX_SHOWN_BYTES + 1)


async def test_who_is_slow_to_be_shown_a_request_gets_fewer() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    watcher.spend(seconds=0.02)  # of work for one watcher
    await scene.request(make_batch(1))
    assert (watcher.dropped, len(taken(watcher))) == (0, 1)
    watcher.spend(seconds=10)
    await scene.request(make_batch(2))
    scene.clock.advance(0.4)
    await scene.request(make_batch(3))
    assert (watcher.dropped, len(taken(watcher))) == (2, 0)
    scene.clock.advance(0.2)
    await scene.request(make_batch(4))
    assert (watcher.dropped, len(taken(watcher))) == (2, 1)


async def test_every_request_that_nobody_was_given_is_counted_in_the_end() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    seen = 0
    for sequence in range(1_000):
        await scene.request(make_batch(sequence))
        scene.clock.advance(0.001)
        seen += watcher.take() is not None
    other = scene.inspector.watch()
    for sequence in range(1_000):
        await scene.request(make_batch(sequence))
        other.take()
    scene.inspector.left_the_buffer([make_batch(1_000)])
    assert watcher.dropped + seen + len(taken(watcher)) == 2_000
    assert 0 < other.dropped < 1_000


async def test_only_so_many_batches_are_followed_for_one_watcher() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    for sequence in range(MAX_FOLLOWED + 5):
        await scene.request(make_batch(sequence))
        watcher.take()
        scene.clock.advance(1)
    scene.inspector.left_the_buffer([make_batch(MAX_FOLLOWED + 5)])
    fates = watcher.take_fates()
    assert len(fates) == MAX_FOLLOWED
    assert fates[-1].number == MAX_FOLLOWED + 5


@pytest.mark.parametrize("shows_bodies", [True, False])
async def test_bodies_are_kept_only_where_they_may_be_shown(shows_bodies: bool) -> None:
    scene = Scene(shows_bodies=shows_bodies)
    watcher = scene.inspector.watch()
    await scene.request(body=b'{"user_id": "ada"}')
    await scene.request(make_batch(1), body=b"whatever")
    refused, accepted = taken(watcher)
    assert refused.body == (b'{"user_id": "ada"}' if shows_bodies else None)
    assert accepted.body is None


@pytest.mark.parametrize(
    ("interest", "seen"),
    [
        (Interest(), "one many refused"),
        (Interest(player="ada"), "one many refused"),
        (Interest(player="ad"), "one many refused"),
        (Interest(player="grace"), "many"),
        (Interest(game="levels"), "one many refused"),
        (Interest(game="other"), ""),
        (Interest(type="LevelCompleted"), "one"),
        (Interest(type="purchase"), "many"),
        (Interest(outcome="accepted"), "one many"),
        (Interest(outcome="refused"), "refused"),
        (Interest(player="ada", type="Teleport", outcome="refused"), "refused"),
        (Interest(player="ada", outcome="accepted", type="Teleport"), ""),
    ],
)
async def test_a_watcher_gets_what_it_asked_for(interest: Interest, seen: str) -> None:
    scene = Scene(shows_bodies=True)
    watcher = scene.inspector.watch(interest)
    one = Batch("playsmart", "levels", "ada", 1, b'[["LevelCompleted",null,"",null]]')
    many = Batch(
        "teak", "levels", "", 2, b'[["purchase",null,"",{},null,"ada"],["x",null,"",{},0,"grace"]]'
    )
    await scene.request(one)
    await scene.request(many)
    await scene.request(
        body=b'{"user_id": "ada", "game_id": "levels", "events": [{"type": "Teleport"}]}'
    )
    found = [each.batch.source if each.batch else "refused" for each in taken(watcher)]
    source = {"one": "playsmart", "many": "teak", "refused": "refused"}
    assert found == [source[name] for name in seen.split()]
    assert watcher.dropped == 0


async def test_of_a_compressed_body_is_shown_what_it_inflated_to_or_how_large_it_was() -> None:
    scene = Scene(shows_bodies=True)
    watcher = scene.inspector.watch()
    ada = scene.inspector.watch(Interest(player="ada"))
    for inflated in (b'{"user_id": "ada"}', b"", b"x" * (MAX_SHOWN_BYTES + 1)):
        await scene.request(body=b"\x1f\x8b\x08...", inflated=inflated)
    shown = [(seen.body, seen.body_bytes) for seen in taken(watcher)]
    assert shown == [(b'{"user_id": "ada"}', 18), (None, 6), (None, MAX_SHOWN_BYTES + 1)]
    assert len(taken(ada)) == 1


async def test_where_bodies_are_not_shown_those_that_were_inflated_are_not_either() -> None:
    scene = Scene()
    watcher = scene.inspector.watch()
    await scene.request(inflated=b'{"user_id": "ada"}')
    (seen,) = taken(watcher)
    assert (seen.body, seen.body_bytes) == (None, 0)
