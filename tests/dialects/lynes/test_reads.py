"""Reading back over HTTP: points, history and streaks of a user; statistics of the project."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import open_verifier
from playsmart_gateway.dialects.lynes.endpoint import PREFIXES
from playsmart_gateway.dialects.lynes.reads import MAX_OFFSET, MAX_SUMMARIZED_DAYS
from playsmart_gateway.errors import SinkUnavailable
from tests.dialects.lynes.client import DAY, NOON, PATHS, Client, project
from tests.support.doubles import FakeClock, TroubledSink
from tests.support.in_process import in_process
from tests.support.process import SECRET

ENVELOPE = {"bad_request": 400, "unauthorized": 401, "forbidden": 403, "not_found": 404}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A project in which ada and bob have played for three days, and eve has bought something."""
    config = project(PLAYSMART_STORAGE__URL=f"sqlite:///{tmp_path}/events.db")
    clock = FakeClock(NOON)
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(config, verifier=verifier, clock=clock)) as http:
        client = Client(http, clock)
        for day in range(3):
            clock.now = NOON + day * DAY
            await client.send("daily_login", metadata={"platform": "ios", "ms": 10 * day + 5})
            if day != 1:
                gold = {"platform": "web", "ms": 0.5, "usergroup": ["gold"], "beta": day == 2}
                await client.send("daily_login", "bob", metadata=gold)
        await client.send("purchase", "eve/of 50%", metadata={"amount": 49.99})
        yield client


def error_of(answer: Any) -> tuple[int, str, str]:
    body = answer.json()
    assert body["success"] is False
    assert answer.status_code == ENVELOPE.get(body["error"]["code"], answer.status_code)
    assert "x-request-id" in answer.headers
    return answer.status_code, body["error"]["code"], body["error"]["message"]


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_told_without_a_token(client: Client, path: str) -> None:
    answer = await client.http.get(path)
    assert error_of(answer)[:2] == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS)
async def test_only_get_is_allowed(client: Client, path: str) -> None:
    answer = await client.http.post(path)
    assert error_of(answer) == (405, "method_not_allowed", "Only GET is allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("path", "message"),
    [("/user/nobody/points", "User not found"), ("/user/nobody/history", "User not found"),
     ("/user/nobody/streak", "User not found"), ("/user/nobody/streak/x", "User not found"),
     ("/user/ada/streak/unheard%20of", "Streak not found"),
     ("/analytics/streak?streakId=x", "Streak not found"),
     ("/stats/event?eventId=x", "Event not found")],
)  # fmt: skip
async def test_what_is_not_there_is_not_found(client: Client, path: str, message: str) -> None:
    assert error_of(await client.ask(path)) == (404, "not_found", message)


@pytest.mark.parametrize(
    ("path", "field"),
    [("/user/ada/history?limit=0", "limit"), ("/user/ada/history?limit=101", "limit"),
     ("/user/ada/history?limit=x", "limit"),
     (f"/user/ada/history?offset={MAX_OFFSET + 1}", "offset"),
     ("/user/ada/history?offset=-1", "offset"), ("/user/ada/history?offset=%C2%B2", "offset"),
     ("/user/ada/history?types=event,coins", "types"), ("/user/ada/history?types=", "types"),
     ("/user/ada/history?from=yesterday", "from"), ("/user/ada/history?to=2026-02-30", "to"),
     ("/user/ada/history?to=2026-04-22T12:00:00", "to"), ("/user/ada/history?to=10000-01-01", "to"),
     ("/user/ada/history?to=0000-12-31", "to"),
     ("/user/ada/history?from=2026-04-22%2010:00", "from"),
     (f"/user/ada/history?from={10**30}", "from"), (f"/user/ada/history?to={2**63}", "to"),
     ("/user/ada/history?from=", "from"),
     ("/user/ada/history?limit=5&limit=x", "limit"),
     ("/user/ada/history?types=event&types=x", "types"),
     ("/stats/event", "eventId"), ("/stats/event?eventId=daily_login&interval=week", "interval"),
     ("/stats/event?eventId=daily_login&from=2026-4-1", "from"),
     ("/stats/event?eventId=daily_login&to=20260401", "to")],
)  # fmt: skip
async def test_a_question_that_cannot_be_is_refused_by_its_parameter(
    client: Client, path: str, field: str
) -> None:
    answer = await client.ask(path)
    assert error_of(answer) == (400, "bad_request", "Invalid query")
    assert [each["path"] for each in answer.json()["error"]["details"]] == [field]


