"""Follows what is stored, a look at a time, and keeps what it learned of it.

One gateway of a store learns. The position says who: who finds that somebody else has moved it
leaves it to them, and looks at what they learned now and then; it goes on where nobody moves it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from playsmart_gateway.catalogue.definitions import NOTHING, Expected
from playsmart_gateway.catalogue.drift import KINDS, findings
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.learned import LearnedStore
from playsmart_gateway.tasks import PacedTask

EVENTS_PER_LOOK = 20_000
"""Counted by one look."""

LOOKED_AT = 1_000
LOOKED_AT_IN_HASTE = 250
"""Of them; of more a part is."""

LOOKED_AT_ONCE = 100
"""Requests wait for one millisecond."""

IDLE_SECONDS = 1.0
KEEP_SECONDS = 1.0
"""Between two times that it is kept, while there is more to learn."""

AWAY_SECONDS = 10.0
"""How long it is left to who has moved the position, if they do not move it again."""

READ_SECONDS = 5.0
"""Between two looks at what they learned."""

TELL_SECONDS = 2.0
"""Between two times that the metrics say what is odd: it is found anew each time."""


class Follower:
    """Learns what ``store`` has; ``stats`` say how far it is, and what is odd, or not expected.

    ``version_keys`` are those of ``Facts``.
    """

    def __init__(
        self,
        store: LearnedStore,
        stats: Stats,
        expected: Expected = NOTHING,
        version_keys: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._expected = expected
        self._version_keys = version_keys
        self._stats = stats
        self._clock = clock
        self._wall = wall
        self._facts: Facts | None = None
        self._kept_upto = self._position = self._erasures = 0
        self._is_behind = False
        self._kept_at = self._away_until = self._read_at = self._told_at = 0.0
        self._learning_seconds = 0.0

    @property
    def busy_seconds(self) -> float:
        """How long that kept a core busy so far."""
        return self._learning_seconds + self._store.busy_seconds

    async def step(self) -> bool:
        """Look once; whether there is more to see.

        Raises:
            SinkError: the store cannot be used now; what was not kept is learned again.
        """
        if self._facts is None and not await self._begin():
            return False
        assert self._facts is not None
        try:
            return await self._learn(self._facts)
        except BaseException:
            self._facts = None
            raise

    async def _begin(self) -> bool:
        """Read what is known; False if it is somebody else who learns."""
        now = self._clock()
        is_away = now < self._away_until
        if is_away and now < self._read_at + READ_SECONDS:
            return False
        kept = await self._store.kept()
        facts = Facts(kept.learned, self._version_keys)
        if is_away and kept.position != self._position:
            self._away_until = now + AWAY_SECONDS
        self._position, self._read_at = kept.position, now
        if is_away:
            await self._tell(facts, kept.end - kept.position)
            return False
        self._facts, self._kept_upto, self._erasures = facts, kept.position, kept.erasures
        return True

    async def _learn(self, facts: Facts) -> bool:
        sight = await self._store.look(
            self._position,
            max_events=EVENTS_PER_LOOK,
            max_looked=LOOKED_AT_IN_HASTE if self._is_behind else LOOKED_AT,
        )
        if sight.erasures != self._erasures:  # what is known may be of who is gone
            self._facts = None
            return True
        began = time.thread_time()
        facts.count(sight.counted)
        for start in range(0, len(sight.looked), LOOKED_AT_ONCE):
            facts.look(sight.looked[start : start + LOOKED_AT_ONCE])
            self._learning_seconds += time.thread_time() - began
            await asyncio.sleep(0)
            began = time.thread_time()
        self._position = sight.position
        is_behind = self._is_behind = sight.position < sight.end
        if self._position != self._kept_upto and (
            not is_behind or self._clock() - self._kept_at >= KEEP_SECONDS
        ):
            await self._keep(facts)
        self._learning_seconds += time.thread_time() - began
        await self._tell(facts, sight.end - sight.position)
        return is_behind

    async def _keep(self, facts: Facts) -> None:
        texts, forgotten = facts.texts(), list(facts.forgotten)
        if await self._store.keep(
            self._kept_upto, self._position, texts, forgotten, erasures=self._erasures
        ):
            facts.kept()
            self._kept_upto, self._kept_at = self._position, self._clock()
        else:
            self._facts, self._away_until = None, self._clock() + AWAY_SECONDS

    async def _tell(self, facts: Facts, lag: int) -> None:
        self._stats.catalogue_lag = max(0, lag)
        if self._clock() < self._told_at + TELL_SECONDS:
            return
        self._told_at = self._clock()
        found = Counter[str](dict.fromkeys(KINDS, 0))
        for game in facts.by_game():
            began = time.thread_time()
            found.update(each.kind for each in findings(game, self._wall(), self._expected))
            self._learning_seconds += time.thread_time() - began
            await asyncio.sleep(0)
        self._stats.catalogue_findings = found


def catalogue_task(
    store: LearnedStore,
    share: float,
    stats: Stats,
    expected: Expected = NOTHING,
    version_keys: Mapping[str, str] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> PacedTask:
    """Return what learns from ``store``, and takes up to a ``share`` of one core for it."""
    follower = Follower(store, stats, expected, version_keys, clock=clock, wall=wall)
    return PacedTask(
        follower.step,
        "the catalogue cannot follow the store",
        rests=1 / share - 1,
        idle_seconds=IDLE_SECONDS,
        clock=clock,
        busy=lambda: follower.busy_seconds,
        failed=partial(stats.count_side_failure, "catalogue"),
    )
