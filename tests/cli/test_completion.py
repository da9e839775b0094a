"""``completion``: what shells are told, and real shells told so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import RunHere
from tests.support.process import clean_environment

pytestmark = pytest.mark.process

BIN = Path(sys.executable).parent
CONFIG = """
[[games]]
id = "com.example.tower"

[[games]]
id = "com.example.dice"

[[teak.apps]]
id = "4711"
secret_key = "a long enough key"
"""


def bash(folder: Path, words: list[str]) -> list[str]:
    """What bash proposes for the last of these words."""
    script = f"""
source <(playsmart-gateway completion bash)
COMP_WORDS=({" ".join(f"'{each}'" for each in words)})
COMP_CWORD={len(words) - 1}
_playsmart_gateway_completion playsmart-gateway
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = clean_environment(PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    told = subprocess.run(
        ["/bin/bash", "--norc", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return told.stdout.split()


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["st"], ["stats"]),
        (["dead-letters", ""], ["list", "replay", "show"]),
        (["stats", "--si"], ["--since"]),
        (["stats", "--source", ""], ["playsmart", "teak", "lynes"]),
        (["--config", "gateway.toml", "stats", "--game", "com.example.d"], ["com.example.dice"]),
        (["stats", "--config", "gateway.toml", "--app", ""], ["4711"]),
        (["tail", "--type", "Level"], ["LevelCompleted"]),
        (["manual", "op"], ["operations"]),
        (["completion", "f"], ["fish"]),
        (["report", "--zone", "Asia/Tok"], ["Asia/Tokyo"]),
    ],
)
def test_bash_proposes_commands_options_and_what_they_take(
    tmp_path: Path, words: list[str], proposed: list[str]
) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    assert bash(tmp_path, ["playsmart-gateway", *words]) == proposed


def test_a_configuration_that_cannot_be_used_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("nonsense")
    words = ["playsmart-gateway", "stats", "--config", "gateway.toml", "--game", ""]
    assert bash(tmp_path, words) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_is_a_script_of_that_shell(
    run_here: RunHere, tmp_path: Path, shell: str
) -> None:
    told = run_here("completion", shell)
    assert told.returncode == 0
    assert told.stderr == ""
    assert "playsmart-gateway" in told.stdout
    assert f"_PLAYSMART_GATEWAY_COMPLETE={shell}_complete" in told.stdout
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"there is no {shell}")
    script = tmp_path / "script"
    script.write_text(told.stdout)
    subprocess.run([program, "-n", str(script)], check=True)


def test_each_shell_is_answered_in_its_own_way(tmp_path: Path) -> None:
    """As their scripts ask: the words before, and the one that is not finished."""

    def asked(shell: str, words: str, which: str) -> str:
        environment = clean_environment(COMP_WORDS=words, COMP_CWORD=which)
        environment["_PLAYSMART_GATEWAY_COMPLETE"] = f"{shell}_complete"
        told = subprocess.run(
            [BIN / "playsmart-gateway"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert told.stderr == ""
        return told.stdout

    assert "plain\nstats\n" in asked("zsh", "playsmart-gateway sta", "1")
    assert "plain,stats" in asked("fish", "playsmart-gateway sta", "sta")
