"""The commands: what they print, and what their exit codes say."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from playsmart_gateway import __version__
from playsmart_gateway.build import (
    EXAMPLE_OPERATOR_TOKEN,
    EXAMPLE_TEAK_SECRET,
)
from playsmart_gateway.cli import COMMANDS
from playsmart_gateway.config import MASKED
from playsmart_gateway.stores.open import open_store
from tests import ROOT
from tests.support import warm
from tests.support.commands import invoke
from tests.support.polling import PATIENCE_SECONDS
from tests.support.process import SECRET, RunningGateway, StartGateway, clean_environment
from tests.support.uploads import make_upload

pytestmark = pytest.mark.process

EXAMPLE = ROOT / "config.example.toml"

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command as its users do, in an empty folder."""

    def run_command(*arguments: str, **environment: str) -> Finished:
        settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
        finished = warm.run(
            arguments,
            folder=tmp_path,
            environment=clean_environment(**settings),
            timeout=PATIENCE_SECONDS,
        )
        assert "Traceback" not in finished.stderr
        return finished

    return run_command


# --- in general ----------------------------------------------------------------------------------


def test_help_names_every_command_and_its_purpose() -> None:
    told = invoke("--help").output
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.summary)}$", told, re.MULTILINE)
        assert invoke(name, "--help").exit_code == 0


@pytest.mark.parametrize("asked", ["--version", "--help"])
def test_a_command_is_imported_when_it_is_asked_for(asked: str) -> None:
    """So these take a moment, and no command waits for what others need."""
    program = (
        "import sys; from playsmart_gateway.cli import commands;"
        f"commands.main(['{asked}'], standalone_mode=False);"
        "print(*sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    costly = {"starlette", "uvicorn", "jwt", "rich", "asyncio", "liquid", "playsmart_gateway.build"}
    assert not costly & {*told}


def test_ctrl_c_that_finds_a_task_half_made_says_no_more_than_that_it_was_pressed() -> None:
    program = """
import asyncio
from playsmart_gateway import cli

def interrupted(**_):
    task = asyncio.new_event_loop().create_task(asyncio.sleep(1))
    raise KeyboardInterrupt

cli.commands.main = interrupted
cli.main()
"""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr.strip()) == (130, "aborted")


def test_the_version_is_that_of_the_package() -> None:
    assert invoke("--version").output == f"playsmart-gateway, version {__version__}\n"


def test_the_installed_command_is_the_module(run: Run) -> None:
    script = shutil.which("playsmart-gateway", path=Path(sys.executable).parent)
    assert script
    told = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == run("--version").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "99999"],
        ["serve", "--port", "-1"],
        ["serve", "--port", "http"],
        ["serve", "--nonsense"],
        ["nonsense"],
        ["token"],
        ["token", "--sub", "ada", "--ttl", "soon"],
        ["token", "--sub", "ada", "--claim", "kind"],
        ["token", "--sub", "ada", "--claim", "=x"],
    ],
)
def test_a_wrong_argument_is_exit_code_2(arguments: list[str]) -> None:
    result = invoke(*arguments, AUTH__SECRET=SECRET)
    assert result.exit_code == 2
    assert "Error: " in result.output


def test_mistakes_and_failures_are_told_alike(run: Run, tmp_path: Path) -> None:
    wrong = run("nonsense")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1].startswith("error: No such command 'nonsense'")
    url = f"sqlite:///{tmp_path}/data.db"

    async def make_database() -> None:
        async with open_store(url):
            pass

    asyncio.run(make_database())
    failed = run("dead-letters", "show", "nothing", STORAGE__URL=url)
    assert failed.returncode == 1
    assert failed.stderr == "error: there is no such dead letter; see dead-letters list\n"


# --- serve ---------------------------------------------------------------------------------------


def test_serve_without_keys_is_one_clear_line_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    finished = run("serve", "--port", "0")
    assert finished.returncode == 2
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: auth: ")
    assert "secret" in line
    assert list(tmp_path.iterdir()) == []


def test_serve_tells_every_mistake_on_a_line_of_its_own(run: Run) -> None:
    finished = run("serve", SERVER__PORT="sesame", AUTH__SECRT="sesame")
    assert finished.returncode == 2
    assert finished.stderr.splitlines() == [
        "error: server.port: Expected `int`, got `str`",
        "error: auth.secrt: unknown key; did you mean auth.secret?",
    ]


def test_serve_refuses_a_secret_that_can_be_guessed(run: Run) -> None:
    finished = run("serve", "--port", "0", AUTH__SECRET="sesame")
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: auth.secret: ")
    assert "sesame" not in finished.stderr


