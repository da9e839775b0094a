"""What several commands need: the configuration, and the secret of development mode."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from playsmart_gateway.config import Config, with_game
from playsmart_gateway.console import demo
from playsmart_gateway.dialects import ALL, load_config
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.private import create_file, make_folder

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="TOML file; without it the defaults hold. PLAYSMART_<SECTION>__<KEY> overrides both.",
)


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
    return load_config(path, os.environ)


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
