"""Sending a remembered request once more, to this gateway: in development mode only.

It goes the way of every request, with the headers that it had, so it is judged as it would be now:
a token may have run out. It is marked, and followed until it is stored, which tells whether its
events were new, or had come before.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message

from playsmart_gateway.console.inspector.forward import Forwarder, Source, encode, outcomes_of
from playsmart_gateway.console.inspector.hub import Replay
from playsmart_gateway.console.inspector.watcher import Seen, Sent
from playsmart_gateway.errors import Busy, Conflict, NotFound, Refused
from playsmart_gateway.http.request_ids import make_request_id

ANSWER_SECONDS = 10.0
STORED_SECONDS = 5.0
"""How long an answer, and then the store, is waited for."""

MAX_AT_ONCE = 4
REPLAY = "replay"
_LOOK_SECONDS = 0.05
_ASGI: Any = {"version": "3.0", "spec_version": "2.3"}


class Replays:
    """Sends requests that ``source`` remembers to ``app``, those of siblings by ``forwarder``."""

    def __init__(self, source: Source, app: ASGIApp, forwarder: Forwarder | None = None) -> None:
        self._source = source
        self._app = app
        self._forwarder = forwarder
        self._running = 0
        if forwarder is not None:
            forwarder.answers(REPLAY, self._answer)

    async def replay(self, request: str) -> bytes:
        """Send the request of that id once more; return as JSON what became of it.

        Raises:
            NotFound: it is not remembered any more.
            Conflict: its body was not kept.
            Busy: others are under way, or who remembers it does not answer.
        """
        worker = request.partition(".")[0]
        if self._forwarder is None or worker == str(self._source.worker):
            return await self._replay(request)
        if not self._forwarder.knows(worker):
            raise NotFound("not_remembered")
        seconds = ANSWER_SECONDS + 2 * STORED_SECONDS
        (told,) = await self._forwarder.ask(REPLAY, request.encode(), seconds, int(worker))
        if not told:
            raise Busy("worker_silent", retry_after_seconds=1)
        status, content = told[:1], told[1:]
        if status == _DONE:
            return content
        raise _REFUSALS.get(content, Conflict)(content.decode())

    async def _answer(self, asked: bytes) -> bytes:
        try:
            return _DONE + await self._replay(asked.decode())
        except Refused as refusal:
            return _REFUSED + refusal.message.encode()

    async def _replay(self, request: str) -> bytes:
        seen = self._find(request)
        if seen is None:
            raise NotFound("not_remembered")
        if seen.sent is None:
            raise Conflict("body_not_kept")
        if self._running >= MAX_AT_ONCE:
            raise Busy("too_many_replays", retry_after_seconds=1)
        self._running += 1
        try:
            return await self._sent_again(request, seen.path, seen.sent)
        finally:
            self._running -= 1

    def _find(self, request: str) -> Seen | None:
        memory, prefix = self._source.inspector.memory, self._source.prefix
        for seen in (*memory.taken.entries, *memory.refused.entries):
            if request == f"{prefix}{seen.number}":
                return seen
        return None

    async def _sent_again(self, request: str, path: str, sent: Sent) -> bytes:
        inspector = self._source.inspector
        request_id, replay = make_request_id(), Replay(request)
        inspector.replays[request_id] = replay
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._call(path, sent, request_id)
        except TimeoutError:
            raise Busy("no_answer", retry_after_seconds=1) from None
        finally:
            del inspector.replays[request_id]
        seen = replay.seen
        assert seen is not None, "an endpoint answered the first one, too"
        return encode(await self._told(seen))

    async def _call(self, path: str, sent: Sent, request_id: bytes) -> None:
        headers = [
            *sent.headers,
            (b"content-length", b"%d" % len(sent.body)),
            (b"x-request-id", request_id),
        ]
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "server": None,
            "client": None,
            "scheme": "http",
            "method": "POST",
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "extensions": {},
        }
        parts: list[Message] = [{"type": "http.request", "body": sent.body, "more_body": False}]

        async def receive() -> Message:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(_: Message) -> None:
            pass  # the inspector sees the answer

        await self._app(scope, receive, send)

    async def _told(self, seen: Seen) -> dict[str, Any]:
        """Return what became of it, once it is stored or that takes too long."""
        source = self._source
        inspector = source.inspector
        with_patience = int(STORED_SECONDS / _LOOK_SECONDS)
        while inspector.state_of(seen) == "buffered" and with_patience:
            with_patience -= 1
            await asyncio.sleep(_LOOK_SECONDS)
        told = source.redactor.message(seen)
        told["id"] = f"{source.prefix}{seen.number}"
        told["is_named"] = seen.batch is not None and bool(seen.batch.run)
        if seen.batch is not None:
            told["state"] = inspector.state_of(seen)
            outcomes = await outcomes_of(source, [seen.batch])
            if (outcome := outcomes.get(seen.batch.key)) is not None:
                told["coins"] = outcome.coins
                if seen.batch.run:
                    told["duplicates"] = seen.batch.count - outcome.events
        return told


_DONE, _REFUSED = b"1", b"0"
_REFUSALS = {b"not_remembered": NotFound, b"body_not_kept": Conflict}
