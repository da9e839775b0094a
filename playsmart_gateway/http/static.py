"""Files that pages need: with an ETag, so a browser fetches each once, and packed when large."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self

from starlette.requests import Request
from starlette.responses import Response

SECURITY_HEADERS = {
    # Icons may be data: URLs; everything else comes from us and goes to us.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
"""Of a page that anybody may read: no inline script or style, in nobody's frame."""


Frame = Callable[[str, str], str]
"""Makes a document of the path of a page and what is its own; see ``console.shell``."""

MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """One file as it is held in memory: ``body`` is gzip where it is ``packed``."""

    body: bytes
    media_type: str
    etag: str
    packed: bool = False

    @classmethod
    def of(cls, body: bytes, media_type: str, *, pack: bool = False) -> Self:
        """Return the asset; to ``pack`` takes some 40 ms a megabyte, and then only that is held."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if not pack:
            return cls(body, media_type, etag)
        # Weak: the bytes on the wire are not the same for all who ask.
        return cls(gzip.compress(body, mtime=0), media_type, f"W/{etag}", packed=True)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the asset that a file is; its ending says what it holds."""
        return cls.of(file.read_bytes(), MEDIA_TYPES[file.suffix])

    def served(
        self, headers: Mapping[str, str], *, cache_control: str = "no-cache"
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers with it; see ``answer``."""

        async def answer(request: Request) -> Response:
            return self.answer(request, headers, cache_control=cache_control)

        return answer

    def answer(
        self, request: Request, headers: Mapping[str, str], *, cache_control: str = "no-cache"
    ) -> Response:
        """Return the file with ``headers``, or 304 to who has it (RFC 9110 section 13.1.2)."""
        sent = {**headers, "etag": self.etag, "cache-control": cache_control}
        if self.packed:
            sent["vary"] = "accept-encoding"
        if _knows(",".join(request.headers.getlist("if-none-match")), self.etag):
            return Response(status_code=304, headers=sent)
        body = self.body
        if self.packed and "gzip" in request.headers.get("accept-encoding", ""):
            sent["content-encoding"] = "gzip"
        elif self.packed:
            body = gzip.decompress(body)
        return Response(body, headers=sent, media_type=self.media_type)


def _knows(known: str, etag: str) -> bool:
    tags = {each.strip().removeprefix("W/") for each in known.split(",")}
    return known == "*" or etag.removeprefix("W/") in tags


def package_folder(package: str) -> Path:
    """Return where an installed package is, without importing it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