async def test_a_strict_project_tells_only_the_user_of_the_token(tmp_path: Path) -> None:
    config = project(PLAYSMART_LYNES__STRICT_USER="true", PLAYSMART_STORAGE__URL="memory:")
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(config, verifier=verifier)) as http:
        client = Client(http, FakeClock())
        assert (await client.send("daily_login", "app")).status_code == 200
        assert error_of(await client.send("daily_login", "ada"))[:2] == (403, "forbidden")
        for path in PATHS[:4]:
            answer = await client.ask(path)
            assert error_of(answer) == (403, "forbidden", "The token is for another user")
        assert await client.get("/user/app/points") == {"points": 10}


async def test_a_streak_can_be_called_like_another_path() -> None:
    names = ("points", "history", "streak")
    streaks = ",".join(f'{{id="{name}",events=["daily_login"]}}' for name in names)
    config = project(PLAYSMART_STORAGE__URL="memory:", PLAYSMART_LYNES__STREAKS=f"[{streaks}]")
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(config, verifier=verifier, clock=FakeClock(NOON))) as http:
        client = Client(http, FakeClock(NOON))
        await client.send("daily_login")
        for name in names:
            assert (await client.get(f"/user/ada/streak/{name}"))["data"]["streakId"] == name


READS = ("points", "history", "streaks", "streak_figures", "event_stats", "event_days")


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [(SinkUnavailable("gone"), 503, "unavailable"), (ZeroDivisionError(), 500, "internal_error")],
)
async def test_a_store_that_cannot_be_read_is_told_and_so_is_a_bug(
    trouble: Exception, status: int, code: str
) -> None:
    async def gone(*_: object, **__: object) -> Any:
        raise trouble

    sink = TroubledSink()
    for name in READS:
        setattr(sink.points, name, gone)
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(project(), verifier=verifier, sink=sink)) as http:
        for path in PATHS:
            answer = await Client(http, FakeClock()).ask(path)
            assert error_of(answer)[:2] == (status, code)
            assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


# --- what is told --------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_points_are_told_as_the_contract_shows_under_each_prefix(
    client: Client, prefix: str
) -> None:
    assert await client.get(f"{prefix}/user/ada/points") == {"points": 3 * 10 + 50}
    user = quote("eve/of 50%", safe="")
    assert await client.get(f"{prefix}/user/{user}/points") == {"points": 50}


async def test_history_is_told_newest_first_in_pages(client: Client) -> None:
    body = await client.get("/user/ada/history")
    assert (body["success"], body["limit"], body["offset"]) == (True, 20, 0)
    entries = body["data"]
    assert [(each["type"], each["points"]) for each in entries] == [
        ("streak_milestone", 50), ("event", 10), ("event", 10), ("event", 10),
    ]  # fmt: skip
    assert entries[1] == {
        "id": entries[1]["id"], "title": "Daily login", "description": "", "points": 10,
        "type": "event", "timestamp": int((NOON + 2 * DAY) * 1_000), "image": None,
    }  # fmt: skip
    assert entries[0]["title"] == "daily_app_use"
    assert len({each["id"] for each in entries}) == 4
    second = await client.get("/user/ada/history?limit=2&offset=1")
    assert (second["data"], second["limit"]) == (entries[1:3], 2)
    assert (await client.get(f"/user/ada/history?offset={MAX_OFFSET}"))["data"] == []


