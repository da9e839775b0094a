"""What a batch is called and what it counts for."""

from itertools import product
from sys import getsizeof

from msgspec.structs import replace

from playsmart_gateway.events.about import MAX_CLIENT_TEXT_LENGTH, About, Program
from playsmart_gateway.events.batch import (
    BATCH_OVERHEAD_BYTES,
    OWNER_BYTES,
    RUN_BYTES,
    first_event_id,
    last_event_id,
    run_key,
    run_of,
    run_owner,
)
from tests.support.doubles import make_batch


def test_a_batch_is_called_by_its_journal_and_its_place_there() -> None:
    batch = make_batch(7)
    assert batch.name == "11" * 16 + "-7"
    assert batch.key == ("11" * 16, 7)


def test_a_batch_weighs_its_rows_and_what_it_costs_beside_them() -> None:
    batch = make_batch(1)
    assert batch.size == len(batch.rows) + BATCH_OVERHEAD_BYTES


def test_what_is_said_of_a_batch_weighs_no_more_than_is_counted_for_it() -> None:
    for text in ("", "unity", "a" * MAX_CLIENT_TEXT_LENGTH, "\U0001f600" * MAX_CLIENT_TEXT_LENGTH):
        program = Program(*[text] * 4)
        said = About(2**60, program, tuple(range(199)))
        batch = replace(make_batch(1), about=said)
        counted = batch.size - len(batch.rows) - BATCH_OVERHEAD_BYTES
        weighed = sum(map(getsizeof, (said, said.sent_at, program, *program, said.refused)))
        assert weighed <= counted < 3 * weighed
    assert replace(batch, about=About()).size < batch.size


def test_rows_of_a_batch_have_the_places_that_were_not_refused() -> None:
    batch = make_batch(1, count=3)
    assert list(batch.places) == [0, 1, 2]
    assert list(replace(batch, about=About(sent_at=1)).places) == [0, 1, 2]
    assert list(replace(batch, about=About(refused=(0, 2))).places) == [1, 3, 4]


def test_ids_of_events_follow_each_other_and_no_two_batches_share_one() -> None:
    assert first_event_id(0) == 0
    assert last_event_id(0) == 255
    for batch_id in (0, 1, 41):
        assert first_event_id(batch_id + 1) == last_event_id(batch_id) + 1


def test_a_key_of_a_request_is_a_run_of_its_own_at_every_start() -> None:
    """Its hash is in stores already: BLAKE2b of 16 bytes, as every other tool computes it."""
    assert run_of(b"abc").hex() == "cf4ab791c62b8d2b2109c90275287816"
    assert len({run_of(key) for key in (b"", b"a", b"b", b"ab")}) == 4
    assert len(run_of(b"a" * 1_000)) == RUN_BYTES


def test_a_run_is_its_players_in_a_game_whoever_else_names_it() -> None:
    run = bytes(range(RUN_BYTES))
    whose = list(product(("", "g", "gu"), ("", "u", "gu")))
    assert len({run_key(run, game, user) for game, user in whose}) == len(whose)
    for game, user in whose:
        assert run_key(run, game, user) == run + run_owner(game, user)
        assert len(run_owner(game, user)) == OWNER_BYTES
    assert run_owner("g", "u").hex() == "725a03d2d6da558c"


def test_space_behind_an_idempotency_key_is_none_of_it() -> None:
    """One proxy drops it, another does not: the repeat by another way has the same key."""
    assert run_of(b"order-1 \t") == run_of(b"order-1") != run_of(b"order 1")
