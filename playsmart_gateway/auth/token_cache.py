"""Tokens that passed, remembered by a digest: two hundred thousand players in forty megabytes.

A token of some 200 bytes and what is known of it as objects are 600 bytes. An entry here is two
byte strings, the digest and what is packed of the claims, some 150 bytes with their place in a
dictionary. One that loses its oldest entry for each new one is slow to find it and takes twice the
room; so there are several, each is filled once, and the oldest goes as a whole.
"""

import struct
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

DICTIONARIES = 11
TOKENS_EACH = 20_000
"""CPython's table of 2**15 has room for 21,845: of one that is full little is wasted."""

MAX_BYTES = 40_000_000
MAX_RECENT = 1_000
MAX_FORGOTTEN = 10_000

# 15 bytes, as one more takes 16 in memory; only who can sign could look for two that are the same.
_blake2b = blake2b(digest_size=15)
_packed = struct.Struct("<ddI")
_ENTRY_BYTES = 120


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who sent a request, and the epoch seconds at which the proof of it ends and begins."""

    subject: str
    expires_at: float
    not_before: float = 0


class TokenCache:
    """What is known of tokens that passed, the oldest dropped first.

    The last ``tokens_each * 10`` are held, and at most a tenth more; fewer if ``sub`` is so long
    that they take more than ``max_bytes`` (about). One that comes often is found without a digest.
    """

    def __init__(self, *, tokens_each: int = TOKENS_EACH, max_bytes: int = MAX_BYTES) -> None:
        self._tokens_each = tokens_each
        self._bytes_each = max_bytes // DICTIONARIES
        self._forgotten: dict[str, int] = {}
        self._times_forgotten = 0
        self._digested, self._its_digest = b"", _digest(b"")
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._recent: dict[bytes, Caller] = {}
        self._forgotten.clear()
        self._newest_first: list[dict[bytes, bytes]] = []
        self._begin()

    def get(self, token: bytes) -> Caller | None:
        """Return whose a token is, whether it holds now or not; None if it is not known."""
        if found := self._recent.get(token):
            return found
        # One that is not found is checked, and put: its digest is kept for that.
        self._digested, self._its_digest = token, digest = token, _digest(token)
        for each in self._newest_first:
            if digest in each:
                break
        else:
            return None
        entry = each[digest]
        expires_at, not_before, time = _packed.unpack_from(entry)
        subject = entry[_packed.size :].decode()
        if self._forgotten and self._forgotten.get(subject, 0) > time:
            return None
        if len(self._recent) >= MAX_RECENT:
            self._recent.clear()
        caller = self._recent[token] = Caller(subject, expires_at, not_before)
        return caller

    def put(self, token: bytes, caller: Caller) -> None:
        """Remember a token."""
        digest = self._its_digest if token is self._digested else _digest(token)
        times = _packed.pack(caller.expires_at, caller.not_before, self._times_forgotten)
        entry = times + caller.subject.encode()
        newest = self._newest_first[0]
        newest[digest] = entry
        self._room -= _ENTRY_BYTES + len(entry)
        if self._room < 0 or len(newest) >= self._tokens_each:
            self._begin()

    def forget(self, subjects: Iterable[str]) -> None:
        """Know no token any more that was put for one of these; what is put from now on, yes."""
        # To look through all entries would stop the event loop for tens of milliseconds.
        self._times_forgotten += 1
        self._forgotten.update(dict.fromkeys(subjects, self._times_forgotten))
        self._recent.clear()
        if len(self._forgotten) > MAX_FORGOTTEN:
            self.clear()

    def _begin(self) -> None:
        self._newest_first.insert(0, {})
        del self._newest_first[DICTIONARIES:]
        self._room = self._bytes_each


def _digest(token: bytes) -> bytes:
    digest = _blake2b.copy()
    digest.update(token)
    return digest.digest()
