"""What all dialects share: endpoint and answer, the media type, the capped body, the credential."""

from typing import NamedTuple, Protocol

from starlette.types import Receive

from playsmart_gateway.errors import TooLarge, Unauthenticated, UnsupportedMedia
from playsmart_gateway.events.batch import Batch

_JSON = b"application/json"

Headers = dict[bytes, bytes]
"""The headers of a request by lower-case name; of repeated ones the last."""


ERROR_BODY = "playsmart.error_body"
"""A key of the ASGI scope: the body of a 500, set by routes that do not sound like the envelope."""


CUT = "playsmart.cut"
"""A message of our own server in the place of the rest of a body: ``refusal`` is why there is no
more of it, and what to answer."""


class Answer(NamedTuple):
    """One whole answer; whoever sends it adds its length and the request id.

    ``batch`` is what was accepted of the request, for whoever watches; ``is_stored`` if it was
    committed before the answer.
    """

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]
    batch: Batch | None = None
    is_stored: bool = False


class Endpoint(Protocol):
    """Answers the POST requests of one path."""

    async def __call__(self, headers: Headers, receive: Receive) -> Answer | None:
        """Answer one request; None when the client has left."""
        ...

    def error_body(self, status: int, message: str) -> bytes:
        """Return the body of an error that the endpoint itself knows nothing about: 405, 500."""
        ...


class Disconnected(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


def require_json(headers: Headers) -> None:
    """Raise ``UnsupportedMedia`` unless the body is plain JSON; a missing type counts as JSON."""
    media_type = headers.get(b"content-type", _JSON)
    if media_type != _JSON and media_type.partition(b";")[0].strip().lower() != _JSON:
        raise UnsupportedMedia
    require_plain_encoding(headers)


def require_plain_encoding(headers: Headers) -> None:
    """Raise ``UnsupportedMedia`` if the body is compressed."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise UnsupportedMedia("unsupported_content_encoding")


async def read_body(headers: Headers, receive: Receive, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: it is announced as, or turns out to be, over ``max_bytes`` bytes.
        Disconnected: the client left first.
        Refused: the server reads no more of it: too slow, too many bodies at once, or stopping.
    """
    if int(headers.get(b"content-length", b"0")) > max_bytes:
        raise TooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        if message["type"] == CUT:
            chunks.clear()  # an error that a local name holds keeps them all in a circle
            raise message.pop("refusal")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunk if len(chunks) == 1 else b"".join(chunks)


def bearer_token(authorization: bytes | None) -> bytes:
    """Return the token of an ``Authorization`` value; the scheme is case-insensitive (RFC 9110).

    Raises:
        Unauthenticated: ``missing_bearer_token`` when there is none.
    """
    if authorization is not None:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and (token := token.strip(b" ")):
            return token
    raise Unauthenticated("missing_bearer_token")


def bearer_of(headers: Headers, *, trust_forwarded: bool) -> bytes:
    """Return the token of a request; behind a proxy the forwarded header wins (contract section 2).

    Raises:
        Unauthenticated: ``missing_bearer_token`` when there is none.
    """
    if trust_forwarded and (forwarded := headers.get(b"x-forwarded-authorization")):
        return bearer_token(forwarded)
    return bearer_token(headers.get(b"authorization"))
