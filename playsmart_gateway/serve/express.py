"""The express path: a request that is here as a whole is answered without a task of its own.

A small POST request nearly always comes in one read, and its endpoint can answer it in one step but
for its batch, which whoever commits the group settles (see ``RequestFrame.attempt``). Then there is
no ASGI scope, no task, no event and no future of the request. Whatever is odd about it, or takes
more than one step, goes to the application as ever: its head and body are given to it unread.
"""

from abc import abstractmethod
from typing import Any

from typing_extensions import override

from playsmart_gateway.http.endpoint import Answer, Headers
from playsmart_gateway.http.request_frame import Attempt
from playsmart_gateway.http.slots import ANSWERING, BODY, IDLE, WAITING
from playsmart_gateway.http.turns import LARGE_BODY_BYTES
from playsmart_gateway.serve.known_heads import KnownHeads
from playsmart_gateway.serve.reading import Reader


class Express(Reader):
    """Answers whole requests by ``attempt``; without it, and the others, as ``Reader`` does.

    While ``_is_settling`` the answer to one is not there yet, and nothing is read: what comes next
    waits for its turn.
    """

    def __init__(
        self,
        *arguments: Any,
        attempt: Attempt | None = None,
        known_heads: KnownHeads | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._attempt = attempt
        self._known_heads = known_heads or KnownHeads()
        self._to_learn = b""
        self._whole: Headers | None = None
        self._body = b""
        self._is_settling = False

    @abstractmethod
    def send_at_once(self, answer: Answer, request_id: bytes) -> None:
        """Send the answer to a request that was answered by ``attempt``, and go on."""

    @override
    def data_received(self, data: bytes) -> None:
        """Answer a request whose head is known; have the others read."""
        stage = self.stage
        if (
            (stage != IDLE and stage != WAITING)
            or self.flow.held
            or self._attempt is None
            or self._head_bytes
            or self._is_extra
        ):
            super().data_received(data)
            return
        known = self._known_heads.read(data)
        if (
            known is None
            or len(known[2]) > LARGE_BODY_BYTES
            or self.flow.write_paused
            or self._slots.stopping_since is not None
            or not self._try(*known)
        ):
            self.stage = stage
            self._to_learn = data
            super().data_received(data)
            self._to_learn = b""

    def _try(self, url: bytes, headers: Headers, body: bytes) -> bool:
        self.stage, self.since = ANSWERING, self._clock()
        self.flow.held = self._is_settling = True  # before the attempt, which may answer by itself
        assert self._attempt is not None, "or it would have begun in the other way"
        if self._attempt(url, headers, body, self.send_at_once):
            return True
        self.flow.held = self._is_settling = False
        return False

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
            if self._to_learn:
                self._known_heads.learn(self._to_learn, self.url, headers)
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
        if not self._try(self.url, headers, body):
            super()._begin(headers, b"POST", "1.1", keeps=True)
            super().on_body(body)
            super().on_message_complete()
