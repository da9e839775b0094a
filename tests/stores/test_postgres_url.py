"""What a URL of PostgreSQL says, and what comes of it: poolers, TLS, parameters, refusals."""

import traceback
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import Baseline
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.postgres.url import read_url
from tests.support.certificates import make_certificates
from tests.support.doubles import make_batch
from tests.support.engines.pgbouncer import pgbouncer
from tests.support.engines.postgres import PASSWORD, PostgresServer, fetch, trouble
from tests.support.polling import wait_until
from tests.support.process import StartGateway
from tests.support.uploads import make_upload

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"


def through(url: str, server: PostgresServer, port: int) -> str:
    return url.replace(f":{server.port}/", f":{port}/")


# ---- PgBouncer -----------------------------------------------------------------------------------


async def test_a_pooler_in_session_mode_is_as_good_as_none(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    with pgbouncer(postgres_server.port, "session") as port:
        url = through(postgres_url, postgres_server, port)
        async with open_store(f"{url}?lock_timeout=1s") as sink:
            assert (await sink.write([make_batch(1, 3)])).stored == 3
            assert (await sink.write([make_batch(1, 3)])).duplicate == 3
            await sink.trial([make_batch(2)])
            async with sink.reader() as reader:
                assert await reader.player("player-1") is not None
            keeper = sink.rollups()
            assert keeper is not None
            async with keeper:
                assert await keeper.roll_up(100) is not None
            limits = (
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            )
            assert ("playsmart-gateway",) in await fetch(postgres_url, limits)
        assert await fetch(postgres_url, "SELECT count(*) FROM event_rows") == [(3,)]


async def test_a_gateway_behind_a_pooler_in_session_mode_serves(
    postgres_server: PostgresServer, postgres_url: str, start_gateway: StartGateway
) -> None:
    with pgbouncer(postgres_server.port, "session") as port:
        running = start_gateway(
            STORAGE__URL=through(postgres_url, postgres_server, port),
            BUFFER__FLUSH_INTERVAL_SECONDS="0.02",
        )
        wait_until(lambda: running.client.get("/readyz").status_code == 200 or None)
        for _ in range(5):
            assert running.post(make_upload("ada"), sub="ada").status_code == 202
        running.settle()
        assert running.stop() == 0
        assert "Traceback" not in running.log
    assert await fetch(postgres_url, "SELECT count(*) FROM events") == [(5,)]


def test_a_load_is_verified_through_a_pooler(
    postgres_server: PostgresServer, postgres_store_url: str
) -> None:
    with pgbouncer(postgres_server.port, "session") as port:
        url = through(postgres_store_url, postgres_server, port)
        assert Baseline.take(f"{url}?lock_timeout=2s").event_id == 0


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_in_another_mode_is_refused_by_name(
    postgres_server: PostgresServer, postgres_url: str, mode: str
) -> None:
    with pgbouncer(postgres_server.port, mode) as port:
        url = through(postgres_url, postgres_server, port)
        for _ in range(3):
            error = await trouble(url)
            assert isinstance(error, ConfigError), error
            assert "session mode" in str(error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((PASSWORD, PASSWORD + "x"), "the password is wrong"),
        (("/test_", "/nowhere_"), "no such database"),
        (("gateway:", "somebody:"), "password"),
    ],
)
async def test_a_pooler_s_refusals_are_named(
    postgres_server: PostgresServer, postgres_url: str, change: tuple[str, str], said: str
) -> None:
    with pgbouncer(postgres_server.port, "session") as port:
        error = await trouble(through(postgres_url, postgres_server, port).replace(*change))
    assert isinstance(error, ConfigError), error
    assert said in str(error)
    assert PASSWORD not in "".join(traceback.format_exception(error))


# ---- Parameters ----------------------------------------------------------------------------------


