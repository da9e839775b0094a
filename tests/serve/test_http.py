"""Over real sockets: what strangers, proxies and broken clients send, and what they get.

Whatever it is, the gateway stays healthy, keeps nothing of what it refused, and writes no token,
secret or payload to its log; ``unharmed`` checks that after every test here.
"""

import contextlib
import json
import re
import uuid
from itertools import pairwise

import pytest

from tests.serve.wire import MARKER, error_of, exchange, payload, request_bytes
from tests.serve.wire import unharmed as unharmed
from tests.support.connection import Answer
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

MAX_BODY_BYTES = 1_048_576
NO_TOKEN = [{"path": "token", "message": "is no JSON Web Token in compact form"}]


@pytest.fixture
def nothing_taken() -> None:
    """Asked for by tests whose requests must all be refused; ``unharmed`` sees to it."""


refused = pytest.mark.usefixtures("nothing_taken")


# --- bodies --------------------------------------------------------------------------------------


@refused
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"' + MARKER.encode() + b'"',
        b"{'user_id': 'ada'}",
        payload() + b"x",
        payload().replace(b'"ada"', b"NaN"),
        payload().replace(MARKER.encode(), b"\xff"),
        payload().replace(b'"ada"', b'"\xc3("'),
        payload().replace(f'"{MARKER}"'.encode(), b"NaN"),
        payload().replace(f'"{MARKER}"'.encode(), b"-Infinity"),
        payload().decode().encode("utf-16"),
        b"[" * 100_000,
        payload().replace(f'"{MARKER}"'.encode(), b"[" * 100_000 + b"]" * 100_000),
        payload().replace(f'"{MARKER}"'.encode(), b"[" * 500 + b"]" * 500),
        json.dumps({**make_upload("ada"), "events": [make_event()] * 201}).encode(),
        json.dumps({**make_upload("ada"), "events": None}).encode(),
        json.dumps(make_upload("ada", make_event(MARKER))).encode(),
        json.dumps(make_upload("ada", make_event(customdata=[MARKER]))).encode(),
        json.dumps(make_upload("ada", make_event(timestamp=MARKER))).encode(),
    ],
    ids=lambda body: f"{body[:24]!r} {len(body)}",
)
def test_a_body_that_breaks_the_contract_is_refused(gateway: RunningGateway, body: bytes) -> None:
    answer = gateway.post(body, sub="ada")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("BAD_REQUEST", "invalid_payload")
    assert error["details"]
    assert MARKER not in answer.text


@refused
def test_of_many_problems_twenty_are_told_and_the_rest_counted(gateway: RunningGateway) -> None:
    answer = gateway.post(make_upload("ada", *[make_event(MARKER)] * 200), sub="ada")
    details = answer.json()["error"]["details"]
    assert len(details) == 21
    assert details[-1] == {"path": "", "message": "and 180 more"}


def test_a_body_of_just_the_limit_is_taken(gateway: RunningGateway) -> None:
    body = payload()
    body += b" " * (MAX_BODY_BYTES - len(body))
    assert gateway.post(body, sub="ada").status_code == 202


@refused
def test_a_body_over_the_limit_is_refused(gateway: RunningGateway) -> None:
    body = payload()
    answer = gateway.post(body + b" " * (MAX_BODY_BYTES - len(body) + 1), sub="ada")
    assert answer.status_code == 413
    size = {"path": "", "message": "must have at most 1,048,576 bytes, has 1,048,577"}
    told = {"code": "PAYLOAD_TOO_LARGE", "message": "body_too_large", "details": [size]}
    assert answer.json() == {"error": told}


@refused
def test_thirty_megabytes_are_refused_when_announced(gateway: RunningGateway) -> None:
    parts = [MARKER.encode() * 10_000] * 273
    announced = sum(map(len, parts))
    assert announced > 30_000_000
    head = request_bytes(gateway, b"", "Connection: close", length=announced)
    (answer,) = exchange(gateway, head, *parts)
    assert error_of(answer) == (413, "PAYLOAD_TOO_LARGE", "body_too_large")