def test_serve_reads_the_file_that_it_is_given(start_gateway: StartGateway, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(
        f'[auth]\nsecret = "{SECRET}"\n[server]\nport = 1\n[storage]\nurl = "memory:"'
    )
    running = start_gateway("--config", "gateway.toml", secret=None)
    assert running.post(make_upload("ada"), sub="ada").is_success
    assert running.stop() == 0


# --- secrets ----------------------------------------------------------------------------------


GUESSED = [
    ("AUTH__SECRET", "x" * 40, "auth.secret: has fewer than 4 different"),
    ("AUTH__SECRETS", f'[{{kid = "a", secret = "{"ab" * 20}"}}]', "auth.secrets.0.secret: has"),
    ("LYNES__AUTH__SECRET", "=" * 40, "lynes.auth.secret: has fewer than 4 different"),
    ("LYNES__AUTH__SECRET", "short", "lynes.auth.secret: is 5 bytes long"),
    ("OPERATOR__TOKEN", "aaaaaaaaaaaaaaaaaaaa", "operator.token: has fewer than 4 different"),
    ("OPERATOR__TOKEN", "fifteen letters", "operator.token: "),
    ("OPERATOR__TOKEN", "some-long-random-text", "operator.token: is the one of a manual"),
    ("AUTH__SECRET", "a-string-secret-at-least-256-bits-long", "auth.secret: is the one of a"),
    ("LYNES__API_KEY", "seven..", "lynes.api_key: must have 8 characters"),
    ("LYNES__API_KEY", '["a long enough key", "11111111"]', "lynes.api_key: has fewer than 4"),
    (
        "TEAK__APPS",
        '[{id = "a", secret_key = "seven.."}]',
        "teak.apps.0.secret_key: must have 8",
    ),
    ("TEAK__APPS", '[{id = "a", secret_key = ["abcdefgh", "aaaaaaaa"]}]', "secret_key: has fewer"),
]


@pytest.mark.parametrize("command", ["serve", "check-config"])
@pytest.mark.parametrize(("key", "value", "problem"), GUESSED)
def test_a_secret_that_can_be_guessed_refuses_to_start(
    run_here: Run, command: str, key: str, value: str, problem: str
) -> None:
    finished = run_here(command, **{"AUTH__SECRET": SECRET, key: value})
    if key == "AUTH__SECRETS":
        finished = run_here(command, **{key: value})
    assert finished.returncode == 2
    assert problem in finished.stderr
    assert value not in finished.stderr


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_where_everybody_may_register_a_gateway_with_lynes_open_does_not_start(
    run_here: Run, command: str
) -> None:
    lynes = {
        "LYNES__EVENTS": '[{id = "daily_login", kind = "fix", points = 1}]',
        "LYNES__STRICT_USER": "false",
    }
    finished = run_here(command, AUTH__SECRET=SECRET, ACCOUNTS__ENABLED="true", **lynes)
    assert finished.returncode == 2
    assert "lynes.strict_user: must be true" in finished.stderr


def test_the_secrets_of_the_contracts_and_of_the_manual_start(run_here: Run) -> None:
    apps = (
        '[{id = "app2", secret_key = "plainsecret"}, {id = "b", secret_key = "your_server_secret"}]'
    )
    assert run_here("check-config", AUTH__SECRET=SECRET, TEAK__APPS=apps).returncode == 0


def test_the_operators_token_of_the_example_file_is_the_one_that_is_refused() -> None:
    example = (ROOT / "config.example.toml").read_text("utf-8")
    assert f'# token = "{EXAMPLE_OPERATOR_TOKEN}"' in example
    assert f'# secret_key = "{EXAMPLE_TEAK_SECRET}"' in example


# --- token ---------------------------------------------------------------------------------------


def test_a_printed_token_is_taken_by_the_gateway(gateway: RunningGateway) -> None:
    result = invoke("token", "--sub", "ada", AUTH__SECRET=SECRET)
    assert result.exit_code == 0
    authorization = {"authorization": f"Bearer {result.stdout.strip()}"}
    assert gateway.post(make_upload("ada"), headers=authorization).status_code == 202
    assert gateway.post(make_upload("eve"), headers=authorization).status_code == 403


def test_a_printed_token_of_development_mode_is_taken(
    start_gateway: StartGateway, run_here: Run
) -> None:
    running = start_gateway("--dev", secret=None)
    authorization = {"authorization": f"Bearer {run_here('token', '--sub', 'ada').stdout.strip()}"}
    assert running.post(make_upload("ada"), headers=authorization).status_code == 202
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("30d", 30 * 86_400), ("0s", 0)]
)
def test_a_token_lives_as_long_as_it_is_told(ttl: str, seconds: int) -> None:
    result = invoke("token", "--sub", "ada", "--ttl", ttl, AUTH__SECRET=SECRET)
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == seconds
    assert claims["sub"] == "ada"


