"""The configuration: frozen structs over a TOML file and the environment.

Every key has a default here, or in the ``section`` of its dialect, and a sentence in
``config.example.toml``. A variable ``PLAYSMART_<SECTION>__<KEY>`` overrides the file, and
``PLAYSMART_LYNES__AUTH__<KEY>`` a table in a section; its value is read as TOML, or else as plain
text. An array of tables is replaced as a
whole, by ``PLAYSMART_GAMES`` for one (see ``environment``). ``~`` at the start of a path is the
home of whoever runs this. Whatever is unknown or of the wrong type refuses to start, all mistakes
at once. Errors name keys, never values.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from playsmart_gateway.config.environment import read_environment
from playsmart_gateway.config.tables import (
    DialectSection,
    Reader,
    Section,
    is_section,
    keys_of,
    read_toml,
    unknown,
)
from playsmart_gateway.economy.coins import (
    MAX_BASE_AMOUNT,
    MAX_MULTIPLIER,
)
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.logs import LogFormat, LogLevel

MASKED = "********"

S = TypeVar("S", bound=DialectSection)
T = TypeVar("T")

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
PerSecond = Annotated[int, msgspec.Meta(ge=0)]
PerMinute = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Origin = Annotated[
    str,
    msgspec.Meta(
        max_length=256,
        # As browsers write it: no path, no capitals, and no port that goes without saying.
        pattern=r"^(?!http://.*:80\Z|https://.*:443\Z)[a-z][a-z0-9+.-]*://"
        r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?\Z",
    ),
]


class Server(Section, frozen=True):
    """Where to listen, and what one request may cost."""

    host: str = "127.0.0.1"
    port: Port = 8000
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=1_073_741_824)] = 1_048_576
    max_body_bytes_in_flight: Positive = 33_554_432
    max_connections: Positive = 1_000
    max_connections_per_address: Annotated[int, msgspec.Meta(ge=0)] = 0
    request_timeout_seconds: Seconds = 10.0
    keep_alive_seconds: Seconds = 90.0
    drain_timeout_seconds: Seconds = 25.0
    express: bool = True


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
    jwks_max_age_seconds: Annotated[int, msgspec.Meta(ge=600, le=31_536_000)] = 86_400
    algorithms: tuple[str, ...] = ()
    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 0
    trust_forwarded: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether any source of keys is configured."""
        return bool(self.secret or self.secrets or self.public_key_file or self.jwks_url)


class Accounts(Section, frozen=True):
    """Whether the gateway itself has players register and log in, and how often one may try."""

    enabled: bool = False
    requests_per_minute_of_address: PerMinute = 60
    tries_per_minute_of_account: PerMinute = 10
    address_header: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,64}\\Z")] | None = None


class Ingest(Section, frozen=True):
    """What PlaySmart's endpoint takes, and what clients are told to do.

    What one player may send in a second, 0 sets no limit; of which games; and the rest is theirs to
    keep to.
    """

    player_events_per_second: PerSecond = 0
    player_bytes_per_second: PerSecond = 0
    games: Literal["any", "configured"] = "any"
    enabled: bool = True
    flush_seconds: Seconds = 30.0
    max_queue_bytes: Positive = 10_485_760
    sample: dict[str, Share] = {}  # noqa: RUF012 - msgspec copies it


class Cors(Section, frozen=True):
    """Of which origins pages may send events, and read the answers: each by its name, no patterns.

    None is for all: whoever has a token could be made to send from any page.
    """

    origins: Annotated[tuple[Origin, ...], msgspec.Meta(max_length=100)] = ()


class Buffer(Section, frozen=True):
    """The buffer, and when it is flushed."""

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
    reads_url: str | None = None

    @property
    def database_url(self) -> str:
        """The database in which events end up, here or by way of workers."""
        return self.reads_url or self.url


class Runs(Section, frozen=True):
    """How long it is known which numbers of a run have come, after the last of them."""

    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 90


class Figures(Section, frozen=True):
    """The sums that the dashboard shows."""

    cpu_share: Annotated[float, msgspec.Meta(ge=0.001, le=1)] = 0.1


class Catalogue(Section, frozen=True):
    """What is learned of events, and the file that says what they should be like."""

    enabled: bool = True
    cpu_share: Annotated[float, msgspec.Meta(ge=0.001, le=1)] = 0.02
    definitions_file: str | None = None


class Lake(Section, frozen=True):
    """Where what was stored is kept once more as Parquet files, and who writes them how often."""

    url: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    interval_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=3_600)] = 10.0
    with_gateway: bool = True


class Nats(Section, frozen=True):
    """The stream between gateways and workers."""

    stream: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")] = "playsmart"
    replicas: Literal[1, 3] = 1
    max_age_seconds: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] = 0
    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    duplicate_window_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 120
    ack_wait_seconds: Annotated[float, msgspec.Meta(ge=0.5, le=3_600)] = 30.0
    max_ack_pending: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20_000
    max_deliveries: Annotated[int, msgspec.Meta(ge=3, le=1_000)] = 10
    credentials_file: str | None = None
    tls_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None


class App(Section, frozen=True):
    """What holds for all games."""

    is_live: bool = True
    settings: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it


class Operator(Section, frozen=True):
    """Who may look at the pages for operators."""

    token: Annotated[str, msgspec.Meta(min_length=16)] | None = None


Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_BASE_AMOUNT)]
Multiplier = Annotated[float, msgspec.Meta(ge=0, le=MAX_MULTIPLIER)]


