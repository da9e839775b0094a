"""Standard output and error: whoever reads them slowly, or not at all, holds up nobody."""

import contextlib
import fcntl
import logging
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

from playsmart_gateway.output import Outlet
from tests.support import warm
from tests.support.metrics import parse_metrics
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.ports import free_port
from tests.support.process import NO_TLS, SECRET, clean_environment

pytestmark = pytest.mark.process

SERVE = (sys.executable, "-m", "playsmart_gateway", "serve")
DROPPED = re.compile(r"(\d+) records were dropped: nobody read standard error")
REQUESTS = 4_000
LOGGED = {"PLAYSMART_AUTH__SECRET": SECRET, "PLAYSMART_LOG__ACCESS": "true"}


def small_pipe() -> tuple[int, int]:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4_096)
    return ours, theirs


class Unread:
    """A gateway whose log nobody reads after its first lines, until ``rest`` does."""

    def __init__(self, folder: Path, ours: int, theirs: int, *arguments: str) -> None:
        with os.fdopen(theirs, "wb") as end:
            self.process = warm.start(
                ["serve", "--port", "0", *arguments],
                folder=folder,
                environment=clean_environment(**LOGGED),
                stdout=end,
            )
        self.log = os.fdopen(ours, "rb", buffering=0)
        self.start = ""
        while not (found := re.search(r"running on http://[^ ]*:(\d+) ", self.start)):
            byte = self.log.read(1)
            assert byte, self.start
            self.start += byte.decode()
        self.port = int(found[1])

    def ask(self, path: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS)

    def chatter(self, requests: int = REQUESTS) -> None:
        """Cause a record for each of many requests, over some connections, to have all workers."""
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + b"x" * 100 + b"\r\n\r\n"
        last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as connection:
                sending = threading.Thread(
                    target=connection.sendall, args=(request * (requests // 4 - 1) + last,)
                )
                sending.start()
                answered = b""
                while chunk := connection.recv(65_536):
                    answered += chunk
                sending.join()
                assert answered.count(b"HTTP/1.1 200") == requests // 4

    def dropped(self) -> float:
        return parse_metrics(self.ask("/metrics").text)["playsmart_log_records_dropped_total"]

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE_SECONDS)

    def rest(self) -> str:
        """Read to the end what was not read."""
        text = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while chunk := self.log.read(65_536):
                text += chunk
        return text.decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
        self.log.close()


@contextlib.contextmanager
def unread(folder: Path, kind: str, *arguments: str) -> Iterator[Unread]:
    if kind == "pipe":
        ours, theirs = small_pipe()
    elif kind == "terminal":
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
    else:
        pair = socket.socketpair()
        ours, theirs = (each.detach() for each in pair)
    running = Unread(folder, ours, theirs, *arguments)
    try:
        yield running
    finally:
        running.close()


@pytest.mark.parametrize(
    ("kind", "workers"), [("pipe", 1), ("pipe", 2), ("terminal", 1), ("socket", 2)]
)
def test_a_log_that_nobody_reads_stops_nothing_and_is_counted(
    tmp_path: Path, kind: str, workers: int
) -> None:
    with unread(tmp_path, kind, "--workers", str(workers)) as running:
        if workers > 1:
            wait_until(lambda: running.ask("/readyz").is_success or None)
        running.chatter(REQUESTS * workers)
        assert running.ask("/healthz").json() == {"status": "alive"}
        assert running.dropped() > 0
        assert running.stop() == 0


def test_when_the_log_is_read_again_one_line_says_how_much_is_missing(tmp_path: Path) -> None:
    with unread(tmp_path, "pipe") as running:
        running.chatter()
        before = running.dropped()
        read: list[str] = []
        reading = threading.Thread(target=lambda: read.append(running.rest()))
        reading.start()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE_SECONDS) == 0
        reading.join()
    (log,) = read
    (missing,) = (int(each) for each in DROPPED.findall(log))
    assert before <= missing <= before + 10  # that of /metrics itself, and those of the end
    assert REQUESTS <= log.count(" answered ") + missing <= REQUESTS + 10
    assert "Finished server process" in log


def test_a_worker_that_dies_while_nobody_reads_the_log_is_started_again(tmp_path: Path) -> None:
    with unread(tmp_path, "pipe", "--workers", "2") as running:
        wait_until(lambda: running.ask("/readyz").is_success or None)
        running.chatter(2 * REQUESTS)
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        before = children.read_text().split()
        os.kill(int(before[0]), signal.SIGKILL)
        wait_until(lambda: len(set(children.read_text().split()) - {before[0]}) == 2 or None)
        wait_until(lambda: running.ask("/readyz").is_success or None)
        assert running.dropped() > 0
        assert running.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_log_may_lose_its_reader(tmp_path: Path, workers: int) -> None:
    with unread(tmp_path, "pipe", "--workers", str(workers)) as running:
        running.log.close()
        running.chatter(100)
        assert running.ask("/healthz").is_success
        assert running.dropped() > 0
        assert running.stop() == 0


