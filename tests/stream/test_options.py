"""What a URL of NATS means, and what may be shown of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.build import storage_for
from playsmart_gateway.config import Config, Nats, Storage, masked
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stream import open_consumer
from playsmart_gateway.stream.options import (
    JetStreamOptions,
    read_servers,
    tls_context,
)

PASSWORD = "do-not-show-me"


def test_a_url_names_every_node() -> None:
    servers = read_servers("nats://one,two:4333,[::1]:4444")
    assert [server.where for server in servers] == ["one:4222", "two:4333", "[::1]:4444"]
    assert [server.url for server in servers][1] == "nats://two:4333"
    assert read_servers("tls://one")[0].url == "tls://one:4222"


def test_nodes_have_the_user_of_the_first_unless_they_have_one() -> None:
    servers = read_servers("nats://ada:p%40ss@one,two,nats://bob:word@three")
    assert [(each.user, each.password) for each in servers] == [
        ("ada", "p@ss"),
        ("ada", "p@ss"),
        ("bob", "word"),
    ]
    assert all("@" not in server.url for server in servers)


@pytest.mark.parametrize(
    "url",
    ["nats://", "nats://one,", "nats://one:port", "nats://one/path", "http://one", "nats:one",
     "nats://one?tls=1", "nats://one,tls://two"],
)  # fmt: skip
def test_what_is_no_url_of_nats_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^storage\.url: must be nats://HOST") as caught:
        read_servers(url.replace("//", f"//ada:{PASSWORD}@", 1))
    assert PASSWORD not in str(caught.value)


def test_passwords_in_urls_are_masked() -> None:
    url = f"nats://ada:{PASSWORD}@one:4222,bob:{PASSWORD}@two:4222"
    reads_url = f"postgresql://ada:{PASSWORD}@db/events"
    shown = masked(Config(storage=Storage(url=url, reads_url=reads_url)))["storage"]
    assert PASSWORD not in str(shown)
    assert shown["url"].endswith("@two:4222")
    assert shown["reads_url"] == "postgresql://ada:********@db/events"
    assert masked(Config())["storage"]["url"] == Config().storage.url


def test_nats_needs_a_database_to_read_from() -> None:
    for reads_url in (None, "nats://one"):
        with pytest.raises(ConfigError, match=r"^storage\.reads_url: must name the database"):
            storage_for(Config(storage=Storage(url="nats://one", reads_url=reads_url)))


def test_no_other_store_takes_a_second_database() -> None:
    with pytest.raises(ConfigError, match=r"^storage\.reads_url: is only for"):
        storage_for(Config(storage=Storage(url="memory:", reads_url="memory:")))


def test_a_worker_takes_from_nats_only() -> None:
    with pytest.raises(ConfigError, match="must be nats://"):
        open_consumer("memory:", JetStreamOptions())


def test_files_that_are_not_there_are_named_at_the_start(tmp_path: Path) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    nats = Nats(credentials_file=str(tmp_path / "creds"), tls_cert_file=str(tmp_path / "cert"))
    storage = Storage(url="nats://one", reads_url="memory:")
    with pytest.raises(ConfigError) as caught:
        storage_for(Config(storage=storage, nats=nats))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "nats.credentials_file",
        "nats.tls_cert_file",
        "nats.tls_cert_file",
    ]


def test_a_stream_cannot_know_longer_than_it_keeps() -> None:
    options = JetStreamOptions(max_age_seconds=60)
    assert options.problems() == [
        "nats.max_age_seconds: is less than nats.duplicate_window_seconds"
    ]


def test_files_that_hold_no_certificates_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="no usable certificates"):
        tls_context(JetStreamOptions(tls_ca_file=str(tmp_path / "ca.pem")))


ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(ids, ids)
def test_subjects_are_legal_and_different_games_have_different_ones(one: str, other: str) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    from playsmart_gateway.stream.topology import subject_of

    subject = subject_of("s", one)
    prefix, _, token = subject.rpartition(".")
    assert prefix == "s.events"
    assert token
    assert token.isascii()
    assert not set(token) & set(" .*>\t\r\n\0")
    assert (subject == subject_of("s", other)) == (one == other)
