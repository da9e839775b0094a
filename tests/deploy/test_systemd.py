"""The unit of systemd, judged by systemd and held against how the program ends."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from playsmart_gateway.config import Server
from playsmart_gateway.deploy import read_file
from tests.manual.blocks import block
from tests.support.process import clean_environment

pytestmark = pytest.mark.process

SYSTEMD = shutil.which("systemd-analyze")
UNIT = read_file("systemd")


@pytest.mark.skipif(SYSTEMD is None, reason="there is no systemd-analyze")
def test_systemd_accepts_the_unit_and_finds_it_well_locked_up(tmp_path: Path) -> None:
    assert SYSTEMD
    unit = tmp_path / "playsmart-gateway.service"
    unit.write_text(UNIT.replace("/opt/playsmart/bin/playsmart-gateway", sys.executable))
    checked = subprocess.run(
        [SYSTEMD, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    judged = subprocess.run(
        [SYSTEMD, "security", "--offline=yes", "--threshold=25", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout


def test_a_command_is_run_as_the_unit_is() -> None:
    unit = set(re.findall(r"^(\w+=.*)$", UNIT, re.MULTILINE))
    given = re.findall(r"-p (\S+)", block("operations", "sh", "sudo systemd-run"))
    assert {*given} - unit == {
        "User=playsmart-gateway"
    }  # what DynamicUser makes of the unit's name
    shared = ("DynamicUser", "EnvironmentFile", "StateDirectory", "UMask", "WorkingDirectory")
    assert {each for each in unit if each.startswith(shared)} <= {*given}


def test_systemd_starts_it_again_for_ever_but_not_what_no_restart_mends() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE))
    command = [sys.executable, "-m", "playsmart_gateway", *shlex.split(settings["ExecStart"])[1:-1]]
    ended = subprocess.run(
        [*command, os.devnull], env=clean_environment(), capture_output=True, check=False
    )
    assert str(ended.returncode) == settings["RestartPreventExitStatus"]
    assert (settings["Restart"], settings["StartLimitIntervalSec"]) == ("on-failure", "0")
    assert 1 <= float(settings["RestartSec"]) <= 10  # for ever, with a pause
    assert float(settings["TimeoutStopSec"]) > Server().drain_timeout_seconds
