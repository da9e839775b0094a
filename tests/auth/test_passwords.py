"""Passwords: slow to guess, and no more of them at once than there is room for."""

import asyncio
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.auth.passwords import (
    COST,
    MAX_WAITING_SECONDS,
    NICENESS,
    Cost,
    Passwords,
    hashed,
    is_of,
)
from playsmart_gateway.errors import TooManyPasswords
from tests.support.examples import examples

CHEAP = Cost(2, 1, 1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    found = Passwords(CHEAP)
    yield found
    found.close()


def test_what_is_kept_takes_the_memory_and_time_that_are_advised() -> None:
    assert Cost(log_n=14, r=8, p=5) == COST  # OWASP's Password Storage Cheat Sheet


def test_what_is_kept_is_scrypt_of_rfc_7914() -> None:
    """Section 12, the second vector: its first bytes are what 32 bytes of it would be."""
    kept = "scrypt$10$8$16$TmFDbA==$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="
    assert is_of("password", kept)
    assert not is_of("Password", kept)
    assert hashed("password", CHEAP) != hashed("password", CHEAP), "each has a salt of its own"
    assert re.fullmatch(r"scrypt\$2\$1\$1\$[^$]{22}==\$[^$]{43}=", hashed("password", CHEAP))


@examples(50)
@given(st.text(), st.text())
def test_only_the_same_password_matches(one: str, other: str) -> None:
    kept = hashed(one, CHEAP) if _is_text(one) else ""
    if kept and _is_text(other):
        assert is_of(one, kept)
        assert is_of(other, kept) == (one == other)


def _is_text(password: str) -> bool:
    return password.isascii()  # of others two may be one letter


def test_a_letter_is_the_same_however_a_keyboard_writes_it() -> None:
    assert is_of("cafe\u0301 au lait", hashed("caf\u00e9 au lait", CHEAP))


async def test_older_costs_are_kept_with_the_hash(passwords: Passwords) -> None:
    assert await passwords.matches("horse", hashed("horse", Cost(3, 2, 2)))


async def test_nobody_has_a_password(passwords: Passwords) -> None:
    assert not await passwords.matches("horse", None)
    assert await passwords.matches("horse", await passwords.hash("horse"))
    assert not await passwords.matches("house", await passwords.hash("horse"))


def nicenesses_of_threads() -> set[int]:
    tasks = [int(each.name) for each in Path("/proc/self/task").iterdir()]
    return {os.getpriority(os.PRIO_PROCESS, each) for each in tasks}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads are as nice as a process")
async def test_a_flood_of_passwords_leaves_the_processor_to_the_loop(passwords: Passwords) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    await passwords.hash("password")
    assert min(own + NICENESS, 19) in nicenesses_of_threads()
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


async def test_who_waited_for_too_long_is_refused_and_the_next_are_not_late_for_it() -> None:
    late = MAX_WAITING_SECONDS + 1
    passwords = Passwords(CHEAP, clock=iter([0.0, late, late, late]).__next__)
    with pytest.raises(TooManyPasswords) as refused:
        await passwords.hash("horse")
    assert refused.value.retry_after_seconds == 1
    assert await passwords.hash("horse")
    passwords.close()


async def test_of_too_many_at_once_the_last_is_refused() -> None:
    before = {*threading.enumerate()}
    passwords = Passwords(Cost(12, 8, 1), at_once=1, max_waiting=2)
    for _ in range(2):  # there is room again, and no more of it
        first = [asyncio.ensure_future(passwords.hash("horse")) for _ in range(3)]
        await asyncio.sleep(0)  # they have begun
        assert len({*threading.enumerate()} - before) == 1
        with pytest.raises(TooManyPasswords) as refused:
            await passwords.hash("horse")
        assert refused.value.retry_after_seconds == 1
        first[0].cancel()  # who hung up
        with pytest.raises(asyncio.CancelledError):
            await first[0]
        assert all(await asyncio.gather(*first[1:]))
    passwords.close()


async def test_at_its_end_who_waits_is_let_go_and_nobody_waits_for_the_threads() -> None:
    begun, ended = threading.Event(), threading.Event()
    loop, was_ended = threading.current_thread(), []

    def clock() -> float:
        if threading.current_thread() is not loop:
            begun.set()
            was_ended.append(ended.wait(30))
        return 0.0

    passwords = Passwords(CHEAP, at_once=1, clock=clock)
    asked = [asyncio.ensure_future(passwords.hash("horse")) for _ in range(2)]
    await asyncio.sleep(0)
    assert begun.wait(30)
    passwords.close()
    ended.set()
    first, second = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, str)
    assert isinstance(second, asyncio.CancelledError)
    assert was_ended == [True]
