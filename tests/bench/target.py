"""What is loaded: ``python -m tests.bench.target bare | gateway | obvious``.

Configured by the environment, as the gateway is. The other two run under uvicorn as it comes, with
what it offers to be fast: httptools, uvloop, no access log, no extra headers.
"""

import logging
import os
import signal
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from playsmart_gateway.app import create_app
from playsmart_gateway.config import Config, load_config
from playsmart_gateway.server import serve
from tests.bench import obvious
from tests.bench.requests import PATH

_ANSWER = b'{"success": true, "message": "accepted:3 buffered:3"}'


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


def main(kind: str) -> int:
    config = load_config(None, os.environ)
    if kind == "gateway":
        logging.basicConfig(level=logging.INFO)
        return serve(create_app(config), config)
    if kind == "obvious":
        path = Path(config.storage.url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return serve_plainly(obvious.create_app(path, config.auth.secret or ""), config)
    return serve_plainly(Starlette(routes=[Route(PATH, ReadAndAnswer())]), config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
