"""The judge: compares what clients were told with what is in the store at the end of all lives."""

from collections import defaultdict
from collections.abc import Sequence

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import picked
from tests.campaigns.simulation.check_runs import check_runs
from tests.campaigns.simulation.ledger import (
    GAME,
    Attempt,
    numbers_in,
    places_in,
)
from tests.campaigns.simulation.world import World


def check(world: World) -> None:
    """Add to ``world.failures`` every promise that was broken."""
    found = _found(world)
    uncut = set(numbers_in(world.medium.uncut))
    for attempt in world.ledger.attempts:
        times = len(found[attempt.number])
        if times > 1:
            world.failures.append(f"stored {times} times: {attempt}")
        elif times and attempt.outcome in ("refused", "not sent"):
            if attempt.tag == "journal_unavailable" and attempt.number in uncut:
                world.ledger.excused["refused, but could not be cut off, and came back"] += 1
            else:
                world.failures.append(f"stored, but never accepted: {attempt}")
        elif not times and not attempt.run and attempt.outcome == "acknowledged":
            _check_missing(world, attempt)
    check_runs(world, found, _check_missing)
    _check_order(world, uncut)
    _check_journal(world)


def _found(world: World) -> dict[int, list[Sequence[int]]]:
    """Which places of each attempt are in the store, each time it is there."""
    found: dict[int, list[Sequence[int]]] = defaultdict(list)
    attempts = world.ledger.attempts
    kinds = [("rows", batch) for batch in world.store.rows.values()]
    kinds += [("dead letters", batch) for batch in world.store.dead_letters.values()]
    for kind, batch in kinds:
        if batch.run and not batch.count:  # nothing of it was new
            continue
        places = places_in(batch.rows)
        attempt = attempts[places[0][0]] if places else None
        if attempt is None or not _is_of(attempt, batch, [place for _, place in places]):
            world.failures.append(f"something that nobody sent is among the {kind}: {batch}")
            continue
        found[attempt.number].append([place for _, place in places])
        if (kind == "dead letters") != attempt.poisoned:
            world.failures.append(f"among the {kind}: {attempt}")
    return found


def _is_of(attempt: Attempt, batch: Batch, places: Sequence[int]) -> bool:
    """Whether a batch is an attempt as it was sent, or what is left of one that is of a run."""
    rows = attempt.rows
    if attempt.run and len(places) < attempt.count:
        rows = picked(rows, attempt.count, sorted(places)) or rows
    return (batch.source, batch.game_id, batch.user_id, batch.run, batch.count, batch.rows) == (
        "playsmart", GAME, attempt.client, attempt.run, len(places), rows,
    )  # fmt: skip


def _check_missing(world: World, attempt: Attempt) -> None:
    if attempt.number in world.ledger.flipped:
        world.ledger.excused["bit flipped"] += 1
    elif reason := world.ledger.may_miss.get(attempt.number):
        world.ledger.excused[f"power cut: {reason}"] += 1
    else:
        world.failures.append(f"acknowledged at {attempt.at:.6f}, but not stored: {attempt}")


def _check_order(world: World, uncut: set[int]) -> None:
    """Clients send one batch after the other, so their numbers must rise.

    What was refused, could not be cut off and came back is late; its client may not even have
    heard of the refusal, if it had hung up.
    """
    latest: dict[str, int] = {}
    for batch in world.store.rows.values():
        for number, _ in places_in(batch.rows)[:1]:
            if number in uncut and world.ledger.attempts[number].outcome != "acknowledged":
                continue
            if number < latest.get(batch.user_id, -1):
                world.failures.append(
                    f"#{number} of {batch.user_id} stored after #{latest[batch.user_id]}"
                )
            latest[batch.user_id] = number


def _check_journal(world: World) -> None:
    """Nothing waits any more, and no damaged byte was thrown away."""
    if world.segments_left:
        world.failures.append(f"all is stored, and yet there are {world.segments_left}")
    files = world.medium.names.items()
    aside = [file.data for name, file in files if name.endswith(".bad")]
    for number, damaged in world.ledger.flipped.items():
        if not any(damaged in content for content in aside):
            world.failures.append(f"a damaged record is in no .bad file: #{number}")
