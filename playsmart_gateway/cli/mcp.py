"""``mcp``: an assistant may ask the store, by tools that only read."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from playsmart_gateway.build import require_strong_secrets
from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.printing import say
from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError, to_install
from playsmart_gateway.lake.job import job_for
from playsmart_gateway.stores.open import open_store

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


@click.command("mcp")
@config_option
@click.option(
    "--http",
    "port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Listen on 127.0.0.1 for those who have operator.token; 0 takes a free port.",
)
@click.option(
    "--sums-only",
    is_flag=True,
    help="Have no tool that could show a player: neither query nor schema.",
)
def mcp_command(config_path: Path | None, port: int | None, sums_only: bool) -> None:
    """Let an assistant ask the store by MCP: over standard input and output, or HTTP.

    Eight tools: games, catalogue, daily, levels, retention, losses, schema and query. They only
    read, and only what the manual documents; each question has limits of time, memory and size.
    Beware: what an assistant reads leaves the house, if the assistant is not in it.
    """
    if find_spec("mcp") is None:
        raise click.ClickException(f"it needs the SDK of MCP: {to_install('mcp')}")
    config = read_config(config_path)
    token = config.operator.token
    if port is not None:
        if token is None:
            raise ConfigError(["operator.token: is needed for --http"])
        require_strong_secrets(config)
    server = _server(config, sums_only=sums_only)
    if port is None or token is None:
        run_async(server.run_stdio_async())
    else:
        _serve(server, token, port)


def _server(config: Config, *, sums_only: bool) -> "MCPServer":
    """Return the server, once the store has been seen."""
    from playsmart_gateway.asking.process import Asker
    from playsmart_gateway.mcp.tools import server_for

    url = config.storage.database_url
    job = job_for(config)
    asker = Asker(url, lake_url=None if job is None else job.lake_url)

    async def look() -> None:
        async with open_store(url, migrates=False).reader() as reader:
            await reader.newest_event_id()

    run_async(look())
    learned = open_store(url, migrates=False).learned if config.catalogue.enabled else None
    return server_for(asker, learned, sums_only=sums_only)


def _serve(server: "MCPServer", token: str, port: int) -> None:
    from playsmart_gateway.mcp import http

    with http.listen(port) as listening:
        say(f"http://{http.HOST}:{listening.getsockname()[1]}{http.PATH}", err=True)
        run_async(http.serve(http.application(server, token), listening))
