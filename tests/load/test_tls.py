"""``https://``: a server of its own with a certificate that it made itself."""

import asyncio
import ssl
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import LoadOptions, Report, Sessions, Unreachable, run_load
from tests.load.fake_server import FakeServer
from tests.support.certificates import make_certificates

RUN = 1_767_225_600_000_000


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    return tmp_path / "cert.pem"


def encrypted(certificate: Path) -> FakeServer:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return FakeServer(tls=context)


async def sent(url: str, **options: object) -> Report:
    bounds = LoadOptions(url=url, connections=3, requests=30, timeout_seconds=5, **options)  # type: ignore[arg-type]
    workload = Sessions(["ada"], events=20, seed=1, run=RUN)
    return (await run_load(bounds, workload, lambda user: f"token-of-{user}")).report


async def test_a_certificate_that_is_named_is_trusted_and_all_is_sent(certificate: Path) -> None:
    async with encrypted(certificate) as server:
        report = await sent(server.url, ca=certificate)
        assert (report.responses_2xx, report.errors) == (30, {})
        assert len(server.requests) == 30
        assert server.requests[0].header("Host") == f"127.0.0.1:{server.port}"


async def test_without_looking_any_certificate_is_taken(certificate: Path) -> None:
    async with encrypted(certificate) as server:
        assert (await sent(server.url, insecure=True)).responses_2xx == 30


async def test_a_certificate_of_nobody_is_told_with_what_to_do(certificate: Path) -> None:
    async with encrypted(certificate) as server:
        with pytest.raises(Unreachable, match=r"certificate is not trusted .*--ca FILE"):
            await sent(server.url)
        assert not server.requests


async def test_a_certificate_for_another_name_is_told(certificate: Path) -> None:
    async with encrypted(certificate) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unreachable, match=r"not trusted .*localhost"):
            await sent(url, ca=certificate)


async def test_a_server_without_tls_is_told() -> None:
    async def answer_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_at_once, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match=r"does not speak TLS as we do .*is it http://"):
            await sent(f"https://127.0.0.1:{port}", insecure=True)


async def test_a_file_of_authorities_that_is_none_is_told_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name, told in (("empty.pem", "no certificates in PEM"), ("none.pem", "No such file")):
        with pytest.raises(ConfigError, match=told):
            await sent("https://127.0.0.1:9", ca=tmp_path / name)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "http://a", "insecure": True}, "are for https://"),
        ({"url": "http://a", "ca": Path("x")}, "are for https://"),
        ({"url": "https://a", "ca": Path("x"), "insecure": True}, "exclude each other"),
        ({"url": "ftp://a"}, "must be http://"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        LoadOptions(requests=1, **options).check()  # type: ignore[arg-type]


def test_a_port_is_that_of_the_scheme_unless_it_is_named() -> None:
    assert LoadOptions(url="https://a.example").address == ("a.example", 443)
    assert LoadOptions(url="http://a.example").address == ("a.example", 80)
    assert LoadOptions(url="https://a.example:8443/x").address == ("a.example", 8443)
