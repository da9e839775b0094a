"""Passwords: what is kept of one, and whether somebody knows it.

What is kept is made by scrypt (RFC 7914) of a random salt, with its parameters beside it, so that
they can be raised later: ``scrypt$14$8$5$SALT$KEY``. These are what OWASP's Password Storage Cheat
Sheet takes for 16 MiB of memory. It is slow on purpose, so it has threads of its own that stand
back behind the loop, and how many may wait for one is bounded: strangers decide how many come.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import sys
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from playsmart_gateway.errors import TooManyPasswords

AT_ONCE = 4
"""Threads, each with a core and 16 MiB while it is at it."""

MAX_WAITING = 32
"""Passwords that wait for a thread; at a quarter of a second each that is two seconds."""

MAX_WAITING_SECONDS = 10.0
"""For a thread. On a busy machine it may be longer than clients wait for their answer: then the
threads are for those who have just come, and not for those who are gone."""

NICENESS = 10
"""Of these threads: beside a busy loop they get a tenth of a core, beside an idle one all of it."""

_SALT_BYTES = 16
_KEY_BYTES = 32
_MEMORY_BYTES = 67_108_864

T = TypeVar("T")


class Cost(NamedTuple):
    """Of scrypt: the logarithm of its memory in blocks, the size of a block, and its passes."""

    log_n: int
    r: int
    p: int


COST = Cost(14, 8, 5)


class Passwords:
    """Hashes passwords, and compares them, in threads of its own; ``close`` ends them.

    Each method raises ``TooManyPasswords`` when too many wait already, or it has waited for too
    long. ``clock`` is in seconds, and asked in these threads, too.
    """

    def __init__(
        self,
        cost: Cost = COST,
        *,
        at_once: int = AT_ONCE,
        max_waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cost = cost
        self._clock = clock
        self._most = at_once + max_waiting
        self._busy = 0
        self._threads = ThreadPoolExecutor(at_once, "password", _stand_back)
        self._of_nobody = _kept(os.urandom(_SALT_BYTES), os.urandom(_KEY_BYTES), cost)

    async def hash(self, password: str) -> str:
        """Return what to keep of a password."""
        return await self._run(lambda: hashed(password, self._cost))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether it is the one that ``kept`` was made of; for None, as slowly, it is not."""
        found = await self._run(lambda: is_of(password, kept or self._of_nobody))
        return found and kept is not None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._busy >= self._most:
            raise TooManyPasswords(retry_after_seconds=1)
        self._busy += 1
        latest = self._clock() + MAX_WAITING_SECONDS

        def in_time() -> T:
            if self._clock() > latest:
                raise TooManyPasswords(retry_after_seconds=1)
            return work()

        done = asyncio.get_running_loop().run_in_executor(self._threads, in_time)
        done.add_done_callback(self._freed)  # who hangs up leaves the thread at work
        return await asyncio.shield(done)

    def _freed(self, _: object) -> None:
        self._busy -= 1


def _stand_back() -> None:
    """Leave the processor to everything else that wants it, the loop above all."""
    if sys.platform == "linux":  # elsewhere it would be said of the whole process
        os.nice(NICENESS)


def hashed(password: str, cost: Cost) -> str:
    """Return what to keep of a password; blocks for a good while."""
    salt = os.urandom(_SALT_BYTES)
    return _kept(salt, _key(password, salt, cost), cost)


def is_of(password: str, kept: str) -> bool:
    """Whether a hash was made of a password; blocks as ``hashed`` does."""
    _, log_n, r, p, salt, key = kept.split("$")
    found = _key(password, base64.b64decode(salt), Cost(int(log_n), int(r), int(p)))
    return hmac.compare_digest(found, base64.b64decode(key))


def _key(password: str, salt: bytes, cost: Cost) -> bytes:
    # NFC (RFC 8265 section 4.2): keyboards write one letter in more than one way.
    text = unicodedata.normalize("NFC", password).encode()
    n, memory = 1 << cost.log_n, _MEMORY_BYTES
    return hashlib.scrypt(text, salt=salt, n=n, r=cost.r, p=cost.p, maxmem=memory, dklen=_KEY_BYTES)


def _kept(salt: bytes, key: bytes, cost: Cost) -> str:
    texts = (base64.b64encode(each).decode() for each in (salt, key))
    return "$".join(["scrypt", *map(str, cost), *texts])