def test_a_token_without_ttl_lives_an_hour() -> None:
    result = invoke("token", "--sub", "ada", AUTH__SECRET=SECRET)
    claims = jwt.decode(result.stdout.strip(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 3600


def test_claims_are_json_or_else_text(gateway: RunningGateway) -> None:
    claims = ["--claim", "kind=refresh", "--claim", "level=5", "--claim", 'tags=["a"]']
    result = invoke("token", "--sub", "ada", *claims, AUTH__SECRET=SECRET)
    decoded = jwt.decode(result.stdout.strip(), SECRET, algorithms=["HS256"])
    assert (decoded["kind"], decoded["level"], decoded["tags"]) == ("refresh", 5, ["a"])
    authorization = {"authorization": f"Bearer {result.stdout.strip()}"}
    assert gateway.post(make_upload("ada"), headers=authorization).status_code == 401


def test_a_token_says_what_the_configuration_asks_for() -> None:
    result = invoke(
        "token",
        "--sub",
        "ada",
        AUTH__SECRETS=f'[{{kid = "new", secret = "{SECRET * 2}"}}, {{kid = "old", secret = "x"}}]',
        AUTH__ALGORITHMS='["HS512"]',
        AUTH__ISSUER="https://id.example",
        AUTH__AUDIENCE="playsmart",
    )
    token = result.stdout.strip()
    assert jwt.get_unverified_header(token) == {"alg": "HS512", "kid": "new", "typ": "JWT"}
    claims = jwt.decode(token, SECRET * 2, algorithms=["HS512"], audience="playsmart")
    assert claims["iss"] == "https://id.example"


def test_a_token_for_lynes_is_one_of_the_keys_and_the_audience_of_lynes() -> None:
    other = "known to servers and to no player's device"
    settings = {"AUTH__SECRET": SECRET, "LYNES__AUTH__AUDIENCE": "lynes"}
    token = invoke("token", "--lynes", "--sub", "my-server", **settings).stdout.strip()
    assert jwt.decode(token, SECRET, algorithms=["HS256"], audience="lynes")["sub"] == "my-server"
    assert "aud" not in jwt.decode(
        invoke("token", "--sub", "ada", **settings).stdout.strip(), SECRET, algorithms=["HS256"]
    )
    token = invoke("token", "--lynes", "--sub", "s", LYNES__AUTH__SECRET=other).stdout.strip()
    assert jwt.decode(token, other, algorithms=["HS256"])["sub"] == "s"


def test_a_token_cannot_be_signed_without_a_secret(run_here: Run) -> None:
    for settings in ({}, {"AUTH__JWKS_URL": "https://id.example/keys"}):
        finished = run_here("token", "--sub", "ada", **settings)
        assert finished.returncode == 2
        assert finished.stdout == ""
        assert finished.stderr.startswith("error: auth: ")
        assert finished.stderr.count("\n") == 1


# --- check-config --------------------------------------------------------------------------------


def test_check_config_prints_what_holds_with_secrets_masked() -> None:
    result = invoke("check-config", AUTH__SECRET=SECRET, SERVER__PORT="9000")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert shown["server"]["port"] == 9000
    assert shown["auth"]["secret"] == MASKED
    assert SECRET not in result.output


def test_check_config_notes_that_keys_are_missing() -> None:
    result = invoke("check-config", "--config", str(EXAMPLE))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["server"]["host"] == "127.0.0.1"
    assert result.stderr == "note: no keys are configured; serve will need --dev\n"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"AUTH__SECRET": "sesame"}, "auth.secret: "),
        ({"AUTH__SECRET": SECRET, "AUTH__JWKS_URL": "https://a.example"}, "auth: needs one of "),
        ({"AUTH__PUBLIC_KEY_FILE": "none.pem"}, "auth.public_key_file: "),
        ({"STORAGE__URL": "nonsense"}, "storage.url: "),
        ({"SERVER__HOSTT": "sesame"}, "server.hostt: "),
        ({"LYNES__EVENTS": '[{id = "sesame", kind = "fix"}]'}, "lynes.events.0.points: "),
    ],
)
def test_check_config_tells_mistakes_with_exit_code_2(
    run_here: Run, settings: dict[str, str], problem: str
) -> None:
    finished = run_here("check-config", **settings)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.startswith(f"error: {problem}")
    assert "sesame" not in finished.stderr


def test_check_config_touches_nothing(run: Run, tmp_path: Path) -> None:
    assert run("check-config", AUTH__SECRET=SECRET).returncode == 0
    assert list(tmp_path.iterdir()) == []
