r"""A batch as bytes: what the journal keeps on disk and what travels through NATS.

Layout. All integers are little-endian; texts are UTF-8.

    record   = mark F5 50 53 47 (4), length of what follows the CRC (4), CRC-32 of that (4),
               identity (16), sequence (8), received_at (8), count (4),
               lengths of source, game_id and user_id (3 x 2), source, game_id, user_id, rows

The mark is the version, too: another layout would begin with another one. The byte F5 never occurs
in UTF-8, so the next record after a broken one can be found by its mark.
"""

import struct
import zlib

from playsmart_gateway.events.batch import Batch

MARK = b"\xf5PSG"
_FRAME = struct.Struct("<4sII")
_HEADER = struct.Struct("<16sQQIHHH")


def encode(batch: Batch) -> tuple[bytes, bytes]:
    """Return the record of a batch that has its name, in two parts: what precedes rows, and rows.

    ``journal`` must be 32 hexadecimal digits, and each text at most 65,535 bytes.
    """
    source, game, user = batch.source.encode(), batch.game_id.encode(), batch.user_id.encode()
    head = _HEADER.pack(
        bytes.fromhex(batch.journal), batch.sequence, batch.received_at, batch.count,
        len(source), len(game), len(user),
    )  # fmt: skip
    head += source + game + user
    checksum = zlib.crc32(batch.rows, zlib.crc32(head))
    return _FRAME.pack(MARK, len(head) + len(batch.rows), checksum) + head, batch.rows


def decode(content: bytes) -> Batch | None:
    """Return the batch whose record ``content`` is; None if it is anything else."""
    batch, end = decode_at(content, 0)
    return batch if end == len(content) else None


def decode_at(content: bytes, place: int) -> tuple[Batch | None, int]:
    """Return the batch at ``place`` and where its record ends; None if no valid one is there."""
    start = place + _FRAME.size
    if start > len(content):
        return None, place
    mark, length, checksum = _FRAME.unpack_from(content, place)
    end = start + length
    if mark != MARK or length < _HEADER.size or end > len(content):
        return None, place
    if zlib.crc32(memoryview(content)[start:end]) != checksum:
        return None, place
    identity, sequence, received_at, count, *lengths = _HEADER.unpack_from(content, start)
    at = start + _HEADER.size
    texts = []
    if at + sum(lengths) > end:
        return None, place
    try:
        for size in lengths:
            texts.append(content[at : at + size].decode())
            at += size
    except UnicodeDecodeError:
        return None, place
    source, game_id, user_id = texts
    rows = content[at:end]
    batch = Batch(source, game_id, user_id, count, rows, identity.hex(), sequence, received_at)
    return batch, end


def owner_of_broken(part: bytes) -> bytes | None:
    """Return the ``user_id`` of a record that may be broken; None where none can be read."""
    start = _FRAME.size
    if not part.startswith(MARK) or len(part) < start + _HEADER.size:
        return None
    *_, source, game, user = _HEADER.unpack_from(part, start)
    at = start + _HEADER.size + source + game
    return part[at : at + user]


def next_record(content: bytes, place: int) -> int:
    """Return where the next valid record begins at or after ``place``; the end if nowhere."""
    while (place := content.find(MARK, place)) >= 0:
        if decode_at(content, place)[0] is not None:
            return place
        place += 1
    return len(content)
