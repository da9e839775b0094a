import zlib
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import MAX_SEQ, TEAK, Batch, Kind
from playsmart_gateway.events.codec import (
    ABOUT_MARK,
    MARK,
    OLD_MARK,
    RUN_MARK,
    decode,
    decode_at,
    encode,
    is_of_later_version,
    next_record,
    owner_of_broken,
    split_at_marks,
    written_name,
)
from tests.support.doubles import make_batch

MARKS = MARK, OLD_MARK, RUN_MARK, ABOUT_MARK
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=256)
short_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
abouts = st.builds(
    About,
    sent_at=st.none() | st.integers(-(2**57), 2**57),
    client=st.none() | st.tuples(*[short_texts] * 4).map(lambda texts: Program(*texts)),
    refused=st.sets(st.integers(0, 199)).map(sorted).map(tuple),
)
runs = st.tuples(st.binary(min_size=24, max_size=24), st.integers(0, 2**53 - 1), st.none() | abouts)


def of_a_run(run: tuple[bytes, int, About | None], count: int, **fields: Any) -> Batch:
    key, seq, about = run
    count = count if about is None else max([count, *about.refused])
    return Batch(**fields, count=count, run=key, seq=seq, about=about)


batches = st.builds(
    of_a_run,
    run=st.just((b"", 0, None)) | runs,
    source=texts,
    game_id=texts,
    user_id=texts,
    count=st.integers(1, 256),
    rows=st.binary(max_size=300),
    journal=st.binary(min_size=16, max_size=16).map(bytes.hex),
    sequence=st.integers(0, 2**64 - 1),
    received_at=st.integers(0, 2**64 - 1),
    kind=st.sampled_from(get_args(Kind)),
)


def record_of(batch: Batch) -> bytes:
    return b"".join(encode(batch))


@given(batches)
def test_any_batch_comes_back_as_it_was(batch: Batch) -> None:
    assert decode(record_of(batch)) == batch


@given(st.binary(max_size=200))
def test_garbage_is_no_batch(content: bytes) -> None:
    assert decode(content) is None
    assert decode(MARK + content) is None
    assert decode(RUN_MARK + content) is None
    assert decode(ABOUT_MARK + content) is None


@given(batches)
def test_a_run_costs_32_bytes_and_a_batch_without_one_nothing(batch: Batch) -> None:
    plain = msgspec.structs.replace(batch, run=b"", seq=0)
    without, record = record_of(plain), record_of(batch)
    assert without.startswith(MARK)
    if batch.about is not None:
        assert record.startswith(ABOUT_MARK)
        said = len(msgspec.json.encode(batch.about))
        assert len(record) == len(without) + 32 + 2 + said
        bare = record_of(msgspec.structs.replace(batch, about=None))
        assert bare.startswith(RUN_MARK)
    elif batch.run:
        assert record.startswith(RUN_MARK)
        assert len(record) == len(without) + 32
    else:
        assert record == without


@given(batches, st.data())
def test_a_record_with_any_bit_flipped_cut_or_extended_is_no_batch(
    batch: Batch, data: st.DataObject
) -> None:
    record = bytearray(record_of(batch))
    assert decode(bytes(record[: data.draw(st.integers(0, len(record) - 1))])) is None
    assert decode(bytes(record) + b"x") is None
    bit = data.draw(st.integers(0, len(record) * 8 - 1))
    record[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(record)) is None


def sealed(body: bytes, mark: bytes = MARK) -> bytes:
    """What somebody else could have put a right checksum on."""
    return mark + len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


@given(st.binary(max_size=120))
def test_a_right_checksum_does_not_make_a_batch(body: bytes) -> None:
    for mark in (MARK, RUN_MARK):
        found = decode(sealed(body, mark))
        assert found is None or record_of(found) == sealed(body, mark)
    found = decode(sealed(body, ABOUT_MARK))
    assert found is None or decode(record_of(found)) == found


