"""Many seeds, in several processes, and what they add up to."""

import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.campaigns.simulation.mutants import MUTANTS
from tests.campaigns.simulation.scenario import (
    Outcome,
    quiet,
    simulate,
)

CHUNK = 50
MAX_FAILURES = 10


@dataclass
class Tally:
    """Sums over seeds; ``failures`` are the first few, with what was seen."""

    seeds: int = 0
    lives: int = 0
    steps: int = 0
    batches: int = 0
    events: int = 0
    seconds: float = 0.0
    failed: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.lives += outcome.lives
        self.steps += outcome.steps
        self.batches += outcome.batches
        self.events += outcome.events
        self.seconds += outcome.seconds
        self.faults += outcome.faults
        self.excused += outcome.excused
        if outcome.failures:
            self.failed += 1
            self.failures.append((outcome.seed, outcome.failures[0]))

    def merge(self, other: "Tally") -> None:
        """Count what another process counted."""
        self.seeds += other.seeds
        self.lives += other.lives
        self.steps += other.steps
        self.batches += other.batches
        self.events += other.events
        self.seconds += other.seconds
        self.failed += other.failed
        self.failures = sorted(self.failures + other.failures)[:MAX_FAILURES]
        self.faults += other.faults
        self.excused += other.excused


def run_chunk(seeds: range) -> Tally:
    """Run some seeds in this process."""
    tally = Tally()
    with quiet():
        for seed in seeds:
            tally.add(simulate(seed))
    return tally


def run(start: int, seeds: int, jobs: int) -> Iterator[Tally]:
    """Run seeds from ``start`` on; yield the sum so far, again and again, to the end."""
    end = start + seeds
    chunks = [range(first, min(first + CHUNK, end)) for first in range(start, end, CHUNK)]
    total = Tally()
    if jobs == 1:
        for chunk in chunks:
            total.merge(run_chunk(chunk))
            yield total
        return
    with multiprocessing.Pool(jobs) as pool:
        for tally in pool.imap_unordered(run_chunk, chunks):
            total.merge(tally)
            yield total


def catch(mutant: str, seeds: Iterable[int]) -> Outcome | None:
    """Return the first seed that fails with one of the mutants, if any does."""
    with quiet():
        for seed in seeds:
            outcome = simulate(seed, MUTANTS[mutant])
            if outcome.failures:
                return outcome
    return None


def trace(seed: int, mutant: str | None) -> Outcome:
    """Run one seed and print every step of it, with the gateway's own log."""
    import logging

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("              log: %(levelname)s %(message)s"))
    logger = logging.getLogger("playsmart_gateway")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return simulate(seed, MUTANTS[mutant] if mutant else None, tell=print)
