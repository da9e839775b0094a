"""An environment of its own for what was built, without the internet."""

import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import IO

from tests.support.process import clean_environment

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation", "--no-compile")


def run(*command: str | Path, folder: Path) -> str:
    ended = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


class Elsewhere:
    """An environment with nothing of the checkout; what the gateway needs is lent from ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
        (self.packages,) = folder.glob("lib/python*/site-packages")
        lent = sysconfig.get_paths()["purelib"]  # and none of the .pth files that are in there
        (self.packages / "lent.pth").write_text(f"{lent}\n")

    def install(self, *arguments: str | Path) -> Distribution:
        """Have pip install the gateway; an archive will do."""
        python = self.folder / "bin" / "python"
        run(*PIP, "--python", python, "install", *OFFLINE, *arguments, folder=self.folder)
        (found,) = distributions(name="playsmart-gateway", path=[str(self.packages)])
        return found

    def start(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
    ) -> "subprocess.Popen[bytes]":
        program = self.folder / "bin" / "playsmart-gateway"
        return subprocess.Popen(
            [program, *arguments], cwd=folder, env=environment, stdout=stdout, stderr=stdout
        )
