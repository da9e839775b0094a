"""``/openapi.json``, and ``/docs``: Swagger UI from an installed package, nothing from elsewhere.

In development mode, and only to this machine, the page gives a token for the player of the
examples. Otherwise there is none to be had here.
"""

from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.console.access import Home
from playsmart_gateway.http.static import (
    SECURITY_HEADERS,
    Asset,
    Frame,
    package_folder,
)

if TYPE_CHECKING:
    from playsmart_gateway.openapi.parts import Piece

_HERE = Path(__file__).parent
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "page.js": "text/javascript",
    "page.css": "text/css",
}
_META = '<meta name="development-token" content="{}">'


def routes(
    pieces: Callable[[], Sequence["Piece"]],
    development_token: Callable[[], str] | None,
    home: Home,
    frame: Frame,
) -> list[Route]:
    """Return the routes for a document of these pieces, which are asked for when it is.

    ``development_token`` mints what the page offers, None in production. Only who asks
    this machine by a name of ``home`` gets it. The page is in the ``frame`` of all.
    """

    @cache
    def document() -> Asset:
        from playsmart_gateway.openapi.document import document_json

        return Asset.of(document_json(pieces()), "application/json")

    async def openapi(request: Request) -> Response:
        return document().answer(request, SECURITY_HEADERS)

    async def page(request: Request) -> Response:
        token = ""
        if development_token is not None and home.was_asked(request.headers):
            token = _META.format(escape(development_token()))
        html = frame("/docs", (_HERE / "page.html").read_text("utf-8"))
        html = html.replace("<!-- token -->", token)
        headers = {**SECURITY_HEADERS, "cache-control": "no-store"}
        return Response(html, headers=headers, media_type="text/html")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404)
        return _asset(name).answer(request, SECURITY_HEADERS)

    return [
        Route("/openapi.json", openapi),
        Route("/docs", page),
        Route("/docs/{name}", asset, include_in_schema=False),
    ]


@cache
def _asset(name: str) -> Asset:
    folder = _HERE if name.startswith("page.") else package_folder("flask_swagger_ui") / "dist"
    return Asset.of((folder / name).read_bytes(), _ASSETS[name])
