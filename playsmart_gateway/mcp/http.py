"""The tools over HTTP: on this machine, behind the operator's token, in a process of their own.

Each request is whole by itself: nothing is kept between two, and no answer is a stream.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.errors import MethodNotAllowed
from playsmart_gateway.http.endpoint import refusing
from playsmart_gateway.rate_limit import WrongTries

HOST = "127.0.0.1"
PATH = "/mcp"
MAX_BODY_BYTES = 65_536
MAX_CONNECTIONS = 32
HEAD_SECONDS = 10.0
"""For the head of a request to come; whoever sends it slower would keep a connection for good."""

REQUEST_SECONDS = 60.0
"""From the head of a request to the end of its answer; a question has limits of its own."""

STOP_SECONDS = 5


class Door:
    """Lets requests through to ``app`` that have the token; the rest of it has no say."""

    def __init__(
        self, app: ASGIApp, gate: OperatorGate, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        self._app = app
        self._gate = gate
        self._request_seconds = request_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refusal = await self._gate.refusal(Headers(scope=scope))
        if refusal is None and scope["method"] != "POST":
            refusal = refusing(MethodNotAllowed())
            refusal.headers["allow"] = "POST"
        if refusal is not None:
            return await refusal(scope, receive, send)
        with contextlib.suppress(TimeoutError):  # the connection is closed without an answer
            async with asyncio.timeout(self._request_seconds):
                await self._app(scope, receive, send)
        return None


def application(server: MCPServer, token: str) -> Door:
    """Return the tools as an ASGI application for who has the ``token``."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        # No page of a stranger has the token, by whatever name it reaches us.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Door(app, OperatorGate(token, WrongTries(lambda _: None)))


def timely(protocol: type[Any]) -> type[Any]:
    """Return uvicorn's protocol that ends a connection without a head after ``HEAD_SECONDS``."""

    class Timely(protocol):  # type: ignore[misc]
        deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self.wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_waiting()
            super().connection_lost(exc)

        def on_headers_complete(self) -> None:
            self.stop_waiting()
            super().on_headers_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle.response_complete and not self.transport.is_closing():
                self.wait_for_head()

        def wait_for_head(self) -> None:
            self.stop_waiting()
            self.deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

        def stop_waiting(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()

    return Timely


class _Server(uvicorn.Server):
    """Ends on signals by itself, and then returns."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, setattr, self, "should_exit", True)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)


def listen(port: int) -> socket.socket:
    """Return a socket on which this machine alone is heard; ``OSError`` if there is none."""
    return socket.create_server((HOST, port))


async def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Answer requests until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ws="none",
    )
    config.load()
    config.http_protocol_class = timely(config.http_protocol_class)
    await _Server(config).serve([listening])