PropertyName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Properties(Section, frozen=True):
    """What a game calls, in the customdata of a purchase, what is asked of it."""

    price: PropertyName = "price"
    currency: PropertyName = "currency"
    country: PropertyName = "country"
    platform: PropertyName = "platform"
    app_version: PropertyName = "app_version"


class Game(Section, frozen=True):
    """One game, the coins that it pays, and how it names what is asked of its events."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    coins_enabled: bool = False
    is_active: bool = True
    events: Literal["observe", "warn", "enforce"] = "observe"
    reward_mode: Literal["fixed", "random_range"] = "fixed"
    reward_fixed_amount: Amount = 0
    reward_min_amount: Amount = 0
    reward_max_amount: Amount = 0
    level_completion_multiplier: Multiplier = 1.0
    event_trigger_threshold: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    event_trigger_multiplier: Multiplier = 0.5
    max_coins_per_day: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = 0
    ads_enabled: bool = False
    game_mode: str = "standard"
    maintenance: bool = False
    properties: Properties = Properties()


class Log(Section, frozen=True):
    """What is written to standard error."""

    format: LogFormat = "console"
    level: LogLevel = "info"
    access: bool = False
    refusals: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10


class Config(Section, frozen=True):
    """The whole configuration."""

    server: Server = Server()
    auth: Auth = Auth()
    accounts: Accounts = Accounts()
    ingest: Ingest = Ingest()
    cors: Cors = Cors()
    buffer: Buffer = Buffer()
    journal: Journal = Journal()
    storage: Storage = Storage()
    runs: Runs = Runs()
    figures: Figures = Figures()
    catalogue: Catalogue = Catalogue()
    lake: Lake = Lake()
    nats: Nats = Nats()
    operator: Operator = Operator()
    app: App = App()
    games: tuple[Game, ...] = ()
    log: Log = Log()
    dialects: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    """The tables of dialects by their names, as ``load_config`` was told of them."""

    def of(self, section: type[S]) -> S:
        """Return the table of a dialect; with its defaults if there is none."""
        found = self.dialects.get(section.table)
        assert found is None or isinstance(found, section)
        return section() if found is None else found


def load_config(
    path: Path | None,
    environment: Mapping[str, str],
    dialects: Sequence[type[DialectSection]] = (),
) -> Config:
    """Read the file at ``path`` (None: defaults only), then the overrides in ``environment``.

    There may be tables of these ``dialects``.

    Raises:
        ConfigError: with every mistake found.
    """
    tables = {} if path is None else read_toml(path)
    kinds = {field.name: field.type for field in msgspec.structs.fields(Config)}
    kinds = _with_tables(kinds, {each.table: each for each in dialects})
    found = read_environment(environment, {name: keys_of(kind) for name, kind in kinds.items()})
    overrides = found.sections
    reader = Reader()
    reader.problems += found.problems
    reader.problems += [unknown(key, kinds) for key in {**tables, **overrides} if key not in kinds]
    values = {}
    for name, kind in kinds.items():
        whole = found.arrays.get(name)
        if is_section(kind):
            values[name] = reader.table(kind, name, tables.get(name, {}), overrides.get(name, {}))
        elif whole is not None:
            values[name] = reader.override(kind, name, whole)
        elif name in tables:
            values[name] = reader.value(kind, name, tables[name])
    if reader.problems:
        raise ConfigError(reader.problems)
    tables_of_dialects = {each.table: values.pop(each.table) for each in dialects}
    return msgspec.structs.replace(msgspec.convert(values, Config), dialects=tables_of_dialects)


def replaced(config: Config, table: DialectSection) -> Config:
    """Return ``config`` with another table of a dialect."""
    tables = {**config.dialects, table.table: table}
    return msgspec.structs.replace(config, dialects=tables)


def with_game(config: Config, game: Game) -> Config:
    """Return ``config`` with this game, too, unless it has one of that id."""
    if any(each.id == game.id for each in config.games):
        return config
    return msgspec.structs.replace(config, games=(*config.games, game))


def masked(config: Config) -> dict[str, Any]:
    """Return the effective configuration as plain values, secrets replaced by asterisks."""
    plain = msgspec.to_builtins(config)
    plain = _with_tables(plain, plain["dialects"])
    return {name: _mask(name, value) for name, value in plain.items()}


def _with_tables(core: Mapping[str, T], tables: Mapping[str, T]) -> dict[str, T]:
    """Return what goes by the names of tables; those of dialects come before the log."""
    placed = {name: value for name, value in core.items() if name not in ("dialects", "log")}
    return {**placed, **tables, "log": core["log"]}


def without_password(url: str) -> str:
    """Return a URL as it may be shown: asterisks in the place of a password, or token of NATS."""
    if url.startswith(("nats://", "tls://")):
        return re.sub(r"(?<=://).*@", f"{MASKED}@", url)
    url = re.sub(r"(?<=://)([^:/@]*):.*@", rf"\1:{MASKED}@", url)
    return re.sub(r"(?<=password=)[^&]*", MASKED, url)


def _mask(key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_mask(key, each) for each in value]
    if isinstance(value, dict):
        return {inner: _mask(inner, each) for inner, each in value.items()}
    if key.endswith("url") and isinstance(value, str):
        return without_password(value)
    return MASKED if key.startswith(("secret", "api_key", "token")) and value else value
