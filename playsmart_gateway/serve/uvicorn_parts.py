"""What we use of uvicorn beyond what it offers to everybody: of the versions in ``pyproject.toml``.

Its connection, its request with the answer, and the names of their types are parts that it may
change from one version to the next. Whoever takes a new one looks here, and runs tests/serve.
"""

import socket
from collections.abc import Sequence

import uvicorn
from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

__all__ = [
    "STATUS_LINE",
    "ASGI3Application",
    "ASGIReceiveEvent",
    "ASGISendEvent",
    "FlowControl",
    "HTTPScope",
    "HttpToolsProtocol",
    "RequestResponseCycle",
    "say_where",
]


def say_where(server: uvicorn.Server, listeners: Sequence[socket.socket]) -> None:
    """Have ``server`` log the addresses that it listens at, as it does for its own sockets."""
    server._log_started_message(listeners)
