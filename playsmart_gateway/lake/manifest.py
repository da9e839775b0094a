"""What counts of a lake: which files, and up to which event they go.

The manifest is one file, replaced as a whole: so files that were written and the place in the store
up to which they go count together, or not at all. Whoever changes the lake has the turn of the
store (see ``Turns``), reads the manifest, writes files under names that nobody has yet, commits a
manifest with them, and removes what is in it no more. What dies in between leaves files that are in
no manifest; ``sweep`` removes them.

Who only reads takes a manifest and its files. If one of these is gone by then, it was replaced, and
a newer manifest has what was in it.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal
from urllib.parse import quote

import msgspec

from playsmart_gateway.errors import LakeError
from playsmart_gateway.lake.place import Place

MANIFEST = "manifest.json"
FOLDER = "events"
FORMAT = 1

MAX_NAME = 100
"""Characters of a game's folder; the rest of a longer id is a hash."""

Kind = Literal["bool", "int", "float", "text"]
Properties = dict[str, Kind]
"""The properties that are columns, in the order in which they were met."""


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file: events of one game that were received on one day, ``first`` to ``last`` by id.

    ``version`` is that of the manifest which it came with, ``properties`` the place of its columns
    in ``Manifest.properties``, ``size`` its bytes, and ``plain`` those of its table in memory.
    """

    game_id: str
    day: str
    first: int
    last: int
    version: int
    events: int = 0
    size: int = 0
    properties: int = 0
    plain: int = 0

    @property
    def name(self) -> str:
        """Where it is; nobody else has that name, and who writes it again, as he died, has it."""
        folder = f"{FOLDER}/game={folder_of(self.game_id)}/day={self.day}"
        return f"{folder}/{self.first}-{self.last}.{self.version}.parquet"


class Manifest(msgspec.Struct, frozen=True):
    """What counts, and up to which event (``position``) of the store.

    ``whole_batch`` is the last batch of which nothing is missing. ``batch`` is the journal and
    sequence of the batch at ``position``: a store that has another one there is not the one that
    was followed. ``games`` says which properties of a game's events are columns from now on,
    ``properties`` has every such set that a file has.
    """

    format: int = FORMAT
    version: int = 0
    position: int = 0
    whole_batch: int = 0
    batch: tuple[str, int] | None = None
    games: dict[str, Properties] = {}
    properties: tuple[Properties, ...] = ()
    files: tuple[File, ...] = ()

    @property
    def events(self) -> int:
        """How many events are in the files."""
        return sum(each.events for each in self.files)


def folder_of(game_id: str) -> str:
    """Return a game's id as it can be the name of a folder."""
    name = quote(game_id, safe="")
    if len(name) <= MAX_NAME and name not in (".", ".."):
        return name
    told = quote(game_id[:12], safe="")
    return f"{told}~{blake2b(game_id.encode(), digest_size=16).hexdigest()}"


def load(place: Place) -> Manifest | None:
    """Return the manifest; None if there is no lake yet.

    Raises:
        LakeError: it cannot be read, or a newer program wrote it.
    """
    content = place.read(MANIFEST)
    if content is None:
        return None
    try:
        found = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise LakeError(f"{MANIFEST} of the lake is damaged") from error
    if found.format != FORMAT:
        raise LakeError(f"the lake has format {found.format}; upgrade playsmart-gateway")
    return found


def begin(place: Place) -> Manifest:
    """Return the manifest, of a new lake if there is none.

    Raises:
        LakeError: as ``load``; or there are files and no manifest, which may have been years.
    """
    found = load(place)
    if found is None:
        if next(iter(place.names(FOLDER)), None) is not None:
            problem = f"the lake has files and no {MANIFEST}"
            raise LakeError(f"{problem}: bring that back, or move the files away")
        found = Manifest()
        place.put(MANIFEST, msgspec.json.encode(found))
    return found


def commit(place: Place, before: Manifest, now: Manifest) -> Manifest:
    """Have ``now`` in the place of ``before``, and remove the files that count no more.

    Raises:
        LakeError: nothing has changed, but there may be new files; or all has, and files stay that
            ``sweep`` removes; or somebody else had the turn, too, and was faster.
    """
    there = load(place)
    if there is None or there.version != before.version:
        raise LakeError("somebody else changed the lake meanwhile")
    now = msgspec.structs.replace(now, version=before.version + 1)
    place.put(MANIFEST, msgspec.json.encode(now))
    kept = {each.name for each in now.files}
    for each in before.files:
        if each.name not in kept:
            place.remove(each.name)
    return now


def sweep(place: Place, manifest: Manifest) -> None:
    """Remove the files that do not count: whoever calls this has the turn, so they are nobody's."""
    for name in _strays(place, manifest):
        place.remove(name)


def sweep_of_any_store(place: Place, manifest: Manifest) -> Manifest:
    """Remove the files that do not count, and return what then is the manifest.

    Somebody else may write from another store and have another turn: his commit is refused first.
    """
    if doomed := _strays(place, manifest):
        manifest = commit(place, manifest, manifest)
    for name in doomed:
        place.remove(name)
    return manifest


def _strays(place: Place, manifest: Manifest) -> list[str]:
    kept = {each.name for each in manifest.files}
    return [name for name in place.names(FOLDER) if name not in kept]


def with_files(
    manifest: Manifest, kept: Iterable[File], new: Iterable[tuple[File, Properties]]
) -> Manifest:
    """Return the manifest with these files and no others, the ``new`` ones of these properties."""
    places: dict[tuple[tuple[str, Kind], ...], int] = {}
    files = []
    known = [tuple(each.items()) for each in manifest.properties]
    added = ((file, tuple(properties.items())) for file, properties in new)
    for file, properties in [*((each, known[each.properties]) for each in kept), *added]:
        place = places.setdefault(properties, len(places))
        same = place == file.properties
        files.append(file if same else msgspec.structs.replace(file, properties=place))
    sets = tuple(dict(each) for each in places)
    return msgspec.structs.replace(manifest, properties=sets, files=tuple(files))
