"""What the manual, ``/docs`` and the banner show works in development mode as it is pasted.

One gateway, started by ``serve --dev`` in a new folder, with nothing configured but a flush that
comes sooner; then what it came to is read back, and is what the chapters say.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from playsmart_gateway.dialects import ALL
from playsmart_gateway.openapi.document import document
from tests.manual.blocks import Block, block, blocks
from tests.manual.sandbox import CURL, PLAYER, Sandbox, body, same

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(CURL is None, reason="there is no curl"),
]

CHAPTERS = ("tutorial", "playsmart", "coins", "teak", "lynes")
PASTED = [
    each for each in blocks("sh") if each.chapter in CHAPTERS and re.search("curl ", each.text)
]
GAME = "com.example.stackblaster"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    found = Sandbox(tmp_path_factory.mktemp("fresh"))
    try:
        yield found
    finally:
        found.gateway.close()


def read(sandbox: Sandbox, path: str, sub: str = PLAYER) -> Any:
    headers = {"authorization": f"Bearer {sandbox.gateway.token(sub)}"}
    answer = sandbox.gateway.client.get(path, headers=headers)
    return answer.json() if answer.is_success else None


def coins(sandbox: Sandbox) -> int:
    sandbox.gateway.settle()
    known = read(sandbox, f"/v1/players/{PLAYER}")
    return int(known["data"]["coins_balance"]) if known else 0


def test_the_blocks_with_requests_are_those_of_all_apis() -> None:
    assert {each.chapter for each in PASTED} >= {"tutorial", "playsmart", "teak", "lynes"}
    assert len(PASTED) >= 9


# --- first, before anything else pays ------------------------------------------------------------


def test_the_games_that_pay_are_listed_and_none_of_it_is_configured(fresh: Sandbox) -> None:
    games = {each["bundle_id"]: each for each in read(fresh, "/v1/games")["data"]}
    assert games[GAME]["coins_enabled"]
    assert not (fresh.folder / "data" / "dev-secret").stat().st_mode & 0o077


def test_what_the_banner_has_to_paste_pays_what_it_says(fresh: Sandbox) -> None:
    before = coins(fresh)
    send, ask = re.findall(r"^curl .*?(?=\n\n)", fresh.gateway.log, re.DOTALL | re.MULTILINE)
    (promised,) = re.findall(r"It pays (\d+) coins", fresh.gateway.log)
    assert f"127.0.0.1:{fresh.gateway.port}/" in send
    assert fresh.shell(send).endswith('{"success": true, "message": "accepted:1 buffered:1"}')
    fresh.gateway.settle()
    assert body(fresh.shell(ask))["data"]["coins_balance"] == before + int(promised)


def test_the_first_event_of_lynes_is_answered_as_is_shown_and_its_points_are_there(
    fresh: Sandbox,
) -> None:
    first, then = [each for each in PASTED if each.chapter == "lynes"]
    assert same(body(block("lynes", "json")), body(fresh.shell(first.text)))
    points, streak = fresh.shell(then.text).split("}", 1)
    assert body(points + "}") == {"points": 10}
    assert body(streak)["data"]["currentCount"] == 1


def test_teaks_events_are_all_taken(fresh: Sandbox) -> None:
    (shown,) = [each for each in PASTED if each.chapter == "teak"]
    fresh.shell(shown.text)
    fresh.gateway.settle()
    stored = fresh.gateway.select(
        "SELECT type, count(*) AS number FROM events WHERE source = 'teak' AND user_id = ? "
        "GROUP BY type", "player_123",
    )  # fmt: skip
    assert {row["type"]: row["number"] for row in stored} == {
        "Installed": 1, "Played": 1, "spin": 2, "level_up": 1,
    }  # fmt: skip


# --- all of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("each", PASTED, ids=str)
def test_a_block_with_requests_succeeds_as_it_is_pasted(each: Block, fresh: Sandbox) -> None:
    is_dry = "/ingest/validate" in each.text
    is_ours = f'"user_id": "{PLAYER}"' in each.text and f'"{GAME}"' in each.text
    levels = each.text.count("LevelCompleted") if is_ours and not is_dry else 0
    before = coins(fresh)
    printed = fresh.shell(each.text)
    if is_dry:
        assert body(printed)["data"] == {"valid": True, "events": 1, "coins": 10}
    if "/auth/register" in each.text:  # a player of its own, who looks a few seconds later
        assert '"coins_balance":10,' in printed
    assert coins(fresh) == before + 10 * levels


POINTS = {"a_login": (10, 0), "no_metadata": (10, 0), "a_purchase": (130,), "a_level": (25,)}
"""What the examples of Lynes earn: one login a day does, whoever sends it first."""


def examples_of_docs() -> Iterator[tuple[str, str, str]]:
    """Path, name, and as Swagger UI has it to copy the request, of each example with a body."""
    found = document([piece for dialect in ALL for piece in dialect.pieces()])["paths"]
    for path in sorted(found, key=lambda path: path != "/v2/identify"):
        if path == "/auth/register":  # that player has registered in the tutorial
            continue
        operation = found[path].get("post", {})
        content = operation.get("requestBody", {}).get("content", {})
        token = " -H 'Authorization: Bearer TOKEN'" if "security" in operation else ""
        for name, example in content.get("application/json", {}).get("examples", {}).items():
            if "refresh_token" not in example["value"]:  # nobody else has it, as the manual says
                sent = shlex.quote(json.dumps(example["value"]))
                head = f"curl -X 'POST' 'http://127.0.0.1:8000{path}'{token}"
                yield path, name, f"{head} -H 'Content-Type: application/json' -d {sent}"


@pytest.mark.parametrize(("path", "name", "request_"), [*examples_of_docs()])
def test_an_example_of_the_docs_succeeds_as_it_is_copied(
    path: str, name: str, request_: str, fresh: Sandbox
) -> None:
    page = fresh.gateway.client.get("/docs").text
    (token,) = re.findall(r'name="development-token" content="([^"]+)"', page)
    levels = request_.count("LevelCompleted") if path == "/ingest/events" else 0
    before = coins(fresh)
    told = body(fresh.shell(request_.replace("TOKEN", token)))
    if path == "/event":
        assert told["data"]["pointsAwarded"] in POINTS[name]
    elif path == "/ingest/validate":
        assert told["data"]["coins"] == 10 * request_.count("LevelCompleted")
    elif path.startswith("/v2/"):
        assert "errors" not in told
    assert coins(fresh) == before + 10 * levels
