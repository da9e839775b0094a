"""``exclude``, ``include``, ``opt``, ``stats --app``, and what check-config says about apps."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.config import MASKED
from playsmart_gateway.errors import ConfigError, SinkUnavailable
from tests.support.process import RunningGateway
from tests.support.teak import APPS, BATCH, call, event, identify, teak_gateway

APP = ("--app", "your_teak_app_id")
Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose players have spun twenty times for 2 and 4 coins, and once for a fortune."""
    with teak_gateway(tmp_path_factory.mktemp("apps")) as running:
        identify(running, "[b]ada", email="ada@example.com")
        spins = {"event_count": 10, "value": 20, "sum_of_squares": "40"}
        more = {"event_count": 10, "value": "40.0", "sum_of_squares": 160}
        events = [event("[b]ada", "[i]spin", **each) for each in (spins, more)]
        events.append(event("[b]ada", "[i]spin", country_code="us", value="1e9999"))
        assert call(running, BATCH, events=events).json()["summary"]["successful_events"] == 3
        running.settle()
        yield running


@pytest.fixture
def invoke(played: RunningGateway) -> Invoke:
    """Run a command on the store of that gateway, which goes on running."""

    def invoke_command(*arguments: str) -> Result:
        url = f"sqlite:///{played.folder}/data/playsmart.db"
        environment = {"PLAYSMART_STORAGE__URL": url, "PLAYSMART_TEAK__APPS": APPS}
        return CliRunner().invoke(commands, arguments, env=environment)

    return invoke_command


def email(running: RunningGateway) -> str | None:
    found = running.select("SELECT email FROM app_players WHERE user_id = '[b]ada'")[0][0]
    return None if found is None else str(found)


# --- mistakes ------------------------------------------------------------------------------------


def test_a_player_or_an_app_that_nobody_knows_is_told(invoke: Invoke) -> None:
    nope = ("--app", "nope")
    for command in (("exclude",), ("opt", "in", "--channel", "push")):
        name, *more = command
        result = invoke(name, "nobody", *more, *APP)
        assert (result.exit_code, "no session of that player" in result.output) == (1, True)
        result = invoke(name, "[b]ada", *more, *nope)
        assert (result.exit_code, "no app goes by that id" in result.output) == (1, True)
    assert invoke("include", "nobody", *nope).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("exclude", *APP),
        ("exclude", "ada"),
        ("exclude", "ada", *APP, "--until", "tomorrow"),
        ("exclude", "ada", *APP, "--until", "2026-02-30"),
        ("include", "ada"),
        ("opt", "ada", "out", *APP),
        ("opt", "ada", "maybe", *APP, "--channel", "push"),
        ("opt", "ada", "in", *APP, "--channel", "pigeon"),
        ("opt", "ada", "in", "--channel", "push"),
        ("stats", "--app"),
    ],
)
def test_a_command_that_is_not_whole_is_exit_code_2(
    invoke: Invoke, arguments: tuple[str, ...]
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("exclude", "ada", *APP),
        ("include", "ada", *APP),
        ("opt", "ada", "in", *APP, "--channel", "push"),
        ("stats", *APP),
    ],
)
def test_a_store_that_is_not_there_is_told_and_not_made(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/none.db"}
    result = CliRunner().invoke(commands, arguments, env=environment)
    assert isinstance(result.exception, SinkUnavailable)
    assert result.exception.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('{id = "", secret_key = "s"}', "teak.apps.0.id: must be a string of 1 to 256"),
        ('{id = "a", secret_key = ""}', "teak.apps.0.secret_key: must be a string"),
        ('{id = "a", secret_key = []}', "teak.apps.0.secret_key: must be a string"),
        ('{id = "a"}', "teak.apps.0.secret_key: is required"),
        ('{secret_key = "s"}', "teak.apps.0.id: is required"),
        ('{id = "a", secret_key = "s", propertys = {}}', "teak.apps.0.propertys: unknown key"),
        ('{id = "a", secret_key = "s"}, {id = "a", secret_key = "t"}', "id of another app"),
        ('{id = "a", secret_key = "s", properties = {x = "text"}}', "teak.apps.0.properties"),
        ('{id = "a", secret_key = "s", link_domains = ["a b"]}', "teak.apps.0.link_domains"),
        ('{id = "a", secret_key = "s", links = {"/x" = "y:"}}', "is not on a link domain"),
        ("7", "teak.apps"),
    ],
)
def test_check_config_tells_what_is_wrong_with_an_app(table: str, complaint: str) -> None:
    environment = {"PLAYSMART_TEAK__APPS": f"[{table}]"}
    result = CliRunner().invoke(commands, ("check-config",), env=environment)
    assert isinstance(result.exception, ConfigError)
    assert complaint in str(result.exception)


