"""The manual's files for systemd, containers, Kubernetes and nginx, held against a real gateway."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from playsmart_gateway.config import Server
from tests import ROOT
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway, clean_environment
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

DEPLOY = (ROOT / "playsmart_gateway" / "manual" / "deploy.md").read_text("utf-8")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
SYSTEMD = shutil.which("systemd-analyze")
PLAYER = "device-abc-123"


def block(language: str) -> str:
    """The one block of that language in the manual's chapter."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", DEPLOY, re.MULTILINE | re.DOTALL)
    return str(found)


def instructions() -> list[tuple[str, str]]:
    """The container file, an instruction and what it is given each."""
    lines = [line.partition(" ") for line in block("dockerfile").splitlines() if line]
    return [(name, rest) for name, _, rest in lines]


def last(name: str) -> str:
    return [rest for each, rest in instructions() if each == name][-1]


def pod() -> Any:
    return yaml.safe_load(block("yaml"))["spec"]["template"]["spec"]


# --- systemd ---


@pytest.mark.skipif(SYSTEMD is None, reason="there is no systemd-analyze")
def test_systemd_accepts_the_unit_and_finds_it_well_locked_up(tmp_path: Path) -> None:
    assert SYSTEMD
    unit = tmp_path / "playsmart-gateway.service"
    unit.write_text(block("ini").replace("/opt/playsmart/bin/playsmart-gateway", sys.executable))
    checked = subprocess.run(
        [SYSTEMD, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    judged = subprocess.run(
        [SYSTEMD, "security", "--offline=yes", "--threshold=25", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout


def test_systemd_starts_it_again_for_ever_but_not_what_no_restart_mends() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", block("ini"), re.MULTILINE))
    command = [sys.executable, "-m", "playsmart_gateway", *shlex.split(settings["ExecStart"])[1:-1]]
    ended = subprocess.run(
        [*command, os.devnull], env=clean_environment(), capture_output=True, check=False
    )
    assert str(ended.returncode) == settings["RestartPreventExitStatus"]
    assert (settings["Restart"], settings["StartLimitIntervalSec"]) == ("on-failure", "0")
    assert 1 <= float(settings["RestartSec"]) <= 10  # for ever, with a pause
    assert float(settings["TimeoutStopSec"]) > Server().drain_timeout_seconds


# --- container ---


def test_the_container_runs_our_program_itself_as_nobody_in_particular() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["/opt/playsmart/bin/playsmart-gateway"]
    assert json.loads(last("CMD"))[0] == "serve"
    assert last("USER") == f"{pod()['securityContext']['runAsUser']}:10001"
    assert last("STOPSIGNAL") == "SIGTERM"
    assert last("WORKDIR") in json.loads(last("VOLUME"))


def test_the_container_s_command_serves_and_its_health_check_tells(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[server]\nhost = "127.0.0.1"\n')
    _, *arguments, option, host = json.loads(last("CMD"))
    arguments = [each.replace("/etc/playsmart/config.toml", str(config)) for each in arguments]
    assert (option, host) == ("--host", "0.0.0.0")  # noqa: S104 - all there is in a container
    running = start_gateway(*arguments)  # and so on loopback, where tests stay
    options, _, check = last("HEALTHCHECK").partition(" CMD ")
    assert "--start-period" in options
    python, *rest = json.loads(check)
    assert python == "/opt/playsmart/bin/python"
    probe = [sys.executable, *(each.replace(":8000", f":{running.port}") for each in rest)]
    assert subprocess.run(probe, check=False).returncode == 0
    assert running.stop() == 0
    assert subprocess.run(probe, capture_output=True, check=False).returncode != 0


# --- Kubernetes ---


def test_the_probes_ask_what_is_there(gateway: RunningGateway) -> None:
    (container,) = pod()["containers"]
    ports = {port["name"] for port in container["ports"]}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[kind]["httpGet"]
        assert asked["port"] in ports
        assert gateway.client.get(asked["path"]).status_code == 200
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_a_pod_has_time_to_drain_and_one_volume_for_journal_and_store() -> None:
    (container,) = pod()["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] > pause + Server().drain_timeout_seconds
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == last("WORKDIR")
    (claim,) = yaml.safe_load(block("yaml"))["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == mount["name"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


# --- behind a proxy ---


@contextmanager
def nginx(folder: Path, gateway_port: int) -> Iterator[str]:
    """The manual's server, without its certificate, on a free port; its URL."""
    assert NGINX
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = re.sub(r"^ *ssl_.*\n", "", block("nginx"), flags=re.MULTILINE)
    server = server.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    server = server.replace("127.0.0.1:8000", f"127.0.0.1:{gateway_port}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{folders}{server}}}\n"
    )
    process = subprocess.Popen([NGINX, "-e", folder / "error.log", "-c", config])
    try:
        wait_until(lambda: _answers(port) or None)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Proxied:
    """A gateway that trusts what is forwarded, and nginx in front of it."""

    def __init__(self, gateway: RunningGateway, url: str) -> None:
        self.gateway = gateway
        self._url = url

    def post(self, body: object, headers: Mapping[str, str]) -> httpx.Response:
        return httpx.post(f"{self._url}/ingest/events", json=body, headers=headers, trust_env=False)


@pytest.fixture
def proxied(start_gateway: StartGateway, tmp_path: Path) -> Iterator[Proxied]:
    if NGINX is None:
        pytest.skip("there is no nginx")
    running = start_gateway(AUTH__TRUST_FORWARDED="true")
    with nginx(tmp_path, running.port) as url:
        yield Proxied(running, url)


def test_a_request_through_the_proxy_is_stored(proxied: Proxied) -> None:
    token = f"Bearer {proxied.gateway.token(PLAYER)}"
    answer = proxied.post(make_upload(PLAYER, *[make_event()] * 3), {"authorization": token})
    assert (answer.status_code, answer.json()["message"]) == (202, "accepted:3 buffered:3")
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])  # made by nginx
    assert proxied.gateway.stop() == 0
    assert [tuple(row) for row in proxied.gateway.select("SELECT count(*) FROM events")] == [(3,)]


USUAL_SECONDS = 5.2
"""Servers often hang up after five seconds, ours once did: case 6 of the habits of real clients."""

PROXY_SECONDS = 75
"""How long usual proxies keep a connection to us: nginx and AWS 60 s, some 75."""


def test_a_request_after_a_silence_is_answered_through_the_proxy_and_beside_it(
    proxied: Proxied,
) -> None:
    """The one test that waits: no clock of ours is in nginx, or in the socket between."""
    token = f"Bearer {proxied.gateway.token(PLAYER)}"
    body = json.dumps(make_upload(PLAYER)).encode()
    sent = b"".join((
        b"POST /ingest/events HTTP/1.1\r\nHost: a\r\nAuthorization: %b\r\n" % token.encode(),
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
    ))  # fmt: skip

    def kept() -> int:
        return int(proxied.gateway.metrics()["playsmart_connections{state=idle}"])

    with proxied.gateway.connect() as connection:
        connection.send(sent)
        announced = connection.read_answer().headers["keep-alive"]
        assert proxied.post(make_upload(PLAYER), {"authorization": token}).status_code == 202
        before = kept()
        assert before >= 2, "nginx keeps its connection, and so do we"
        time.sleep(USUAL_SECONDS)
        assert kept() == before
        assert proxied.post(make_upload(PLAYER), {"authorization": token}).status_code == 202
        connection.send(sent)
        assert connection.read_answer().status == 202
    assert kept() <= before, "it was the same connection"
    assert announced == f"timeout={Server().keep_alive_seconds:g}"


def test_an_idle_connection_outlives_those_of_usual_proxies() -> None:
    assert Server().keep_alive_seconds > PROXY_SECONDS
    kept = re.search(r"keepalive_timeout (\d+)s?;", block("nginx"))
    assert kept, "nginx's own 60 s are written down"
    assert Server().keep_alive_seconds > int(kept[1])


def test_no_client_can_forward_itself_through_the_proxy(proxied: Proxied) -> None:
    forwarded = {"x-forwarded-authorization": f"Bearer {proxied.gateway.token(PLAYER)}"}
    answer = proxied.gateway.post(make_upload(PLAYER), headers=forwarded)
    assert answer.status_code == 202  # the gateway itself would believe it
    answer = proxied.post(make_upload(PLAYER), forwarded)
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "missing_bearer_token")


def test_the_proxy_lets_errors_of_the_gateway_through(proxied: Proxied) -> None:
    answer = proxied.post({"user_id": 1}, {"authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "invalid_token")
