"""What the URL of a PostgreSQL database says. Errors never quote it: it may hold a password.

A URL is ``postgresql://[USER[:PASSWORD]@][HOST[:PORT][,...]]/DATABASE[?NAME=VALUE&...]``. The
parameters of libpq go to the driver, if it knows them; others are settings of a session. These are
set after connecting: a pooler in between knows no such startup parameters.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from playsmart_gateway.errors import ConfigError

CONNECT_SECONDS = 10.0
DEFAULTS = {
    "application_name": "playsmart-gateway",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "15s",
}
"""A writer waits for the others so long, then the flusher comes back; and where a gateway went away
in mid-transaction, the server ends that, and frees the lock. The URL may say otherwise, as in
``?lock_timeout=1s``."""

_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "passfile")
_OF_THE_DRIVER = (
    "host", "port", "dbname", "database", "user", "password", "sslmode", "sslpassword",
    "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
    "target_session_attrs", "krbsrvname", "gsslib", "service", *_FILES,
)  # fmt: skip
_UNSUPPORTED = (
    "channel_binding", "fallback_application_name", "gssdelegation", "gssencmode", "hostaddr",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
    "load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id",
    "oauth_client_secret", "oauth_issuer", "oauth_scope", "replication", "require_auth",
    "requirepeer", "requiressl", "scram_client_key", "scram_server_key", "servicefile",
    "sslcertmode", "sslcompression", "sslcrldir", "sslkeylogfile", "sslsni", "tcp_user_timeout",
)  # fmt: skip
"""Parameters of libpq that the driver does not know, and would take for settings of the server."""

_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "primary", "read-write"),
}
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_FORM = "postgresql://USER:PASSWORD@HOST:5432/DATABASE, the password percent-encoded"


class Target(NamedTuple):
    """Where to connect to, for the driver; what to set then; and how long that may take."""

    url: str
    settings: Mapping[str, str]
    connect_seconds: float


def read_url(url: str) -> Target:
    """Return what a URL means, as far as can be seen without a server.

    Raises:
        ConfigError: it cannot be the URL of a database; names every parameter at fault.
    """
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
                     if parts.query else ())  # fmt: skip
        named = given.get("dbname") or given.get("database") or given.get("service")
        host = parts.hostname or given.get("host") or given.get("service")
        usable = bool(host and (parts.path.strip("/") or named))
        if "," not in parts.netloc:
            _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError([f"storage.url: must be {_FORM}"])
    problems = [*_problems(given)]
    seconds = given.pop("connect_timeout", "")
    settings = dict(DEFAULTS)
    try:
        settings |= _options(given.pop("options", ""))
    except ValueError:
        problems.append("options: must be -c NAME=VALUE, any number of them")
    if seconds and not seconds.isdecimal():
        problems.append("connect_timeout: must be whole seconds")
    if given.pop("client_encoding", "UTF8").upper().replace("-", "") not in ("UTF8", "AUTO"):
        problems.append("client_encoding: must be UTF8")
    settings |= {name: value for name, value in given.items() if name not in _OF_THE_DRIVER}
    problems += [
        "a parameter has a name that no setting can have"
        for name in settings
        if not _SETTING.fullmatch(name)
    ][:1]
    if problems:
        raise ConfigError([f"storage.url: {problem}" for problem in problems])
    driver = {name: value for name, value in given.items() if name in _OF_THE_DRIVER}
    query = urlencode(driver, quote_via=quote)
    patience = float(seconds or 0) or CONNECT_SECONDS
    path = parts.path if parts.path.strip("/") else ""  # the driver would take "/" for a name
    return Target(parts._replace(path=path, query=query).geturl(), settings, patience)


def _problems(given: Mapping[str, str]) -> list[str]:
    problems = [
        f"the parameter {name} is not supported; leave it out"
        for name in given
        if name in _UNSUPPORTED
    ]
    problems += [
        f"{name}: must be one of {', '.join(choices)}"
        for name, choices in _CHOICES.items()
        if name in given and given[name] not in choices
    ]
    return problems + [
        f"{name}: there is no such file"
        for name in _FILES
        if given.get(name) and given[name] != "system" and not Path(given[name]).is_file()
    ]


def _options(text: str) -> dict[str, str]:
    """Read what libpq calls ``options``; ``ValueError`` if that is more than settings."""
    settings = {}
    words = iter(shlex.split(text))
    for word in words:
        if word == "-c":
            word = next(words, "")
        elif word.startswith(("-c", "--")):
            word = word[2:]
        else:
            raise ValueError
        name, found, value = word.partition("=")
        if not found or not name:
            raise ValueError
        settings[name.replace("-", "_")] = value
    return settings
