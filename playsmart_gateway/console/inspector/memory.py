"""What the inspector remembers: the last requests that were taken, and the last that were refused.

In memory only, of this process only, and bounded in entries and in bytes. What is taken comes in
thousands a second, so beyond a burst a few a second are kept and the others counted; who asks for
it has one comparison for those (``rests_until``). What is refused is kept longer, each reason for
itself: a flood of one reason makes others neither fewer nor shorter remembered. What was refused
is counted by reason, all of it.
"""

from collections import Counter
from typing import NamedTuple

from msgspec.structs import replace

from playsmart_gateway.console.inspector.watcher import Seen

MAX_REMEMBERED = 500
"""Requests that were taken, and as many that were refused."""

MAX_REMEMBERED_BYTES = 4_194_304
"""Of either; when there are more the oldest keep only what does not grow: who, where and why."""

MAX_CONTENTS_BYTES = 65_536
"""Of one request; of larger ones only the size is told."""

MAX_LASTING_BYTES = 4_096
"""Of an answer, and of problems, of a request whose contents were let go."""

TAKEN_PER_SECOND = 20.0
REFUSED_PER_SECOND = 5.0
"""What is kept in the long run: of what is taken, and of what is refused for one reason."""

MAX_REFUSED_AT_ONCE = 50
MAX_REASONS = 64
OTHER = "other"
"""The reason of those that came after so many others."""


class Refill:
    """Grants ``most`` at once and then ``per_second``; until ``rests_until`` it grants nothing."""

    __slots__ = ("_at", "_left", "_most", "_per_second", "rests_until")

    def __init__(self, most: float, per_second: float) -> None:
        self._most = self._left = most
        self._per_second = per_second
        self._at = self.rests_until = float("-inf")

    def grants(self, now: float) -> bool:
        """Whether one more may be kept at ``now``, in seconds of a clock that never goes back."""
        if now < self.rests_until:
            return False
        if self._left < self._most:
            self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        self._left -= 1
        if self._left < 1:
            self.rests_until = now + (1 - self._left) / self._per_second
        return True


class Kept:
    """Requests in the order in which they came, at most ``MAX_REMEMBERED`` and so many bytes."""

    def __init__(self) -> None:
        self.entries: list[Seen] = []
        self.bytes = 0
        self._reasons: Counter[str] = Counter()
        self._bare = 0  # so many of the oldest have no contents any more

    def put(self, seen: Seen) -> None:
        """Keep one more."""
        self._add(seen if seen.held_bytes <= MAX_CONTENTS_BYTES else bare(seen))
        if len(self.entries) > MAX_REMEMBERED:
            self._drop(self._spare())
        while self.bytes > MAX_REMEMBERED_BYTES and self._bare < len(self.entries):
            before, after = self.entries[self._bare], bare(self.entries[self._bare])
            self.entries[self._bare] = after
            self.bytes += after.held_bytes - before.held_bytes
            self._bare += 1
        while self.bytes > MAX_REMEMBERED_BYTES:
            self._drop(0)

    def forget(self, user_id: str) -> None:
        """Drop all in which a player is, or may be."""
        kept = [seen for seen in self.entries if not seen.mentions(user_id)]
        self.entries, self.bytes, self._bare = [], 0, 0
        self._reasons.clear()
        for seen in kept:
            self._add(seen)

    def _add(self, seen: Seen) -> None:
        self.entries.append(seen)
        self.bytes += seen.held_bytes
        self._reasons[seen.reason] += 1

    def _drop(self, place: int) -> None:
        dropped = self.entries.pop(place)
        self.bytes -= dropped.held_bytes
        self._reasons[dropped.reason] -= 1
        if not self._reasons[dropped.reason]:
            del self._reasons[dropped.reason]
        self._bare -= place < self._bare

    def _spare(self) -> int:
        """Return the oldest of the reason of which there are most."""
        most = max(self._reasons, key=self._reasons.__getitem__)
        return next(n for n, seen in enumerate(self.entries) if seen.reason == most)


class Totals(NamedTuple):
    """What came since the start, and how many of it were not kept one by one."""

    taken: int
    refused: int
    left_out: int
    reasons: dict[str, int]


class Memory:
    """What is remembered. Until ``rests_until`` nothing that was taken is kept.

    So who looks at that need not ask, and counts what it did not offer in ``passed``.
    """

    def __init__(self) -> None:
        self.taken, self.refused = Kept(), Kept()
        self.passed = 0
        self.rests_until = float("-inf")
        self._offered = self._left_out = 0
        self._taking = Refill(MAX_REMEMBERED, TAKEN_PER_SECOND)
        self._refusing: dict[str, Refill] = {}
        self._reasons: Counter[str] = Counter()

    def wants(self, reason: str, now: float) -> bool:
        """Count a request, refused if there is a ``reason``; say whether to keep it, too."""
        if not reason:
            self._offered += 1
            is_kept = self._taking.grants(now)
            self.rests_until = self._taking.rests_until
            self._left_out += not is_kept
            return is_kept
        if reason not in self._refusing and len(self._refusing) >= MAX_REASONS:
            reason = OTHER
        self._reasons[reason] += 1
        refill = self._refusing.get(reason)
        if refill is None:
            refill = self._refusing[reason] = Refill(MAX_REFUSED_AT_ONCE, REFUSED_PER_SECOND)
        is_kept = refill.grants(now)
        self._left_out += not is_kept
        return is_kept

    def keep(self, seen: Seen) -> None:
        """Remember a request; its token only if that has to be looked for where it is shown."""
        token = seen.authorization.partition(b" ")[2].strip()
        if seen.sent is None and not (token and (seen.body or seen.says(token))):
            seen = replace(seen, authorization=b"")
        (self.refused if seen.reason else self.taken).put(seen)

    def forget(self, user_id: str) -> None:
        """Forget what a player has sent, or had a part in."""
        self.taken.forget(user_id)
        self.refused.forget(user_id)

    def totals(self) -> Totals:
        """Return what came so far."""
        return Totals(
            self._offered + self.passed,
            self._reasons.total(),
            self._left_out + self.passed,
            dict(self._reasons),
        )


def bare(seen: Seen) -> Seen:
    """Return a request without its contents, and with what does not grow of the rest."""
    _, message, details = seen.problems
    short = replace(
        seen,
        rows=None,
        body=None,
        sent=None,
        authorization=b"",
        was_let_go=True,
        problems=seen.problems._replace(message=message[:200], details=details[:3]),
    )
    if short.held_bytes > MAX_LASTING_BYTES:
        short.problems = seen.problems._replace(message=message[:200], details=())
    if short.held_bytes > MAX_LASTING_BYTES:
        short.answer = b""
    return short
