"""Questions of strangers: what may be asked is answered, and all else is refused or bounded."""

import asyncio
import resource
import sys
from pathlib import Path

import msgspec
import pytest

from playsmart_gateway.asking import process
from playsmart_gateway.asking.process import Asker
from playsmart_gateway.asking.question import Answer, Limits, Question
from playsmart_gateway.asking.relations import RELATIONS
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.open import open_store
from tests.support.event_batches import make_batches
from tests.support.figures import count_all
from tests.support.hostile import POSTGRES, SQLITE
from tests.support.stores import execute, select

LIMITS = Limits(seconds=2.0, memory_bytes=64 * 2**20)
HASTY = msgspec.structs.replace(LIMITS, seconds=0.3)
"""For what never ends: nothing is to be seen in the time behind that."""

MEBIBYTE = 2**20


@pytest.fixture
def url(database_url: str) -> str:
    """The URL of a store with some events in it, counted."""

    async def fill() -> None:
        async with open_store(database_url) as store:
            await store.write(make_batches())
            await count_all(store)

    asyncio.run(fill())
    return database_url


def ask(url: str, sql: str, *parameters: str, rows: int | None = None) -> Answer:
    return asyncio.run(Asker(url, LIMITS).ask(sql, *parameters, rows=rows))


def test_every_documented_relation_answers_with_its_columns(url: str) -> None:
    for name, relation in RELATIONS.items():
        answer = ask(url, f"SELECT * FROM {name}")
        assert answer.problem is None, name
        assert {*relation.columns.split()} == {*answer.columns} - {"player_id"}, name
    found = ask(url, "SELECT type, count(*) FROM events GROUP BY type ORDER BY type")
    assert found == Answer(
        ["type", "count(*)" if url.startswith("sqlite") else "count"],
        [["AppOpen", 6], ["Custom", 4]],
        counted_up_to=found.counted_up_to,
    )
    assert found.counted_up_to is not None
    assert found.counted_up_to.startswith("2026-04-22T14:30:00")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT game_id, sum(events) AS n FROM v_daily WHERE day >= '2026-01-01' GROUP BY game_id;",
        "WITH busy(game, n) AS (SELECT game_id, count(*) FROM events GROUP BY game_id)"
        " SELECT count(*) FROM busy",
        "SELECT count(*) FROM (SELECT DISTINCT user_id FROM events) AS players",
        "SELECT type, row_number() OVER (PARTITION BY game_id ORDER BY event_id) FROM events",
        "SELECT coalesce(nullif(user_id, 'ada'), 'x') || 'it''s; -- /*' FROM events -- a comment",
        "SELECT runs, lost FROM v_versions",
        "SELECT lower(substr(received_at, 1, 7)) AS month, count(*) FROM events GROUP BY 1",
        "SELECT e.user_id FROM events AS e JOIN players AS p ON p.user_id = e.user_id"
        " WHERE e.type IN ('AppOpen', 'Custom') AND e.game_id LIKE ('st%')",
        "SELECT * FROM events WHERE user_id = 'a; DROP TABLE accounts' /* accounts */",
    ],
)
def test_what_people_ask_is_answered(url: str, sql: str) -> None:
    assert ask(url, sql).problem is None


def test_each_engine_has_its_json(url: str) -> None:
    sql = (
        "SELECT value FROM events, json_each(customdata) WHERE key = 'n' LIMIT 1"
        if url.startswith("sqlite")
        else "SELECT customdata ->> 'n' FROM events, generate_series(1, 2) LIMIT 1"
    )
    assert ask(url, sql).problem is None


def test_parameters_are_no_part_of_the_statement(url: str) -> None:
    sql = "SELECT count(*) FROM events WHERE game_id = $1 AND user_id = $2"
    assert ask(url, sql, "stack", "ada").rows == [[3]]
    assert ask(url, sql, "stack", "' OR 1 = 1 --").rows == [[0]]
    assert ask(url, sql).problem is not None


@pytest.mark.process
def test_every_hostile_statement_is_refused_or_bounded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WAIT_SECONDS", 600.0)  # they are asked all at once
    statements = SQLITE if url.startswith("sqlite") else POSTGRES
    assert len(statements) > 40
    before = asyncio.run(select(url, "SELECT * FROM events ORDER BY event_id"))

    async def ask_all() -> list[Answer]:
        asker, hasty = Asker(url, LIMITS), Asker(url, HASTY)
        askers = (hasty if each.is_endless else asker for each in statements)
        asking = (one.ask(each.sql) for one, each in zip(askers, statements, strict=True))
        return await asyncio.gather(*asking)

    wrong = []
    for each, answer in zip(statements, asyncio.run(ask_all()), strict=True):
        size = len(msgspec.json.encode(answer.rows))
        assert size <= LIMITS.bytes + 1_000, each
        assert len(answer.rows) <= LIMITS.rows, each
        if each.told is None:
            is_right = answer.problem is None
        else:
            is_right = not answer.rows and each.told in (answer.problem or "")
            is_right &= answer.problem is not None
        if not is_right:
            wrong.append((each, answer.problem))
    assert wrong == []
    assert asyncio.run(select(url, "SELECT * FROM events ORDER BY event_id")) == before
    assert ask(url, "SELECT count(*) FROM events").rows == [[10]]


