"""The judge of runs: each number once, no gap but where nothing came, repeats counted as such."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from playsmart_gateway.events.intervals import Span
from tests.campaigns.simulation.ledger import Attempt
from tests.campaigns.simulation.world import World

_decode_gaps = msgspec.json.Decoder(list[Span]).decode


def check_runs(
    world: World,
    found: Mapping[int, Sequence[Sequence[int]]],
    check_missing: Callable[[World, Attempt], None],
) -> None:
    """Add to ``world.failures`` what is not right with the runs.

    ``found`` are the places of each attempt that are in the store; ``check_missing`` looks whether
    an attempt that is not whole there has an excuse.
    """
    stored: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    attempts = [attempt for attempt in world.ledger.attempts if attempt.run]
    for attempt in attempts:
        for places in found.get(attempt.number, ()):
            stored[attempt.run].update(attempt.first + place for place in places)
    for attempt in attempts:
        numbers = range(attempt.first, attempt.first + attempt.count)
        if attempt.outcome == "acknowledged" and any(
            number not in stored[attempt.run] for number in numbers
        ):
            check_missing(world, attempt)
    for run, each in stored.items():
        if doubled := [number for number, times in each.items() if times > 1]:
            world.failures.append(f"numbers {doubled} are stored twice: {run.hex()}")
    _check_table(world, stored)
    _check_duplicates(world, attempts, stored)


def _check_table(world: World, stored: Mapping[bytes, Counter[int]]) -> None:
    """What is said to have come is what came."""
    for key, run in world.store.runs.runs.items():
        gaps = _decode_gaps(run.missing) if run.missing else []
        missing = {number for start, end in gaps for number in range(start, end)}
        if set(range(run.next)) - missing != set(stored.get(key, ())):
            world.failures.append(f"{sorted(stored.get(key, ()))} came, and yet: {run}")


def _check_duplicates(
    world: World, attempts: Sequence[Attempt], stored: Mapping[bytes, Counter[int]]
) -> None:
    """Repeats are what was taken less what is stored, or what may have been taken."""
    least, most = Counter[bytes](), Counter[bytes]()
    lossy = world.ledger.may_miss.keys() | world.ledger.flipped.keys()
    for attempt in attempts:
        if attempt.outcome == "acknowledged" and attempt.number not in lossy:
            least[attempt.run] += attempt.count
        if attempt.outcome != "not sent":
            most[attempt.run] += attempt.count
    for key, run in world.store.runs.runs.items():
        came = len(stored.get(key, ()))
        if not least[key] - came <= run.duplicates <= most[key] - came:
            world.failures.append(
                f"{run.duplicates} repeats, not {least[key] - came} to {most[key] - came}: {run}"
            )
