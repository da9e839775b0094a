"""Where a request begins and ends, and who sends it: framing and its tricks, on a real server."""

from pathlib import Path

import pytest

from tests.serve.wire import error_of, exchange, payload, request_bytes
from tests.serve.wire import unharmed as unharmed
from tests.support.process import RunningGateway
from tests.support.teak import ENVIRONMENT, IDENTIFY

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADES = ("h2c", "websocket", "TLS/1.2", "HTTP/3, nonsense/7", "")


def cut(data: bytes, *places: int) -> list[bytes]:
    return [data[a:b] for a, b in zip((0, *places), (*places, len(data)), strict=True)]


# --- a wish to upgrade ---------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", UPGRADES)
@pytest.mark.parametrize("packets", ["one", "head and body", "bytes"])
def test_a_wish_to_upgrade_is_ignored_and_the_body_read(
    gateway: RunningGateway, protocol: str, packets: str
) -> None:
    """As Java's client asks with each first request (RFC 9110 section 7.8)."""
    wish = (
        "Connection: Upgrade, HTTP2-Settings",
        f"Upgrade: {protocol}",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    )
    newest = gateway.newest_event_id()
    sent = request_bytes(gateway, payload(), *wish)
    head = sent.index(b"\r\n\r\n") + 4
    places = {"one": (), "head and body": (head,), "bytes": tuple(range(1, len(sent)))}[packets]
    with gateway.connect() as connection:
        for part in cut(sent, *places):
            connection.send(part)
        assert connection.read_answer().status == 202
        connection.send(GET)
        assert connection.read_answer().status == 200, "and the connection goes on"
    gateway.settle()
    assert len(gateway.events_after(newest)) == 1


@pytest.mark.parametrize("protocol", UPGRADES)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_inside_a_body_is_no_request(
    gateway: RunningGateway, protocol: str, chunked: bool
) -> None:
    received = gateway.law()["received"]
    inside = request_bytes(gateway, payload())
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inside), inside) if chunked else inside
    wish = ("Connection: Upgrade", f"Upgrade: {protocol}")
    coding = ("Transfer-Encoding: chunked",) if chunked else (f"Content-Length: {len(body)}",)
    head = request_bytes(gateway, b"", *wish, *coding, length=None)
    for parts in ([head + body], [head, body], [head, body[:40], body[40:]]):
        with gateway.connect() as connection:
            for part in parts:
                connection.send(part)
            assert error_of(connection.read_answer())[::2] == (400, "invalid_payload")
            connection.send(GET)
            assert connection.read_answer().status == 200
    assert gateway.law()["received"] == received


def test_requests_behind_one_that_wishes_to_upgrade_are_read(gateway: RunningGateway) -> None:
    wish = request_bytes(gateway, payload(), "Connection: Upgrade", "Upgrade: h2c")
    last = request_bytes(gateway, payload(), "Connection: close")
    answers = exchange(gateway, GET + wish + wish + GET + last)
    assert [answer.status for answer in answers] == [200, 202, 202, 200, 202]


def test_a_form_or_json_of_teak_s_may_wish_to_upgrade_too(tmp_path: Path) -> None:
    running = RunningGateway(tmp_path, ENVIRONMENT)
    try:
        headers = {
            "connection": "Upgrade, HTTP2-Settings",
            "upgrade": "h2c",
            "http2-settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        }
        fields = {
            "game_id": "your_teak_app_id",
            "secret_key": "your_server_secret",
            "user_id": "p1",
            "country_code": "US",
        }
        assert running.client.post(IDENTIFY, json=fields, headers=headers).status_code == 201
        assert running.client.post(IDENTIFY, data=fields, headers=headers).status_code == 201
    finally:
        running.close()


# --- what two parsers could read in two ways -----------------------------------------------------


def chunked_with_trailers(running: RunningGateway, *trailers: str) -> bytes:
    body = payload()
    head = request_bytes(
        running, b"", "Transfer-Encoding: chunked", "Connection: close", length=None, sub=None
    )
    tail = "".join(f"{each}\r\n" for each in trailers).encode()
    return head + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, tail)


def test_a_token_in_a_trailer_is_none(gateway: RunningGateway) -> None:
    sent = chunked_with_trailers(gateway, f"Authorization: Bearer {gateway.token('ada')}")
    (answer,) = exchange(gateway, sent)
    assert error_of(answer)[::2] == (401, "missing_bearer_token")


def test_nobody_forwards_himself_in_a_trailer(hasty_gateway: RunningGateway) -> None:
    token = hasty_gateway.token("ada")
    sent = chunked_with_trailers(hasty_gateway, f"X-Forwarded-Authorization: Bearer {token}")
    (answer,) = exchange(hasty_gateway, sent)
    assert error_of(answer)[::2] == (401, "missing_bearer_token")


def test_trailers_change_no_header(gateway: RunningGateway) -> None:
    body = payload()
    chunked = ("Transfer-Encoding: chunked", "Connection: close", "X-Request-ID: first")
    head = request_bytes(gateway, b"", *chunked, length=None)
    trailers = b"Authorization: Bearer x\r\nContent-Type: text/plain\r\nX-Request-ID: second\r\n"
    sent = b"%b%x\r\n%b\r\n0\r\n%b\r\n" % (head, len(body), body, trailers)
    (answer,) = exchange(gateway, sent)
    assert (answer.status, answer.headers["x-request-id"]) == (202, "first")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Host", "X-Forwarded-Authorization", "X-API-Key", "Content-Length",
        "Content-Type", "Content-Encoding", "Transfer-Encoding",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/ingest/events", "/event", "/v2/identify", "/healthz", "/no"])
