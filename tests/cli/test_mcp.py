"""``mcp``: what it needs, and what it says without that."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from playsmart_gateway.cli import mcp
from playsmart_gateway.errors import ConfigError, GatewayError
from tests.support.commands import invoke

TOKEN = "an operator's token for tests"


def test_it_says_how_to_install_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "find_spec", lambda _: None)
    told = invoke("mcp")
    assert told.exit_code == 1
    assert "pip install '.[mcp]'" in told.output


def test_http_needs_a_token_that_nobody_can_guess() -> None:
    with pytest.raises(ConfigError, match=r"operator\.token: is needed"):
        mcp.mcp_command(["--http", "0"], standalone_mode=False)
    told = invoke("mcp", "--http", "0", OPERATOR__TOKEN="some-long-random-text")
    assert isinstance(told.exception, ConfigError)
    assert "operator.token" in str(told.exception)


def test_a_store_that_cannot_be_asked_is_said_to_be(tmp_path: Path) -> None:
    assert isinstance(invoke("mcp", STORAGE__URL="memory:").exception, ConfigError)
    missing = invoke("mcp", STORAGE__URL=f"sqlite:///{tmp_path}/none.db")
    assert isinstance(missing.exception, GatewayError)


def test_nothing_else_imports_the_sdk() -> None:
    """A gateway and every other command do without it."""
    script = (
        "import sys, playsmart_gateway.app, playsmart_gateway.build\n"
        "from playsmart_gateway.cli import COMMANDS, commands\n"
        "for each in COMMANDS: commands.get_command(None, each)\n"
        "assert not {'mcp', 'mcp_types', 'playsmart_gateway.mcp.tools'} & {*sys.modules}\n"
        "assert 'playsmart_gateway.asking.process' not in sys.modules\n"
    )
    assert importlib.util.find_spec("mcp")
    subprocess.run([sys.executable, "-c", script], check=True)