@refused
def test_an_announced_thirty_megabytes_are_refused_before_they_are_sent(
    gateway: RunningGateway,
) -> None:
    with gateway.connect() as connection:
        connection.send(request_bytes(gateway, b"", length=30_000_000))
        assert error_of(connection.read_answer())[0] == 413


@refused
def test_thirty_megabytes_in_chunks_are_refused(gateway: RunningGateway) -> None:
    chunk = b"186a0\r\n" + b" " * 100_000 + b"\r\n"
    head = request_bytes(
        gateway, b"", "Transfer-Encoding: chunked", "Connection: close", length=None
    )
    answers = exchange(gateway, head, *[chunk] * 300, b"0\r\n\r\n")
    assert [error_of(answer)[0] for answer in answers] == [413]


def test_a_chunked_body_is_taken(gateway: RunningGateway) -> None:
    body = payload()
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1], body[1:40], body[40:])]
    head = request_bytes(
        gateway, b"", "Transfer-Encoding: chunked", "Connection: close", length=None
    )
    (answer,) = exchange(gateway, head, *chunks, b"0\r\n\r\n")
    assert answer.status == 202


@refused
def test_a_broken_chunk_behind_a_large_one_is_broken_http(gateway: RunningGateway) -> None:
    """Not an oversize header: what a body adds up to is no matter of the head."""
    chunk = b"9c40\r\n" + b" " * 40_000 + b"\r\n"
    chunked = ("Transfer-Encoding: chunked", "Expect: 100-continue")
    with gateway.connect() as connection:
        connection.send(request_bytes(gateway, b"", *chunked, length=None))
        assert b"100" in connection.read_line() + connection.read_line()
        connection.send(chunk + b"zz\r\n")
        (answer,) = connection.read_to_end()
    assert error_of(answer) == (400, "BAD_REQUEST", "invalid_http")


@refused
def test_trailers_of_a_chunked_body_are_limited_like_headers(gateway: RunningGateway) -> None:
    head = request_bytes(gateway, b"", "Transfer-Encoding: chunked", length=None)
    trailers = b"".join(b"x-trailer-%d: %b\r\n" % (place, b"y" * 1000) for place in range(100))
    answers = exchange(gateway, head + b"1\r\n \r\n0\r\n", *[trailers] * 100)
    assert [error_of(answer)[0] for answer in answers] == [431]


@refused
def test_a_body_that_is_longer_than_announced_is_not_all_read(gateway: RunningGateway) -> None:
    body = payload()
    answers = exchange(gateway, request_bytes(gateway, body, length=len(body) - 10))
    assert [error_of(answer)[0] for answer in answers] == [400]


@refused
def test_a_body_that_never_comes_whole_is_forgotten(gateway: RunningGateway) -> None:
    body = payload()
    with gateway.connect() as connection:
        connection.send(request_bytes(gateway, body, length=len(body) + 10))


@refused
@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "1_0", "", "9" * 400, "5, 5"])
def test_a_length_that_is_no_number_is_broken_http(gateway: RunningGateway, length: str) -> None:
    head = request_bytes(gateway, payload(), f"Content-Length: {length}", length=None)
    answers = exchange(gateway, head)
    assert error_of(answers[0])[0] == 400


@refused
def test_a_length_beside_chunks_is_broken_http(gateway: RunningGateway) -> None:
    """Two ways to find the end of one body are how requests get smuggled."""
    head = request_bytes(gateway, payload(), "Transfer-Encoding: chunked")
    assert error_of(exchange(gateway, head)[0])[0] == 400


# --- slow ----------------------------------------------------------------------------------------


SlowRequests = dict[str, list[Answer]]


