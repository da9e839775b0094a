"""Runs in plain Python: which of their numbers have come."""

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from playsmart_gateway.events.about import Program
from playsmart_gateway.events.batch import LYNES, RUN_BYTES, Batch, run_owner
from playsmart_gateway.events.intervals import Span
from playsmart_gateway.stores.losses import (
    MAX_LOST,
    MAX_NUMBERS,
    UNKNOWN,
    Loss,
    LossPage,
)
from playsmart_gateway.stores.models import ForgottenRuns
from playsmart_gateway.stores.runs import (
    Claimed,
    ClaimedRun,
    ToldRun,
    compared,
    decide,
    keys_of,
    require_unburied,
)

_DAY_MICROSECONDS = 86_400_000_000
_NOTHING = ToldRun(b"", None, None)


class MemoryRuns:
    """What the table ``runs`` is elsewhere."""

    def __init__(self) -> None:
        self.runs: dict[bytes, ClaimedRun] = {}
        self._seen_at: dict[bytes, int] = {}
        self._told: dict[bytes, ToldRun] = {}
        self._last: dict[bytes, Batch] = {}

    def claim(self, batches: Sequence[Batch], letters: Collection[tuple[str, int]]) -> Claimed:
        """Return what is new of them; nothing is written down."""
        known = [
            (*self.runs[key][:3], *self._told.get(key, _NOTHING)[1:])
            for key in keys_of(batches)
            if key in self.runs
        ]
        claimed = decide(batches, known)
        require_unburied(claimed.cut, letters)
        return claimed

    def conflicts(self, repeats: Sequence[Batch]) -> tuple[str, ...]:
        """Return the names of those whose span was stored last, with other events."""
        return tuple(batch.name for batch in repeats if self._is_other(batch))

    def _is_other(self, batch: Batch) -> bool:
        last = self._last.get(batch.run)
        if last is None or (last.seq, last.count) != (batch.seq, batch.count):
            return False
        return compared(last) != (compared(batch) or compared(last))

    def write_down(self, claimed: Claimed) -> None:
        """Write down what was claimed."""
        for run in claimed.runs:
            before = self.runs.get(run.key)
            more = 0 if before is None else before.duplicates
            self.runs[run.key] = run._replace(duplicates=run.duplicates + more)
            if run.place is not None:
                self._last[run.key] = claimed.batches[run.place]
            self._seen_at[run.key] = max(self._seen_at.get(run.key, 0), claimed.seen_at)

        for told in claimed.told:
            _, client, offset_ms = self._told.get(told.key, _NOTHING)
            client = client if told.client is None else told.client
            offset_ms = offset_ms if told.offset_ms is None else told.offset_ms
            self._told[told.key] = ToldRun(told.key, client, offset_ms)

    def erase(self, user_id: str, games: Collection[str], *, dry_run: bool) -> int:
        """Forget the runs of a player in these games; return how many there were."""
        owners = {run_owner(game, user_id) for game in games}
        theirs = [key for key in self.runs if key[RUN_BYTES:] in owners]
        for key in theirs if not dry_run else ():
            self._drop(key)
        return len(theirs)

    def forget(self, before: int, after: bytes, limit: int) -> ForgottenRuns:
        """See ``Upkeep.forget_runs``."""
        piece = sorted(key for key in self.runs if key > after)[:limit]
        old = [key for key in piece if self._seen_at[key] < before]
        for key in old:
            self._drop(key)
        return ForgottenRuns(len(old), piece[-1] if len(piece) == limit else None)

    def losses(self, before: int, after: bytes, limit: int) -> LossPage:
        """See ``LossReader.losses``."""
        piece = sorted(key for key in self.runs if key > after)[:limit]
        found = [self._loss(key) for key in piece if self._is_counted(key, before)]
        found = [each for each in found if each.numbers <= MAX_NUMBERS and each.lost <= MAX_LOST]
        return LossPage(found, piece[-1] if len(piece) == limit else None)

    def _is_counted(self, key: bytes, before: int) -> bool:
        last = self._last.get(key)
        return self._seen_at[key] < before and (last is None or last.source != LYNES)

    def _loss(self, key: bytes) -> Loss:
        run, last = self.runs[key], self._last.get(key)
        client = self._told.get(key, _NOTHING).client or Program()
        gaps = msgspec.json.decode(run.missing, type=list[Span]) if run.missing else []
        return Loss(
            self._seen_at[key] // _DAY_MICROSECONDS,
            UNKNOWN if last is None else last.game_id,
            client.app_version or UNKNOWN,
            client.platform or UNKNOWN,
            *(1, run.next, sum(end - first for first, end in gaps)),
        )

    def clients(self) -> Counter[Program]:
        """Return how many runs each program sends."""
        return Counter(told.client for told in self._told.values() if told.client is not None)

    def offset_ms(self, key: bytes) -> int | None:
        """Return what is told of a run; see ``ToldRun``."""
        return self._told.get(key, _NOTHING).offset_ms

    def _drop(self, key: bytes) -> None:
        del self.runs[key]
        self._told.pop(key, None)
        self._last.pop(key, None)
