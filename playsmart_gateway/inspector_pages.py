"""The live inspector: its page, and the stream of server-sent events that feeds it.

A stream sends what its watcher was given: ``request`` for each request, ``fate`` for batches that
were stored or buried meanwhile, with the coins that they earned, and ``dropped``, how many requests
the watcher did not get. It decodes at its own pace, one request between two turns of the loop.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from playsmart_gateway.disclosure import Disclosure
from playsmart_gateway.envelope import error_body
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.inspector import Inspector, TooManyWatchers
from playsmart_gateway.operator import OperatorGate
from playsmart_gateway.sinks import Reader
from playsmart_gateway.watching import Fate, Interest, Watcher

PATH = "/inspector"
HANG_UP = "playsmart.hang_up"
"""An ASGI extension of our own server: cuts a connection whose client does not read."""

PAUSE_SECONDS = 0.2
"""Between two looks at the queue: what comes meanwhile is sent together."""

GOODBYE_SECONDS = 0.5


class Patience(NamedTuple):
    """Seconds until a silent stream says that it is there, and until a client reads too slowly."""

    keep_alive: float = 10.0
    send: float = 30.0


PATIENCE = Patience()
_FILES = {
    PATH: ("inspector.html", "text/html; charset=utf-8"),
    f"{PATH}/inspector.css": ("inspector.css", "text/css; charset=utf-8"),
    f"{PATH}/inspector.js": ("inspector.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_encode = msgspec.json.Encoder().encode


def routes(
    inspector: Inspector,
    gate: OperatorGate,
    disclosure: Disclosure,
    reader: Reader,
    *,
    coins_source: str,
    patience: Patience = PATIENCE,
) -> list[Route]:
    """Return the page and its stream; only batches of ``coins_source`` can earn coins."""
    folder = files("playsmart_gateway") / "pages"

    def page(path: str) -> Route:
        name, media_type = _FILES[path]
        content = (folder / name).read_bytes()

        async def answer(request: Request) -> Response:
            if not gate.allows(request.headers):
                return gate.refusal()
            return Response(content, headers={**_HEADERS, "content-type": media_type})

        return Route(path, answer, include_in_schema=False)

    async def events(request: Request) -> Response:
        if not gate.allows(request.headers):
            return gate.refusal()
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        try:
            watcher = inspector.watch(_interest(request.query_params))
        except TooManyWatchers:
            body = error_body(503, "too_many_inspectors")
            return Response(body, 503, {"retry-after": "2"}, "application/json")
        return _Stream(inspector, watcher, disclosure, reader, coins_source, patience)

    return [*map(page, _FILES), Route(f"{PATH}/events", events, include_in_schema=False)]


def _interest(query: Mapping[str, str]) -> Interest:
    return Interest(*(query.get(name, "") for name in Interest._fields))


class _Stream(Response):
    """Sends one watcher what it is given until it leaves, stops reading, or the gateway stops."""

    def __init__(
        self,
        inspector: Inspector,
        watcher: Watcher,
        disclosure: Disclosure,
        reader: Reader,
        coins_source: str,
        patience: Patience,
    ) -> None:
        super().__init__()
        self._inspector = inspector
        self._watcher = watcher
        self._disclosure = disclosure
        self._reader = reader
        self._coins_source = coins_source
        self._patience = patience
        self._told_dropped = 0

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
        watcher = self._watcher
        while not watcher.closed:
            watcher.stirred.clear()
            if not await self._send_news(send_part):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience.keep_alive):
                        await watcher.stirred.wait()
                if not watcher.stirred.is_set():
                    await send_part(b": still here\n\n")
            await asyncio.sleep(0 if watcher.closed else PAUSE_SECONDS)
        await send_part(_event("goodbye", {}), more=False)

    async def _send_news(self, send_part: Callable[[bytes], Any]) -> bool:
        """Send what there is; fates last, as they may be those of requests before them."""
        watcher = self._watcher
        fates = watcher.take_fates()
        any_news = bool(fates)
        while not watcher.closed and (seen := watcher.take()) is not None:
            started = time.thread_time()
            part = _event("request", self._disclosure.message(seen))
            watcher.spend(time.thread_time() - started)
            await send_part(part)
            await asyncio.sleep(0)
            any_news = True
        if fates:
            coins = await self._coins(fates)
            told = [
                {"id": fate.number, "state": fate.state, "coins": coins.get(fate.batch, 0)}
                for fate in fates
            ]
            await send_part(_event("fate", told))
        if watcher.dropped != self._told_dropped:
            self._told_dropped = watcher.dropped
            await send_part(_event("dropped", self._told_dropped))
        return any_news

    async def _coins(self, fates: Sequence[Fate]) -> dict[tuple[str, int], int]:
        names = [fate.batch for fate in fates if fate.source == self._coins_source]
        try:
            return await self._reader.coins_earned(names) if names else {}
        except SinkUnavailable:
            return {}  # they are in the ledger; this is only a look at it


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(data))