@pytest.mark.process
def test_no_question_takes_more_memory_than_it_may(tmp_path: Path) -> None:
    """A process that no other test has had children in says how large the largest was."""
    script = rf"""
import asyncio, re, resource
from pathlib import Path
from playsmart_gateway.asking.process import Asker
from playsmart_gateway.asking.question import Limits
from playsmart_gateway.stores.open import open_store
from tests.support.hostile import SQLITE

async def main():
    url = "sqlite:///{tmp_path}/events.db"
    async with open_store(url):
        pass
    asker = Asker(url, Limits(seconds=1.0, memory_bytes={64 * MEBIBYTE}))
    for each in SQLITE:
        await asker.ask(each.sql)
    # Not its own ru_maxrss: that begins with the size of whoever started it.
    ours = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, ours)

asyncio.run(main())
"""
    printed = asyncio.run(_output(script))
    children, ours = map(int, printed.split())
    assert 1_024 * children < 200 * MEBIBYTE
    assert 1_024 * ours < 200 * MEBIBYTE


async def _output(script: str) -> bytes:
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    content, _ = await running.communicate()
    assert running.returncode == 0
    return content


def test_an_answer_has_no_more_rows_bytes_and_characters_than_it_may(url: str) -> None:
    first = ask(url, "SELECT event_id FROM events ORDER BY event_id", rows=4)
    assert (len(first.rows), first.is_whole) == (4, False)
    assert ask(url, "SELECT event_id FROM events", rows=10).is_whole

    async def narrow() -> Answer:
        asker = Asker(url, msgspec.structs.replace(LIMITS, bytes=60, cell=6))
        return await asker.ask("SELECT received_at FROM events")

    found = asyncio.run(narrow())
    assert found.rows == [["2026-0... (27 characters)"]] * 2
    assert not found.is_whole


def test_numbers_that_json_does_not_have_are_null_and_whole_ones_stay_whole(url: str) -> None:
    infinite = "9e999" if url.startswith("sqlite") else "'Infinity'::float8"
    found = ask(url, f"SELECT {infinite}, 9007199254740993, sum(event_id), 0.5 FROM events")
    assert found.rows[0][:2] == [None, 9_007_199_254_740_993]
    assert isinstance(found.rows[0][2], int)
    assert found.rows[0][3] == 0.5


def test_who_waits_longer_than_others_take_is_told_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WAIT_SECONDS", 0.01)

    async def crowd() -> list[Answer]:
        asker = Asker(url, LIMITS)
        return await asyncio.gather(*(asker.ask("SELECT 1") for _ in range(process.AT_ONCE + 1)))

    problems = [each.problem for each in asyncio.run(crowd())]
    assert sorted(map(str, problems)) == ["None"] * process.AT_ONCE + [
        "others are asking: ask again in a moment"
    ]


@pytest.fixture
def deaf() -> tuple[str, ...]:
    """A process that says nothing for a minute."""
    return (sys.executable, "-c", "import time; time.sleep(60)")


def test_a_process_that_is_late_is_ended(
    url: str, deaf: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    limits = Limits(seconds=0.1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = asyncio.run(Asker(url, limits, deaf).ask("SELECT 1"))
    assert answer.problem is not None
    assert answer.problem.startswith("it took longer than 0.1 s")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_nvcsw > before.ru_nvcsw


def test_a_process_that_dies_on_the_way_has_no_answer(url: str) -> None:
    answer = asyncio.run(Asker(url, LIMITS, (sys.executable, "-c", "")).ask("SELECT 1"))
    assert answer.problem is not None
    assert "more memory" in answer.problem


def test_what_the_gateway_keeps_for_itself_is_not_shown_by_its_views(url: str) -> None:
    script = "INSERT INTO accounts VALUES ('ada', 'ada@example.com', 'hash', 1, 0)"
    asyncio.run(execute(url, script))
    for column in ("email", "password", "*", "user_id"):
        assert ask(url, f"SELECT {column} FROM accounts").problem is not None


def test_a_store_in_memory_cannot_be_asked() -> None:
    with pytest.raises(ConfigError, match="only SQLite and PostgreSQL"):
        Asker("memory:")


def test_a_store_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    assert (
        ask(f"sqlite:///{tmp_path}/none.db", "SELECT 1").problem == "unable to open database file"
    )
    away = "postgresql://ada:secret-word@127.0.0.1:1/none"
    told = ask(away, "SELECT 1").problem
    assert told
    assert "secret-word" not in told
    assert "secret-word" not in repr(Question(away, "SELECT 1"))
