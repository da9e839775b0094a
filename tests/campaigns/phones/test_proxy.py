"""The proxy understands the requests of any client: what it counts is what it sends on."""

import asyncio
import gzip
import json

import pytest

from tests.campaigns.phones.proxy import Proxy
from tests.support.players import close

BODY = json.dumps({"user_id": "a", "run": "r", "seq": 0, "events": [{}, {}]}).encode()
PACKED = gzip.compress(BODY)
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


async def sent_on(request: bytes, answer: bytes = ACCEPTED) -> tuple[bytes, bytes, Proxy]:
    """What comes to the gateway of a request, what comes back, and who was between."""
    came = asyncio.get_running_loop().create_future()

    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        came.set_result(head + await reader.readexactly(length))
        writer.write(answer)
        await close(writer)

    server = await asyncio.start_server(gateway, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1], seed=1) as proxy:
        proxy.calm = True
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request)
        told = await reader.read()  # it hangs up behind its answer
        await close(writer)
    return await came, told, proxy


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%b" % (len(BODY), BODY),
        b"content-encoding:gzip\r\ncontent-length:%d\r\n\r\n%b" % (len(PACKED), PACKED),
        b"Transfer-Encoding: chunked\r\n\r\n3\r\n%b\r\n%x;x\r\n%b\r\n0\r\n\r\n"
        % (BODY[:3], len(BODY) - 3, BODY[3:]),
    ],
)
async def test_events_are_counted_however_they_are_sent(rest: bytes) -> None:
    came, told, proxy = await sent_on(b"POST /ingest/events HTTP/1.1\r\nHost: x\r\n" + rest)
    head, _, body = came.partition(b"\r\n\r\n")
    assert (gzip.decompress(body) if b"gzip" in head else body) == BODY
    assert head.startswith(b"POST /ingest/events HTTP/1.1\r\nhost: x\r\n")
    assert b"connection: close" in head
    assert b"chunked" not in head
    assert told == ACCEPTED
    assert (proxy.taken["r"], proxy.sent["r"], proxy.met.total()) == (2, 2, 1)


async def test_who_waits_to_be_asked_for_the_body_is_asked() -> None:
    head = b"POST /ingest/events HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    came, told, _ = await sent_on(head % len(BODY) + BODY)
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n" + ACCEPTED
    assert b"expect" not in came


async def test_what_was_refused_was_not_taken() -> None:
    head = b"POST /ingest/events HTTP/1.1\r\ncontent-length: %d\r\n\r\n"
    _, _, proxy = await sent_on(head % len(BODY) + BODY, b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    assert (proxy.taken["r"], proxy.sent["r"]) == (0, 0)


async def test_what_is_no_event_meets_no_fate() -> None:
    came, told, proxy = await sent_on(b"GET /v1/app-settings HTTP/1.1\r\nHost: x\r\n\r\n")
    assert came.startswith(b"GET /v1/app-settings HTTP/1.1\r\n")
    assert (told, proxy.met.total()) == (ACCEPTED, 0)
