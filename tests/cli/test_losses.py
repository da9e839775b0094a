"""``stats --loss``: how many events of each version never arrived."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.stores.open import open_store
from tests.support.numbered import numbered

NOON = 1_776_859_200_000_000  # 2026-04-22
DAY = 86_400_000_000
OTHER = "com.example.other"


@pytest.fixture
def url(tmp_path: Path) -> str:
    where = f"sqlite:///{tmp_path}/events.db"
    told = [
        (b"a", 0, 100, "2.1.5", 0), (b"a", 104, 250, "2.1.5", 0), (b"b", 0, 250, "2.1.5", 1),
        (b"c", 0, 50, "\x1b[31m", 1),
    ]  # fmt: skip

    async def fill() -> None:
        async with open_store(where) as sink:
            for n, (run, first, end, version, day) in enumerate(told):
                about = About(client=Program("unity", "1", version, "ios"))
                batch = numbered(n, first, end, run=run * 16, about=about)
                await sink.write([msgspec.structs.replace(batch, received_at=NOON + day * DAY)])
            other = numbered(9, 1, 2, run=b"d" * 16, game_id=OTHER)
            await sink.write([msgspec.structs.replace(other, received_at=NOON)])

    asyncio.run(fill())
    return where


def stats(url: str, *arguments: str) -> Result:
    environment = {"PLAYSMART_STORAGE__URL": url}
    return CliRunner().invoke(commands, ("stats", "--loss", *arguments), env=environment)


@pytest.mark.parametrize("wrong", ["--app", "--event", "--player", "--type", "--source"])
def test_what_no_run_says_is_refused(url: str, wrong: str) -> None:
    result = stats(url, wrong, "lynes")
    assert (result.exit_code, "--loss" in result.stderr) == (2, True)


def test_a_database_of_an_older_program_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()
    result = stats(f"sqlite:///{tmp_path}/events.db")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "start the gateway once first" in str(result.exception)


def test_nothing_is_told_in_words(url: str) -> None:
    result = stats(url, "--game", "nowhere")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no runs to count: one counts when nothing has come of it for an hour\n"


def test_versions_are_shown_largest_loss_first_then_days_and_the_sum(url: str) -> None:
    programs, days, total = stats(url).stdout.split("\n\n")
    assert [line.split() for line in programs.splitlines()] == [
        ["game", "app", "version", "platform", "runs", "events", "never", "arrived", "share"],
        ["com.example.game", "2.1.5", "ios", "2", "500", "4", "0.80", "%"],
        [OTHER, "unknown", "unknown", "1", "2", "1", "50.00", "%"],
        ["com.example.game", r"\u001b[31m", "ios", "1", "50", "0", "0.00", "%"],
    ]
    assert [line.split() for line in days.splitlines()[1:]] == [
        ["2026-04-22", "2", "252", "5", "1.98", "%"], ["2026-04-23", "2", "300", "0", "0.00", "%"]
    ]  # fmt: skip
    assert total == "5 of 552 events never arrived: 0.91 %\n"


def test_losses_are_json_for_machines_and_filters_hold(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playsmart_gateway.cli.losses.RUNS_PER_READ", 1)
    found = json.loads(stats(url, "--json", "--game", "com.example.game").stdout)
    assert (found["numbers"], found["lost"], len(found["losses"])) == (550, 4, 3)
    assert found["losses"][0] == {
        "day": "2026-04-22", "game_id": "com.example.game", "app_version": "2.1.5",
        "platform": "ios", "runs": 1, "numbers": 250, "lost": 4,
    }  # fmt: skip
    for days, lost in (
        (("--since", "2026-04-23"), 0), (("--until", "2026-04-23"), 5),
        (("--since", "2026-04-22", "--until", "2026-04-23"), 5),
        (("--since", "2026-04-22T00:00:01"), 0),
    ):  # fmt: skip
        assert json.loads(stats(url, "--json", *days).stdout)["lost"] == lost, days
