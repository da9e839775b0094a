"""The configuration: frozen structs over a TOML file and the environment.

Every key has a default here and a sentence in ``config.example.toml``. A variable
``PLAYSMART_<SECTION>__<KEY>`` overrides the file; its value is read as TOML, or else as plain
text. Whatever is unknown or of the wrong type refuses to start, all mistakes at once. Errors name
keys, never values.
"""

import contextlib
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from playsmart_gateway.errors import ConfigError

ENVIRONMENT_PREFIX = "PLAYSMART_"
MASKED = "********"

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Server(Section, frozen=True):
    """Where to listen, and what one request may cost."""

    host: str = "127.0.0.1"
    port: Port = 8000
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=1_073_741_824)] = 1_048_576
    max_connections: Positive = 1_000
    request_timeout_seconds: Seconds = 10.0
    drain_timeout_seconds: Seconds = 25.0


class Secret(Section, frozen=True):
    """One of several HS256 secrets, told apart by the ``kid`` of a token."""

    kid: str
    secret: str


class Auth(Section, frozen=True):
    """Whose tokens are believed. Exactly one of the first four names the keys."""

    secret: str | None = None
    secrets: tuple[Secret, ...] = ()
    public_key_file: str | None = None
    jwks_url: str | None = None
    algorithms: tuple[str, ...] = ()
    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 0
    trust_forwarded: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether any source of keys is configured."""
        return bool(self.secret or self.secrets or self.public_key_file or self.jwks_url)


class Buffer(Section, frozen=True):
    """The ring, and when it is flushed."""

    max_events: Positive = 1_000_000
    max_bytes: Positive = 268_435_456
    flush_interval_seconds: Seconds = 2.0
    flush_max_events: Positive = 10_000
    flush_max_bytes: Positive = 2_097_152
    wait_for_room_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 1_000


class Journal(Section, frozen=True):
    """Where batches survive the death of the process until they are stored."""

    enabled: bool = True
    path: str = "data/journal"
    fsync: Literal["interval", "always", "never"] = "interval"
    fsync_interval_seconds: Seconds = 0.1


class Storage(Section, frozen=True):
    """Where events end up."""

    url: str = "sqlite:///data/playsmart.db"


class Config(Section, frozen=True):
    """The whole configuration."""

    server: Server = Server()
    auth: Auth = Auth()
    buffer: Buffer = Buffer()
    journal: Journal = Journal()
    storage: Storage = Storage()


def load_config(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the file at ``path`` (None: defaults only), then the overrides in ``environment``.

    Raises:
        ConfigError: with every mistake found.
    """
    tables: dict[str, Any] = {}
    if path is not None:
        try:
            tables = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"{path}: cannot be read: {type(error).__name__}"]) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([f"{path}: is not TOML: {error}"]) from None
    problems: list[str] = []
    overrides = _overrides(environment)
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    problems += [
        _unknown(name, sections) for name in {**tables, **overrides} if name not in sections
    ]
    values: dict[str, Any] = {}
    for name, section in sections.items():
        table = tables.get(name, {})
        if not isinstance(table, dict):
            problems.append(f"{name}: must be a table")
            continue
        values[name] = _read_section(section, name, table, overrides.get(name, {}), problems)
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def masked(config: Config) -> dict[str, Any]:
    """Return the effective configuration as plain values, secrets replaced by asterisks."""
    return {
        section: {key: _mask(key, value) for key, value in table.items()}
        for section, table in msgspec.to_builtins(config).items()
    }


def _read_section(
    section: type[Section],
    name: str,
    table: dict[str, Any],
    overrides: dict[str, str],
    problems: list[str],
) -> Section | None:
    fields = {field.name: field.type for field in msgspec.structs.fields(section)}
    values = {}
    for key in {**table, **overrides}:
        if key not in fields:
            problems.append(_unknown(key, fields, within=f"{name}."))
            continue
        candidates = _from_text(overrides[key]) if key in overrides else [table[key]]
        problem = ""
        for candidate in candidates:
            try:
                values[key] = msgspec.convert(candidate, fields[key])
                break
            except msgspec.ValidationError as error:
                problem = problem or f"{name}.{key}: {error}"
        else:
            problems.append(problem)
    return None if problems else section(**values)


def _overrides(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    overrides: dict[str, dict[str, str]] = {}
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and "__" in variable:
            section, _, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
            overrides.setdefault(section, {})[key] = text
    return overrides


def _from_text(text: str) -> Iterator[Any]:
    """Yield what a variable can mean: a TOML value, or the text itself."""
    with contextlib.suppress(tomllib.TOMLDecodeError):
        yield tomllib.loads(f"value = {text}")["value"]
    yield text


def _unknown(key: str, known: Mapping[str, Any], within: str = "") -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f"; did you mean {within}{close[0]}?" if close else ""
    return f"{within}{key}: unknown key{hint}"


def _mask(key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_mask(key, each) for each in value]
    if isinstance(value, dict):
        return {inner: _mask(inner, each) for inner, each in value.items()}
    return MASKED if key.startswith("secret") and value else value
