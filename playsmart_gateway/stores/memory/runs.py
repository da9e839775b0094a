"""Runs in plain Python: which of their numbers have come."""

from collections.abc import Collection, Sequence

from playsmart_gateway.events.batch import RUN_BYTES, Batch, run_owner
from playsmart_gateway.stores.models import ForgottenRuns
from playsmart_gateway.stores.runs import Claimed, ClaimedRun, decide, keys_of, require_unburied


class MemoryRuns:
    """What the table ``runs`` is elsewhere."""

    def __init__(self) -> None:
        self.runs: dict[bytes, ClaimedRun] = {}
        self._seen_at: dict[bytes, int] = {}

    def claim(self, batches: Sequence[Batch], letters: Collection[tuple[str, int]]) -> Claimed:
        """Return what is new of them; nothing is written down."""
        known = [self.runs[key][:3] for key in keys_of(batches) if key in self.runs]
        claimed = decide(batches, known)
        require_unburied(claimed.cut, letters)
        return claimed

    def write_down(self, claimed: Claimed) -> None:
        """Write down what was claimed."""
        for run in claimed.runs:
            before = self.runs.get(run.key)
            more = 0 if before is None else before.duplicates
            self.runs[run.key] = run._replace(duplicates=run.duplicates + more)
            self._seen_at[run.key] = max(self._seen_at.get(run.key, 0), claimed.seen_at)

    def erase(self, user_id: str, games: Collection[str], *, dry_run: bool) -> int:
        """Forget the runs of a player in these games; return how many there were."""
        owners = {run_owner(game, user_id) for game in games}
        theirs = [key for key in self.runs if key[RUN_BYTES:] in owners]
        for key in theirs if not dry_run else ():
            del self.runs[key]
        return len(theirs)

    def forget(self, before: int, after: bytes, limit: int) -> ForgottenRuns:
        """See ``Upkeep.forget_runs``."""
        piece = sorted(key for key in self.runs if key > after)[:limit]
        old = [key for key in piece if self._seen_at[key] < before]
        for key in old:
            del self.runs[key]
        return ForgottenRuns(len(old), piece[-1] if len(piece) == limit else None)