async def test_limits_and_options_are_settings_of_the_session(postgres_url: str) -> None:
    url = (
        f"{postgres_url}?lock_timeout=3s&application_name=ours&connect_timeout=7"
        "&options=-c%20work_mem%3D8MB%20--statement-timeout%3D9s"
    )
    pytest.importorskip("asyncpg", reason="asyncpg is not installed")
    from playsmart_gateway.stores.postgres.connection import connect

    target = read_url(url)
    assert target.connect_seconds == 7
    db = await connect(target)
    names = ["lock_timeout", "application_name", "work_mem", "statement_timeout"]
    names.append("idle_in_transaction_session_timeout")
    found = dict(await db.fetch(SETTINGS, names))
    await db.close()
    assert found == {
        "lock_timeout": "3000", "application_name": "ours", "work_mem": "8192",
        "statement_timeout": "9000", "idle_in_transaction_session_timeout": "15000",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("channel_binding=require", "the parameter channel_binding is not supported"),
        ("keepalives=1&tcp_user_timeout=3", "the parameter tcp_user_timeout is not supported"),
        ("hostaddr=127.0.0.1", "the parameter hostaddr is not supported"),
        ("sslmode=verify", "sslmode: must be one of"),
        ("sslmode=verify-full&sslrootcert=/no/such/file", "sslrootcert: there is no such file"),
        ("sslcert=/no/such/file", "sslcert: there is no such file"),
        ("target_session_attrs=read-only", "target_session_attrs: must be one of"),
        ("connect_timeout=soon", "connect_timeout: must be whole seconds"),
        ("client_encoding=LATIN1", "client_encoding: must be UTF8"),
        ("options=-d%205", "options: must be -c NAME=VALUE"),
        ("sslmod-e=x", "a parameter has a name that no setting can have"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_by_name(query: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(f"postgresql://ada:{PASSWORD}@host/base?{query}")
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("lock_timeot=5s", "refuses the setting lock_timeot"),
        ("sslmod=require", "refuses the setting sslmod"),
        ("lock_timeout=soon", "refuses the setting lock_timeout"),
        ("max_connections=5", "refuses the setting max_connections"),
    ],
)
async def test_a_setting_that_the_server_does_not_take_is_named(
    postgres_url: str, query: str, said: str
) -> None:
    error = await trouble(f"{postgres_url}?{query}")
    assert isinstance(error, ConfigError)
    assert said in str(error)


def test_nothing_is_asked_of_a_server_to_read_a_url() -> None:
    open_store("postgresql://ada@/base?host=/run/postgresql")
    open_store("postgresql://ada@host?dbname=base")


async def test_the_database_may_be_a_parameter(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    base, _, name = postgres_url.rpartition("/")
    host = f"127.0.0.1:{postgres_server.port}"
    url = base.replace(f"@{host}", "@") + f"/?dbname={name}&host={host}"
    async with open_store(url) as sink:
        assert (await sink.write([make_batch(1)])).stored == 1


# ---- TLS -----------------------------------------------------------------------------------------


async def test_a_server_without_tls_is_named_where_the_url_wants_it(postgres_url: str) -> None:
    error = await trouble(f"{postgres_url}?sslmode=require")
    assert isinstance(error, ConfigError), error
    assert "TLS" in str(error)


async def test_tls_is_verified_as_the_url_says(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """The pooler does the server's part, as some builds of PostgreSQL have no TLS."""
    authority, certificate, key = make_certificates(tmp_path)
    (tmp_path / "other").mkdir()
    other, _, _ = make_certificates(tmp_path / "other")
    files = {"server.crt": Path(certificate), "server.key": Path(key)}
    more = (
        "client_tls_sslmode = require\n"
        "client_tls_cert_file = {folder}/server.crt\nclient_tls_key_file = {folder}/server.key"
    )
    with pgbouncer(postgres_server.port, "session", more, files) as port:
        url = through(postgres_url, postgres_server, port)
        async with open_store(f"{url}?sslmode=verify-full&sslrootcert={authority}") as sink:
            assert (await sink.write([make_batch(1)])).stored == 1
        for query, said in (
            (f"sslmode=verify-full&sslrootcert={other}", "not to be trusted"),
            ("sslmode=verify-full", "name its file by sslrootcert"),
        ):
            error = await trouble(f"{url}?{query}")
            assert isinstance(error, ConfigError), error
            assert said in str(error)
        by_name = url.replace("@127.0.0.1", "@localhost")
        error = await trouble(f"{by_name}?sslmode=verify-full&sslrootcert={authority}")
        assert isinstance(error, ConfigError), error
        assert "not to be trusted" in str(error)
        async with open_store(f"{by_name}?sslmode=verify-ca&sslrootcert={authority}") as sink:
            assert (await sink.write([make_batch(2)])).stored == 1