@pytest.fixture(scope="module")
def slow_requests(hasty_gateway: RunningGateway) -> SlowRequests:
    """The answers to requests that stop on their way, which all wait at the same time."""
    whole = request_bytes(hasty_gateway, payload())
    sent = {
        "nothing": b"",
        "half a line": whole[:10],
        "half a head": whole[: whole.index(b"\r\n\r\n")],
        "half a body": whole[:-5],
        "half a body, refused": request_bytes(hasty_gateway, b" ", length=30_000_000),
        "on a used connection": b"GET /healthz HT",
    }
    with contextlib.ExitStack() as opened:
        connections = {name: opened.enter_context(hasty_gateway.connect()) for name in sent}
        used = connections["on a used connection"]
        used.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert used.read_answer().status == 200
        for name, part in sent.items():
            connections[name].send(part)
        return {name: connection.read_to_end() for name, connection in connections.items()}


@pytest.mark.parametrize("sent", ["nothing", "half a line", "half a head", "half a body"])
def test_a_request_that_does_not_arrive_in_time_is_answered_408(
    hasty_gateway: RunningGateway, slow_requests: SlowRequests, sent: str
) -> None:
    (answer,) = slow_requests[sent]
    assert error_of(answer) == (408, "REQUEST_TIMEOUT", "request_timeout")
    assert answer.headers["connection"] == "close"
    assert hasty_gateway.settle()["received"] == 0


def test_a_slow_request_on_a_used_connection_is_answered_408(slow_requests: SlowRequests) -> None:
    (answer,) = slow_requests["on a used connection"]
    assert error_of(answer)[0] == 408


def test_a_slow_body_that_was_refused_already_gets_no_second_answer(
    slow_requests: SlowRequests,
) -> None:
    answers = slow_requests["half a body, refused"]
    assert [answer.status for answer in answers] == [413]


# --- broken HTTP ---------------------------------------------------------------------------------


@refused
@pytest.mark.parametrize(
    "garbage",
    [
        b"hello, is anybody there?\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"\0" * 1000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT localhost:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_in_the_envelope(
    gateway: RunningGateway, garbage: bytes
) -> None:
    (answer,) = exchange(gateway, garbage)
    assert error_of(answer) == (400, "BAD_REQUEST", "invalid_http")
    assert answer.headers["connection"] == "close"


@refused
@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 400_000,
        b"GET / HTTP/1.1\r\n" + b"X-Many: 1\r\n" * 5_000 + b"\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /" + b"x" * 1_000_000,
    ],
    ids=["one header", "endless header", "many headers", "path", "endless path"],
)
def test_a_head_over_32_kilobytes_is_refused_with_431(gateway: RunningGateway, head: bytes) -> None:
    (answer,) = exchange(gateway, head)
    assert error_of(answer) == (
        431,
        "REQUEST_HEADER_FIELDS_TOO_LARGE",
        "request_headers_too_large",
    )


def test_a_large_head_within_the_limit_passes(gateway: RunningGateway) -> None:
    answer = gateway.client.get("/healthz", headers={"x-large": "x" * 30_000})
    assert answer.status_code == 200


@refused
def test_endless_empty_lines_before_a_request_are_refused(gateway: RunningGateway) -> None:
    answers = exchange(gateway, b"\r\n" * 50_000, *[b"\r\n" * 50_000] * 20)
    assert [error_of(answer)[0] for answer in answers] == [431]


@refused
@pytest.mark.parametrize("host", ["[", "]", "a b", "a:b:c", "::", "\xff", "a\\b", "%", ""])
@pytest.mark.parametrize("path", ["/", "/healthz/", "//x/", "/%2e%2e/%00", "/%ff%fe", "/?%", "/#"])
def test_an_odd_host_or_path_is_no_server_error(
    gateway: RunningGateway, host: str, path: str
) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    (answer,) = exchange(gateway, head.encode("latin-1"))
    assert answer.status in (200, 307, 400, 404)
    assert answer.headers["x-request-id"]


def test_http_1_0_is_answered_and_closed(gateway: RunningGateway) -> None:
    (answer,) = exchange(
        gateway, request_bytes(gateway, payload(), line="POST /ingest/events HTTP/1.0")
    )
    assert answer.status == 202


