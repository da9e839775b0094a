"""``/`` for a browser: what this is, how it is, and where to go.

What a stranger sees is the name, the state and the links.
"""

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from playsmart_gateway import __version__
from playsmart_gateway.http.ops import LINKS, PROBED
from playsmart_gateway.http.static import SECURITY_HEADERS, Asset, Frame

PATH = "/"


def page(
    pages: Mapping[str, str], taken: Mapping[str, str], frame: Frame
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with the page, in its ``frame``.

    ``pages`` are paths and what one sees there, ``taken`` those that programs send to.
    """
    shown = "".join(
        f'<li><a href=".{escape(path)}">{escape(path)}</a> <span>{escape(what)}</span></li>'
        for path, what in {**pages, **LINKS, **PROBED}.items()
    )
    sent = "".join(
        f"<li><code>{escape(path)}</code> <span>{escape(what)}</span></li>"
        for path, what in taken.items()
    )
    html = (Path(__file__).parent / "home.html").read_text("utf-8")
    for name, part in {"version": __version__, "pages": shown, "taken": sent}.items():
        html = html.replace(f"<!-- {name} -->", part)
    asset = Asset.of(frame(PATH, html).encode(), "text/html")

    async def answer(request: Request) -> Response:
        return asset.answer(request, SECURITY_HEADERS | {"vary": "accept"})

    return answer