def test_a_header_that_decides_is_refused_when_it_comes_twice(
    gateway: RunningGateway, name: str, path: str
) -> None:
    value = {"Content-Length": "0", "Transfer-Encoding": "chunked"}.get(name, "same")
    for second in (value, "other", ""):
        lines = [f"POST {path} HTTP/1.1", f"{name}: {value}", f"{name.swapcase()}: {second}"]
        lines += ["Host: a"] if name != "Host" else []
        (answer,) = exchange(gateway, "\r\n".join([*lines, "", ""]).encode())
        assert error_of(answer)[::2] == (400, "invalid_http")
        assert answer.headers["connection"] == "close"


def test_a_header_that_decides_nothing_may_come_twice(gateway: RunningGateway) -> None:
    more = ("Accept: a/b", "Accept: c/d", "Via: 1.1 a", "Via: 1.1 b", "Connection: close")
    (answer,) = exchange(gateway, request_bytes(gateway, payload(), *more))
    assert answer.status == 202


def test_a_host_is_required_since_1_1(gateway: RunningGateway) -> None:
    for path in ("/healthz", "/ingest/events", "/nowhere"):
        (answer,) = exchange(gateway, f"GET {path} HTTP/1.1\r\nAccept: a/b\r\n\r\n".encode())
        assert error_of(answer)[::2] == (400, "invalid_http")
    (answer,) = exchange(gateway, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.status == 200


@pytest.mark.parametrize(
    "host", ["localhost:8000", "10.0.0.7", "[::1]:80", "a_b.example", "xn--bcher-kva.example", ""]
)
def test_every_host_that_can_be_one_is_taken(gateway: RunningGateway, host: str) -> None:
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert exchange(gateway, head.encode())[0].status == 200


@pytest.mark.parametrize(
    "lines",
    [
        "Host: a, b",
        "Host: a b",
        "Host: user@a",
        "Host: a/b",
        "Host: a\r\nX: folded\r\n  line",
        "Host: a\r\nAuthorization : Bearer x",
        "Host: a\r\n Authorization: Bearer x",
        "Host: a\nAuthorization: Bearer x",
        "Host: a\rAuthorization: Bearer x",
        "Host: a\r\nTransfer-Encoding: gzip, chunked",
        "Host: a\r\nTransfer-Encoding: chunked, identity",
        "Host: a\r\nTransfer-Encoding: identity",
        "Host: a\r\nTransfer-Encoding: xchunked",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Host: a\r\nContent-Length: 5, 5",
        "Host: a\r\nContent-Length: +5",
    ],
)
def test_a_head_with_two_meanings_is_refused(gateway: RunningGateway, lines: str) -> None:
    head = f"POST /ingest/events HTTP/1.1\r\n{lines}\r\n\r\n".encode()
    answers = exchange(gateway, head + b"5\r\nhello\r\n0\r\n\r\n")
    assert [error_of(answer)[::2] for answer in answers] == [(400, "invalid_http")]


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2"])
def test_another_version_is_refused(gateway: RunningGateway, version: str) -> None:
    (answer,) = exchange(gateway, f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    assert error_of(answer)[::2] == (400, "invalid_http")


def test_chunks_are_unknown_to_1_0(gateway: RunningGateway) -> None:
    head = b"POST /ingest/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    (answer,) = exchange(gateway, head + b"0\r\n\r\n")
    assert error_of(answer)[::2] == (400, "invalid_http")


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_a_chunk_with_two_lengths_is_refused(gateway: RunningGateway, chunks: bytes) -> None:
    head = request_bytes(gateway, b"", "Transfer-Encoding: chunked", length=None)
    answers = exchange(gateway, head + chunks)
    assert [error_of(answer)[0] for answer in answers] == [400]


# --- the caller comes before the body ------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ingest/events", "/event", "/v1/event"])
@pytest.mark.parametrize("token", [None, "Bearer nonsense"])
def test_who_is_unknown_is_told_before_the_body_is_read(
    gateway: RunningGateway, path: str, token: str | None
) -> None:
    authorization = () if token is None else (f"Authorization: {token}",)
    line = f"POST {path} HTTP/1.1"
    with gateway.connect() as connection:
        head = request_bytes(gateway, b"", *authorization, line=line, length=1_000_000, sub=None)
        connection.send(head)
        answer = connection.read_answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert connection.read_to_end() == []


def test_a_stranger_who_sends_all_of_a_large_body_still_reads_the_answer(
    gateway: RunningGateway,
) -> None:
    head = request_bytes(gateway, b"", length=1_000_000, sub=None)
    (answer,) = exchange(gateway, head, *[b" " * 50_000] * 20)
    assert answer.status == 401


def test_a_small_body_behind_a_refusal_does_not_cost_the_connection(
    gateway: RunningGateway,
) -> None:
    """Many clients send head and body in two packets."""
    body = payload()
    with gateway.connect() as connection:
        connection.send(request_bytes(gateway, b"", length=len(body), sub=None))
        answer = connection.read_answer()
        assert answer.status == 401
        assert "connection" not in answer.headers
        connection.send(body[:50])
        connection.send(body[50:] + request_bytes(gateway, body))
        assert connection.read_answer().status == 202


def test_who_waits_to_be_told_to_continue_and_is_refused_gets_no_100(
    gateway: RunningGateway,
) -> None:
    with gateway.connect() as connection:
        expects = ("Expect: 100-continue",)
        connection.send(request_bytes(gateway, b"", *expects, length=1_000, sub=None))
        (answer,) = connection.read_to_end()
    assert (answer.status, answer.headers["connection"]) == (401, "close")