def test_a_client_that_asks_before_it_sends_is_told_to_continue(gateway: RunningGateway) -> None:
    body = payload()
    head = request_bytes(gateway, b"", "Expect: 100-continue", length=len(body))
    with gateway.connect() as connection:
        connection.send(head)
        assert connection.read_line() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.read_line() == b"\r\n"
        connection.send(body)
        assert connection.read_answer().status == 202


def test_http_1_0_is_not_told_to_continue(gateway: RunningGateway) -> None:
    """RFC 9110 section 10.1.1: it would take that for the answer."""
    sent = request_bytes(
        gateway, payload(), "Expect: 100-continue", line="POST /ingest/events HTTP/1.0"
    )
    assert [answer.status for answer in exchange(gateway, sent)] == [202]


def test_requests_in_a_pipeline_are_answered_in_their_order(gateway: RunningGateway) -> None:
    requests = [
        request_bytes(gateway, payload()),
        b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        request_bytes(gateway, b"{"),
        request_bytes(gateway, payload(), "Connection: close"),
    ]
    answers = exchange(gateway, b"".join(requests))
    assert [answer.status for answer in answers] == [202, 404, 400, 202]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4


def test_garbage_behind_a_request_is_not_taken_for_its_answer(gateway: RunningGateway) -> None:
    """Or a client would be told that events were refused which are stored."""
    answers = exchange(gateway, request_bytes(gateway, payload()) + b"\0 garbage \r\n\r\n")
    assert [answer.status for answer in answers] == [202]


@refused
def test_garbage_on_a_used_connection_is_refused_in_the_envelope(gateway: RunningGateway) -> None:
    with gateway.connect() as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_answer().status == 200
        connection.send(b"\0 garbage \r\n\r\n")
        (answer,) = connection.read_to_end()
    assert error_of(answer) == (400, "BAD_REQUEST", "invalid_http")


def test_a_connection_serves_many_requests(gateway: RunningGateway) -> None:
    with gateway.connect() as connection:
        for _ in range(3):
            connection.send(request_bytes(gateway, b"{"))
            assert connection.read_answer().status == 400
            connection.send(request_bytes(gateway, payload()))
            assert connection.read_answer().status == 202


# --- routes and media types ----------------------------------------------------------------------


@refused
@pytest.mark.parametrize("path", ["/nowhere", "/ingest", "/ingest/events/x", "/v2/%2e%2e", "/*"])
def test_an_unknown_path_is_404_in_the_envelope(gateway: RunningGateway, path: str) -> None:
    answer = gateway.client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": {"code": "NOT_FOUND", "message": "not_found"}}
    assert answer.headers["x-request-id"]


@refused
@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1/games/", "/v1/games"),
        ("/v1/games/?bundle_id=a%26b&x=%22", "/v1/games?bundle_id=a%26b&x=%22"),
        ("/healthz//", "/healthz"),
        ("/user/a%20b%2Fc/points/", "/user/a%20b/c/points"),
    ],
)
def test_a_redirect_is_relative_whatever_host_and_scheme_were_asked_for(
    gateway: RunningGateway, path: str, location: str
) -> None:
    proxied = {"host": "events.example.com", "x-forwarded-proto": "https"}
    answer = gateway.client.get(path, headers=proxied)
    assert (answer.status_code, answer.headers["location"]) == (307, location)
    assert answer.headers["x-request-id"]


@refused
@pytest.mark.parametrize(
    "path", ["/ingest/events", "/v2/identify", "/v2/analytics_events/batch", "/event", "/v3/event"]
)
def test_a_post_with_a_slash_too_many_is_sent_on_with_its_body(
    gateway: RunningGateway, path: str
) -> None:
    proxied = {"host": "events.example.com", "x-forwarded-proto": "https"}
    answer = gateway.client.post(f"{path}/?a=b", content=b"{}", headers=proxied)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{path}?a=b")
    followed = gateway.client.post(f"{path}/", content=b"{}", follow_redirects=True)
    straight = gateway.client.post(path, content=b"{}")
    assert (followed.status_code, followed.content) == (straight.status_code, straight.content)


