"""What is loaded: ``python -m tests.bench.target bare | gateway | lynes | obvious``.

Configured by the environment, as the gateway is; ``lynes`` is a gateway that notes how long each
commit of the commit queue takes, and writes that down when it stops. The other two run under
uvicorn as it comes, with what it offers to be fast: httptools, uvloop, no access log, no extra
headers.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from playsmart_gateway.app import Application, create_app
from playsmart_gateway.build import rules_for
from playsmart_gateway.config import Config
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.economy.points import Award
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.serve.server import serve
from playsmart_gateway.serve.supervisor import supervise
from playsmart_gateway.stores.sqlite import SqliteSink
from tests.bench import obvious
from tests.bench.requests import PATH

_ANSWER = b'{"success": true, "message": "accepted:3 buffered:3"}'


COMMITS = "commits.json"


class TimedSink(SqliteSink):
    """Notes the time of each commit of the commit queue in seconds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._seconds: list[float] = []

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        started = time.perf_counter()
        awards = await super().commit(batches)
        self._seconds.append(time.perf_counter() - started)
        return awards

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await asyncio.to_thread(
            Path(f"{os.getpid()}.{COMMITS}").write_bytes, msgspec.json.encode(self._seconds)
        )


class ReadAndAnswer:
    """Reads the body and answers 202 with a constant."""

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(_ANSWER)),
        ]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": _ANSWER})


def serve_plainly(app: Starlette, config: Config) -> int:
    """Serve an application without a gateway by uvicorn as it comes, without its access log."""
    server = config.server
    for each in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them once more when it is done
        signal.signal(each, signal.SIG_IGN)
    uvicorn.run(
        app, host=server.host, port=server.port, access_log=False, log_config=None,
        server_header=False, proxy_headers=False, ws="none",
    )  # fmt: skip
    return 0


def create_timed_app(config: Config, worker: Peer | None = None) -> Application:
    name = config.storage.url.removeprefix("sqlite:///")
    turn = worker.fair_lock.turn if worker else contextlib.nullcontext
    sink = TimedSink(name, rules_for(config), program_for(config), turn)
    return create_app(config, sink=sink, worker=worker)


def serve_gateway(config: Config, make_app: Callable[..., Application]) -> int:
    if config.server.workers == 1:
        return serve(make_app(), config)
    return supervise(config, make_app)


def main(kind: str) -> int:
    config = load_config(None, os.environ)
    if kind == "gateway":
        logging.basicConfig(level=logging.INFO)
        return serve_gateway(config, partial(create_app, config))
    if kind == "lynes":
        return serve_gateway(config, partial(create_timed_app, config))
    if kind == "obvious":
        path = Path(config.storage.url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return serve_plainly(obvious.create_app(path, config.auth.secret or ""), config)
    return serve_plainly(Starlette(routes=[Route(PATH, ReadAndAnswer())]), config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
