"""Signals at any moment of a process, as its first one of a container too; and where it listens."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.serve.wire import start_workers
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import NO_TLS, SECRET, StartGateway, clean_environment

MODULE = (sys.executable, "-m", "playsmart_gateway")
ALONE = ("unshare", "--pid", "--fork", "--kill-child=KILL")
IGNORED = "SIGHUP is ignored"


class Importing:
    """A command that is in the middle of its imports, and stays there."""

    def __init__(self, folder: Path, *command: str) -> None:
        (folder / "click.py").write_text(
            "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(600)\n"
        )
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(PYTHONPATH=str(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        wait_until(lambda: (folder / "importing").exists() or None)

    def end(self) -> tuple[int, bytes]:
        output, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, output


def can_be_alone() -> bool:
    """Whether this machine lets us be the first process of a namespace."""
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_be_alone(), reason="unshare --pid is not permitted here")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_first_process_of_a_container_heeds_a_signal_during_its_imports(
    tmp_path: Path, sent: signal.Signals
) -> None:
    importing = Importing(tmp_path, *ALONE, *MODULE, "serve")
    outer = importing.process.pid
    (inner,) = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    os.kill(int(inner), sent)
    assert importing.end() == (128 + sent, b"")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["serve", "stats"])
def test_a_signal_during_the_imports_ends_without_a_word(
    tmp_path: Path, command: str, sent: signal.Signals
) -> None:
    importing = Importing(tmp_path, *MODULE, command)
    importing.process.send_signal(sent)
    assert importing.end() == (-sent, b"")


@pytest.mark.skipif(not can_be_alone(), reason="unshare --pid is not permitted here")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_process_of_a_container_drains_and_exits_0(tmp_path: Path, workers: int) -> None:
    environment = clean_environment(PLAYSMART_AUTH__SECRET=SECRET)
    command = [*ALONE, *MODULE, "serve", "--port", "0", "--workers", str(workers)]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: "running on" in log.read_text() or None)
        (inner,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(inner), signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


def test_hanging_up_during_the_imports_stops_no_server(tmp_path: Path) -> None:
    importing = Importing(tmp_path, *MODULE, "serve")
    importing.process.send_signal(signal.SIGHUP)
    importing.process.send_signal(signal.SIGTERM)
    assert importing.end() == (-signal.SIGTERM, b"")


@pytest.mark.parametrize("count", [1, 2])
def test_hanging_up_changes_nothing_and_the_log_says_so(
    start_gateway: StartGateway, count: int
) -> None:
    running = start_workers(start_gateway, count) if count > 1 else start_gateway()
    pid = running.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    processes = [pid, *map(int, children)]
    for each in processes:
        os.kill(each, signal.SIGHUP)
    wait_until(lambda: running.log.count(IGNORED) == len(processes) or None)
    assert running.client.get("/readyz").is_success
    assert running.stop() == 0


def test_hanging_up_changes_nothing_for_a_worker_of_a_stream(tmp_path: Path) -> None:
    source, target = "nats://127.0.0.1:1", f"sqlite:///{tmp_path}/events.db"
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*MODULE, "worker", "--from", source, "--to", target],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: log.read_text() or None)  # it runs, and says that there is no stream
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: IGNORED in log.read_text() or None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_wildcard_of_ipv6_takes_ipv4_as_well(start_gateway: StartGateway, workers: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    running = start_gateway("--host", "::", "--workers", workers)
    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{running.port}/healthz"
        assert httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS).is_success
    assert running.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line(tmp_path: Path, workers: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*MODULE, "serve", "--host", "::", "--port", port, "--workers", workers],
            cwd=tmp_path,
            env=clean_environment(PLAYSMART_AUTH__SECRET=SECRET),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert ended.returncode == 1
    assert f"error: cannot listen on [::]:{port}: address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
