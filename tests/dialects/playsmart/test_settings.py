"""What clients are told before they send, and that of other games nothing is taken if so told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from playsmart_gateway import __version__
from playsmart_gateway.app import create_app
from playsmart_gateway.build import check
from playsmart_gateway.dialects import load_config
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.process import SECRET, StartGateway
from tests.support.uploads import make_upload

INGEST = {
    "enabled": True,
    "max_events": 200,
    "max_body_bytes": 1_048_576,
    "encodings": ["gzip"],
    "run_keep_days": 90,
    "flush_seconds": 30.0,
    "max_queue_bytes": 10_485_760,
    "sample": {},
}
PATHS = ["/v1/app-settings", "/limits"]
ONE_GAME = '[{id = "com.example.known"}]'


@asynccontextmanager
async def asked(folder: Path, **environment: str) -> AsyncIterator[httpx.AsyncClient]:
    variables = {
        "PLAYSMART_AUTH__SECRET": SECRET,
        "PLAYSMART_JOURNAL__PATH": str(folder / "journal"),
        **{f"PLAYSMART_{name}": value for name, value in environment.items()},
    }
    app = create_app(load_config(None, variables), sink=MemorySink())
    async with in_process(app) as client:
        yield client


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"INGEST__GAMES": "configured"}, "ingest.games: is"),
        ({"APP__SETTINGS": '{ingest = "mine"}'}, "app.settings.ingest: is"),
        ({"INGEST__GAMES": "some"}, "ingest.games: must be one of any, configured"),
        ({"INGEST__SAMPLE": "{AdImpression = 1.5}"}, "ingest.sample: Expected"),
        ({"INGEST__FLUSH_SECONDS": "0"}, "ingest.flush_seconds: Expected"),
    ],
)
def test_what_cannot_be_told_or_meant_refuses_to_start(
    variables: dict[str, str], problem: str
) -> None:
    environment = {f"PLAYSMART_{name}": value for name, value in variables.items()}
    environment["PLAYSMART_AUTH__SECRET"] = SECRET
    with pytest.raises(ConfigError) as refused:
        check(load_config(None, environment))
    assert [each for each in refused.value.problems if each.startswith(problem)]


@pytest.mark.parametrize("path", PATHS)
async def test_only_get_is_allowed(path: str, tmp_path: Path) -> None:
    async with asked(tmp_path) as client:
        answer = await client.post(path)
        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def test_anybody_is_told_the_limits_in_the_shape_that_playsmart_documents(
    tmp_path: Path,
) -> None:
    async with asked(tmp_path) as client:
        answer = await client.get("/v1/app-settings")
        settings = {"version": __version__, "maintenance": False, "ingest": INGEST}
        assert (answer.status_code, answer.json()) == (200, {"data": [settings]})
        assert answer.headers["content-type"] == "application/json"
        assert (await client.get("/limits")).json() == INGEST


async def test_what_is_configured_is_told(tmp_path: Path) -> None:
    async with asked(
        tmp_path,
        SERVER__MAX_BODY_BYTES="4096",
        INGEST__ENABLED="false",
        INGEST__FLUSH_SECONDS="60",
        INGEST__MAX_QUEUE_BYTES="5000000",
        RUNS__KEEP_DAYS="30",
        INGEST__SAMPLE="{AdImpression = 0.25, boss_defeated = 0}",
        APP__SETTINGS='{maintenance = true, version = "7", ios_store_id = "id1", deep = {a = [1]}}',
    ) as client:
        (settings,) = (await client.get("/v1/app-settings")).json()["data"]
        ingest = settings.pop("ingest")
        expected = {"maintenance": True, "version": "7", "ios_store_id": "id1", "deep": {"a": [1]}}
        assert settings == expected
        assert ingest == {
            **INGEST,
            "enabled": False,
            "max_body_bytes": 4_096,
            "run_keep_days": 30,
            "flush_seconds": 60.0,
            "max_queue_bytes": 5_000_000,
            "sample": {"AdImpression": 0.25, "boss_defeated": 0.0},
        }
        assert (await client.get("/limits")).json() == ingest


@pytest.mark.parametrize("path", PATHS)
async def test_who_knows_it_is_told_that_nothing_changed(path: str, tmp_path: Path) -> None:
    async with asked(tmp_path) as client:
        first = await client.get(path)
        assert first.headers["cache-control"] == "max-age=3600"
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == "max-age=3600"
        assert (await client.get(path, headers={"if-none-match": '"old"'})).status_code == 200
        lines = [("if-none-match", '"old"'), ("if-none-match", first.headers["etag"])]
        assert (await client.get(path, headers=lines)).status_code == 304  # one list, RFC 9110
    async with asked(tmp_path, INGEST__ENABLED="false") as client:
        assert (await client.get(path)).headers["etag"] != first.headers["etag"]


def test_of_a_game_that_is_not_configured_nothing_is_taken_where_so_told(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(INGEST__GAMES="configured", GAMES=ONE_GAME)
    known = make_upload("ada", game_id="com.example.known")
    unknown = make_upload("ada", game_id="com.example.other")
    refused = running.post(unknown, sub="ada")
    error = {"code": "FORBIDDEN", "message": "unknown_game"}
    assert (refused.status_code, refused.json()) == (403, {"error": error})
    lenient = running.post(unknown, sub="ada", headers={"prefer": "handling=lenient"})
    assert (lenient.status_code, lenient.json()["error"]["message"]) == (403, "unknown_game")
    assert running.post(unknown, sub="eve").json()["error"]["message"] == "user_id_mismatch"
    assert running.post(known, sub="ada").status_code == 202
    assert running.settle()["received"] == 1
    assert running.stop() == 0


def test_of_any_game_events_are_taken_if_not_told_otherwise(start_gateway: StartGateway) -> None:
    running = start_gateway(GAMES=ONE_GAME)
    assert running.post(make_upload("ada"), sub="ada").status_code == 202
