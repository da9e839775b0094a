r"""A batch as bytes: what the journal keeps on disk and what travels through NATS.

Layout. All integers are little-endian; texts are UTF-8.

    record   = mark F5 50 53 48 (4), length of what follows the CRC (4), CRC-32 of that (4),
               identity (16), sequence (8), received_at (8), count (4), kind (1),
               lengths of source, game_id and user_id (3 x 2), source, game_id, user_id, rows
    kind     = 0 events, 1 session

The mark is the layout, too. With F5 50 53 49 there are the key of a run (24) and the number of the
first event in it (8) behind the kind; with F5 50 53 4A there is, besides, the length of ``about``
as JSON (2) behind that number, and the JSON before the rows. Records of the first layout, F5 50 53
47, have no kind and are read for ever; their rows tell it. The byte F5 never occurs in UTF-8, so
the next record after a broken one can be found by its mark.

Every mark begins with F5 50 53. In each layout that comes after these the CRC is that of the mark,
too, so that a flipped bit makes no record of a later gateway. Such a record, or one whose kind or
``about`` is not known here, is no batch, and ends where it says.
"""

import re
import struct
import zlib

import msgspec

from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import (
    EVENTS,
    MAX_SEQ,
    RUN_KEY_BYTES,
    SESSION,
    Batch,
    Kind,
)
from playsmart_gateway.events.sessions import kind_told_by

MARK = b"\xf5PSH"
OLD_MARK = b"\xf5PSG"
RUN_MARK = b"\xf5PSI"
ABOUT_MARK = b"\xf5PSJ"
_FAMILY = MARK[:3]
_MARKS = re.compile(b"%b." % _FAMILY, re.DOTALL)
_BEFORE_A_MARK = re.compile(b"(?=%b)" % _MARKS.pattern)
_FRAME = struct.Struct("<4sII")
_NAME = struct.Struct("<16sQ")
_HEADER = struct.Struct("<16sQQIBHHH")
_OLD_HEADER = struct.Struct("<16sQQIHHH")
_RUN_HEADER = struct.Struct(f"<16sQQIB{RUN_KEY_BYTES}sQHHH")
_ABOUT_HEADER = struct.Struct(f"<16sQQIB{RUN_KEY_BYTES}sQHHHH")
_HEADERS = {
    MARK: _HEADER,
    OLD_MARK: _OLD_HEADER,
    RUN_MARK: _RUN_HEADER,
    ABOUT_MARK: _ABOUT_HEADER,
}
_CODES: dict[Kind, int] = {EVENTS: 0, SESSION: 1}
_KINDS = {code: kind for kind, code in _CODES.items()}
_encode_about = msgspec.json.Encoder().encode
_decode_about = msgspec.json.Decoder(About).decode


def encode(batch: Batch) -> tuple[bytes, bytes]:
    """Return the record of a batch that has its name, in two parts: what precedes rows, and rows.

    ``journal`` must be 32 hexadecimal digits, and each text at most 65,535 bytes, as JSON too.
    """
    rows, run, about = batch.rows, batch.run, b""
    source, game, user = batch.source.encode(), batch.game_id.encode(), batch.user_id.encode()
    identity, kind = bytes.fromhex(batch.journal), _CODES[batch.kind]
    if not run:  # written out, as nearly all are and each star costs a quarter of a call
        mark = MARK
        fixed = _HEADER.pack(
            identity, batch.sequence, batch.received_at, batch.count, kind,
            len(source), len(game), len(user),
        )  # fmt: skip
    else:
        sizes = len(source), len(game), len(user)
        plain = identity, batch.sequence, batch.received_at, batch.count, kind, run, batch.seq
        if batch.about is None:
            mark, fixed = RUN_MARK, _RUN_HEADER.pack(*plain, *sizes)
        else:
            about = _encode_about(batch.about)
            mark, fixed = ABOUT_MARK, _ABOUT_HEADER.pack(*plain, len(about), *sizes)
    head = b"".join((fixed, source, game, user, about))
    checksum = zlib.crc32(rows, zlib.crc32(head))
    return _FRAME.pack(mark, len(head) + len(rows), checksum) + head, rows


def decode(content: bytes) -> Batch | None:
    """Return the batch whose record ``content`` is; None if it is anything else."""
    batch, end = decode_at(content, 0)
    return batch if end == len(content) else None


def is_of_later_version(content: bytes) -> bool:
    """Whether that is one whole record that only a later gateway can read."""
    batch, end = decode_at(content, 0)
    return batch is None and 0 < end == len(content)


def decode_at(content: bytes, place: int) -> tuple[Batch | None, int]:
    """Return the batch at ``place`` and where its record ends.

    None and ``place`` if no valid record is there; None and its end if a later gateway wrote it.
    """
    start = place + _FRAME.size
    if start > len(content):
        return None, place
    mark, length, checksum = _FRAME.unpack_from(content, place)
    end = start + length
    header = _HEADERS.get(mark)
    if end > len(content) or not mark.startswith(_FAMILY):
        return None, place
    own = 0 if header else zlib.crc32(mark)
    if zlib.crc32(memoryview(content)[start:end], own) != checksum:
        return None, place
    if header is None:
        return None, end
    if length < header.size:
        return None, place
    identity, sequence, received_at, count, *more, source_size, game_size, user_size = (
        header.unpack_from(content, start)
    )
    lengths = (source_size, game_size, user_size)
    about_size = more.pop() if mark == ABOUT_MARK else 0
    at = start + header.size
    texts = []
    if at + sum(lengths) + about_size > end:
        return None, place
    try:
        for size in lengths:
            texts.append(content[at : at + size].decode())
            at += size
    except UnicodeDecodeError:
        return None, place
    source, game_id, user_id = texts
    rows = content[at + about_size : end]
    kind = _KINDS.get(more[0]) if more else kind_told_by(source, rows)
    if kind is None or (more[1:] and more[2] > MAX_SEQ):
        return None, end
    name = identity.hex(), sequence
    batch = Batch(source, game_id, user_id, count, rows, *name, received_at, kind, *more[1:])
    if about_size:
        batch.about = _about(content[at : at + about_size], count)
        if batch.about is None:
            return None, end
    return batch, end


def _about(content: bytes, count: int) -> About | None:
    """Return what is said of a batch of ``count`` events; None if nothing can say that."""
    try:
        about = _decode_about(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return about if about.fits(count) else None


def written_name(journal: str, sequence: int) -> bytes:
    """Return the bytes of a batch's name in its record, behind the CRC."""
    return _NAME.pack(bytes.fromhex(journal), sequence)


def owner_of_broken(part: bytes) -> bytes | None:
    """Return the ``user_id`` of a record that may be broken; None where none can be read."""
    start = _FRAME.size
    header = _HEADERS.get(part[: len(MARK)])
    if header is None or len(part) < start + header.size:
        return None
    *_, source, game, user = header.unpack_from(part, start)
    at = start + header.size + source + game
    return part[at : at + user]


def next_record(content: bytes, place: int) -> int:
    """Return where the next valid record begins at or after ``place``; the end if nowhere."""
    while (found := _MARKS.search(content, place)) is not None:
        place = found.start()
        if decode_at(content, place)[1] > place:
            return place
        place += 1
    return len(content)


def split_at_marks(content: bytes) -> list[bytes]:
    """Cut before each mark: what precedes the first, and records, be they broken or not."""
    return _BEFORE_A_MARK.split(content)