def test_texts_that_are_longer_than_the_record_or_no_utf_8_are_no_batch() -> None:
    head, rows = encode(make_batch(1))
    body = (head + rows)[12:]
    lengths = 16 + 8 + 8 + 4 + 1
    too_long = body[:lengths] + b"\xff\xff" + body[lengths + 2 :]
    assert decode(sealed(too_long)) is None
    not_text = body[: lengths + 6] + b"\xff" + body[lengths + 7 :]
    assert decode(sealed(not_text)) is None


def test_the_next_record_is_found_behind_a_broken_one() -> None:
    good = record_of(make_batch(1))
    broken = good[:20] + b"?" + good[21:]
    assert decode_at(broken + good, 0)[0] is None
    assert next_record(broken + good, 0) == len(broken)
    assert next_record(broken, 1) == len(broken)
    assert next_record(broken + broken + good, 1) == 2 * len(broken), "broken ones in a row, too"


def of_unknown_kind(batch: Batch) -> bytes:
    """What a later gateway may write."""
    body = bytearray(record_of(batch)[12:])
    body[16 + 8 + 8 + 4] = 99
    return sealed(bytes(body))


def test_a_record_of_an_unknown_kind_is_no_batch_and_ends_where_it_says() -> None:
    good, unknown = record_of(make_batch(1)), of_unknown_kind(make_batch(2))
    assert decode(unknown) is None
    content = good + unknown + good
    batch, place = decode_at(content, len(good))
    assert batch is None
    assert place == len(good) + len(unknown)
    assert decode_at(content, place)[0] == make_batch(1)
    assert next_record(content, 1) == len(good)


@given(st.binary(min_size=1, max_size=1), st.binary(max_size=100))
def test_a_whole_record_of_an_unknown_mark_is_told_from_a_broken_one(
    last: bytes, body: bytes
) -> None:
    mark = MARK[:3] + last
    assume(mark not in MARKS)
    unknown = (
        mark
        + len(body).to_bytes(4, "little")
        + zlib.crc32(mark + body).to_bytes(4, "little")
        + body
    )
    assert is_of_later_version(unknown)
    assert decode_at(unknown + b"x", 0) == (None, len(unknown))
    assert next_record(b"x" + unknown, 0) == 1
    for broken in (unknown[:-1], unknown + b"x", unknown[:8] + b"????" + body, b"?" + unknown[1:]):
        assert broken == unknown or not is_of_later_version(broken)
    assert not is_of_later_version(sealed(body, mark)), "a flipped bit in a mark of today"


def test_nothing_and_what_can_be_read_is_of_no_later_version() -> None:
    assert not is_of_later_version(b"")
    assert not is_of_later_version(record_of(make_batch(1)))
    assert is_of_later_version(of_unknown_kind(make_batch(1)))


def test_a_number_that_no_client_can_say_is_no_batch_and_ends_where_it_says() -> None:
    highest = msgspec.structs.replace(make_batch(1), run=b"r" * 24, seq=MAX_SEQ)
    assert decode(record_of(highest)) == highest
    beyond = record_of(msgspec.structs.replace(highest, seq=MAX_SEQ + 1))
    assert decode_at(beyond + b"x", 0) == (None, len(beyond))


@pytest.mark.parametrize(
    "said",
    [
        b"", b"x", b"[]", b'{"sent_at":"now"}', b'{"client":["unity"]', b'{"client":"unity"}',
        b'{"refused":[-1]}', b'{"refused":[256]}', b'{"refused":[1,0]}', b'{"refused":[1,1]}',
        b'{"refused":[0,4]}', b'{"refused":[0,1,9]}', b'{"client":["\xff","","",""]}', b"[" * 5_000,
    ],
)  # fmt: skip
def test_what_nobody_says_of_two_events_is_no_batch_and_ends_where_it_says(said: bytes) -> None:
    batch = msgspec.structs.replace(make_batch(1), run=b"r" * 24, about=About(refused=(0, 2)))
    batch.count = 2
    known = msgspec.json.encode(batch.about)
    body, length = record_of(batch)[12:], len(known).to_bytes(2, "little")
    place = 16 + 8 + 8 + 4 + 1 + 24 + 8
    assert body[place : place + 2] == length
    assert decode(sealed(body, ABOUT_MARK)) == batch
    changed = body[:place] + len(said).to_bytes(2, "little") + body[place + 2 :]
    record = sealed(changed.replace(known, said), ABOUT_MARK)
    found, end = decode_at(record + b"x", 0)
    assert end == len(record)
    assert found == (None if said else msgspec.structs.replace(batch, about=None))