def test_check_config_masks_the_secrets_of_apps() -> None:
    environment = {"PLAYSMART_TEAK__APPS": APPS}
    result = CliRunner().invoke(commands, ("check-config",), env=environment)
    assert result.exit_code == 0
    assert "your_server_secret" not in result.output
    assert "old secret" not in result.output
    first, second = json.loads(result.stdout)["teak"]["apps"]
    assert (first["id"], first["secret_key"]) == ("your_teak_app_id", MASKED)
    assert second["secret_key"] in (MASKED, [MASKED, MASKED])


# --- what they do --------------------------------------------------------------------------------


def test_an_exclusion_beside_a_running_gateway_holds_until_it_ends(
    invoke: Invoke, played: RunningGateway
) -> None:
    def play() -> None:
        identify(played, "[b]ada", email="ada@example.com")
        played.settle()

    result = invoke("include", "[b]ada", *APP)
    assert (result.exit_code, result.output) == (1, "Error: that player is not excluded\n")
    assert email(played) == "ada@example.com"
    result = invoke("exclude", "[b]ada", *APP)
    assert result.exit_code == 0
    assert result.output == "excluded [b]ada of your_teak_app_id for good\n"
    assert email(played) is None
    play()
    assert email(played) is None
    result = invoke("exclude", "[b]ada", *APP, "--until", "2999-01-01T01:00:00+01:00")
    assert "until 2999-01-01T00:00:00.000000Z" in result.output
    play()
    assert email(played) is None
    assert "until 2020-01-01T00:00:00.000000Z" in (
        invoke("exclude", "[b]ada", *APP, "--until", "2020-01-01").output
    )
    play()
    assert email(played) == "ada@example.com"
    assert invoke("exclude", "[b]ada", *APP).exit_code == 0
    result = invoke("include", "[b]ada", *APP)
    assert (result.exit_code, result.output) == (0, "included [b]ada of your_teak_app_id\n")
    assert email(played) is None
    play()
    assert email(played) == "ada@example.com"


def test_opting_out_and_in_is_told_at_the_next_session(
    invoke: Invoke, played: RunningGateway
) -> None:
    result = invoke("opt", "nobody", "out", *APP, "--channel", "push")
    assert result.exit_code == 1
    assert "no session of that player is stored" in result.output
    for direction, state in (("out", "opt_out"), ("in", "opt_in")):
        for channel in ("email", "push", "sms"):
            result = invoke("opt", "[b]ada", direction, *APP, "--channel", channel)
            assert result.output == f"[b]ada of your_teak_app_id: {channel} {state}\n"
            states = identify(played, "[b]ada")["opt_out_states"]
            assert states[channel] == {"state": state}
    invoke("opt", "[b]ada", "out", *APP, "--channel", "sms")


def test_statistics_follow_the_formulas_and_are_exact(invoke: Invoke) -> None:
    result = invoke("stats", *APP, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["app"] == "your_teak_app_id"
    found = {(each["action_type"], each["country_code"]): each for each in told["actions"]}
    assert found["Installed", "DE"]["events"] == 1
    assert found["[i]spin", "DE"] == {
        "action_type": "[i]spin", "country_code": "DE", "events": 2, "event_count": 20,
        "value": "60.0", "sum_of_squares": "200", "mean": 3.0, "variance": 1.0,
        "standard_deviation": 1.0,
    }  # fmt: skip
    fortune = found["[i]spin", "US"]
    assert Decimal(fortune["value"]) == Decimal("1e9999")
    assert (fortune["mean"], fortune["variance"]) == (None, None)


def test_statistics_are_a_table_for_people(invoke: Invoke) -> None:
    result = invoke("stats", *APP)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[0] == ["analytics", "events", "of", "your_teak_app_id"]
    assert ["DE", "2", "20", "60.0", "3", "1", "1"] in [line[:7] for line in lines]
    spins = [line for line in lines if line[0] == "[i]spin"]
    assert spins[0][:4] == ["[i]spin", "all", "3", "21"]
    (fortune,) = [line for line in lines if line[0] == "US"]
    assert fortune[5:7] == ["unknown", "unknown"]  # a value came without its squares


def test_an_app_without_events_is_told_so(invoke: Invoke) -> None:
    result = invoke("stats", "--app", "nobody")
    assert result.exit_code == 0
    assert result.stderr == "no events of nobody are stored\n"
    assert result.stdout == ""
    assert json.loads(invoke("stats", "--app", "nobody", "--json").stdout)["actions"] == []


def test_statistics_do_not_disturb_the_store(invoke: Invoke, played: RunningGateway) -> None:
    """A reader in the middle of its work keeps no writer out."""
    with closing(sqlite3.connect(played.folder / "data" / "playsmart.db")) as db:
        db.execute("BEGIN").fetchall()
        db.execute("SELECT count(*) FROM events").fetchall()
        assert call(played, BATCH, events=[event("[b]ada", "other")]).status_code == 200
        played.settle()
    assert invoke("stats", *APP).exit_code == 0
