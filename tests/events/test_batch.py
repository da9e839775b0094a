"""What a batch is called and what it counts for."""

from itertools import product

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
