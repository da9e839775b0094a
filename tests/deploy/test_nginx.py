"""The server for nginx: a real nginx reads it, and stands in front of a real gateway."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from playsmart_gateway.config import Server
from playsmart_gateway.deploy import read_file
from tests.support.certificates import make_certificates
from tests.support.polling import wait_until
from tests.support.process import NO_TLS, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

SITE = read_file("nginx")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
PLAYER = "device-abc-123"


@pytest.mark.skipif(NGINX is None, reason="there is no nginx")
def test_nginx_accepts_the_site_with_its_certificate(tmp_path: Path) -> None:
    assert NGINX
    _, certificate, key = make_certificates(tmp_path)
    site = SITE.replace("/etc/ssl/events.example.com.pem", certificate)
    site = site.replace("/etc/ssl/events.example.com.key", key)
    site = site.replace("listen 443", f"listen unix:{tmp_path}/s")
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\nevents {{}}\n"
        f"http {{ access_log off;\n{site}}}\n"
    )
    checked = subprocess.run(
        [NGINX, "-t", "-e", tmp_path / "error.log", "-c", config],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


@contextmanager
def nginx(folder: Path, gateway_port: int) -> Iterator[str]:
    """The server, without its certificate, on a free port; its URL."""
    assert NGINX
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = re.sub(r"^ *ssl_.*\n", "", SITE, flags=re.MULTILINE)
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
        return httpx.post(
            f"{self._url}/ingest/events", json=body, headers=headers, trust_env=False, verify=NO_TLS
        )


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
    named = {"authorization": token, "x-request-id": "of-a-client-1"}
    answer = proxied.post(make_upload("somebody-else"), named)
    assert (answer.status_code, answer.headers["x-request-id"]) == (403, "of-a-client-1")
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
    kept = re.search(r"keepalive_timeout (\d+)s?;", SITE)
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
