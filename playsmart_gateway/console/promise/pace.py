"""How far behind something is, and for how long, by what was seen of it in the last minute.

Nothing is kept while nobody looks. What follows a store comes and goes around a few batches while
it keeps up, so the least of each half of what was seen is compared, and a little counts as nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Literal

import msgspec

WINDOW_SECONDS = 60.0
LEAST_SECONDS = 1.0
"""Between two things seen."""

LITTLE = 100
"""So much behind is no more than what came a moment ago."""

LONGEST_SECONDS = 30 * 86_400.0
"""Who gains a batch an hour on millions is not timed more closely."""

State = Literal["done", "keeps_up", "catching_up", "falling_behind", "unknown"]


class Behind(msgspec.Struct, frozen=True):
    """How far something is ``behind``, None if that is not known, and how that changes.

    ``seconds`` is the time until it has caught up, at the pace of the last minute: never negative,
    and None where nothing tells.
    """

    behind: int | None
    state: State
    seconds: float | None


class Seen(msgspec.Struct, frozen=True):
    """How far each was behind ``at`` a moment, and how often it had failed by then."""

    at: float
    behind: Mapping[str, int | None]
    failures: Mapping[str, int]


class Pace:
    """Remembers what was ``seen`` in the last minute; ``clock`` is in seconds and never set."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[Seen] = deque()

    def look(
        self,
        behind: Mapping[str, int | None],
        failures: Mapping[str, int],
        fresh: Collection[str] = (),
    ) -> dict[str, Behind]:
        """Return for each name how it is, and remember what is seen now.

        What is ``fresh`` is known to be behind by no more than it always is.
        """
        now = Seen(self._clock(), dict(behind), dict(failures))
        seen = self._seen
        while seen and now.at - seen[0].at > WINDOW_SECONDS:
            seen.popleft()
        told = {name: self._judge(name, now, name in fresh) for name in behind}
        if not seen or now.at - seen[-1].at >= LEAST_SECONDS:
            seen.append(now)
        return told

    def _judge(self, name: str, now: Seen, is_fresh: bool) -> Behind:
        amount = now.behind[name]
        known = [each for each in self._seen if each.behind.get(name) is not None]
        fails = any(now.failures.get(name, 0) > each.failures.get(name, 0) for each in known)
        if amount is None or fails:
            return Behind(amount, "unknown", None)
        if amount <= 0:
            return Behind(0, "done", 0.0)
        if is_fresh:
            return Behind(amount, "keeps_up", None)
        if not known or now.at - known[0].at < LEAST_SECONDS:
            return Behind(amount, "unknown", None)
        half = (now.at - known[0].at) / 2
        early = [each for each in known if each.at - known[0].at <= half]
        late = [*(each for each in known if each.at - known[0].at > half), now]
        before, lately = (min(part, key=lambda each: _amount(each, name)) for part in (early, late))
        change = _amount(lately, name) - _amount(before, name)
        if _amount(lately, name) <= LITTLE and change <= LITTLE:
            return Behind(amount, "keeps_up", None)
        if change < 0:
            seconds = amount * (lately.at - before.at) / -change
            return Behind(amount, "catching_up", min(seconds, LONGEST_SECONDS))
        grew = change > max(LITTLE, _amount(before, name) // 10)
        return Behind(amount, "falling_behind" if grew else "unknown", None)


def _amount(seen: Seen, name: str) -> int:
    return seen.behind[name] or 0
