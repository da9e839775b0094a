"""The home page and what it asks: ``/home/data``, once in two seconds while it can be seen.

What comes in is counted in memory, by all workers together. Nothing pops up before a stranger:
``/home/data`` refuses without the challenge that has browsers ask for a password, ``/home/sign-in``
asks for it.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import __version__
from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.console.access import OperatorGate, guarded
from playsmart_gateway.console.pages import json_answer
from playsmart_gateway.console.shell import HOME, Shell
from playsmart_gateway.http.ops import PROBED, Observed
from playsmart_gateway.http.static import SECURITY_HEADERS, Asset

PATH = "/home"

_HERE = Path(__file__).parent


class Panel(NamedTuple):
    """A section of the home page for operators, which its own ``script`` fills.

    That is a module at this path, asked for with ``style`` once it is known that an operator looks;
    it finds the section by ``data-panel="NAME"``.
    """

    name: str
    script: str
    style: str


def page(
    shell: Shell, taken: Mapping[str, str], panels: Iterable[Panel] = ()
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with the page: its ``shell`` says what is shown here, and where.

    ``taken`` are the paths that programs send to, and what is taken there.
    """
    parts = {
        "pages": "".join(
            f'<li><a href=".{each.path}" data-keeps="{each.keeps}">{escape(each.name)}</a>'
            f"<span>{escape(each.about)}</span></li>"
            for each in shell.entries
            if each is not HOME
        ),
        "clients": "".join(
            f'<li><a href="./manual/client-{name}">{name}</a><span>{escape(client.about)}</span>'
            "</li>"
            for name, client in CLIENTS.items()
        ),
        "taken": "".join(
            f"<li><code>{escape(path)}</code><span>{escape(what)}</span></li>"
            for path, what in taken.items()
        ),
        "asked": "".join(
            f'<li><a href=".{path}"><code>{path}</code></a><span>{escape(what)}</span></li>'
            for path, what in {**PROBED, "/openapi.json": "the API as OpenAPI 3.1"}.items()
        ),
        "panels": "".join(
            f'<section class="panel wide" data-panel="{each.name}" data-script=".{each.script}"'
            f' data-style=".{each.style}" hidden></section>'
            for each in panels
        ),
    }
    html = (_HERE / "home.html").read_text("utf-8")
    for name, part in parts.items():
        html = html.replace(f"<!-- {name} -->", part)
    asset = Asset.of(shell.frame(HOME.path, html).encode(), "text/html")
    return asset.served(SECURITY_HEADERS | {"vary": "accept"})


def routes(
    observed: Observed,
    gate: OperatorGate,
    ingest_routes: Collection[str],
    mint: Callable[[], str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Route]:
    """Return what the page asks for; requests are those to ``ingest_routes``.

    ``mint`` makes a token to try out with, in development mode. ``clock`` is in seconds and never
    set.
    """
    started = clock()

    async def data(request: Request) -> Response:
        refusal = await gate.refusal(request.headers)
        if refusal is not None:
            if "www-authenticate" in refusal.headers:
                del refusal.headers["www-authenticate"]
            return refusal
        await observed.refresh()
        now = clock()
        told = {"at": now, "uptime_seconds": now - started, **_told(observed, ingest_routes)}
        if mint is not None:
            told["token"] = mint()
        return json_answer(told)

    async def sign_in(_: Request) -> Response:
        return Response(status_code=303, headers={"location": "../"})

    return [
        Route(f"{PATH}/data", _kept_by_nobody(data), include_in_schema=False),
        Route(f"{PATH}/sign-in", guarded(gate, sign_in), include_in_schema=False),
        *(_file(name) for name in ("home.css", "home.js")),
    ]


def _told(observed: Observed, ingest_routes: Collection[str]) -> dict[str, object]:
    report = observed.report()
    stats = report.stats
    requests = [
        sum(each.counts) for (route, _), each in stats.requests.items() if route in ingest_routes
    ]
    return {
        "version": __version__,
        "workers": report.workers,
        "workers_up": report.workers_up,
        "requests": sum(requests),
        "received": stats.received,
        "stored": stats.stored,
        "waiting": report.gauges.waiting,
        "refused": stats.refused_requests,
        "rejected": stats.rejected,
    }


def _kept_by_nobody(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        response = await endpoint(request)
        response.headers.update({**SECURITY_HEADERS, "cache-control": "no-store"})
        return response

    return answer


def _file(name: str) -> Route:
    asset = Asset.read(_HERE / name)
    return Route(f"{PATH}/{name}", asset.served(SECURITY_HEADERS), include_in_schema=False)