@pytest.mark.parametrize("path", ["/nothing/", "//evil.example/", "//", "//healthz/", "/a/b//"])
def test_what_is_not_there_is_not_there_with_a_slash_either(
    gateway: RunningGateway, path: str
) -> None:
    (answer,) = exchange(
        gateway, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.status == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_another_method_is_405_in_the_envelope(gateway: RunningGateway, method: str) -> None:
    answer = gateway.client.request(method, "/ingest/events")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.headers["x-request-id"]
    if method != "HEAD":
        error = {"code": "METHOD_NOT_ALLOWED", "message": "method_not_allowed"}
        assert answer.json() == {"error": error}


@refused
def test_what_is_only_read_takes_no_post(gateway: RunningGateway) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics"):
        answer = gateway.client.post(path, content=payload())
        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ],
)
def test_json_is_taken_however_its_type_is_written(
    gateway: RunningGateway, media_type: str
) -> None:
    assert gateway.post(payload(), sub="ada", headers={"content-type": media_type}).is_success


def test_a_missing_content_type_counts_as_json(gateway: RunningGateway) -> None:
    head = request_bytes(gateway, payload(), "Connection: close")
    (answer,) = exchange(gateway, head.replace(b"Content-Type: application/json\r\n", b""))
    assert answer.status == 202


@refused
@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/x-ndjson",
        "json",
        "",
        "text/html; application/json",
    ],
)
def test_another_media_type_is_415_in_the_envelope(
    gateway: RunningGateway, media_type: str
) -> None:
    answer = gateway.post(payload(), sub="ada", headers={"content-type": media_type})
    assert answer.status_code == 415
    error = {"code": "UNSUPPORTED_MEDIA_TYPE", "message": "unsupported_media_type"}
    wanted = [{"path": "content-type", "message": "must be application/json"}]
    assert answer.json() == {"error": {**error, "details": wanted}}


@refused
@pytest.mark.parametrize("encoding", ["zstd", "br", "deflate", "identity, gzip", "x"])
def test_an_encoded_body_is_415_in_the_envelope(gateway: RunningGateway, encoding: str) -> None:
    answer = gateway.post(payload(), sub="ada", headers={"content-encoding": encoding})
    assert answer.status_code == 415
    assert answer.json()["error"]["message"] == "unsupported_content_encoding"
    assert answer.headers["accept-encoding"] == "gzip"


def test_an_encoding_that_changes_nothing_is_fine(gateway: RunningGateway) -> None:
    assert gateway.post(payload(), sub="ada", headers={"content-encoding": "Identity"}).is_success