@pytest.mark.parametrize(
    ("query", "days"),
    [("from=2026-04-23&to=2026-04-23", [1]), ("to=2026-04-23", [1, 0]),
     ("from=2026-04-24", [2]), (f"from={int(NOON * 1000) + 1}", [2, 1]),
     (f"to={int(NOON * 1000)}", [0]), ("from=2026-04-23T12:00:00.001Z", [2]),
     ("to=2026-04-23T14:00:00+02:00", [1, 0]), ("to=2026-04-23T14:00:00%2B02:00", [1, 0]),
     ("from=2027-01-01", []), ("from=2026-04-24&to=2026-04-22", []),
     ("from=2026-04-23T24:00Z", [2]), ("from=2026-114T00:00Z", [2]),
     ("from=2026-04-24T02:00%E2%88%9201:00", [2]), ("from=2026-04-23%2012:00:00.0009999Z", [2, 1])],
)  # fmt: skip
async def test_history_is_told_for_a_time(client: Client, query: str, days: list[int]) -> None:
    entries = (await client.get(f"/user/ada/history?types=event&{query}"))["data"]
    assert [(each["timestamp"] / 1_000 - NOON) / DAY for each in entries] == days


@pytest.mark.parametrize(
    ("ever", "end"),
    [
        ("0001-01-01", "9999-12-31"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"),
        ("0001-01-01T00:00:00%2B09:00", "9999-12-31T23:59:59.9999999-05:00"),
        ("1969-12-31", "9999-12-31T24:00Z"),
        ("-62135596800000", "253402300799999"),
        ("-9223372036854775808", "9223372036854775807"),
    ],
)
async def test_since_ever_and_for_ever_are_the_first_and_last_dates_that_clients_know(
    client: Client, ever: str, end: str
) -> None:
    assert len((await client.get(f"/user/ada/history?from={ever}&to={end}"))["data"]) == 4
    assert not (await client.get(f"/user/ada/history?from={end}"))["data"]
    assert not (await client.get(f"/user/ada/history?to={ever}"))["data"]


async def test_of_a_parameter_given_twice_the_last_counts_and_a_list_takes_all(
    client: Client,
) -> None:
    answer = await client.get("/user/ada/history?limit=1&limit=2&from=yesterday&from=2026-04-01")
    assert (answer["limit"], len(answer["data"])) == (2, 2)
    for types in ("types=event&types=streak_milestone", "types=event,streak_milestone"):
        assert len((await client.get(f"/user/ada/history?{types}"))["data"]) == 4
    path = "/stats/event?eventId=x&eventId=daily_login&from=2026-04-22&from=2026-04-23"
    assert (await client.get(path))["data"]["events"] == 3


async def test_statistics_are_told_from_the_first_day_to_the_last_and_not_backwards(
    client: Client,
) -> None:
    path = "/stats/event?eventId=daily_login"
    whole = await client.get(path)
    assert await client.get(f"{path}&from=0001-01-01&to=9999-12-31") == whole
    assert (await client.get(f"{path}&from=9999-12-31&to=0001-01-01"))["data"]["events"] == 0


@pytest.mark.parametrize(
    ("types", "count"), [("event", 3), ("streak_milestone,event", 4), ("streak_milestone", 1),
                         ("redemption,challenge,streak_points", 0)],
)  # fmt: skip
async def test_history_is_told_by_type(client: Client, types: str, count: int) -> None:
    assert len((await client.get(f"/user/ada/history?types={types}"))["data"]) == count


async def test_streaks_are_told_as_they_stand_today(client: Client) -> None:
    ada, bob = [(await client.get(f"/user/{user}/streak"))["data"] for user in ("ada", "bob")]
    assert [each["streakId"] for each in ada] == ["daily_app_use", "first_steps"]
    assert (ada[0]["currentCount"], bob[0]["currentCount"]) == (3, 1)
    assert ada[1] == {
        "streakId": "first_steps", "period": "weekly", "active": False, "currentCount": 0,
        "longestCount": 0, "lastUpdate": None,
    }  # fmt: skip
    assert (await client.get("/user/ada/streak/first_steps"))["data"] == ada[1]
    client.clock.now += DAY
    assert (await client.get("/user/ada/streak/daily_app_use"))["data"]["active"]
    client.clock.now += DAY
    assert not (await client.get("/user/ada/streak/daily_app_use"))["data"]["active"]
    eve = (await client.get(f"/user/{quote('eve/of 50%', safe='')}/streak"))["data"]
    assert [each["lastUpdate"] for each in eve] == [None, None]


async def test_analytics_of_streaks_tell_who_has_them_now(client: Client) -> None:
    (daily, weekly) = (await client.get("/analytics/streak"))["data"]
    assert daily == {
        "streakId": "daily_app_use", "period": "daily", "users": 2, "active": 2, "longestCount": 3,
        "averageCount": 2.0, "distribution": [{"count": 1, "users": 1}, {"count": 3, "users": 1}],
    }  # fmt: skip
    assert (weekly["users"], weekly["averageCount"], weekly["distribution"]) == (0, 0, [])
    assert (await client.get("/analytics/streak?streakId=first_steps"))["data"] == [weekly]


async def test_statistics_of_an_event_tell_its_fields_and_days(client: Client) -> None:
    data = (await client.get("/stats/event?eventId=daily_login"))["data"]
    assert (data["eventId"], data["usergroup"], data["events"]) == ("daily_login", None, 5)
    assert data["days"] == [
        {"day": "2026-04-22", "events": 2}, {"day": "2026-04-23", "events": 1},
        {"day": "2026-04-24", "events": 2},
    ]  # fmt: skip
    ms = data["fields"]["ms"]["numbers"]
    assert (ms["count"], ms["min"], ms["max"], ms["sum"], ms["mean"]) == (5, 0.5, 25, 46, 9.2)
    assert ms["distribution"] == [
        {"low": 0.5, "high": 1, "count": 2}, {"low": 5, "high": 10, "count": 1},
        {"low": 10, "high": 20, "count": 1}, {"low": 20, "high": 50, "count": 1},
    ]  # fmt: skip
    platform = data["fields"]["platform"]["strings"]
    assert platform["mostCommon"] == [{"value": "ios", "count": 3}, {"value": "web", "count": 2}]
    assert (data["fields"]["beta"]["true"], data["fields"]["beta"]["false"]) == (1, 1)


async def test_statistics_are_told_for_days_and_for_a_group(client: Client) -> None:
    path = "/stats/event?eventId=daily_login"
    assert (await client.get(f"{path}&usergroup=gold"))["data"]["events"] == 2
    assert (await client.get(f"{path}&usergroup=lead"))["data"]["events"] == 0
    assert (await client.get(f"{path}&from=2026-04-23&to=2026-04-24"))["data"]["events"] == 3
    assert (await client.get(f"{path}&to=2026-04-22&usergroup=gold"))["data"]["events"] == 1
    by_day = (await client.get(f"{path}&interval=day&from=2026-04-23"))["data"]["days"]
    assert [(each["day"], each["events"], each["fields"]["ms"]["numbers"]["max"])
            for each in by_day] == [("2026-04-23", 1, 15), ("2026-04-24", 2, 25)]  # fmt: skip


async def test_too_many_days_are_not_summarized_one_by_one(client: Client) -> None:
    for day in range(MAX_SUMMARIZED_DAYS - 2):
        client.clock.now = NOON + (10 + day) * DAY
        await client.send("daily_login")
    path = "/stats/event?eventId=daily_login&interval=day"
    assert error_of(await client.ask(path))[0] == 400
    assert len((await client.get(f"{path}&from=2026-04-23"))["data"]["days"]) == MAX_SUMMARIZED_DAYS


@pytest.mark.parametrize("name", ["points", "history", "streak", "a b"])
async def test_a_streak_may_have_any_name_that_a_path_can_hold(tmp_path: Path, name: str) -> None:
    streaks = f'[{{id = "{name}", events = ["daily_login"]}}]'
    config = project(
        PLAYSMART_STORAGE__URL=f"sqlite:///{tmp_path}/events.db", PLAYSMART_LYNES__STREAKS=streaks
    )
    clock = FakeClock(NOON)
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(config, verifier=verifier, clock=clock)) as http:
        client = Client(http, clock)
        await client.send("daily_login")
        for prefix in PREFIXES:
            told = await client.get(f"{prefix}/user/ada/streak/{quote(name)}")
            assert (told["data"]["streakId"], told["data"]["currentCount"]) == (name, 1)
