"""What real client libraries send, over HTTP: none of their habits may cost an event, in any store.

Each file in ``cases/habits`` is one request, perhaps after another, and what must come of it: the
status, what the reply holds or lacks, and what the store answers to a question.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines.postgres import PostgresServer
from tests.support.polling import wait_until
from tests.support.process import RunningGateway
from tests.support.stores import select
from tests.support.teak import ENVIRONMENT, IDENTIFY, NO_LIMITS, call

pytestmark = pytest.mark.process

HERE = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((HERE / "cases/habits").iterdir())
}


class Habitual(RunningGateway):
    """A gateway that speaks all dialects and knows ``player_123``, in France."""

    def __init__(self, folder: Path, database: str) -> None:
        self._database = database
        environment = {
            **ENVIRONMENT,
            "PLAYSMART_TEAK__LIMITS": NO_LIMITS,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.01",
            "PLAYSMART_STORAGE__URL": database,
        }
        super().__init__(folder, environment, "--config", str(HERE / "lynes/project.toml"))
        assert call(self, IDENTIFY, user_id="player_123", country_code="FR").status_code == 201

    def answer_to(self, question: str) -> list[Any]:
        """What the store answers to a question in SQL."""
        return [row[0] for row in asyncio.run(select(self._database, question))]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def habitual(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Habitual]:
    folder = tmp_path_factory.mktemp("habitual")
    database = f"sqlite:///{folder}/events.db"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = asyncio.run(server.create_database())
    running = Habitual(folder, database)
    try:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
    finally:
        running.close()


@pytest.mark.parametrize("name", CASES)
def test_a_habit_of_real_clients_costs_nothing(name: str, habitual: Habitual) -> None:
    case = CASES[name]
    if before := case.get("before"):
        sent = before.get("body_text") or json.dumps(before["body"])
        headers = headers_of(habitual, {"token": {"sub": "habit"}})
        assert habitual.client.post(before["path"], content=sent, headers=headers).is_success
    content = case["body_text"].encode() if "body_text" in case else None

    for pause in (0, case["idle_seconds"]) if "idle_seconds" in case else (0,):
        time.sleep(pause)  # on one connection, which nothing but time can show to be kept
        answer = habitual.client.request(
            case.get("method", "POST"),
            case["path"],
            content=content,
            headers=headers_of(habitual, case),
        )
        assert answer.status_code == case["status"], answer.text
    if "idle_seconds" in case:
        assert "connection" not in answer.headers

    assert case.get("reply_holds", "") in answer.text
    assert "reply_lacks" not in case or case["reply_lacks"] not in answer.text
    for header, value in case.get("reply_headers", {}).items():
        assert answer.headers[header] == value
    for question, expected in case.get("stored", {}).items():
        # What is counted follows what is stored.
        wait_until(lambda: habitual.answer_to(question) == [expected] or None)  # noqa: B023


def headers_of(running: RunningGateway, case: dict[str, Any]) -> dict[str, str]:
    headers = {"content-type": case.get("content_type", "application/json")}
    if token := case.get("token"):
        now = time.time()
        claims = {name: now + offset for name, offset in token.get("from_now", {}).items()}
        headers["authorization"] = f"Bearer {running.token(token['sub'], **claims)}"
    return {**headers, **case.get("headers", {})}
