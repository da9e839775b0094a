"""What is to be written where, as the configuration says; looked at without importing the rest."""

from importlib.util import find_spec

import msgspec

from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError, to_install
from playsmart_gateway.logs import LogFormat, LogLevel

PACKAGES = ("pyarrow", "duckdb", "fsspec")
"""Of the extra."""


class Job(msgspec.Struct, frozen=True):
    """What to write where: what is stored in ``database_url``, to the lake ``lake_url``."""

    lake_url: str
    database_url: str
    interval_seconds: float
    log_format: LogFormat = "console"
    log_level: LogLevel = "info"


def job_for(config: Config) -> Job | None:
    """Return what is to be written where; None without a lake.

    Raises:
        ConfigError: there can be none: by that URL, of that store, or for want of a package.
    """
    if config.lake.url is None:
        return None
    if missing := [each for each in PACKAGES if find_spec(each) is None]:
        problem = f"the lake needs {' and '.join(missing)}: {to_install('lake')}"
        raise ConfigError([f"lake.url: {problem}"])
    if config.storage.database_url == "memory:":
        raise ConfigError(["lake.url: a store in memory keeps nothing that could be copied"])
    return Job(
        config.lake.url,
        config.storage.database_url,
        config.lake.interval_seconds,
        config.log.format,
        config.log.level,
    )


def check(config: Config) -> None:
    """Look at the place of the lake, if there is to be one.

    Raises:
        ConfigError: it cannot be one.
    """
    if (job := job_for(config)) is not None:
        from playsmart_gateway.lake.place import open_place  # what it needs is there

        open_place(job.lake_url)
