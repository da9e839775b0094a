"""``doctor``: each finding, with what to do; and nothing is changed by looking."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from playsmart_gateway.cli import commands
from playsmart_gateway.cli.doctor import Finding, examine
from playsmart_gateway.pipeline.journal import Journal
from tests.support.doubles import make_batch
from tests.support.process import SECRET, StartGateway, clean_environment
from tests.support.uploads import make_upload


class Told(NamedTuple):
    exit_code: int
    findings: dict[tuple[str, str], str]


Diagnose = Callable[..., Told]


@pytest.fixture
def diagnose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """Run ``doctor`` in the test's folder; what it found, by level and subject."""
    monkeypatch.chdir(tmp_path)
    unset = {name: None for name in os.environ if name not in clean_environment()}

    def run(*arguments: str, **environment: str) -> Told:
        settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
        settings.setdefault("PLAYSMART_BUFFER__MAX_BYTES", "1000")
        result = CliRunner().invoke(
            commands, ("doctor", "--json", *arguments), env={**unset, **settings}
        )
        assert result.exception is None or isinstance(result.exception, SystemExit)
        found = json.loads(result.stdout)
        for each in found:
            assert each["level"] != "problem" or each["advice"], "a problem says what to do"
        texts = {(each["level"], each["subject"]): each["text"] for each in found}
        return Told(result.exit_code, texts)

    return run


@pytest.fixture
def stored(start_gateway: StartGateway, tmp_path: Path) -> Path:
    """The data folder of a gateway that has stored something and was stopped."""
    running = start_gateway()
    assert running.post(make_upload("ada"), sub="ada").is_success
    assert running.stop() == 0
    return tmp_path / "data"


def levels(told: Told) -> set[str]:
    return {level for level, _ in told.findings}


def test_a_configuration_that_cannot_be_used_is_all_that_is_told(diagnose: Diagnose) -> None:
    told = diagnose(AUTH__SECRET="sesame", SERVER__PORT="x")
    assert told.exit_code == 1
    assert [subject for _, subject in told.findings] == ["configuration"]
    assert diagnose(AUTH__SECRET="sesame").exit_code == 1


