"""What ``Clearing.clear`` is in plain Python."""

from typing import TYPE_CHECKING

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.clearing import Traces

if TYPE_CHECKING:
    from playsmart_gateway.stores.memory.store import MemorySink


def clear(store: "MemorySink", traces: Traces, *, dry_run: bool) -> dict[str, int]:
    """Remove it, or only count."""

    def is_theirs(batch: Batch) -> bool:
        return batch.game_id == traces.game_id or traces.made(batch.user_id)

    stored = [batch for batch, _ in store.batches.values()]
    doomed = [each for each in store.batches.values() if is_theirs(each[0])]
    letters = [key for key, (batch, _) in store.dead_letters.items() if is_theirs(batch)]
    elsewhere = {batch.user_id for batch in stored if not is_theirs(batch)}
    gone = {batch.user_id for batch, _ in doomed} - elsewhere
    entries = [entry for entry in store.ledger if entry.user_id in gone]
    cleared = {
        "event_rows": sum(row is not None for _, rows in doomed for row in rows),
        "players": len(gone & store.profiles.keys()),
        "coin_entries": len(entries),
        "batches": len(doomed),
        "dead_letters": len(letters),
        "runs": 0,
    }
    senders = {batch.user_id for batch, _ in doomed}
    senders |= {store.dead_letters[key][0].user_id for key in letters}
    games = {batch.game_id for batch, _ in doomed} | {traces.game_id}
    for user_id in senders:
        of = games if traces.made(user_id) else {traces.game_id}
        cleared["runs"] += store.runs.erase(user_id, of, dry_run=dry_run)
    if dry_run:
        return cleared
    store.ledger = [entry for entry in store.ledger if entry not in entries]
    for batch, rows in doomed:
        rows[:] = [None] * len(rows)
        batch.user_id = batch.game_id = ""
    for key in letters:
        del store.dead_letters[key]
    for user_id in gone:
        store.profiles.pop(user_id, None)
    return cleared
