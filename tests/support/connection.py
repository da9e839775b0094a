"""A raw socket to the gateway, for what no decent client would send."""

import socket
from typing import Self

from tests.support.polling import PATIENCE_SECONDS


class Answer:
    """One HTTP answer as it came over the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split(" ")[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        self.body = body

    @classmethod
    def all_in(cls, data: bytes) -> list[Self]:
        """Cut what a connection sent into answers; ours all have a ``Content-Length``."""
        answers = []
        while data:
            head, separator, rest = data.partition(b"\r\n\r\n")
            assert separator, f"half an answer: {data[:200]!r}"
            answer = cls(head, b"")
            length = int(answer.headers["content-length"])
            assert len(rest) >= length, f"half a body: {data[:200]!r}"
            answer.body, data = rest[:length], rest[length:]
            answers.append(answer)
        return answers


class Connection:
    """A raw socket, for what no decent client would send."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send everything; False when the other side hung up meanwhile."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def read_to_end(self) -> list[Answer]:
        """Return every answer there was until the gateway hung up."""
        data = b""
        try:
            while chunk := self._socket.recv(65_536):
                data += chunk
        except ConnectionResetError:
            pass
        return Answer.all_in(data)

    def read_line(self) -> bytes:
        """Return the next line, leaving what follows it where it is."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self._socket.recv(1)
            assert byte, f"hung up in the middle of a line: {line!r}"
            line += byte
        return line

    def read_answer(self) -> Answer:
        """Return the next answer, with nothing behind it; the connection stays open."""
        data = b""
        while True:
            chunk = self._socket.recv(65_536)
            assert chunk, f"hung up in the middle of an answer: {data!r}"
            data += chunk
            head, separator, rest = data.partition(b"\r\n\r\n")
            if separator and len(rest) >= int(Answer(head, b"").headers["content-length"]):
                (answer,) = Answer.all_in(data)
                return answer
