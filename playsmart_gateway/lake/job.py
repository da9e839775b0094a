"""What is to be written where, as the configuration says.

A gateway looks at it before it forks, so nothing is imported for it that takes memory or threads.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError, to_install
from playsmart_gateway.logs import LogFormat, LogLevel

PACKAGES = ("pyarrow", "duckdb", "fsspec")
"""Of the extra."""

ANSWERING = "playsmart_gateway.lake.answering"
"""The module that answers a question from a lake, in a process of its own."""

_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
_PARAMETERS = {"endpoint_override", "region", "scheme"}


class Job(msgspec.Struct, frozen=True):
    """What to write where: what is stored in ``database_url``, to the lake ``lake_url``.

    ``definitions_file`` says what events should be like, and so what is a column.
    """

    lake_url: str
    database_url: str
    interval_seconds: float
    log_format: LogFormat = "console"
    log_level: LogLevel = "info"
    definitions_file: str | None = None


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
        config.catalogue.definitions_file,
    )


def check(config: Config) -> None:
    """Look at the place of the lake, if there is to be one.

    Raises:
        ConfigError: it cannot be one.
    """
    if (job := job_for(config)) is not None:
        where(job.lake_url)


class Where(NamedTuple):
    """What a URL says: a scheme (none for a folder), a path, and what else is ``given``."""

    scheme: str
    path: str
    given: dict[str, str]


def where(url: str) -> Where:
    """Return what the URL of a lake says.

    ``data/lake`` and ``/srv/lake`` are folders. ``s3://bucket/prefix`` may have the parameters
    ``region``, ``scheme`` and ``endpoint_override`` (``host:port`` of what is not Amazon's), and
    keys come from where the AWS tools have them. Others are ``gs://`` and ``abfs://``.

    Raises:
        ConfigError: it cannot be the place of a lake.
    """
    scheme, host, path, query, fragment = urlsplit(url)
    if scheme == "":
        return Where("", str(Path(url).expanduser().absolute()), {})
    if scheme not in _SCHEMES:
        raise no_place()
    given = dict(parse_qsl(query, keep_blank_values=True))
    bad = fragment or "@" in host or not host or not path.strip("/") or given.keys() - _PARAMETERS
    if scheme == "s3" and bad:
        needed = f"s3://BUCKET/PREFIX, with no parameters but {sorted(_PARAMETERS)}"
        keys = "keys come from AWS_ACCESS_KEY_ID and others"
        raise ConfigError([f"lake.url: must be {needed}; {keys}"])
    return Where(scheme, f"{host}/{path.strip('/')}", given)


def no_place() -> ConfigError:
    """Return the error of a URL of nothing that can be the place of a lake."""
    problem = "must be a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or abfs://..."
    return ConfigError([f"lake.url: {problem}"])
