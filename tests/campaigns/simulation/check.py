"""The judge: compares what clients were told with what is in the store at the end of all lives."""

from collections import defaultdict

from playsmart_gateway.events.batch import Batch
from tests.campaigns.simulation.ledger import (
    Attempt,
    numbers_in,
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
        elif not times and attempt.outcome == "acknowledged":
            _check_missing(world, attempt)
    _check_order(world, uncut)
    _check_journal(world)


def _found(world: World) -> dict[int, list[str]]:
    """Where each attempt is in the store, by its number."""
    found: dict[int, list[str]] = defaultdict(list)
    attempts = world.ledger.attempts
    places = [("rows", batch) for batch in world.store.rows.values()]
    places += [("dead letters", batch) for batch in world.store.dead_letters.values()]
    for place, batch in places:
        numbers = list(numbers_in(batch.rows))
        if len(numbers) != 1 or not _is_whole(attempts[numbers[0]], batch):
            world.failures.append(f"something that nobody sent is among the {place}: {batch}")
            continue
        found[numbers[0]].append(place)
        if (place == "dead letters") != attempts[numbers[0]].poisoned:
            world.failures.append(f"among the {place}: {attempts[numbers[0]]}")
    return found


def _is_whole(attempt: Attempt, batch: Batch) -> bool:
    return (batch.source, batch.game_id, batch.user_id, batch.count, batch.rows) == (
        "playsmart", "game", attempt.client, attempt.count, attempt.rows,
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
        for number in numbers_in(batch.rows):
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
