"""Few files of many: what a question costs goes by their number as well as by their size.

While a day goes on, files of about one size are merged when there are ``FANOUT`` of them, so each
event is written a few times at most. When the day is over its small files are packed together. A
file that is full is left alone. One merge a step: it is in memory as a whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from playsmart_gateway.lake.manifest import File, Manifest, with_files
from playsmart_gateway.lake.place import Place
from playsmart_gateway.lake.tables import in_order, joined, read, write

FULL_EVENTS = 250_000
FULL_BYTES = 268_435_456
"""No file gets more than that by merging, and one with half of either is left alone.

Bytes are those in memory: a client can send what takes a thousandth of that in a file.
"""

FANOUT = 8
LINGER_SECONDS = 3_600
"""Behind the end of a day, for what was received in it and stored later."""


def compact(place: Place, manifest: Manifest, now: float | None) -> Manifest | None:
    """Write one file of several, and return the manifest with it; None if nothing is due.

    While the lake is behind its store nobody knows which days are over: ``now`` is None then.

    Raises:
        LakeError: the lake cannot be reached.
    """
    today = ""
    if now is not None:
        today = datetime.fromtimestamp(now - LINGER_SECONDS, UTC).date().isoformat()
    merging = due(manifest.files, today)
    if not merging:
        return None
    tables = [(read(place, each), manifest.properties[each.properties]) for each in merging]
    table, properties = joined(tables)
    file = msgspec.structs.replace(
        merging[0],
        first=min(each.first for each in merging),
        last=max(each.last for each in merging),
        version=manifest.version + 1,
    )
    written = write(place, file, in_order(table))
    rest = [each for each in manifest.files if each not in merging]
    return with_files(manifest, rest, [(written, properties)])


def due(files: Iterable[File], today: str) -> list[File]:
    """Return files to merge into one, of one game and day; none if nothing is due."""
    partitions: dict[tuple[str, str], list[File]] = defaultdict(list)
    for each in files:
        if 2 * each.events < FULL_EVENTS and 2 * each.plain < FULL_BYTES:
            partitions[each.game_id, each.day].append(each)
    for (_, day), small in partitions.items():
        if day < today:
            if len(found := _packed(small)) > 1:
                return found
            continue
        sizes: dict[int, list[File]] = defaultdict(list)
        for each in small:
            sizes[each.events.bit_length() // 3].append(each)
        for alike in sizes.values():
            if len(alike) >= FANOUT and len(found := _packed(alike)) > 1:
                return found
    return []


def _packed(files: Sequence[File]) -> list[File]:
    """Return the first files that are one full file together, or all."""
    found: list[File] = []
    events = size = 0
    for each in sorted(files, key=lambda file: file.first):
        events, size = events + each.events, size + each.plain
        if found and (events > FULL_EVENTS or size > FULL_BYTES):
            break
        found.append(each)
    return found
