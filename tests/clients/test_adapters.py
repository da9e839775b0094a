"""How adapters are made ready: what is missing or broken is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from playsmart_gateway.clients import Client
from playsmart_gateway.clients.adapters import ToolMissing, build, tool


def compiled(client: Path, built: Path) -> list[str]:
    """An adapter of a language whose compiler copies."""
    build([tool("cp", "coreutils"), client / "adapter", built / "program"])
    return [str(built / "program")]


def client_in(folder: Path) -> Client:
    return Client("", folder, (), compiled)


def test_what_is_built_is_gone_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "adapter").write_text("#!/bin/sh")
    with client_in(tmp_path).ready() as command:
        (program,) = map(Path, command)
        assert program.read_text() == "#!/bin/sh"
    assert not program.parent.exists()


def test_what_a_compiler_has_to_say_is_told(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised, client_in(tmp_path).ready():
        pass
    assert "No such file" in raised.value.output


def test_a_missing_tool_is_told_with_the_package_that_has_it() -> None:
    with pytest.raises(ToolMissing, match=r"tacc is not installed; .+ in t-a-c-c"):
        tool("tacc", "t-a-c-c")
    assert tool(sys.executable, "python3") == sys.executable
