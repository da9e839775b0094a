"""Who holds a connection, how long, and with how much of a body: a real server under abuse."""

import contextlib
import json
import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.wire import error_of, payload, request_bytes
from tests.support.connection import Connection
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


# --- who may hold a connection -------------------------------------------------------------------


def connect(opened: contextlib.ExitStack, running: RunningGateway, count: int) -> list[Connection]:
    return [opened.enter_context(running.connect()) for _ in range(count)]


def closed(running: RunningGateway, reason: str) -> int:
    found = running.metrics().get(f"playsmart_connections_closed_total{{reason={reason}}}", 0)
    return int(found)


def connections(running: RunningGateway, *states: str) -> int:
    found = running.metrics()
    return int(sum(found[f"playsmart_connections{{state={each}}}"] for each in states))


@pytest.mark.parametrize("parked", [b"", b"\r\n", GET, GET + b"\r\n", GET + b"G"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_parked_connections_lock_nobody_out(
    start_gateway: StartGateway, parked: bytes, workers: str
) -> None:
    """Whatever they did before; the third line of each is what uvicorn forgot to wait for."""
    running = start_gateway("--workers", workers, SERVER__MAX_CONNECTIONS="10")
    wait_until(lambda: running.client.get("/readyz").is_success or None)
    with contextlib.ExitStack() as opened:
        for connection in connect(opened, running, 10 * int(workers)):
            connection.send(parked)
            if parked.startswith(GET):
                connection.read_answer()
        running.client.close()
        for _ in range(4):
            with running.connect() as newcomer:
                newcomer.send(request_bytes(running, payload()))
                assert newcomer.read_answer().status == 202
        with running.connect() as probe:
            probe.send(GET)
            assert probe.read_answer().status == 200


def test_the_longest_idle_connection_goes_first(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__MAX_CONNECTIONS="3")
    running.client.close()
    with contextlib.ExitStack() as opened:
        first, second, third = connect(opened, running, 3)
        for connection in (third, first, second):  # the order counts in which they were used
            connection.send(GET)
            assert connection.read_answer().status == 200
        (fourth,) = connect(opened, running, 1)
        fourth.send(GET)
        assert fourth.read_answer().status == 200
        assert third.read_to_end() == [], "closed, with no answer that nobody asked for"
        for connection in (first, second, fourth):
            connection.send(GET)
            assert connection.read_answer().status == 200


@contextlib.contextmanager
def busy_gateway(start: StartGateway) -> Iterator[RunningGateway]:
    """A gateway with place for three, who all wait for room in the buffer: the store is held."""
    running = start(
        SERVER__MAX_CONNECTIONS="3",
        BUFFER__MAX_EVENTS="1",
        BUFFER__WAIT_FOR_ROOM_MS="60000",
        SERVER__DRAIN_TIMEOUT_SECONDS="1",
    )
    lock = sqlite3.connect(running.folder / "data" / "playsmart.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        assert running.post(make_upload("ada", make_event()), sub="ada").status_code == 202
        with contextlib.ExitStack() as opened:
            for connection in connect(opened, running, 3):
                connection.send(request_bytes(running, payload()))
            time.sleep(0.5)  # whoever came earlier would push out those that are not read yet
            yield running
    finally:
        lock.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/metrics?name=x"])
def test_whoever_watches_gets_in_when_nobody_else_does(
    start_gateway: StartGateway, path: str
) -> None:
    with busy_gateway(start_gateway) as running:

        def ask(first_line: str) -> tuple[int, str] | None:
            with running.connect() as probe:
                probe.send(f"{first_line} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                (answer,) = probe.read_to_end()
            return answer.status, answer.headers["connection"]

        wait_until(lambda: ask("GET /") == (503, "close") or None)
        assert ask(f"GET {path}") == ((503 if path == "/readyz" else 200), "close")
        assert ask(f"POST {path}") == (503, "close")
        with running.connect() as another:
            another.send(request_bytes(running, payload()))
            (answer,) = another.read_to_end()
        assert error_of(answer)[::2] == (503, "too_many_connections")
        assert answer.headers["retry-after"] == "1"
        with running.connect() as probe:
            probe.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            told = probe.read_to_end()[0].body.decode()
        assert 'playsmart_connections{state="answering"} 4.0' in told, "the probe itself is one"
        assert "playsmart_max_connections 3.0" in told
        assert 'playsmart_connections_refused_total{reason="too_many_connections"}' in told


def test_there_is_an_end_to_the_places_of_those_who_watch(start_gateway: StartGateway) -> None:
    """They are taken as soon as they are opened, and the last ones in push out the first."""
    with busy_gateway(start_gateway) as running, contextlib.ExitStack() as opened:
        parked = connect(opened, running, 30)
        with running.connect() as probe:
            probe.send(GET)
            assert probe.read_to_end()[0].status == 200
        assert parked[0].read_to_end() == []


def test_an_address_may_be_given_a_limit(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__MAX_CONNECTIONS_PER_ADDRESS="2")
    running.client.close()
    with contextlib.ExitStack() as opened:
        first, _, third = connect(opened, running, 3)
        (answer,) = third.read_to_end()
        assert error_of(answer)[::2] == (503, "too_many_connections_of_address")
        first.send(GET)
        assert first.read_answer().status == 200

    def has_room() -> bool | None:
        with running.connect() as again:
            again.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return again.read_to_end()[0].status == 200 or None

    wait_until(has_room)


# --- for how long --------------------------------------------------------------------------------


def test_an_idle_connection_ends_whatever_blank_lines_it_sends(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__KEEP_ALIVE_SECONDS="0.5")
    with running.connect() as connection:
        connection.send(GET)
        assert "keep-alive" not in connection.read_answer().headers, "half a second is no promise"
        connection.send(b"\r\n")
        assert connection.read_to_end() == []
    assert closed(running, "idle") >= 1


def test_how_long_a_connection_is_kept_is_announced(gateway: RunningGateway) -> None:
    for request in (GET, request_bytes(gateway, payload())):
        with gateway.connect() as connection:
            connection.send(request)
            answer = connection.read_answer()
            assert answer.headers["keep-alive"] == "timeout=90"
            connection.send(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            (answer,) = connection.read_to_end()
            assert (answer.headers["connection"], answer.headers.get("keep-alive")) == (
                "close", None,
            )  # fmt: skip


def test_who_asks_and_does_not_read_is_cut_off(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__REQUEST_TIMEOUT_SECONDS="0.5")
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as opened:
        for _ in range(3):
            deaf = opened.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.connect(("127.0.0.1", running.port))
            deaf.setblocking(False)
            for _ in range(200):
                with contextlib.suppress(BlockingIOError):
                    deaf.send(ask)
        wait_until(lambda: closed(running, "answer_not_read") == 3 or None)
        wait_until(lambda: connections(running, "answering", "idle") == 1 or None)
    assert running.stop() == 0


def test_a_request_that_is_late_is_counted(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__REQUEST_TIMEOUT_SECONDS="0.5")
    late = request_bytes(running, payload())[:-1]
    with running.connect() as body, running.connect() as head, running.connect() as nothing:
        body.send(late)
        head.send(late[:20])
        for connection in (body, head, nothing):
            assert [answer.status for answer in connection.read_to_end()] == [408]
    assert closed(running, "request_timeout") == 3
    assert running.metrics()["playsmart_requests_refused_total{reason=too_slow}"] == 3


def test_a_late_body_is_refused_in_the_words_of_the_dialect(start_gateway: StartGateway) -> None:
    running = start_gateway(SERVER__REQUEST_TIMEOUT_SECONDS="0.5")
    with running.connect() as lynes, running.connect() as teak:
        lynes.send(request_bytes(running, b"{", line="POST /event HTTP/1.1", length=9))
        teak.send(request_bytes(running, b"{", line="POST /v2/identify HTTP/1.1", length=9))
        (answer,) = lynes.read_to_end()
        assert json.loads(answer.body)["error"]["code"] == "request_timeout"
        (answer,) = teak.read_to_end()
        assert json.loads(answer.body) == {
            "status": "error", "errors": {"too_slow": ["request_timeout"]},
        }  # fmt: skip


# --- the pipeline --------------------------------------------------------------------------------


def test_thousands_of_requests_in_a_pipeline_are_all_answered_and_read_when_their_turn_comes(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway()
    count = 2_000
    with running.connect() as connection:
        assert connection.send(GET * (count - 1))  # what does not fit waits on the way
        connection.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert [each.status for each in connection.read_to_end()] == [200] * count


# --- bodies --------------------------------------------------------------------------------------


def test_of_too_many_bytes_of_bodies_the_largest_unfinished_body_is_refused(
    start_gateway: StartGateway,
) -> None:
    """In the words of its dialect; who sends little beside them is served."""
    running = start_gateway(
        SERVER__MAX_BODY_BYTES="65536", SERVER__MAX_BODY_BYTES_IN_FLIGHT="150000"
    )
    line = "POST /v2/identify HTTP/1.1"
    with contextlib.ExitStack() as opened:
        endless = connect(opened, running, 3)
        for connection, size in zip(endless, (40_000, 60_000, 40_000), strict=True):
            connection.send(request_bytes(running, b" " * size, line=line, length=65_000))
        wait_until(lambda: running.metrics()["playsmart_body_bytes"] == 140_000 or None)
        assert running.post(make_upload("ada"), sub="ada").status_code == 202
        endless[0].send(b" " * 15_000)
        (answer,) = endless[1].read_to_end()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.body) == {
            "status": "error", "errors": {"too_many_bodies": ["too_many_bodies"]},
        }  # fmt: skip
        assert running.metrics()["playsmart_body_bytes"] == 95_000
        for place in (0, 2):
            endless[place].send(b" " * (10_000 if place == 0 else 25_000))
            assert endless[place].read_answer().status == 400
    found = running.metrics()
    assert found["playsmart_body_bytes"] == 0
    assert found["playsmart_requests_refused_total{reason=too_many_bodies}"] == 1


def test_a_body_in_many_small_pieces_is_taken_whole(gateway: RunningGateway) -> None:
    body = payload() + b" " * 3_000
    with gateway.connect() as connection:
        connection.send(request_bytes(gateway, b"", length=len(body)))
        for place in range(0, len(body), 7):
            connection.send(body[place : place + 7])
        assert connection.read_answer().status == 202
        head = request_bytes(gateway, b"", "Transfer-Encoding: chunked", length=None)
        connection.send(head)
        for place in range(0, len(body), 7):
            piece = body[place : place + 7]
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        assert connection.read_answer().status == 202


def test_a_body_full_of_empty_lines_is_a_body(gateway: RunningGateway) -> None:
    body = payload().replace(b"{", b"{" + b"\r\n\r\n" * 100_000, 1)
    with gateway.connect() as connection:
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        connection.send(request_bytes(gateway, body) + last)
        assert [answer.status for answer in connection.read_to_end()] == [202, 200]
    with gateway.connect() as connection:
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        head = request_bytes(gateway, b"", "Transfer-Encoding: chunked", length=None)
        connection.send(head + chunk)
        assert connection.read_answer().status == 202


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_half_a_body_at_the_end_is_refused_in_the_words_of_its_dialect(
    start_gateway: StartGateway, workers: str
) -> None:
    running = start_gateway("--workers", workers, SERVER__DRAIN_TIMEOUT_SECONDS="3")
    wait_until(lambda: running.client.get("/readyz").is_success or None)
    with contextlib.ExitStack() as opened:
        playsmart, lynes, teak, head = connect(opened, running, 4)
        playsmart.send(request_bytes(running, payload())[:-9])
        lynes.send(request_bytes(running, b"{", line="POST /event HTTP/1.1", length=9))
        teak.send(request_bytes(running, b"{", line="POST /v2/identify HTTP/1.1", length=9))
        head.send(request_bytes(running)[:20])
        wait_until(lambda: connections(running, "body") == 3 or None)
        running.process.send_signal(signal.SIGTERM)
        (answer,) = playsmart.read_to_end()
        assert error_of(answer) == (503, "UNAVAILABLE", "shutting_down")
        assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
        (answer,) = head.read_to_end()
        assert error_of(answer) == (503, "UNAVAILABLE", "shutting_down")
        (answer,) = lynes.read_to_end()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.body)["success"] is False
        (answer,) = teak.read_to_end()
        assert json.loads(answer.body) == {
            "status": "error",
            "errors": {"closing": ["shutting_down"]},
        }
    assert running.process.wait(PATIENCE_SECONDS) == 0
    assert "CancelledError" not in running.log
    assert "Traceback" not in running.log


def test_a_body_in_crumbs_is_refused_before_they_cost_much(gateway: RunningGateway) -> None:
    """Each chunk costs as much as some hundred bytes in one chunk do."""
    head = request_bytes(gateway, b"", "Transfer-Encoding: chunked", length=None)
    with gateway.connect() as connection:
        connection.send(head + b"2\r\n  \r\n" * 20_000)
        (answer,) = connection.read_to_end()
    assert error_of(answer) == (413, "PAYLOAD_TOO_LARGE", "body_too_large")


def test_what_was_refused_is_not_kept(gateway: RunningGateway) -> None:
    head = request_bytes(gateway, b" " * 60_000, length=1_000_000, sub=None)
    with contextlib.ExitStack() as opened:
        for connection in connect(opened, gateway, 20):
            connection.send(head)
            assert connection.read_answer().status == 401
            assert gateway.metrics()["playsmart_body_bytes"] == 0


# --- open files ----------------------------------------------------------------------------------


def files_allowed(running: RunningGateway) -> int:
    limits = Path(f"/proc/{running.process.pid}/limits")
    if not limits.exists():
        pytest.skip("needs /proc to see how many files a process may open")
    (line,) = [each for each in limits.read_text().splitlines() if "open files" in each]
    return int(line.split()[3])


def test_connections_leave_files_for_journal_and_store(start_gateway: StartGateway) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))  # a gateway inherits it
    try:
        running = start_gateway(SERVER__MAX_CONNECTIONS="300")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert files_allowed(running) > 300 + 200


def test_where_so_many_files_may_not_be_open_it_says_so(start_gateway: StartGateway) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("any number may be open here")
    running = start_gateway(SERVER__MAX_CONNECTIONS=str(hard))
    running.told(f"only {hard} files may be open")
    running.told("lower server.max_connections")
