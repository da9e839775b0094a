"""What all dialects share: the media type, the capped body, the bearer credential, the reply."""

from starlette.types import Receive, Send

from playsmart_gateway.errors import TooLarge, Unauthenticated, UnsupportedMedia


class Disconnected(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


def require_json(headers: dict[bytes, bytes]) -> None:
    """Raise ``UnsupportedMedia`` unless the body is plain JSON; a missing type counts as JSON."""
    media_type = headers.get(b"content-type", b"application/json")
    if media_type.partition(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedMedia
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("unsupported_content_encoding")


async def read_body(headers: dict[bytes, bytes], receive: Receive, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: it is announced as, or turns out to be, over ``max_bytes`` bytes.
        Disconnected: the client left first.
    """
    if int(headers.get(b"content-length", b"0")) > max_bytes:
        raise TooLarge
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise TooLarge
        if not message.get("more_body", False):
            return body


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


async def reply(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send one whole answer."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
