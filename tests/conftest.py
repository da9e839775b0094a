"""The gateways, stores and servers that tests of several packages ask for."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.commands import run, run_here
from tests.support.engines.nats import nats_server
from tests.support.engines.postgres import postgres_server, postgres_store_url, postgres_url
from tests.support.engines.seaweed import object_store
from tests.support.examples import ALL, QUICK
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.stores import database_url, new_database_url

__all__ = [
    "database_url",
    "nats_server",
    "new_database_url",
    "object_store",
    "postgres_server",
    "postgres_store_url",
    "postgres_url",
    "run",
    "run_here",
]


# The same examples every time: a suite that fails by chance is one that nobody believes.
for name, number in (("suite", QUICK), ("all", ALL)):
    settings.register_profile(
        name,
        max_examples=number,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is
    )
settings.load_profile("suite")  # unless --hypothesis-profile names the other

PROCESS_FOLDERS = {"bench", "campaigns", "load", "serve", "stream"}
PROCESS_FIXTURES = {"nats_server", "object_store", "postgres_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is about processes, servers or browsers, where the module has not said so."""
    here = Path(__file__).parent
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        folder = item.path.relative_to(here).parts[0]
        if folder in PROCESS_FOLDERS or PROCESS_FIXTURES & {*fixtures} or "postgres" in item.name:
            item.add_marker(pytest.mark.process)


def pytest_configure() -> None:
    """Have tables as wide as they are: processes of xdist are told how wide our terminal is."""
    os.environ.pop("COLUMNS", None)


def pytest_collection_finish() -> None:
    """Have no collection of garbage walk through what was imported: it stays, and is most."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways in ``tmp_path`` with tests' own settings; they are gone when the test is."""
    started: list[RunningGateway] = []

    def start(*arguments: str, secret: str | None = SECRET, **environment: str) -> RunningGateway:
        settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
        if secret is not None:
            settings["PLAYSMART_AUTH__SECRET"] = secret
        running = RunningGateway(tmp_path, settings, *arguments)
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The one gateway that most tests talk to; it must have stored all it promised at the end."""
    running = RunningGateway(
        tmp_path_factory.mktemp("gateway"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.01",
        },
    )
    try:
        yield running
        accepted = running.metrics()["playsmart_events_accepted_total"]
        assert running.stop() == 0
        assert running.select("SELECT count(*) FROM events")[0][0] == accepted
        assert "Traceback" not in running.log
    finally:
        running.close()


@pytest.fixture(scope="session")
def hasty_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One that waits half a second for a request, and stands behind a proxy that it trusts."""
    running = RunningGateway(
        tmp_path_factory.mktemp("hasty"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_AUTH__TRUST_FORWARDED": "true",
            "PLAYSMART_SERVER__REQUEST_TIMEOUT_SECONDS": "0.5",
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.05",
        },
    )
    try:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
    finally:
        running.close()
