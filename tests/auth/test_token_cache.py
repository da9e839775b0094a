"""What is remembered of tokens that passed: how many, how large, and for how long."""

import tracemalloc

import pytest

from playsmart_gateway.auth.token_cache import (
    DICTIONARIES,
    MAX_BYTES,
    MAX_FORGOTTEN,
    MAX_RECENT,
    TOKENS_EACH,
    Caller,
    TokenCache,
)

WHOLE = 220
"""Bytes of a token as issuers make them."""


def token(number: int) -> bytes:
    return b"%0*d" % (WHOLE, number)


def known(number: int, subject: str = "") -> Caller:
    return Caller(subject or f"player-{number}", 1_777_000_000.5, 7)


def cache_of(count: int, cache: TokenCache | None = None) -> TokenCache:
    cache = cache or TokenCache()
    for number in range(count):
        cache.put(token(number), known(number))
    return cache


def held(cache: TokenCache, count: int) -> list[int]:
    return [number for number in range(count) if cache.get(token(number))]


def test_a_token_that_was_not_put_is_not_known() -> None:
    cache = cache_of(1)
    assert cache.get(token(1)) is None
    assert cache.get(token(0)[:-1]) is None
    assert cache.get(b"") is None


def test_what_was_put_is_told_each_time() -> None:
    cache = TokenCache()
    cache.put(token(1), known(1, "Zoë-日本"))
    for _ in range(3):
        assert cache.get(token(1)) == known(1, "Zoë-日本")


def test_so_many_of_the_last_that_came_are_found_without_looking_further() -> None:
    cache = cache_of(MAX_RECENT + 1)
    first = cache.get(token(0))
    assert held(cache, MAX_RECENT) == list(range(MAX_RECENT))
    assert cache.get(token(0)) is first
    assert cache.get(token(MAX_RECENT)) == known(MAX_RECENT)
    assert cache.get(token(0)) == first
    assert cache.get(token(0)) is not first


def test_one_that_was_asked_for_in_vain_is_put_beside_another() -> None:
    cache, one = TokenCache(), token(1)
    assert cache.get(one) is None
    cache.put(token(2), known(2))
    cache.put(one, known(1))
    assert held(cache, 3) == [1, 2]


def test_whatever_is_a_token_is_found_even_nothing() -> None:
    cache = TokenCache()
    cache.put(b"", known(0))
    assert cache.get(b"") == known(0)


def test_the_oldest_go_and_the_newest_stay() -> None:
    cache = cache_of(1_000, TokenCache(tokens_each=10))
    there = held(cache, 1_000)
    assert there == list(range(there[0], 1_000))
    assert 10 * (DICTIONARIES - 1) <= len(there) <= 10 * DICTIONARIES


def test_long_subjects_leave_room_for_fewer() -> None:
    cache = TokenCache(max_bytes=100_000)
    for number in range(1_000):
        cache.put(token(number), known(number, "x" * 1_000))
    there = held(cache, 1_000)
    assert there == list(range(there[0], 1_000))
    assert 70 < len(there) < 100


def test_one_that_takes_more_room_than_there_is_puts_nobody_else_out() -> None:
    cache = TokenCache(max_bytes=100_000)
    cache.put(token(0), known(0))
    cache.put(token(1), known(1, "x" * 50_000))
    assert held(cache, 2) == [0, 1]


def test_two_hundred_thousand_and_a_tenth_more_take_forty_megabytes() -> None:
    """Two of the dictionaries tell; UUIDs are among the longest subjects that are usual."""
    tracemalloc.start()
    try:
        cache = TokenCache()
        for number in range(2 * TOKENS_EACH):
            cache.put(token(number), known(number, f"{number:036}"))
        took, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (DICTIONARIES - 1) * TOKENS_EACH >= 200_000
    assert took / 2 * DICTIONARIES < MAX_BYTES
    assert all(cache.get(token(number)) for number in range(0, 2 * TOKENS_EACH, 97))


def test_who_is_forgotten_is_not_known_and_nobody_else_is_touched() -> None:
    cache = cache_of(3)
    cache.get(token(0))  # so that it is among the recent
    cache.forget(["player-0", "player-1"])
    assert held(cache, 3) == [2]
    cache.put(token(1), known(1))
    assert held(cache, 3) == [1, 2]
    cache.forget(["player-1"])
    assert held(cache, 3) == [2], "once more"


def test_so_many_that_are_forgotten_that_all_are() -> None:
    cache = cache_of(3)
    cache.forget(f"other-{number}" for number in range(MAX_FORGOTTEN))
    assert held(cache, 3) == [0, 1, 2]
    cache.forget(["one-more"])
    assert held(cache, 3) == []
    cache.put(token(1), known(1))
    assert held(cache, 3) == [1]


@pytest.mark.parametrize("count", [1, 50])
def test_after_clear_nothing_is_known(count: int) -> None:
    cache = cache_of(count)
    held(cache, count)
    cache.clear()
    assert held(cache, count) == []
