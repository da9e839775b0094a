"""Questions of games to a lake and what is behind it are answered as the store answers them."""

import asyncio
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import LakeError, SinkUnavailable
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import run_key
from playsmart_gateway.lake import answering
from playsmart_gateway.lake.answering import answer_from_lake
from playsmart_gateway.lake.job import ANSWERING
from playsmart_gateway.questions.asked import Asked
from playsmart_gateway.questions.process import Desk, Question, answer
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import files_in, lake_in, write_all
from tests.questions.played import STORY, Story, fill
from tests.support.counted import MONDAY, batch, row
from tests.support.examples import examples
from tests.support.stores import execute

SPAN = {"first": "2026-03-09", "last": "2026-04-19", "period": "week"}
QUESTIONS: list[dict[str, Any]] = [
    {"type": "report"},
    {"type": "report", "one_by_one": True, "game": "a"},
    {"type": "report", "zone": "Asia/Kathmandu", "by": "happened", "where": {"country": "DE"}},
    {"type": "funnel", "steps": [{"type": "AppOpen"}, {"type": "Custom", "name": "Jump"}]},
    {"type": "funnel", "steps": [{"type": "AppOpen"}, {"type": "IAPPurchase"}], "by": "happened",
     "where": {"platform": "ios"}},
    {"type": "return", "again": {"type": "LevelCompleted"}},
    {"type": "values", "property": "mode", "mark": {"type": "Custom", "name": "Jump"}},
    {"type": "values", "property": "level", "beside": "platform", "game": "b"},
]  # fmt: skip


def from_lake(url: str, folder: Path, **asked: Any) -> dict[str, Any]:
    question = Question(url, msgspec.convert(asked, Asked), lake_url=str(folder / "lake"))
    found: dict[str, Any] = msgspec.to_builtins(asyncio.run(answer_from_lake(question)))
    assert found.pop("from_lake")
    return found


def from_store(url: str, **asked: Any) -> dict[str, Any]:
    question = Question(url, msgspec.convert(asked, Asked))
    found: dict[str, Any] = msgspec.to_builtins(asyncio.run(answer(question)))
    assert not found.pop("from_lake")
    return found


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """Without how many were looked at, the dust of sums, and the order of what is as frequent."""
    text = json.dumps(found, sort_keys=True)
    rounded = json.loads(text, parse_float=lambda number: round(float(number), 6))
    del rounded["looked_at"]
    for name in ("names", "groups"):
        rounded.get(name, []).sort(key=str)
    return dict(rounded)


async def write(url: str, folder: Path) -> None:
    async with open_store(url).reader() as reader:
        await write_all(lake_in(folder), reader)


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda each: str(each["type"]))
def test_lake_and_store_give_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, asked: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    url = f"sqlite:///{folder}/events.db"

    @examples(12)
    @given(story=STORY, part=st.floats(0, 1), pieces=st.sampled_from([1, 3, 250_000]))
    def example(story: Story, part: float, pieces: int) -> None:
        shutil.rmtree(folder / "lake", ignore_errors=True)
        story.sort(key=lambda each: each[1])
        written = max(1, int(part * len(story)))
        asyncio.run(fill(url, story[:written]))
        asyncio.run(write(url, folder))
        asyncio.run(fill(url, story, known=written))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(answering, "EVENTS_PER_PIECE", pieces)
            found = from_lake(url, folder, **{**SPAN, **asked})
        assert plain(found) == plain(from_store(url, **{**SPAN, **asked}))

    example()


def test_the_program_of_a_run_is_asked_of_the_store(tmp_path: Path) -> None:
    batches = [batch(n, user, MONDAY, row()) for n, user in enumerate(["ada", "bob", "eve"])]
    for n, each in enumerate(batches[:2]):
        each.run = run_key(bytes([n]) * 16, each.game_id, each.user_id)
        each.about = About(client=Program(app_version=f"2.{n}", platform="ios"))
    url = f"sqlite:///{tmp_path}/events.db"

    async def fill_both() -> None:
        async with open_store(url) as sink:
            await sink.write(batches)
        await write(url, tmp_path)

    asyncio.run(fill_both())
    asked = {"type": "values", **SPAN, "first": "2026-03-02", "property": "app_version"}
    found = from_lake(url, tmp_path, **asked)
    assert {each["value"]: each["events"] for each in found["rows"]} == {
        "2.0": 1,
        "2.1": 1,
        None: 1,
    }
    assert plain(found) == plain(from_store(url, **asked))


def test_the_lake_has_what_the_store_has_deleted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    sold = row("IAPPurchase", None, price=5, currency="EUR")

    async def fill_both() -> None:
        async with open_store(url) as sink:
            await sink.write(
                [batch(n, "ada", MONDAY + timedelta(days=n), sold, row()) for n in range(9)]
            )
        await write(url, tmp_path)
        await execute(url, "DELETE FROM event_rows WHERE event_id < 256 * 5")

    asyncio.run(fill_both())
    for asked in ({}, {"one_by_one": True}):
        found = from_lake(
            url, tmp_path, type="report", first="2026-03-02", last="2026-03-11", **asked
        )
        assert found["total"]["revenue"] == {"EUR": 45.0}
        assert {each["type"]: each["events"] for each in found["names"]} == {
            "AppOpen": 9, "IAPPurchase": 9,
        }  # fmt: skip


def test_a_file_that_is_not_there_is_told_of_and_nothing_is_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    asyncio.run(fill(url, [("ada", 24 * 7, 0, "a", [row()])]))
    asyncio.run(write(url, tmp_path))
    (file,) = files_in(tmp_path)
    (tmp_path / "lake" / file).unlink()
    asked = {"type": "values", **SPAN, "property": "level"}
    with pytest.raises(LakeError, match="cannot be read"):
        from_lake(url, tmp_path, **asked)
    desk = Desk(url, str(tmp_path / "lake"), ANSWERING)
    with pytest.raises(SinkUnavailable, match="files of the lake cannot be read"):
        asyncio.run(desk.ask(msgspec.convert(asked, Asked)))


def test_a_process_of_its_own_answers_from_the_lake(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    asyncio.run(fill(url, [("ada", 24 * 7, 0, "a", [row("Custom", "Jump", mode="hard")])]))
    asyncio.run(write(url, tmp_path))
    asked = {"type": "values", **SPAN, "property": "mode"}
    desk = Desk(url, str(tmp_path / "lake"), ANSWERING)
    told = json.loads(asyncio.run(desk.ask(msgspec.convert(asked, Asked))))
    assert (told["from_lake"], told["rows"][0]["value"]) == (True, "hard")
    assert told["counted_up_to"] == "2026-03-09T00:00:00.000000Z"


def test_without_a_lake_nothing_of_it_is_imported(tmp_path: Path) -> None:
    looked = "import sys, playsmart_gateway.questions.process, playsmart_gateway.cli.report as r"
    said = "print([name for name in ('duckdb', 'pyarrow') if name in sys.modules])"
    ended = subprocess.check_output([sys.executable, "-c", f"{looked}; {said}"], cwd=tmp_path)
    assert ended == b"[]\n"
