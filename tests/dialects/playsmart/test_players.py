"""Reading back over HTTP: the games, a player, the ledger in pages; nobody else's."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import as_toml, make_event, make_upload

GAMES = json.dumps(
    [
        {"id": "com.example.game", "coins_enabled": True, "reward_fixed_amount": 10},
        {"id": "com.example.other", "ads_enabled": True, "game_mode": "elastic"},
    ]
)
LEVEL = make_event("LevelCompleted", customdata={"level": 5, "score": 1250})


@pytest.fixture(scope="module")
def paying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(
        tmp_path_factory.mktemp("paying"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.05",
            "PLAYSMART_GAMES": as_toml(GAMES),
        },
    )
    try:
        yield running
        assert running.stop() == 0
    finally:
        running.close()


def get(
    running: RunningGateway, path: str, sub: str | None = None
) -> tuple[int, dict[str, object]]:
    headers = {} if sub is None else {"authorization": f"Bearer {running.token(sub)}"}
    answer = running.client.get(path, headers=headers)
    assert "x-request-id" in answer.headers
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


def earn(running: RunningGateway, user: str, levels: int) -> None:
    assert running.post(make_upload(user, *[LEVEL] * levels), sub=user).status_code == 202
    running.settle()


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/players/ada", "/v1/players/ada/transactions"])
def test_a_player_is_shown_to_the_bearer_of_their_token_and_nobody_else(
    paying: RunningGateway, path: str
) -> None:
    missing = {"error": {"code": "UNAUTHORIZED", "message": "missing_bearer_token"}}
    assert get(paying, path) == (401, missing)
    mismatch = {"error": {"code": "FORBIDDEN", "message": "user_id_mismatch"}}
    assert get(paying, path, sub="eve") == (403, mismatch)
    answer = paying.client.get(path, headers={"authorization": "Bearer x.y.z"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    answer = paying.client.post(path)
    assert answer.status_code == 405


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=-1", "cursor=1e3",
                                   f"cursor={10**30}", "limit=%C2%B2", "cursor="])  # fmt: skip
def test_a_page_that_cannot_be_is_refused_by_its_parameter(
    paying: RunningGateway, query: str
) -> None:
    status, body = get(paying, f"/v1/players/ada/transactions?{query}", sub="ada")
    assert status == 400
    error = body["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["message"]) == ("BAD_REQUEST", "invalid_query")
    assert error["details"][0]["path"] == query.partition("=")[0]


def test_a_store_that_cannot_be_read_is_503_and_heals(start_gateway: StartGateway) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    database = running.folder / "data" / "playsmart.db"
    away = database.with_name("away.db")
    database.rename(away)
    status, body = get(running, "/v1/players/ada", sub="ada")
    assert (status, body) == (
        503,
        {"error": {"code": "UNAVAILABLE", "message": "store_unavailable"}},
    )
    away.rename(database)
    wait_until(lambda: get(running, "/v1/players/ada", sub="ada")[0] == 200 or None)


# --- what is shown -------------------------------------------------------------------------------


def test_the_games_are_public_and_found_by_their_bundle(paying: RunningGateway) -> None:
    first = {
        "game_id": 1, "bundle_id": "com.example.game", "coins_enabled": True,
        "ads_enabled": False, "game_mode": "standard", "maintenance": False,
    }  # fmt: skip
    second = {
        "game_id": 2, "bundle_id": "com.example.other", "coins_enabled": False,
        "ads_enabled": True, "game_mode": "elastic", "maintenance": False,
    }  # fmt: skip
    assert get(paying, "/v1/games") == (200, {"data": [first, second]})
    assert get(paying, "/v1/games?bundle_id=com.example.other") == (200, {"data": [second]})
    assert get(paying, "/v1/games?bundle_id=none") == (200, {"data": []})


def test_a_player_without_events_has_an_empty_profile(paying: RunningGateway) -> None:
    assert get(paying, "/v1/players/newcomer", sub="newcomer") == (
        200,
        {
            "data": {
                "user_id": "newcomer", "coins_balance": 0, "total_games_played": 0, "sessions": 0,
                "best_score": None, "last_score": None, "first_seen_at": None, "last_seen_at": None,
            }
        },
    )  # fmt: skip
    assert get(paying, "/v1/players/newcomer/transactions", sub="newcomer") == (
        200,
        {"data": [], "next_cursor": None},
    )


def test_a_completed_level_is_one_earn_entry_with_the_amount_of_the_game(
    paying: RunningGateway,
) -> None:
    """Worked example 7 of the contract."""
    earn(paying, "grace", 1)
    _, player = get(paying, "/v1/players/grace", sub="grace")
    data = player["data"]
    assert isinstance(data, dict)
    assert (data["coins_balance"], data["sessions"]) == (10, 0)
    assert data["first_seen_at"] == data["last_seen_at"]
    _, page = get(paying, "/v1/players/grace/transactions", sub="grace")
    assert isinstance(page["data"], list)
    (entry,) = page["data"]
    assert entry["event_id"] == entry["id"]
    assert {key: entry[key] for key in ("type", "trigger", "amount", "game_id", "reason")} == {
        "type": "earn", "trigger": "level_complete", "amount": 10,
        "game_id": "com.example.game", "reason": None,
    }  # fmt: skip
    assert (entry["balance_before"], entry["balance_after"]) == (0, 10)


@pytest.mark.parametrize("user", ["a/b", "a/transactions", "ü%20 ?", "x" * 256])
def test_ids_of_any_form_can_be_read(paying: RunningGateway, user: str) -> None:
    earn(paying, user, 1)
    path = f"/v1/players/{quote(user, safe='')}"
    _, page = get(paying, f"{path}/transactions", sub=user)
    assert isinstance(page["data"], list)
    assert len(page["data"]) == 1


def test_pages_lead_from_the_newest_entry_to_the_oldest(paying: RunningGateway) -> None:
    earn(paying, "linus", 150)
    balances: list[int] = []
    query = ""
    for more in (True, False):
        _, page = get(paying, f"/v1/players/linus/transactions{query}", sub="linus")
        assert isinstance(page["data"], list)
        balances += [entry["balance_after"] for entry in page["data"]]
        assert (page["next_cursor"] is not None) == more
        query = f"?cursor={page['next_cursor']}"
    assert balances == list(range(1500, 0, -10))
    _, page = get(paying, "/v1/players/linus/transactions?limit=150", sub="linus")
    assert "error" in page


def test_the_audit_beside_ingest_is_a_metric(paying: RunningGateway) -> None:
    earn(paying, "audited", 3)
    wait_until(lambda: paying.metrics()["playsmart_audit_lag_batches"] == 0 or None)
    assert not [name for name in paying.metrics() if name.startswith("playsmart_audit_violations")]


def test_the_gateway_pays_by_chance_within_the_bounds(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    games = [{"id": "com.example.game", "coins_enabled": True, "reward_mode": "random_range",
              "reward_min_amount": 5, "reward_max_amount": 8}]  # fmt: skip
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05", GAMES=as_toml(json.dumps(games)))
    earn(running, "ada", 200)
    amounts = {row[0] for row in running.select("SELECT amount FROM coin_transactions")}
    assert amounts == {5, 6, 7, 8}
    drawn = running.select("SELECT count(*) FROM event_rows JOIN coin_entries ON event_id = id"
                           " WHERE draw = amount")  # fmt: skip
    assert drawn[0][0] == 200
