"""Fetches a document of keys: bounded in time and size, and from nowhere but where it was asked."""

import time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

MAX_JWKS_BYTES = 65_536
FETCH_TIMEOUT_SECONDS = 5.0


def fetch_document(url: str, timeout_seconds: float = FETCH_TIMEOUT_SECONDS) -> bytes:
    """GET the document at an http or https URL; blocks, so call it in a thread.

    Raises ``OSError``, ``ValueError`` or ``http.client.HTTPException``.
    """
    deadline = time.monotonic() + timeout_seconds
    body = bytearray()
    with _opener().open(url, timeout=timeout_seconds) as response:
        # Piecewise, as the timeout above starts anew with every byte that trickles in.
        while chunk := response.read1(MAX_JWKS_BYTES + 1 - len(body)):
            body += chunk
            if len(body) > MAX_JWKS_BYTES:
                raise ValueError(f"more than {MAX_JWKS_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished in {timeout_seconds:g} seconds")
    return bytes(body)


@cache
def _opener() -> "OpenerDirector":
    from urllib.request import HTTPRedirectHandler, build_opener  # most never fetch anything

    class NoRedirect(HTTPRedirectHandler):
        """Whom to trust is for the configuration to say, not for whoever answers to a name."""

        def redirect_request(self, *args: object) -> None:
            """Refuse, so that the redirect counts as the error that it is."""

    return build_opener(NoRedirect)
