"""The stream of the inspector when things go wrong: silence, slow readers, a store that fails."""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.types import Message

from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.inspector.forward import Source
from playsmart_gateway.console.inspector.hub import Inspector
from playsmart_gateway.console.inspector.redact import Redactor
from playsmart_gateway.console.inspector.routes import (
    HANG_UP,
    Patience,
    routes,
)
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.http.endpoint import Answer
from playsmart_gateway.rate_limit import WrongTries
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Outcome
from tests.support.doubles import make_batch
from tests.support.polling import eventually


class UnreadableStore(MemorySink):
    """Cannot be read now."""

    async def outcomes(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Outcome]:
        raise SinkUnavailable("locked")


class Client:
    """Watches an inspector in this process; ``stuck`` reads nothing after the hello."""

    def __init__(self, patience: Patience, *, stuck: bool = False) -> None:
        self.inspector = Inspector()
        self.stuck = stuck
        self.text = ""
        self.hung_up = 0
        self.left = asyncio.Event()
        gate = OperatorGate(None, WrongTries(lambda _: None), development=True)
        found = routes(
            Source(self.inspector, Redactor([]), UnreadableStore(), "playsmart"),
            gate,
            lambda _, page: page,
            patience=patience,
        )
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/inspector/events",
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
            "extensions": {HANG_UP: self._hang_up},
        }
        self.running = asyncio.create_task(
            Starlette(routes=found)(scope, self._receive, self._send), name="stream"
        )

    async def has(self, text: str) -> None:
        await eventually(lambda: text in self.text or None)

    def _hang_up(self) -> None:
        self.hung_up += 1

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.stuck and self.text:
            await asyncio.Event().wait()
        self.text += message.get("body", b"").decode()

    async def request(self) -> None:
        async def receive() -> Message:
            raise AssertionError("nobody reads")

        self.inspector.saw(
            self.inspector.hear(receive),
            path="/ingest/events",
            request_id=b"x",
            authorization=b"",
            answer=Answer(202, b"{}", [], make_batch(1)),
            seconds=0.001,
        )


async def test_a_silent_stream_says_that_it_is_there_until_the_watcher_leaves() -> None:
    client = Client(Patience(keep_alive=0.001))
    await client.has(": still here\n\n: still here\n\n")
    client.left.set()
    await client.running
    assert not client.inspector.watched


async def test_one_that_reads_too_slowly_is_hung_up_on_and_its_place_is_free() -> None:
    client = Client(Patience(send=0.001), stuck=True)
    await client.has("event: hello")
    await client.request()
    await client.running
    assert client.hung_up == 1
    assert not client.inspector.watched


async def test_one_that_does_not_read_is_hung_up_on_when_the_gateway_stops() -> None:
    client = Client(Patience(), stuck=True)
    await client.has("event: hello")
    await client.request()
    client.inspector.close()
    await client.running
    assert client.hung_up == 1


async def test_a_batch_is_told_as_stored_even_if_its_coins_cannot_be_read() -> None:
    client = Client(Patience())
    await client.has("event: hello")
    await client.request()
    client.inspector.left_the_buffer([make_batch(1)])
    told = f'event: fate\ndata: [{{"id":"0.{client.inspector.life}.1","state":"stored","coins":0}}]'
    await client.has(told)
    client.inspector.close()
    await client.has("event: goodbye")
    await client.running
    assert client.hung_up == 0
