"""What several commands need: the configuration, and the secret of development mode."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from playsmart_gateway.cli.grouping import CONFIGURATION
from playsmart_gateway.config import Config, with_game
from playsmart_gateway.config.environment import FILE_VARIABLE
from playsmart_gateway.config.tables import anchored
from playsmart_gateway.console import demo
from playsmart_gateway.dialects import ALL, load_config
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.private import create_file, make_folder

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


UNIT_FILE = Path("/etc/playsmart/config.toml")
"""Where the files of ``deploy`` have the configuration."""

UNIT_FOLDER = Path("/var/lib/playsmart")
"""What relative paths in it are relative to: the working directory of the unit."""

_BASE = "playsmart_gateway.base"


def _find(context: click.Context, given: Path | None, *, in_unit: bool) -> Path | None:
    """Return the file that is meant, and keep what is to be said of it beside a failure."""
    path, how = given, "by --config"
    if path is None and (named := os.environ.get(FILE_VARIABLE)) is not None:
        path, how = Path(named) if named else None, f"by {FILE_VARIABLE}"
    elif path is None and in_unit and _is_there(UNIT_FILE):
        path, how = UNIT_FILE, "of the unit: give --config for another"
        if UNIT_FOLDER.is_dir():
            context.meta[_BASE] = UNIT_FOLDER
    note = f"the configuration is {path}, {how}"
    if path is None:
        note = f"no configuration file is given, by --config or {FILE_VARIABLE}"
    context.meta[CONFIGURATION] = (note, f"{path or ''}")
    return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that others may not look into: it is not for them either
        return False


def named_configuration(
    context: click.Context, _: click.Parameter, given: Path | None
) -> Path | None:
    """Return the file that an option or the variable names: what a callback of Click does."""
    return _find(context, given, in_unit=False)


def _config_option(*, in_unit: bool) -> Callable[[F], F]:
    places = f", {UNIT_FILE}" if in_unit else ""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        callback=lambda context, _, given: _find(context, given, in_unit=in_unit),
        help=f"TOML file; without it: that of {FILE_VARIABLE}{places}, or else the defaults."
        " PLAYSMART_<SECTION>__<KEY> overrides.",
    )


config_option = _config_option(in_unit=True)

server_config_option = _config_option(in_unit=False)
"""For what runs on and on: beside a unit it would be a second one, of another user."""


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Return what ``asyncio.run`` does; Ctrl-C ends it in the one way also while it begins.

    ``asyncio`` makes the task before it heeds the signal: in between it would be raised, and the
    task left to a loop that is being closed.
    """

    async def heeding() -> T:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        return await work

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    return asyncio.run(heeding())


@contextlib.contextmanager
def until_ctrl_c() -> Iterator[asyncio.Event]:
    """Yield what is set when Ctrl-C is pressed, while entered."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    try:
        yield stop
    finally:  # a loop closes the pipe of its handlers before it forgets them
        loop.remove_signal_handler(signal.SIGINT)


def read_config(path: Path | None) -> Config:
    """Load the configuration from ``path`` and this process's environment."""
    config = load_config(path, os.environ)
    context = click.get_current_context(silent=True)
    base = None if context is None else context.meta.get(_BASE)
    return config if base is None else anchored(config, base)


def database_file(config: Config) -> Path | None:
    """Return the SQLite file in which events end up; None if it is another database."""
    scheme, _, path = config.storage.database_url.partition(":///")
    return Path(path) if scheme == "sqlite" else None


def development_secret_file(config: Config) -> Path:
    """Return where development mode keeps its secret: in the data folder, beside the database."""
    file = database_file(config)
    return (Path("data") if file is None else file.parent) / "dev-secret"


def with_development_secret(config: Config, *, create: bool) -> tuple[Config, bool]:
    """Return ``config`` with the development secret, and whether it was made just now.

    The file is made with mode 0600. Raises ``ConfigError`` if it is missing and not to be made.
    """
    path = development_secret_file(config)
    made = False
    if create and not path.exists():
        make_folder(path.parent)
        os.close(create_file(path))
        path.write_text(secrets.token_urlsafe(48) + "\n", "utf-8")
        made = True
    try:
        secret = path.read_text("utf-8").strip()
    except OSError:
        raise ConfigError(
            [
                "auth: no keys are configured; set auth.secret (or secrets, public_key_file, "
                f"jwks_url), or start with --dev for a random secret, which is not in {path} yet"
            ]
        ) from None
    auth = msgspec.structs.replace(config.auth, secret=secret)
    return msgspec.structs.replace(config, auth=auth), made


def with_examples(config: Config) -> Config:
    """Return ``config`` with what examples and the demo are for, unless it has its own."""
    for dialect in ALL:
        config = dialect.with_examples(config)
    return with_game(config, demo.GAME)
