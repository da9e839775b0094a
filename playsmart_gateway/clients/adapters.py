"""How the adapter of each client is started; of a language that is compiled, it is built first.

Each function takes the folder of its client and one for what is built, and returns the command.
Nothing is downloaded: the tools of a language are the machine's. Start reading at ``python``.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BUILD_SECONDS = 300


class ToolMissing(Exception):
    """A program of the language is not installed; the text says which, and where it comes from."""


def tool(name: str, package: str) -> str:
    """Return the path of a program.

    Raises:
        ToolMissing: it is not there; ``package`` is what has it, as Debian calls it.
    """
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name} is not installed; Debian and Ubuntu have it in {package}")
    return found


def build(command: Sequence[str | Path]) -> None:
    """Run a compiler; raises ``subprocess.CalledProcessError`` with what it wrote."""
    subprocess.run(  # noqa: S603 - a compiler, on files of ours
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
    )


def python(client: Path, built: Path) -> list[str]:
    """The one for Python, under this interpreter."""
    return [sys.executable, "-P", "-m", f"playsmart_gateway.clients.{client.name}.adapter"]


def godot(client: Path, built: Path) -> list[str]:
    """The one for Godot 3, whose twin the client for Godot 4 is: the server that has no window."""
    tool("godot3-server", "godot3-server")
    return [tool("sh", "dash"), str(client / "godot3" / "adapter.sh")]


def java(client: Path, built: Path) -> list[str]:
    """The one for Java, in a small JVM that starts fast: no Android is needed."""
    fast = "-XX:TieredStopAtLevel=1"
    javac = [tool("javac", "default-jdk-headless"), f"-J{fast}"]
    build([*javac, "-d", built, *sorted(client.glob("*.java"))])
    small = [fast, "-Xshare:auto", "-XX:+UseSerialGC", "-Xmx64m"]
    program = [tool("java", "default-jre-headless"), *small, "-cp", str(built)]
    return [*program, "com.playsmart.gateway.Adapter"]


def typescript(client: Path, built: Path) -> list[str]:
    """The one for TypeScript, as the JavaScript that was made of it, in node."""
    return [tool("node", "nodejs"), str(client / "adapter.mjs")]


def unity(client: Path, built: Path) -> list[str]:
    """The one for Unity, as a program of Mono: no Unity is needed."""
    program = built / "adapter.exe"
    sources = sorted(client.glob("*.cs"))
    build([tool("mcs", "mono-mcs"), "-langversion:7", f"-out:{program}", *sources])
    # where its runtime wonders about an error of the disk it would do so among the answers
    return ["env", "MONO_LOG_DEST=/dev/stderr", tool("mono", "mono-runtime"), str(program)]
