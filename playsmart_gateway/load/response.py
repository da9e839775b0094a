"""HTTP/1.1 responses from bytes: only what an answer to a POST can be (RFC 9112).

Nearly every answer arrives whole, in one read, with a Content-Length; that path is a handful of
``bytes.find``. Everything else (chunks, interim 1xx answers, bodies that end with the connection,
any split) takes the general path, which looks at the collected bytes again.
"""

from typing import NamedTuple

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 16 * 1_048_576


class BadResponse(ValueError):
    """What came back is not an HTTP/1.1 response that this client reads."""


class Response(NamedTuple):
    """One whole answer; ``keep_alive`` says whether the connection may carry another request."""

    status: int
    body: bytes
    keep_alive: bool


class ResponseReader:
    """Collects the bytes of one connection until a response is whole. One response at a time."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Response | None:
        """Take what was read; return the response once it is whole.

        Raises ``BadResponse`` on anything else, and on bytes behind the response: nothing else was
        asked for, so they cannot belong to this client.
        """
        if self._pending:
            data = self._pending + data
        found = _parse(data, ended=False)
        if found is None:
            if len(data) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
                raise BadResponse("the response is too large")
            self._pending = data
            return None
        response, size = found
        if size != len(data):
            raise BadResponse("there are bytes behind the response")
        self._pending = b""
        return response

    def end(self) -> Response | None:
        """Return the response whose body ends with the connection, if that is what was coming."""
        data, self._pending = self._pending, b""
        found = _parse(data, ended=True) if data else None
        return found[0] if found else None


def _parse(data: bytes, *, ended: bool) -> tuple[Response, int] | None:
    """Return the response at the start of ``data`` and its size, or None while it is incomplete."""
    status, start = 100, 0
    while status < 200:  # an interim answer announces the real one behind it
        end = data.find(b"\r\n\r\n", start)
        if end < 0:
            if len(data) - start > MAX_HEAD_BYTES:
                raise BadResponse("the response head is too large")
            return None
        head = data[start : end + 2].lower()
        start = end + 4
        status = _status(head)
        if status == 101:
            raise BadResponse("the server switched protocols unasked")
    connection = _header(head, b"\r\nconnection:")
    keep_alive = b"close" not in connection if head[5:8] == b"1.1" else b"keep-alive" in connection
    if status in (204, 304):
        return Response(status, b"", keep_alive), start
    if _header(head, b"\r\ntransfer-encoding:").endswith(b"chunked"):
        chunks = _chunks(data, start)
        return chunks and (Response(status, chunks[0], keep_alive), chunks[1])
    length = _header(head, b"\r\ncontent-length:")
    if not length:
        return (Response(status, data[start:], False), len(data)) if ended else None
    if not length.isdigit() or len(length) > 12 or int(length) > MAX_BODY_BYTES:
        raise BadResponse("Content-Length is not a reasonable number")
    size = start + int(length)
    return (Response(status, data[start:size], keep_alive), size) if len(data) >= size else None


def _status(head: bytes) -> int:
    if head[:7] != b"http/1." or not head[9:12].isdigit() or head[12:13] not in b" \r":
        raise BadResponse("the answer does not begin with an HTTP/1.x status line")
    return int(head[9:12])


def _header(head: bytes, name: bytes) -> bytes:
    """Return the value of the first header ``name`` in a lower-case head, b"" when absent."""
    at = head.find(name)
    return head[at + len(name) : head.find(b"\r\n", at + 2)].strip() if at >= 0 else b""


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Return the body whose chunks begin at ``at`` and where it ends, or None while incomplete."""
    parts: list[bytes] = []
    while (end := data.find(b"\r\n", at)) >= 0:
        try:
            size = int(data[at:end].partition(b";")[0], 16)
        except ValueError:
            raise BadResponse("a chunk has no size") from None
        if not 0 <= size <= MAX_BODY_BYTES:
            raise BadResponse("a chunk has no reasonable size")
        at = end + 2
        if size == 0:
            return _after_trailer(b"".join(parts), data, at)
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise BadResponse("a chunk is longer than it says")
        parts.append(data[at : at + size])
        at += size + 2
    return None


def _after_trailer(body: bytes, data: bytes, at: int) -> tuple[bytes, int] | None:
    if data[at : at + 2] == b"\r\n":
        return body, at + 2
    end = data.find(b"\r\n\r\n", at)
    return (body, end + 4) if end >= 0 else None
