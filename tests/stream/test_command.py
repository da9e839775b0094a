"""The commands, as processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stream.pipeline import new_stream
from tests.support.commands import Run, fetch, outcome
from tests.support.connection import Connection
from tests.support.engines.nats import NatsServers
from tests.support.metrics import parse_metrics
from tests.support.polling import wait_until
from tests.support.ports import free_port
from tests.support.process import StartGateway
from tests.support.uploads import make_event, make_upload

PASSWORD = "do-not-show-me"


def test_a_gateway_and_a_worker_from_one_configuration_with_the_same_connections(
    nats_server: NatsServers, tmp_path: Path, start_gateway: StartGateway, run: Run
) -> None:
    settings = {
        "STORAGE__URL": nats_server.url,
        "STORAGE__READS_URL": f"sqlite:///{tmp_path}/data/playsmart.db",
        "NATS__STREAM": new_stream().stream + f"-{os.getpid()}",
        "BUFFER__FLUSH_INTERVAL_SECONDS": "0.01",
    }
    gateway = start_gateway(**settings)
    port = free_port()
    worker = run("worker", "--port", str(port), **settings)
    wait_until(lambda: True if (fetch(port, "/readyz") or (0,))[0] == 200 else None)
    for _ in range(20):
        upload = make_upload("ada", *[make_event() for _ in range(10)])
        assert gateway.post(upload, sub="ada").status_code == 202

    def stored() -> dict[str, float] | None:
        metrics = parse_metrics((fetch(port, "/metrics") or (0, ""))[1])
        counts = ("events_stored_total", "lag_messages", "ack_pending_messages")
        found = [metrics.get(f"playsmart_worker_{name}") for name in counts]
        return metrics if found == [200, 0, 0] else None

    metrics = wait_until(stored)
    assert metrics["playsmart_worker_messages_fetched_total"] == 20
    assert metrics["playsmart_worker_nats_up"] == metrics["playsmart_worker_store_up"] == 1
    assert fetch(port, "/healthz") == (200, '{"status": "alive"}')
    assert gateway.select("SELECT count(*) FROM events")[0][0] == 200
    with Connection(port) as wish, Connection(port) as twice, Connection(port) as half:
        wish.send(
            b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        assert wish.read_answer().status == 200
        twice.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert [answer.status for answer in twice.read_to_end()] == [400]
        half.send(b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        worker.process.send_signal(signal.SIGTERM)
        code, output = outcome(worker)
    assert code == 0, output
    assert "Traceback" not in output
    assert gateway.stop() == 0


def test_a_worker_without_signals_or_port_stops_by_ctrl_c(
    nats_server: NatsServers, tmp_path: Path, run: Run
) -> None:
    arguments = ("--from", nats_server.url, "--to", f"sqlite:///{tmp_path}/events.db")
    stream = new_stream().stream + f"-{os.getpid()}"
    worker = run("worker", *arguments, NATS__STREAM=stream)
    wait_until(lambda: True if (tmp_path / "events.db").exists() else None)
    wait_until(lambda: "connected to NATS" in worker.output or None)
    worker.process.send_signal(signal.SIGINT)
    assert outcome(worker)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("worker", "--from", "sqlite:///a.db", "--to", "memory:"), "worker --from: must be nats"),
        (("worker", "--from", "nats://one"), "storage.reads_url: must name the database"),
        (("worker", "--from", "nats://one", "--to", "nats://two"), "storage.reads_url: must name"),
        (("worker", "--from", "nats://one", "--to", "mysql://x"), "storage.url: must be sqlite"),
    ],
)
def test_mistakes_end_with_one_line_and_2(
    run: Run, arguments: tuple[str, ...], problem: str
) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    code, output = outcome(run(*arguments))
    assert code == 2
    (line,) = output.splitlines()
    assert line.startswith(f"error: {problem}")


def test_a_gateway_without_a_database_to_read_from_does_not_start(run: Run) -> None:
    url = f"nats://ada:{PASSWORD}@127.0.0.1:1"
    code, output = outcome(run("serve", "--dev", STORAGE__URL=url))
    assert code == 2
    (line,) = output.splitlines()
    assert line.startswith("error: storage.reads_url: must name the database")


def test_check_config_masks_the_password(run: Run) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    url = f"nats://ada:{PASSWORD}@127.0.0.1:1"
    code, output = outcome(
        run("check-config", STORAGE__URL=url, STORAGE__READS_URL="sqlite:///a.db")
    )
    assert code == 0, output
    assert "nats://********@127.0.0.1:1" in output
    assert PASSWORD not in output


def test_the_driver_is_loaded_only_where_a_url_asks_for_it() -> None:
    program = (
        "import sys; import playsmart_gateway.cli;"
        "from playsmart_gateway.stores.open import open_store;"
        "open_store('memory:'); sys.exit('nats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_port_that_is_taken_is_said(nats_server: NatsServers, run: Run, tmp_path: Path) -> None:
    taken = str(nats_server.nodes[0].port)
    arguments = ("--from", nats_server.url, "--to", f"sqlite:///{tmp_path}/events.db")
    code, output = outcome(run("worker", *arguments, "--port", taken))
    assert code == 2
    assert f"error: --port {taken}: Address already in use" in output


def test_erase_waits_for_the_stream_to_be_empty(
    nats_server: NatsServers, tmp_path: Path, start_gateway: StartGateway, run: Run
) -> None:
    settings = {
        "STORAGE__URL": nats_server.url,
        "STORAGE__READS_URL": f"sqlite:///{tmp_path}/data/playsmart.db",
        "NATS__STREAM": new_stream().stream + f"-{os.getpid()}",
        "BUFFER__FLUSH_INTERVAL_SECONDS": "0.01",
    }
    gateway = start_gateway(**settings)
    assert gateway.post(make_upload("ada"), sub="ada").status_code == 202
    gateway.settle()
    assert gateway.stop() == 0
    code, output = outcome(run("erase", "ada", "--yes", "--wait", "1", **settings))
    assert code == 1
    assert "1 messages in the stream wait for the workers" in output


def test_erase_works_beside_a_gateway_and_a_worker(
    nats_server: NatsServers, tmp_path: Path, start_gateway: StartGateway, run: Run
) -> None:
    """What the gateway has is published, what is in the stream is stored, and then erased."""
    settings = {
        "STORAGE__URL": nats_server.url,
        "STORAGE__READS_URL": f"sqlite:///{tmp_path}/data/playsmart.db",
        "NATS__STREAM": new_stream().stream + f"-{os.getpid()}",
        "BUFFER__FLUSH_INTERVAL_SECONDS": "3600",
    }
    gateway = start_gateway(**settings)
    port = free_port()
    run("worker", "--port", str(port), **settings)
    wait_until(lambda: True if (fetch(port, "/readyz") or (0,))[0] == 200 else None)
    for user in ("ada-lovelace", "eve") * 3:
        assert gateway.post(make_upload(user), sub=user).status_code == 202
    code, output = outcome(run("erase", "ada-lovelace", "--yes", **settings))
    assert code == 0, output
    assert [row[0] for row in gateway.select("SELECT user_id FROM events")] == ["eve"] * 3
    files = [each for each in (tmp_path / "data").rglob("*") if each.is_file()]
    assert [each for each in files if b"ada-lovelace" in each.read_bytes()] == []
    assert gateway.stop() == 0
