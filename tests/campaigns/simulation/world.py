"""What outlives a process: the disk, the store, the clocks, the ledger, and the powers above."""

import re
from collections.abc import Callable

from playsmart_gateway.pipeline.origin import Fsync
from tests.campaigns.simulation.chance import (
    Chance,
    Tell,
)
from tests.campaigns.simulation.ledger import (
    Attempt,
    Ledger,
    numbers_in,
)
from tests.campaigns.simulation.medium import (
    File,
    Medium,
)
from tests.campaigns.simulation.parts import Limits
from tests.campaigns.simulation.store import Store

_EPOCH = 1_776_868_200.0
_MARK = re.compile(rb"\xf5PS[HI]")
_FRAME_BYTES = 12
_SLACK_SECONDS = 0.01


class World:
    """One seed's world, with its ``failures``: whatever was seen that must not be."""

    def __init__(self, seed: int, tell: Tell | None) -> None:
        self.chance = Chance(seed, tell)
        self.limits = Limits.draw(self.chance)
        self.medium = Medium()
        self.store = Store()
        self.ledger = Ledger()
        self.failures: list[str] = []
        self.now = 0.0
        self.lives = 0
        self._wall_offset = _EPOCH
        self._orphans: set[int] = set()
        self._damaged: list[tuple[str, int, int]] = []

    def say(self, text: str) -> None:
        """Tell the trace, if there is one."""
        self.chance.say(text)

    def wall(self, now: float) -> float:
        """Return the time on the wall."""
        return now + self._wall_offset

    def jump(self, seconds: float) -> None:
        """Set the clock on the wall; nobody sets it to before 1970."""
        self._wall_offset = max(self._wall_offset + seconds, 0.0)

    @property
    def segments_left(self) -> list[str]:
        """Name the segments in which there is anything."""
        files = self.medium.names.items()
        return [name for name, file in files if name.endswith(".journal") and file.data]

    def process_ended(self, longest_sync: float) -> None:
        """Nobody syncs now what the process that died had not synced yet."""
        young = self._young(longest_sync)
        self._orphans.update(each.number for each in self.ledger.attempts if young(each))

    def process_started(self) -> None:
        """The new process has replayed everything, and has to have synced it."""
        self._orphans.clear()

    def cut_power(self, longest_sync: float) -> None:
        """Lose what was not synced; note in the ledger what may be missing from now on."""
        self.chance.count("power: cut")
        self._excuse(self.limits.fsync, longest_sync)
        for how in self.medium.cut_power(self.chance):
            self.chance.count(f"power: {how}")
        if self.store.cut_power(self.chance):
            self.chance.count("power: transactions lost")

    def flip_bits(self) -> None:
        """Damage one bit of a journal while nobody runs."""
        if not self.segments_left:
            return
        self.medium.rest()
        name = self.chance.choice(self.segments_left)
        file = self.medium.names[name]
        tail = self.chance.random() < 0.5
        records = _records(file)
        first = records[-1][0] if tail and records else 0
        place = self.chance.randrange(first, len(file.data))
        if any(each == name and start <= place < end for each, start, end in self._damaged):
            return
        damaged = [record for record in records if record[0] <= place < record[1]]
        file.data[place] ^= 1 << self.chance.randrange(8)
        file.durable[:] = file.data
        self.chance.count("disk: bit flip in the tail" if tail else "disk: bit flip in the middle")
        self.say(f"  byte {place} of {name}: {[list(record[2]) for record in damaged]}")
        for start, end, numbers in damaged:
            self._damaged.append((name, start, end))
            self.ledger.flipped.update((each, bytes(file.data[start:end])) for each in numbers)

    def _excuse(self, fsync: Fsync, longest_sync: float) -> None:
        if fsync == "always":
            return
        ledger = self.ledger
        doomed = set(numbers_in(self.medium.doomed))
        ledger.excuse_acknowledged("sync failed", lambda attempt: attempt.number in doomed)
        if fsync == "never":
            ledger.excuse_acknowledged("never synced", lambda _: True)
        else:
            ledger.excuse_acknowledged("within the interval", self._young(longest_sync))
            orphans = self._orphans
            ledger.excuse_acknowledged("nobody ran", lambda attempt: attempt.number in orphans)

    def _young(self, longest_sync: float) -> Callable[[Attempt], bool]:
        """Tell what ``fsync = "interval"`` need not have synced yet."""
        window = self.limits.fsync_interval_seconds + 2 * longest_sync + _SLACK_SECONDS
        since = self.now - window
        return lambda attempt: attempt.at > since


def _records(file: File) -> list[tuple[int, int, list[int]]]:
    """Find the records by their marks: where each begins, where it ends, whose it is."""
    content = bytes(file.data)
    found = []
    for start in [mark.start() for mark in _MARK.finditer(content)]:
        length = int.from_bytes(content[start + 4 : start + 8], "little")
        end = start + _FRAME_BYTES + length
        numbers = list(numbers_in(content[start:end]))
        if end <= len(content) and len(numbers) == 1:
            found.append((start, end, numbers))
    return found
