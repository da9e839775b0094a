"""The scripts that bring a database up to date: numbered files of SQL, frozen once released."""

import re
from pathlib import Path

from playsmart_gateway.errors import ConfigError

_NAME = re.compile(r"(\d{4})_[a-z_]+\.sql")


def read_migrations(folder: Path) -> tuple[str, ...]:
    """Return the scripts of ``folder``, ``0001_name.sql`` and so on: one a schema version.

    Raises ``ValueError`` where a number is missing or there twice.
    """
    files = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    if [int(path.name[:4]) for path in files] != list(range(1, len(files) + 1)):
        raise ValueError(f"{folder}: the migrations are not numbered from 1 on")
    return tuple(path.read_text("utf-8") for path in files)


def require_current(name: str, version: int, latest: int) -> None:
    """Require that a database is up to date, for who may not change that.

    Raises:
        ConfigError: it is not.
    """
    if version < latest:
        problem = f"{name} has schema version {version} of {latest}; start the gateway once first"
        raise ConfigError([f"storage.url: {problem}"])