def test_before_the_first_start_there_is_nothing_to_complain_about(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    told = diagnose()
    assert told.exit_code == 0
    assert told.findings["note", "database"].endswith("is not there yet")
    assert "no key is configured" in told.findings["note", "keys"]
    assert diagnose(STORAGE__URL="memory:").exit_code == 0
    assert not list(tmp_path.iterdir())


def test_beside_a_running_gateway_everything_is_well(
    diagnose: Diagnose, start_gateway: StartGateway
) -> None:
    running = start_gateway()
    told = diagnose(AUTH__SECRET=SECRET)
    assert "without limit" in told.findings.pop(("note", "ingest"))
    assert (told.exit_code, levels(told)) == (0, {"ok"})
    limited = diagnose(AUTH__SECRET=SECRET, INGEST__PLAYER_EVENTS_PER_SECOND="50")
    assert levels(limited) == {"ok"}
    assert told.findings["ok", "journal"] == "is held by a running gateway"
    result = CliRunner().invoke(commands, ["doctor"], env={"PLAYSMART_AUTH__SECRET": SECRET})
    assert result.stdout.startswith("ok       configuration: can be used\n")
    assert running.stop() == 0


def test_what_a_202_means_is_told_and_is_of_note_where_it_means_little(diagnose: Diagnose) -> None:
    told = diagnose()
    assert "in the journal" in told.findings["ok", "a 202"]
    assert "Up to 100 ms" in told.findings["ok", "the power of this machine is cut"]
    told = diagnose(JOURNAL__ENABLED="false")
    assert told.exit_code == 0
    assert "in the memory" in told.findings["note", "a 202"]


def test_secrets_that_others_can_read_are_a_problem(diagnose: Diagnose, tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f'[auth]\nsecret = "{SECRET}"')
    config.chmod(0o644)
    told = diagnose("--config", "gateway.toml")
    assert "mode 0644" in told.findings["problem", "secrets"]
    config.chmod(0o600)
    assert diagnose("--config", "gateway.toml").exit_code == 0


def test_secrets_that_are_short_are_noted_and_that_of_the_manual_is_a_problem(
    diagnose: Diagnose,
) -> None:
    app = '[{{id = "a", secret_key = "{}"}}]'
    told = diagnose(AUTH__SECRET=SECRET, TEAK__APPS=app.format("plainsecret"))
    assert told.exit_code == 0
    assert told.findings["note", "secrets"] == "teak.apps.0.secret_key has 11 characters"
    told = diagnose(AUTH__SECRET=SECRET, LYNES__API_KEY="eightnow")
    assert told.findings["note", "secrets"] == "lynes.api_key has 8 characters"
    told = diagnose(AUTH__SECRET=SECRET, TEAK__APPS=app.format("your_server_secret"))
    assert told.exit_code == 1
    assert "the one of the manual" in told.findings["problem", "secrets"]
    assert diagnose(AUTH__SECRET=SECRET, TEAK__APPS=app.format("k" * 3 + SECRET)).exit_code == 0


def test_players_who_open_lynes_are_a_problem_until_something_is_written_down(
    diagnose: Diagnose,
) -> None:
    events = '[{id = "daily_login", kind = "fix", points = 10}]'
    told = diagnose(AUTH__SECRET=SECRET, LYNES__EVENTS=events)
    assert told.exit_code == 1
    assert "for every user" in told.findings["problem", "lynes"]
    for written in (
        {"LYNES__STRICT_USER": "false"},
        {"LYNES__AUTH__AUDIENCE": "lynes"},
        {"LYNES__AUTH__SECRET": "known to servers and to no player's device"},
    ):
        assert diagnose(AUTH__SECRET=SECRET, LYNES__EVENTS=events, **written).exit_code == 0


def test_who_is_behind_a_proxy_is_told_that_all_players_have_its_address(
    diagnose: Diagnose,
) -> None:
    accounts = {"AUTH__SECRET": SECRET, "ACCOUNTS__ENABLED": "true"}
    assert "the connection" in diagnose(**accounts).findings["note", "accounts"]
    accounts["ACCOUNTS__ADDRESS_HEADER"] = "X-Real-IP"
    assert ("note", "accounts") not in diagnose(**accounts).findings


def test_a_disk_that_is_nearly_full_is_a_problem(diagnose: Diagnose, stored: Path) -> None:
    told = diagnose(BUFFER__MAX_BYTES=str(2**60))
    assert {("problem", "data folder"), ("problem", "journal folder")} <= set(told.findings)


def test_a_folder_that_cannot_be_written_is_a_problem(
    diagnose: Diagnose, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "cannot be written" in diagnose().findings["problem", "data folder"]


def test_a_damaged_database_is_a_problem(diagnose: Diagnose, stored: Path) -> None:
    database = stored / "playsmart.db"
    content = bytearray(database.read_bytes())
    content[8_192:40_960] = b"\xff" * 32_768
    database.write_bytes(content)
    told = diagnose()
    assert (told.exit_code, ("problem", "database") in told.findings) == (1, True)
    database.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert "not a database" in diagnose().findings["problem", "database"]


def test_versions_and_times_that_cannot_be_are_told(diagnose: Diagnose, stored: Path) -> None:
    with closing(sqlite3.connect(stored / "playsmart.db")) as db:
        db.execute("UPDATE batches SET received_at = '2999-01-01T00:00:00.000000Z'")
        db.execute("PRAGMA user_version = 1")
        db.commit()
        told = diagnose()
        assert "schema version 1 of" in told.findings["note", "database"]
        assert "1 batches from id 1 on say a time yet to come" in told.findings["problem", "clock"]
        db.execute("PRAGMA user_version = 99")
        assert "newer than this program" in diagnose().findings["problem", "database"]


def test_a_clock_that_is_set_meanwhile_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = examine(None)
    next(found)
    now = time.time() + 3_600
    monkeypatch.setattr("time.time", lambda: now)
    assert [each.level for each in found if each.subject == "clock"] == ["problem"]


def test_what_waits_in_the_journal_is_counted_and_left_alone(
    diagnose: Diagnose, stored: Path
) -> None:
    journal = Journal(stored / "journal")
    journal.open()
    journal.write([make_batch(1, 3), make_batch(2, 4), make_batch(3, 5)])
    journal.close()
    (segment,) = (stored / "journal").glob("*.journal")
    told = diagnose()
    assert told.exit_code == 0
    assert told.findings["note", "journal"] == "12 events in 3 batches wait"
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    told = diagnose()
    assert told.exit_code == 1
    assert told.findings["problem", "journal"].startswith("1 broken records")
    assert segment.read_bytes() == content
    shutil.copy(segment, stored / "journal" / "0000000000000001.bad")
    assert "0000000000000001.bad" in diagnose().findings["note", "journal"]


def test_a_journal_that_cannot_be_read_is_a_problem(diagnose: Diagnose, stored: Path) -> None:
    (stored / "journal" / "0000000000000007.journal").mkdir()
    assert "Is a directory" in diagnose().findings["problem", "journal"]


def test_a_game_that_pays_without_limit_is_told_with_a_value(
    tmp_path: Path,
) -> None:
    game = '[[games]]\nid = "g"\ncoins_enabled = true\nreward_fixed_amount = 20\n'
    told = examine_config(tmp_path, game)
    assert [(each.subject, each.advice[:29]) for each in told if each.subject == "coins"] == [
        ("coins", "Set max_coins_per_day = 6000 ")
    ]
    told = examine_config(tmp_path, f"{game}max_coins_per_day = 100\n")
    assert [each for each in told if each.subject == "coins"] == []


def examine_config(folder: Path, text: str) -> list[Finding]:
    path = folder / "gateway.toml"
    path.write_text(
        f'[storage]\nurl = "sqlite:///{folder}/none.db"\n[journal]\npath = "{folder}/j"\n{text}'
    )
    return list(examine(path))
