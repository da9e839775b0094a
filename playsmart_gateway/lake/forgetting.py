"""Takes a player, or old events, out of the files.

A file that has some of it is written anew without, under another name, and the old one is removed
when the manifest says so. So is what died before it came into a manifest, as it may have the same.
Who asks has the turn of the store from the beginning to the end.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
import pyarrow
from pyarrow import compute

from playsmart_gateway.lake.manifest import (
    File,
    Properties,
    commit,
    load,
    sweep_of_any_store,
    with_files,
)
from playsmart_gateway.lake.place import Place
from playsmart_gateway.lake.tables import read, write
from playsmart_gateway.stores.clearing import Traces

FILES_PER_COMMIT = 50
"""Written anew before those in whose place they are go: who dies in between begins here again."""


class _Doomed(NamedTuple):
    """What is to go: in which files some may be or all is, and which rows by which columns."""

    may_have: Callable[[File], bool]
    all_of: Callable[[File], bool]
    columns: Sequence[str]
    rows: Callable[[pyarrow.Table], pyarrow.ChunkedArray]


def count_player(place: Place, user_id: str) -> int:
    """Return how many events of a player there are.

    Raises:
        LakeError: the lake cannot be read.
    """
    return _count(place, _player(user_id))


def erase_player(place: Place, user_id: str) -> int:
    """Take every event of a player out, and return how many there were.

    Raises:
        LakeError: the lake cannot be written now; what is left is found by calling it again.
    """
    return _take_out(place, _player(user_id))


def clear(place: Place, traces: Traces, *, dry_run: bool) -> int:
    """Take a game and made-up players out, and return how many events that were.

    With ``dry_run`` they are only counted.

    Raises:
        LakeError: the lake cannot be written now; what is left is found by calling it again.
    """
    doomed = _Doomed(
        lambda file: True,
        lambda file: file.game_id == traces.game_id,
        ["user_id"],
        lambda table: compute.starts_with(table["user_id"], traces.players),
    )
    if dry_run:
        return _count(place, doomed)
    taken = _take_out(place, doomed)
    manifest = load(place)
    if manifest is not None and traces.game_id in manifest.games:
        games = {name: each for name, each in manifest.games.items() if name != traces.game_id}
        commit(place, manifest, msgspec.structs.replace(manifest, games=games))
    return taken


def expire(
    place: Place, before: datetime, game_id: str | None, type_: str | None, *, dry_run: bool
) -> int:
    """Delete the events that were received before then, and return how many they are.

    ``game_id`` and ``type_`` say of which game and type, if not of all. With ``dry_run`` they are
    only counted.

    Raises:
        LakeError: the lake cannot be written now; what is left is found by calling it again.
    """
    last = before.date()

    def rows(table: pyarrow.Table) -> pyarrow.ChunkedArray:
        at = table["received_at"]
        found = compute.less(at, pyarrow.scalar(before, at.type))
        return found if type_ is None else compute.and_(found, compute.equal(table["type"], type_))

    doomed = _Doomed(
        lambda file: file.day <= last.isoformat() and game_id in (None, file.game_id),
        lambda file: type_ is None and date.fromisoformat(file.day) + timedelta(1) <= last,
        ["received_at", "type"],
        rows,
    )
    return _count(place, doomed) if dry_run else _take_out(place, doomed)


def _player(user_id: str) -> _Doomed:
    return _Doomed(
        lambda file: True,
        lambda file: False,
        ["user_id"],
        lambda table: compute.equal(table["user_id"], user_id),
    )


def _count(place: Place, doomed: _Doomed) -> int:
    manifest = load(place)
    return sum(
        file.events if doomed.all_of(file) else _rows_in(place, file, doomed)
        for file in (() if manifest is None else manifest.files)
        if doomed.may_have(file)
    )


def _rows_in(place: Place, file: File, doomed: _Doomed) -> int:
    return compute.sum(doomed.rows(read(place, file, doomed.columns))).as_py() or 0


def _take_out(place: Place, doomed: _Doomed) -> int:
    manifest = load(place)
    if manifest is None:
        return 0
    manifest = sweep_of_any_store(place, manifest)
    taken, gone = 0, set[str]()
    new: list[tuple[File, Properties]] = []
    sets = manifest.properties
    suspects = [each for each in manifest.files if doomed.may_have(each)]
    for number, file in enumerate(suspects, 1):
        rows = file.events if doomed.all_of(file) else _rows_in(place, file, doomed)
        if rows:
            taken += rows
            gone.add(file.name)
        if 0 < rows < file.events:
            table = read(place, file)
            kept = table.filter(compute.invert(doomed.rows(table)))
            fresh = msgspec.structs.replace(file, version=manifest.version + 1)
            new.append((write(place, fresh, kept), sets[file.properties]))
        if gone and (number % FILES_PER_COMMIT == 0 or number == len(suspects)):
            staying = [each for each in manifest.files if each.name not in gone]
            manifest = commit(place, manifest, with_files(manifest, staying, new))
            gone, new = set(), []
    return taken
