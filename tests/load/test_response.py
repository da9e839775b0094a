import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.load.response import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    BadResponse,
    Response,
    ResponseReader,
)

PLAIN = b"HTTP/1.1 202 Accepted\r\nX-Request-ID: 1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;note=x\r\nlo\r\n0\r\n\r\n"
)
WITH_TRAILER = CHUNKED[:-2] + b"Checksum: 7\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
GOODBYE = b"HTTP/1.1 400 Bad\r\nConnection: close\r\ncontent-length: 5\r\n\r\nhello"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello"

WHOLE = [
    (PLAIN, Response(202, b"hello", True)),
    (CHUNKED, Response(503, b"hello", True)),
    (WITH_TRAILER, Response(503, b"hello", True)),
    (INTERIM, Response(202, b"hello", True)),
    (NO_CONTENT, Response(204, b"", True)),
    (GOODBYE, Response(400, b"hello", False)),
    (OLD, Response(200, b"hello", False)),
    (OLD_KEPT, Response(200, b"hello", True)),
]


@pytest.mark.parametrize(("data", "expected"), WHOLE)
def test_a_response_in_one_piece_is_read(data: bytes, expected: Response) -> None:
    assert ResponseReader().feed(data) == expected


@given(st.sampled_from(WHOLE), st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(
    case: tuple[bytes, Response], draw: st.DataObject
) -> None:
    data, expected = case
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(data) - 1), max_size=6)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    reader = ResponseReader()
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    assert reader.feed(pieces[-1]) == expected


def test_one_reader_reads_one_response_after_the_other() -> None:
    reader = ResponseReader()
    for data, expected in WHOLE:
        assert reader.feed(data) == expected


def test_a_response_without_a_length_ends_with_the_connection() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nhel") is None
    assert reader.feed(b"lo") is None
    assert reader.end() == Response(200, b"hello", False)


@pytest.mark.parametrize("data", [b"", PLAIN[:-1], CHUNKED[:-1], b"HTTP/1.1 200 OK\r\n"])
def test_a_response_that_was_cut_off_is_none(data: bytes) -> None:
    reader = ResponseReader()
    assert reader.feed(data) is None
    assert reader.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        PLAIN + b"more",
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(BadResponse):
        ResponseReader().feed(data)


def test_a_body_without_an_end_is_refused() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(BadResponse):
        reader.feed(b"x" * (MAX_BODY_BYTES + MAX_HEAD_BYTES))
