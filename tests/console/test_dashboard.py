"""The dashboard: who sees it, what it is allowed to do, and that its numbers are the store's."""

import gzip
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import open_verifier
from playsmart_gateway.config import Auth, Buffer, Config, Journal, Operator, Storage
from playsmart_gateway.console.dashboard.routes import (
    RANGES,
)
from playsmart_gateway.http.static import package_folder
from playsmart_gateway.stores.memory.store import MemorySink
from tests.console.uploads import body, post_all
from tests.support.in_process import in_process
from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.waves import PATH, WAVES

TOKEN = "a token of operators"
OUR_FILES = [
    *("", "/dashboard.css", "/dashboard.js", "/charts.js", "/data"),
    *("/report", "/report.js", "/panels.js", "/funnel.js"),
]
LIBRARY = "/plotly.min.js"


@asynccontextmanager
async def client(token: str | None = None, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    config = Config(
        journal=Journal(enabled=False), auth=Auth(secret=SECRET), operator=Operator(token=token)
    )
    app = create_app(
        config, verifier=open_verifier(secret=SECRET), **{"sink": MemorySink(), **options}
    )
    async with in_process(app) as http:
        yield http


@pytest.mark.parametrize("file", [*OUR_FILES, LIBRARY])
async def test_who_has_the_token_or_develops_sees_it_and_nobody_else(file: str) -> None:
    async with client(TOKEN) as http:
        assert (await http.get(f"/dashboard{file}")).status_code == 401
        assert (await http.get(f"/dashboard{file}", auth=("me", "wrong"))).status_code == 401
        assert (await http.get(f"/dashboard{file}", auth=("me", TOKEN))).status_code == 200
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert (await http.get(f"/dashboard{file}", headers=bearer)).status_code == 200
    async with client() as http:
        answer = await http.get(f"/dashboard{file}", auth=("me", ""))
        assert answer.status_code == 404
        assert answer.json() == {"error": {"code": "NOT_FOUND", "message": "not_found"}}
    async with client(development=True) as http:
        assert (await http.get(f"/dashboard{file}")).status_code == 200


@pytest.mark.parametrize("file", [*OUR_FILES, LIBRARY])
async def test_a_browser_is_told_to_load_nothing_but_our_own_files(file: str) -> None:
    async with client(TOKEN) as http:
        for auth in (None, ("me", TOKEN)):
            answer = await http.get(f"/dashboard{file}", auth=auth)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in policy
            assert "*" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            if file == LIBRARY:
                continue  # names sites of maps, which the policy above would not let it ask
            assert "http://" not in answer.text.replace("http://www.w3.org/", "")
            assert "https://" not in answer.text


async def test_the_chart_library_is_that_of_the_installed_package_packed_and_fetched_once() -> None:
    library = package_folder("plotly") / "package_data" / "plotly.min.js"
    async with client(development=True) as http:
        plain = await http.get(f"/dashboard{LIBRARY}", headers={"accept-encoding": "identity"})
        packed = await http.get(f"/dashboard{LIBRARY}", headers={"accept-encoding": "br, gzip"})
        known = {"if-none-match": packed.headers["etag"]}
        again = await http.get(f"/dashboard{LIBRARY}", headers=known)
    assert plain.content == packed.content == library.read_bytes()
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(packed.content) / 3
    assert packed.headers["vary"] == "accept-encoding"
    assert packed.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert "plotly" not in sys.modules


async def test_a_store_without_figures_still_shows_what_is_live() -> None:
    async with client(development=True) as http:
        shown = (await http.get("/dashboard/data")).json()
    assert shown["figures"] is None
    assert shown["trouble"] == "this store keeps no figures"
    assert shown["live"]["received"] == 0
    assert shown["live"]["not_ready"] == []


async def test_a_store_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = Config(
        journal=Journal(enabled=False),
        storage=Storage(url=f"sqlite:///{tmp_path}/gone.db"),
        buffer=Buffer(flush_interval_seconds=3600),
    )
    verifier = open_verifier(secret=SECRET)
    async with in_process(create_app(config, verifier=verifier, development=True)) as http:
        assert (await http.get("/dashboard/data")).json()["figures"]["followed"]["end"] == 0
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"gone.db{suffix}").unlink()
        shown = (await http.get("/dashboard/data?range=7d")).json()
    assert shown["figures"] is None
    assert "was removed" in shown["trouble"]


@pytest.mark.parametrize("query", ["range=2h", "range=", f"game={'x' * 257}"])
async def test_a_question_that_makes_no_sense_is_refused(query: str) -> None:
    async with client(development=True) as http:
        answer = await http.get(f"/dashboard/data?{query}")
    assert answer.status_code == 400
    assert answer.json() == {"error": {"code": "BAD_REQUEST", "message": "invalid_query"}}