def test_with_standard_error_closed_nothing_is_written_into_another_file(tmp_path: Path) -> None:
    port = free_port()
    script = f'exec "$@" --port {port} <&- >&- 2>&-'
    process = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", *SERVE], cwd=tmp_path, env=clean_environment(**LOGGED)
    )

    def ask() -> bool | None:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(
                f"http://127.0.0.1:{port}/readyz", trust_env=False, verify=NO_TLS
            ).is_success
        return None

    try:
        assert wait_until(ask)
        for number in (0, 1, 2):
            assert Path(f"/proc/{process.pid}/fd/{number}").readlink() == Path(os.devnull)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


# --- one outlet ----------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], int]]:
    ours, theirs = small_pipe()
    with os.fdopen(ours, "rb", buffering=0) as end:
        yield end, theirs


def test_what_was_put_comes_out_whole_and_in_order(pipe: tuple[IO[bytes], int]) -> None:
    end, theirs = pipe
    outlet = Outlet(theirs, "a pipe")
    pieces = [b"%d " % number * 700 for number in range(100)]
    for piece in pieces:
        outlet.put(piece)
    expected, found = b"".join(pieces), b""
    while len(found) < len(expected):
        found += end.read(65_536)
    assert found == expected
    assert outlet.flush(PATIENCE_SECONDS)
    assert outlet.dropped == 0
    os.close(theirs)


def test_a_full_queue_drops_what_comes_until_it_flows_again(
    pipe: tuple[IO[bytes], int], caplog: pytest.LogCaptureFixture
) -> None:
    end, theirs = pipe
    outlet = Outlet(theirs, "a pipe", max_waiting_bytes=10_000)
    os.write(theirs, b"." * 4_096)  # it is full
    for number in range(30):
        outlet.put(b"%03d" % number + b"." * 997)
    assert outlet.dropped == 20
    assert not outlet.flush(0.01)
    found = b""
    while len(found) < 4_096 + 10_000:
        found += end.read(65_536)
    assert re.findall(rb"\d{3}", found) == [b"%03d" % number for number in range(10)]
    wait_until(lambda: caplog.messages or None)
    assert caplog.messages == ["20 records were dropped: nobody read a pipe"]
    assert caplog.records[0].levelno == logging.ERROR
    outlet.put(b"more")
    assert end.read(10) == b"more"
    os.close(theirs)


@pytest.mark.parametrize("how", ["no reader", "closed", "full disk"])
def test_what_cannot_be_written_is_counted(how: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    if how == "full disk":
        os.close(theirs)
        theirs = os.open("/dev/full", os.O_WRONLY)
    if how == "closed":
        os.close(theirs)
        theirs = 1_000_000
    outlet = Outlet(theirs, how)
    for _ in range(3):
        outlet.put(b"x")
        assert outlet.flush(PATIENCE_SECONDS)
    wait_until(lambda: outlet.dropped == 3 or None)
    if how != "closed":
        os.close(theirs)


def test_a_pipe_that_somebody_made_non_blocking_loses_nothing(pipe: tuple[IO[bytes], int]) -> None:
    end, theirs = pipe
    os.set_blocking(theirs, False)
    outlet = Outlet(theirs, "a pipe")
    outlet.put(b"." * 20_000)
    found = b""
    while len(found) < 20_000:
        found += end.read(65_536)
    assert outlet.dropped == 0
    os.close(theirs)


def test_a_forked_process_has_a_queue_of_its_own(pipe: tuple[IO[bytes], int]) -> None:
    end, theirs = pipe
    script = """
import os
from playsmart_gateway import output
output.never_wait_for_readers()
print("." * 9_999)
child = os.fork()
print("child" if not child else "parent")
if not child:
    output.flush(30)
    os._exit(0)
os.waitpid(child, 0)
output.flush(30)
"""
    with os.fdopen(theirs, "wb") as out:
        process = subprocess.Popen([sys.executable, "-c", script], stdout=out)
    text = b""
    while chunk := end.read(65_536):
        text += chunk
    assert process.wait(PATIENCE_SECONDS) == 0
    assert text.count(b".") == 9_999
    assert sorted(re.findall(rb"[a-z]+", text)) == [b"child", b"parent"]