def test_what_is_said_and_longer_than_the_record_is_no_batch() -> None:
    batch = Batch("", "", "", 1, b"", "11" * 16, 1, run=b"r" * 24, about=About())
    body = record_of(batch)[12:]
    place = 16 + 8 + 8 + 4 + 1 + 24 + 8
    longer = body[:place] + b"\x03\x00" + body[place + 2 :]
    assert decode_at(sealed(longer, ABOUT_MARK), 0) == (None, 0)
    assert decode(sealed(longer + b" ", ABOUT_MARK)) == batch


def test_members_that_a_later_gateway_says_besides_are_passed_over() -> None:
    batch = msgspec.structs.replace(make_batch(1), run=b"r" * 24, about=About(sent_at=1))
    known, more = b'{"sent_at":1}', b'{"battery":9,"sent_at":1}'
    body = record_of(batch)[12:].replace(known, more)
    body = body.replace(len(known).to_bytes(2, "little"), len(more).to_bytes(2, "little"), 1)
    assert decode(sealed(body, ABOUT_MARK)) == batch


def test_the_kind_of_an_old_record_is_told_by_its_rows_and_of_a_newer_one_by_itself() -> None:
    rows = b'[["Played",null,"2026-04-22T14:30:00Z",{"session_id":"s"}]]'
    events = Batch(TEAK, "app", "ada", 1, rows, "11" * 16, 1)
    record = record_of(events)
    assert decode(record) == events
    old = record[12 : 12 + 36] + record[12 + 37 :]  # it had no kind
    session = msgspec.structs.replace(events, kind="session")
    assert decode(sealed(old, OLD_MARK)) == session


@given(st.binary(max_size=120))
def test_a_right_checksum_does_not_make_a_batch_of_an_old_record_either(body: bytes) -> None:
    found = decode(sealed(body, OLD_MARK))
    assert found is None or decode(record_of(found)) == found


@given(st.lists(st.sampled_from([*MARKS, b"\xf5P", b"x", b""]), max_size=6))
def test_nothing_is_lost_where_content_is_cut_at_the_marks(pieces: list[bytes]) -> None:
    first, *records = split_at_marks(b"".join(pieces))
    assert b"".join([first, *records]) == b"".join(pieces)
    assert not any(mark in first for mark in MARKS)
    for each in records:
        assert each.startswith(MARKS)
        assert sum(each.count(mark) for mark in MARKS) == 1


@given(batches)
def test_a_record_is_known_by_its_name_and_its_player_though_it_is_broken(batch: Batch) -> None:
    record = record_of(batch)
    assert record.startswith(written_name(batch.journal, batch.sequence), 12)
    broken = record[:8] + b"????" + record[12:]
    assert owner_of_broken(broken) == batch.user_id.encode()
    if not batch.run:
        old = OLD_MARK + broken[4 : 12 + 36] + broken[12 + 37 :]  # it had no kind
        assert owner_of_broken(old) == batch.user_id.encode()


def test_nobody_owns_what_has_no_whole_header() -> None:
    whole = 12 + 16 + 8 + 8 + 4 + 1 + 2 * 3
    record = record_of(make_batch(1))
    assert owner_of_broken(record[:whole]) == b""
    assert owner_of_broken(record[: whole - 1]) is None
    assert owner_of_broken(b"garb" + record[4:]) is None
    assert owner_of_broken(b"") is None


def test_a_record_with_nothing_but_its_header_is_a_batch() -> None:
    empty = Batch("", "", "", 1, b"", "11" * 16, 1)
    assert decode(record_of(empty)) == empty
    assert decode_at(b"x" + record_of(empty), 1) == (empty, 1 + len(record_of(empty)))