def shown(running: RunningGateway, **query: str) -> dict[str, Any]:
    """The data of the dashboard, once everything that is stored is counted."""

    def counted() -> dict[str, Any] | None:
        answer = running.client.get("/dashboard/data", params=query, auth=("me", TOKEN))
        assert answer.status_code == 200
        data: dict[str, Any] = answer.json()
        followed = data["figures"]["followed"]
        return data if followed["end"] and followed["position"] == followed["end"] else None

    running.settle()
    return wait_until(counted)


def events_by_type(data: dict[str, Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in data["figures"]["counts"]:
        counts[each["type"]] += each["events"]
    return counts


@pytest.mark.skipif(not PATH.exists(), reason=f"the data set is not at {PATH}")
def test_the_numbers_of_a_real_game_are_those_of_plain_sql(start_gateway: StartGateway) -> None:
    running = start_gateway(
        BUFFER__FLUSH_INTERVAL_SECONDS="0.05", GAMES=WAVES, OPERATOR__TOKEN=TOKEN
    )
    post_all(running, gzip.decompress(PATH.read_bytes()).splitlines())
    data = shown(running, range="30d")
    for name in RANGES:
        answer = running.client.get(f"/dashboard/data?range={name}", auth=("me", TOKEN))
        types = running.select("SELECT type, count(*) FROM events GROUP BY type")
        assert events_by_type(answer.json()) == {each["type"]: each[1] for each in types}
    figures = data["figures"]
    assert figures["games"] == [{"game_id": "org.fielddaylab.waves", "events": 10_000}]
    days = "substr(received_at, 1, 10) AS day"
    players = running.select(
        f"SELECT {days}, count(DISTINCT user_id), sum(type = 'AppOpen') FROM events"
        " GROUP BY day ORDER BY day"
    )
    assert [(day["players"], day["sessions"]) for day in figures["days"]] == [
        (row[1], row[2]) for row in players
    ]
    levels = running.select(
        "SELECT json_extract(customdata, '$.level') AS level, sum(type = 'LevelCompleted'),"
        " sum(type <> 'LevelCompleted'),"
        " count(DISTINCT iif(type = 'LevelCompleted', user_id, NULL)) FROM events"
        " WHERE type = 'LevelCompleted' OR custom_event_name = 'FAIL' GROUP BY level ORDER BY level"
    )
    assert len(levels) > 20
    assert [
        (each["level"], each["completions"], each["failures"], each["players"])
        for each in figures["levels"]
    ] == [(str(row[0]), *tuple(row)[1:]) for row in levels]
    assert sum(each["coins"] for each in figures["coins"]) == 5_660
    live = data["live"]
    assert (live["received"], live["stored"], live["buffered"]) == (10_000, 10_000, 0)
    assert live["window"]["requests"] == len(gzip.decompress(PATH.read_bytes()).splitlines())


def test_the_numbers_go_on_where_they_were_after_a_restart(start_gateway: StartGateway) -> None:
    settings = {"BUFFER__FLUSH_INTERVAL_SECONDS": "0.01", "OPERATOR__TOKEN": TOKEN}
    first = start_gateway(**settings)
    post_all(first, [body("ada", "AppOpen", level=1), body("bob", "LevelCompleted", level=1)])
    assert events_by_type(shown(first)) == {"AppOpen": 1, "LevelCompleted": 1}
    assert first.stop() == 0
    second = start_gateway(**settings)
    post_all(second, [body("ada", "LevelCompleted", level=1), body("eve", "GameEnd", level=1)])
    data = shown(second)
    assert events_by_type(data) == {"AppOpen": 1, "LevelCompleted": 2, "GameEnd": 1}
    assert [day["players"] for day in data["figures"]["days"]][-1] >= 2
    assert sum(level["completions"] for level in data["figures"]["levels"]) == 2
    assert second.client.get("/dashboard").status_code == 401


def test_one_game_can_be_looked_at(start_gateway: StartGateway) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01", OPERATOR__TOKEN=TOKEN)
    post_all(running, [body("ada", "AppOpen"), body("ada", "GameEnd", game="b", level=2)])
    figures: Callable[[str], dict[str, Any]] = lambda game: shown(running, game=game)["figures"]  # noqa: E731
    assert {each["type"] for each in figures("b")["counts"]} == {"GameEnd"}
    assert figures("b")["levels_game"] == "b"
    assert figures("com.example.game")["levels"] == []
    assert figures("no such game")["counts"] == []
    both = shown(running)["figures"]
    assert sum(day["players"] for day in both["days"]) == len(both["days"]), "ada is one player"
    assert {each["game_id"] for each in both["games"]} == {"b", "com.example.game"}
