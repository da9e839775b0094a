"""The live inspector: its page, and the stream of server-sent events that feeds it.

A stream sends what its watcher was given: ``request`` for each request, ``fate`` for batches that
were stored or buried meanwhile, with the coins that they earned and, of those of a run, how many of
their events had come before, and ``dropped``, how many requests
the watcher did not get. It decodes at its own pace, one request between two turns of the loop.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.inspector import actions
from playsmart_gateway.console.inspector.actions import Trial
from playsmart_gateway.console.inspector.forward import (
    PAUSE_SECONDS,
    Away,
    Forwarder,
    Source,
    Teller,
    encode,
)
from playsmart_gateway.console.inspector.hub import (
    TooManyWatchers,
)
from playsmart_gateway.console.inspector.recall import Recall
from playsmart_gateway.console.inspector.replay import Replays
from playsmart_gateway.console.inspector.watcher import (
    Interest,
    Watcher,
)
from playsmart_gateway.console.pages import files, operators_only
from playsmart_gateway.errors import Busy
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.http.static import SECURITY_HEADERS, Frame
from playsmart_gateway.peers.peer import Peer

PATH = "/inspector"
TITLE = "requests as they come (for operators)"
HANG_UP = "playsmart.hang_up"
"""An ASGI extension of our own server: cuts a connection whose client does not read."""

GOODBYE_SECONDS = 0.5


class Patience(NamedTuple):
    """Seconds until a silent stream says that it is there, and until a client reads too slowly."""

    keep_alive: float = 10.0
    send: float = 30.0


PATIENCE = Patience()
_FILES = {
    PATH: "inspector.html",
    **{
        f"{PATH}/{name}": name
        for name in ("inspector.css", "inspector.js", "request.js", "tools.js")
    },
}
_HEADERS = {**SECURITY_HEADERS, "cache-control": "no-store"}


def routes(
    source: Source,
    gate: OperatorGate,
    frame: Frame,
    *,
    patience: Patience = PATIENCE,
    worker: Peer | None = None,
    trials: Mapping[str, Trial] | None = None,
    app: ASGIApp | None = None,
) -> list[Route]:
    """Return the page, in its ``frame``, its stream and its memory.

    A ``worker`` shows what its siblings see, too.
    ``trials`` judge bodies by the path of their endpoint; ``app`` answers what is sent once more,
    without it nothing is.
    """
    inspector = source.inspector
    if worker is not None:
        source = source._replace(worker=worker.number)
    forwarder = Forwarder(worker, source) if worker else None

    # A browser that may keep a page keeps its stream, too, and has six for all tabs.
    pages = files(Path(__file__).parent, _FILES, frame, cache_control="no-store")

    async def events(request: Request) -> Response:
        if (refusal := await gate.refusal(request.headers)) is not None:
            return refusal
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        interest = _interest(request.query_params)
        try:
            watcher = inspector.watch(interest)
        except TooManyWatchers:
            return refusing(Busy("too_many_inspectors", retry_after_seconds=2))
        away = forwarder.watching(interest, watcher) if forwarder else contextlib.nullcontext()
        return _Stream(source, watcher, away, patience)

    return [
        *operators_only(gate, pages),
        Route(f"{PATH}/events", events, include_in_schema=False),
        *actions.routes(
            PATH,
            gate,
            source.redactor,
            Recall(source, forwarder),
            trials=trials or {},
            replays=Replays(source, app, forwarder) if app is not None else None,
            shows_bodies=inspector.shows_bodies,
        ),
    ]


def _interest(query: Mapping[str, str]) -> Interest:
    return Interest(*(query.get(name, "") for name in Interest._fields))


class _Stream(Response):
    """Sends one watcher what it is given until it leaves, stops reading, or the gateway stops."""

    def __init__(
        self,
        source: Source,
        watcher: Watcher,
        away: AbstractContextManager[Away | None],
        patience: Patience,
    ) -> None:
        super().__init__()
        self._inspector = source.inspector
        self._watcher = watcher
        self._teller = Teller(source, watcher)
        self._away = away
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; who does not read is hung up on."""
        sending = asyncio.create_task(self._send_all(send), name="inspector stream")
        leaving = asyncio.create_task(_left(receive), name="inspector leaves")
        ending = asyncio.create_task(self._watcher.ended.wait(), name="inspector ends")
        tasks = (sending, leaving, ending)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if ending.done() and not leaving.done():
                await asyncio.wait([sending], timeout=GOODBYE_SECONDS)
        finally:
            self._inspector.leave(self._watcher)
            stuck = not sending.done()
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            hang_up: Callable[[], None] | None = scope.get("extensions", {}).get(HANG_UP)
            if hang_up is not None and (stuck or isinstance(outcomes[0], TimeoutError)):
                hang_up()

    async def _send_all(self, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
        headers.append((b"content-type", b"text/event-stream"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def send_part(part: bytes, more: bool = True) -> None:
            async with asyncio.timeout(self._patience.send):
                await send({"type": "http.response.body", "body": part, "more_body": more})

        hello = {"shows_bodies": self._inspector.shows_bodies}
        await send_part(_event("hello", hello))

        async def tell(name: str, data: bytes) -> None:
            await send_part(b"event: %b\ndata: %b\n\n" % (name.encode(), data))

        watcher = self._watcher
        with self._away as away:
            while not watcher.closed:
                watcher.stirred.clear()
                any_news = await self._teller.tell_news(tell)
                if away is not None:
                    away.renew()
                    any_news |= await away.tell_news(tell)
                if not any_news:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._patience.keep_alive):
                            await watcher.stirred.wait()
                    if not watcher.stirred.is_set():
                        await send_part(b": still here\n\n")
                await asyncio.sleep(0 if watcher.closed else PAUSE_SECONDS)
        await send_part(_event("goodbye", {}), more=False)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(data))