# --- who sends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
def test_the_scheme_is_read_in_any_case(gateway: RunningGateway, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {gateway.token('ada')}"}
    assert gateway.post(payload(), headers=headers).status_code == 202


@refused
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic YTpi", "eyJ.e.e"])
def test_no_bearer_token_is_401(gateway: RunningGateway, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = gateway.post(payload(), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = {"code": "UNAUTHORIZED", "message": "missing_bearer_token"}
    assert answer.json() == {"error": error}


@refused
@pytest.mark.parametrize("token", ["x", MARKER, "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 20_000])
def test_a_token_that_is_none_is_401(gateway: RunningGateway, token: str) -> None:
    answer = gateway.post(payload(), headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("UNAUTHORIZED", "invalid_token")
    assert error.get("details", NO_TOKEN) == NO_TOKEN


@refused
def test_events_of_another_player_are_403(gateway: RunningGateway) -> None:
    answer = gateway.post(payload("eve"), sub="ada")
    assert answer.status_code == 403
    assert answer.json() == {"error": {"code": "FORBIDDEN", "message": "user_id_mismatch"}}


@refused
@pytest.mark.parametrize("user_id", ["Ada", "ada ", " ada", "ada\u0301", "\uff41da"])
def test_a_user_id_must_be_the_subject_to_the_letter(gateway: RunningGateway, user_id: str) -> None:
    assert gateway.post(payload(user_id), sub="ada").status_code == 403


def test_a_forwarded_authorization_is_ignored_unless_configured(gateway: RunningGateway) -> None:
    forwarded = {"x-forwarded-authorization": f"Bearer {gateway.token('eve')}"}
    assert gateway.post(payload("eve"), headers=forwarded).status_code == 401
    assert gateway.post(payload("eve"), sub="ada", headers=forwarded).status_code == 403
    assert gateway.post(payload("ada"), sub="ada", headers=forwarded).status_code == 202


def test_a_forwarded_authorization_wins_when_configured(hasty_gateway: RunningGateway) -> None:
    forwarded = {"x-forwarded-authorization": f"Bearer {hasty_gateway.token('eve')}"}
    nonsense = {"x-forwarded-authorization": "Bearer x"}
    assert hasty_gateway.post(payload("eve"), headers=nonsense, sub="eve").status_code == 401
    assert hasty_gateway.post(payload("ada"), headers=forwarded, sub="ada").status_code == 403
    assert hasty_gateway.settle()["received"] == 0
    assert hasty_gateway.post(payload("eve"), headers=forwarded, sub="ada").status_code == 202
    assert hasty_gateway.post(payload("ada"), sub="ada").status_code == 202


@refused
def test_what_is_wrong_is_found_in_the_agreed_order(gateway: RunningGateway) -> None:
    """Token, media type, size, body, player: each request mends what the one before was told."""
    huge, broken, foreign = b" " * (MAX_BODY_BYTES + 1), b"{", payload("eve")
    text, token = (
        {"content-type": "text/plain"},
        {"authorization": f"Bearer {gateway.token('ada')}"},
    )
    told = [
        gateway.post(huge, headers=text),
        gateway.post(huge, headers=text | token),
        gateway.post(huge, headers=token),
        gateway.post(broken, headers=token),
        gateway.post(foreign, headers=token),
    ]
    assert [answer.status_code for answer in told] == [401, 415, 413, 400, 403]


# --- request ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_id", ["a", "req-1", "x" * 128, "!~", "168bd188-fbcd-47be-9179-accbd57d47ed"]
)
def test_a_sane_request_id_is_echoed(gateway: RunningGateway, request_id: str) -> None:
    for path in ("/", "/healthz", "/nowhere", "/ingest/events"):
        answer = gateway.client.get(path, headers={"x-request-id": request_id})
        assert answer.headers.get_list("x-request-id") == [request_id]


@pytest.mark.parametrize("request_id", [b"", b"a b", b"x" * 129, b"\xe9", b"a\tb"])
def test_another_request_id_is_replaced(gateway: RunningGateway, request_id: bytes) -> None:
    answer = gateway.client.get("/healthz", headers={b"x-request-id": request_id})
    assert uuid.UUID(answer.headers["x-request-id"]).version == 7


def test_request_ids_that_are_made_sort_by_time(gateway: RunningGateway) -> None:
    made = [gateway.client.get("/healthz").headers["x-request-id"] for _ in range(20)]
    assert len(set(made)) == 20
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in made} == {
        (7, uuid.RFC_4122)
    }
    milliseconds = [int(each.replace("-", "")[:12], 16) for each in made]
    assert all(earlier <= later for earlier, later in pairwise(milliseconds))


# --- what is said in general ---------------------------------------------------------------------


def test_an_answer_says_how_many_events_were_taken(gateway: RunningGateway) -> None:
    answer = gateway.post(make_upload("ada", *[make_event()] * 7), sub="ada")
    assert re.fullmatch(r'\{"success": true, "message": "accepted:7 buffered:\d+"\}', answer.text)
    assert answer.headers["content-type"] == "application/json"


def test_no_answer_names_the_software_or_its_version(gateway: RunningGateway) -> None:
    assert "server" not in gateway.client.get("/healthz").headers
