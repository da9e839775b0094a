"""A folder that is a checkout to the blocks of the manual, and a gateway in it that they ask."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from playsmart_gateway.cli import commands
from playsmart_gateway.clients import CLIENTS
from tests import ROOT
from tests.manual.blocks import block
from tests.support import warm
from tests.support.figures import wait_for_figures
from tests.support.polling import PATIENCE_SECONDS
from tests.support.process import RunningGateway, clean_environment
from tests.support.teak import CREDENTIALS
from tests.support.uploads import make_event, make_upload

SERVERS = ("serve", "worker", "tail", "mcp")
"""Commands that go on until they are stopped: their arguments are checked."""

PLAYER = "device-abc-123"
TEAK = {**CREDENTIALS, "user_id": "player_123", "country_code": "US"}
RUN = {"seq": 2, "client": {"app_version": "2.1.5", "platform": "ios"}}
CHANGING = {"timestamp", "lastUpdate"}
AN_HOUR_AGO = "UPDATE runs SET seen_at = seen_at - 3600000001"
CURL = shutil.which("curl")
MAKE = shutil.which("make") or "make"


class Sandbox:
    """A folder that is a checkout to the blocks, with a gateway in development mode running in it.

    Servers, ``make``, ``pip`` and ``systemctl`` are not run: what they are told is checked. System
    folders are below ``root``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "system"
        self.settings = {"PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.1"}
        shutil.copy(ROOT / "config.example.toml", folder)
        (folder / "gateway.toml").write_text(block("configuration", "toml"))
        (folder / "fleet.toml").write_text(block("growing", "toml"))
        (folder / "lynes.toml").write_text(block("lynes", "toml"))
        CLIENTS["python"].write(folder)
        for name in (
            "opt",
            "etc/systemd/system",
            "etc/playsmart",
            "var/lib/playsmart",
            "etc/nginx/conf.d",
            "etc/prometheus",
        ):
            (self.root / name).mkdir(parents=True)
        self._tools()
        self.start()

    def start(self, *arguments: str) -> None:
        """Start the gateway in development mode, with the secret that it then has."""
        self.gateway = RunningGateway(self.folder, self.settings, "--dev", *arguments)
        self.gateway.told("Development mode")
        self.gateway.secret = (self.folder / "data" / "dev-secret").read_text("utf-8").strip()

    def _tools(self) -> None:
        program = f'exec {sys.executable} -m playsmart_gateway "$@"'
        python = f'exec {sys.executable} "$@"'
        venv = (  # a real one takes seconds
            f'[ "$2" = venv ] || {python}\n'
            'mkdir -p "$3/bin"\nfor each in pip playsmart-gateway; do '
            f'ln -s {self.folder}/bin/$each "$3/bin/"; done'
        )
        tools = {
            "bin/playsmart-gateway": program,
            ".venv/bin/playsmart-gateway": program,
            ".venv/bin/python": python,
            "bin/python3": venv,
            "bin/sudo": 'exec "$@"',
            "bin/systemctl": f'echo "$@" >> {self.root}/systemctl',
            "bin/systemd-run": f'echo "$@" >> {self.root}/systemd-run',
            "bin/docker": f'[ "$1" != build ] || cat > {self.root}/docker',
            "bin/kubectl": f'echo "$@" >> {self.root}/kubectl',
            "bin/pip": f'echo "$@" >> {self.root}/pip',
            "bin/make": f'exec {MAKE} -n -C {ROOT} "$@"',
            "bin/curl": f'exec {CURL} --silent --show-error --fail-with-body "$@"',
        }
        for name, script in tools.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o700)

    def play(self) -> None:
        """Have the players of the examples do what the commands are about."""
        said = {"level": 5, "score": 4800, "price": 4.99, "currency": "EUR", "country": "DE"}
        kinds = ("AppOpen", "LevelCompleted", "GameEnd", "IAPPurchase", "Custom")
        for type_ in kinds:
            event = make_event(type_, customdata=said)
            if type_ == "Custom":
                event["customEventName"] = "boss_defeated"
            upload = make_upload(
                PLAYER, event, game_id="com.example.stackblaster", run=str(uuid.uuid4()), **RUN
            )
            assert self.gateway.post(upload, sub=PLAYER).status_code == 202
        assert self.gateway.client.post("/v2/identify", json=TEAK).status_code in (200, 201)
        headers = {"authorization": f"Bearer {self.gateway.token(PLAYER)}"}
        done = {"eventId": "daily_login", "userId": "user123"}
        assert self.gateway.client.post("/event", json=done, headers=headers).status_code == 200
        self.gateway.settle()
        wait_for_figures(self.gateway)
        with closing(sqlite3.connect(self.folder / "data" / "playsmart.db")) as database:
            database.execute(AN_HOUR_AGO)
            database.commit()

    def adapt(self, text: str) -> str:
        """Return a block for where it is run: another port, and no folders of the system."""
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.gateway.port}")
        return re.sub(r"(?<![\w.])/(opt|etc|var)/", rf"{self.root}/\1/", text)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return clean_environment(**self.settings, PATH=path, PYTHONPATH=str(ROOT))

    def shell(self, text: str) -> str:
        """Run a block as it stands and return what it printed."""
        ended = subprocess.run(
            ["/bin/sh", "-e", "-c", self.adapt(text)], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=PATIENCE_SECONDS * 2, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def command(self, arguments: list[str], settings: Mapping[str, str]) -> str:
        """Run a command of ours and return what it printed; only check what would go on."""
        name, *rest = arguments
        if name in SERVERS:
            command = commands.get_command(click.Context(commands), name)
            assert command
            command.make_context(name, rest).close()
            return ""
        ended = warm.run(
            arguments, folder=self.folder, environment={**self.environment, **settings},
            timeout=PATIENCE_SECONDS * 2,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return str(ended.stdout)


def body(text: str) -> Any:
    """The JSON of an answer, headers and all."""
    return json.loads(text[text.index("{") :])


def same(shown: Any, told: Any, name: str = "") -> bool:
    """Whether an answer is the one that is shown, but for the time."""
    if isinstance(shown, dict):
        assert isinstance(told, dict)
        return shown.keys() == told.keys() and all(same(shown[k], told[k], k) for k in shown)
    if isinstance(shown, list):
        assert isinstance(told, list)
        return len(shown) == len(told) and all(map(same, shown, told))
    return type(shown) is type(told) and (name in CHANGING or shown == told)
