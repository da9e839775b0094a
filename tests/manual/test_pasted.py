"""What the manual, ``/docs`` and the banner show works in development mode as it is pasted.

A gateway is started by ``serve --dev`` in a new folder, with nothing configured but a flush that
comes sooner; then what that came to is read back, and is what the chapters say.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from playsmart_gateway.dialects import ALL
from playsmart_gateway.openapi.document import document
from tests.manual.blocks import block, blocks
from tests.manual.sandbox import CURL, PLAYER, Sandbox, body, same

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(CURL is None, reason="there is no curl"),
]

CHAPTERS = ("README", "tutorial", "playsmart", "coins", "teak", "lynes")
PASTED = [
    each
    for name in CHAPTERS
    for each in blocks("sh")
    if each.chapter == name and "curl " in each.text
]
GAME = "com.example.stackblaster"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Sandbox]:
    found = Sandbox(tmp_path)
    try:
        yield found
    finally:
        found.gateway.close()


def coins(sandbox: Sandbox) -> int:
    """What the player of the examples has, when all that was sent is stored."""
    sandbox.gateway.settle()
    headers = {"authorization": f"Bearer {sandbox.gateway.token(PLAYER)}"}
    answer = sandbox.gateway.client.get(f"/v1/players/{PLAYER}", headers=headers)
    return int(answer.json()["data"]["coins_balance"]) if answer.is_success else 0


def test_what_the_banner_has_to_paste_pays_what_it_says(fresh: Sandbox) -> None:
    send, ask = re.findall(r"^curl .*?(?=\n\n)", fresh.gateway.log, re.DOTALL | re.MULTILINE)
    (promised,) = re.findall(r"It pays (\d+) coins", fresh.gateway.log)
    assert f"127.0.0.1:{fresh.gateway.port}/" in send
    assert fresh.shell(send).endswith('{"success": true, "message": "accepted:1 buffered:1"}')
    fresh.gateway.settle()
    assert body(fresh.shell(ask))["data"]["coins_balance"] == int(promised) == 10


# --- the manual ----------------------------------------------------------------------------------


def test_every_block_with_requests_succeeds_as_it_is_pasted(fresh: Sandbox) -> None:
    games = {
        each["bundle_id"]: each for each in fresh.gateway.client.get("/v1/games").json()["data"]
    }
    assert games[GAME]["coins_enabled"]
    assert {each.chapter for each in PASTED} == {*CHAPTERS}
    for each in PASTED:
        before = coins(fresh)
        printed = fresh.shell(each.text)
        assert coins(fresh) == before + 10 * levels_in(each.text), each
        if "/ingest/validate" in each.text:
            assert body(printed)["data"] == {"valid": True, "events": 1, "coins": 10}
        if "/auth/register" in each.text:  # a player of its own, who looks a few seconds later
            assert '"coins_balance":10,' in printed
        if "/transactions" in each.text:
            assert f'"bundle_id":"{GAME}"' in printed
            assert '"type":"earn"' in printed
    assert lynes_has(fresh, "user123") == 10
    stored = fresh.gateway.select(
        "SELECT type, count(*) AS number FROM events WHERE source = 'teak' AND user_id = ? "
        "GROUP BY type", "player_123",
    )  # fmt: skip
    assert {row["type"]: row["number"] for row in stored} == {
        "Installed": 1, "Played": 1, "spin": 2, "level_up": 1,
    }  # fmt: skip


def levels_in(text: str) -> int:
    """How many levels of the player of the examples a request completes, and does not try."""
    if f'"{PLAYER}"' not in text or f'"{GAME}"' not in text or "/ingest/validate" in text:
        return 0
    return text.count("LevelCompleted")


def lynes_has(sandbox: Sandbox, user: str) -> int:
    headers = {"authorization": f"Bearer {sandbox.gateway.token('my-app')}"}
    answer = sandbox.gateway.client.get(f"/user/{user}/points", headers=headers)
    return int(answer.json()["points"])


def test_the_first_event_of_lynes_is_answered_as_is_shown(fresh: Sandbox) -> None:
    first, then = [each for each in PASTED if each.chapter == "lynes"]
    assert same(body(block("lynes", "json")), body(fresh.shell(first.text)))
    points, streak = fresh.shell(then.text).split("}", 1)
    assert body(points + "}") == {"points": 10}
    assert body(streak)["data"]["currentCount"] == 1


# --- /docs ---------------------------------------------------------------------------------------

FIRST = ("/auth/register", "/v2/identify")
"""Before what wants such a player."""


def examples_of_docs() -> Iterator[tuple[str, str]]:
    """Path, and as Swagger UI has it to copy the request, of each example with a body."""
    found = document([piece for dialect in ALL for piece in dialect.pieces()])["paths"]
    for path in sorted(found, key=lambda path: path not in FIRST):
        operation = found[path].get("post", {})
        content = operation.get("requestBody", {}).get("content", {})
        token = " -H 'Authorization: Bearer TOKEN'" if "security" in operation else ""
        for example in content.get("application/json", {}).get("examples", {}).values():
            if "refresh_token" not in example["value"]:  # nobody else has it, as the manual says
                sent = shlex.quote(json.dumps(example["value"]))
                head = f"curl -X 'POST' 'http://127.0.0.1:8000{path}'{token}"
                yield path, f"{head} -H 'Content-Type: application/json' -d {sent}"


def test_every_example_of_the_docs_succeeds_as_it_is_copied(fresh: Sandbox) -> None:
    page = fresh.gateway.client.get("/docs").text
    (token,) = re.findall(r'name="development-token" content="([^"]+)"', page)
    seen = set()
    for path, request in examples_of_docs():
        before = coins(fresh)
        told = body(fresh.shell(request.replace("TOKEN", token)))
        assert "errors" not in told, request
        assert coins(fresh) == before + 10 * levels_in(request)
        if path == "/ingest/validate":
            assert told["data"]["coins"] == 10 * request.count("LevelCompleted")
        seen.add(path)
    assert seen >= {"/ingest/events", "/ingest/validate", "/v2/analytics_events/batch", "/event"}
    assert coins(fresh) > 0
    points = {user: lynes_has(fresh, user) for user in ("user123", "user456", "gamer789")}
    assert points == {"user123": 10, "user456": 130, "gamer789": 25}


# --- the tutorial, from its beginning ------------------------------------------------------------


def test_the_tutorial_comes_to_the_coins_that_it_says(
    fresh: Sandbox,
) -> None:
    send, ask = block("tutorial", "sh", "TOKEN="), "playsmart-gateway coins device-abc-123"
    assert f".venv/bin/{ask}" in block("tutorial", "sh", ".venv/bin/playsmart-gateway stats")
    fresh.shell(send)
    assert coins(fresh) == 10
    assert re.search(r"\b10 coins", fresh.shell(ask))
    assert fresh.gateway.stop() == 0
    fresh.gateway.close()
    (fresh.folder / "gateway.toml").write_text(block("tutorial", "toml"))
    fresh.start("--config", "gateway.toml")
    fresh.shell(send)
    assert coins(fresh) == 35
    assert re.search(r"\b35 coins", fresh.shell(ask))
