"""The express path: a request that is here as a whole is answered without a task of its own.

A small POST request nearly always comes in one read, and its endpoint can answer it in one step but
for its batch, which whoever commits the group settles (see ``RequestFrame.attempt``). Then there is
no ASGI scope, no task, no event and no future of the request. Whatever is odd about it, or takes
more than one step, goes to the application as ever: its head and body are given to it unread.
"""

from abc import abstractmethod
from typing import Any

from typing_extensions import override

from playsmart_gateway.http.endpoint import Headers
from playsmart_gateway.http.request_frame import Attempt, RawHeaders
from playsmart_gateway.http.slots import ANSWERING, BODY
from playsmart_gateway.http.turns import LARGE_BODY_BYTES
from playsmart_gateway.serve.reading import Reader


class Express(Reader):
    """Answers whole requests by ``attempt``; without it, and the others, as ``Reader`` does.

    While ``_is_settling`` the answer to one is not there yet, and nothing is read: what comes next
    waits for its turn.
    """

    def __init__(self, *arguments: Any, attempt: Attempt | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._attempt = attempt
        self._whole: Headers | None = None
        self._body = b""
        self._is_settling = False

    @abstractmethod
    def send_at_once(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """Send the answer to a request that was answered by ``attempt``, and go on."""

    @override
    def _begin(self, headers: Headers, method: bytes, version: str, keeps: bool) -> None:
        before, size = self.cycle, self._behind_head
        if (
            keeps
            and 0 < size <= LARGE_BODY_BYTES
            and self._attempt is not None
            and method == b"POST"
            and headers.get(b"content-length") == b"%d" % size
            and b"expect" not in headers
            and (before is None or before.response_complete)
            and not self.flow.write_paused
        ):
            self._whole = headers
            self.stage = BODY
            self._in_body = True
            self._body_left = size
        else:
            super()._begin(headers, method, version, keeps)

    @override
    def on_body(self, body: bytes) -> None:
        if self._whole is None:
            super().on_body(body)
        else:
            self._head_bytes = 0
            self._body += body

    @override
    def on_message_complete(self) -> None:
        if self._whole is None:
            super().on_message_complete()
            return
        headers, self._whole = self._whole, None
        body, self._body = self._body, b""
        self._head_bytes = 0
        self._in_body = False
        self.stage = ANSWERING
        self.flow.held = self._is_settling = True  # before the attempt, which may answer by itself
        assert self._attempt is not None, "or it would have begun in the other way"
        if not self._attempt(self.url, headers, body, self.send_at_once):
            self.flow.held = self._is_settling = False
            super()._begin(headers, b"POST", "1.1", keeps=True)
            super().on_body(body)
            super().on_message_complete()
