"""The far end: where flushed batches go, one file a database.

``open_sink`` reads the storage URL and imports a driver only when it is asked for.
"""

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.loyalty import Program
from playsmart_gateway.rewards import Rule
from playsmart_gateway.sinks.base import Reader, Sink, Store
from playsmart_gateway.sinks.dead_letters import DeadLetter
from playsmart_gateway.sinks.events import (
    EVERYTHING,
    CountPage,
    EventCount,
    EventFilter,
    EventPage,
    EventReader,
    Expired,
    StoredEvent,
    StoreHealth,
)
from playsmart_gateway.sinks.figures import SPANS, FigureKeeper, Figures, Followed
from playsmart_gateway.sinks.jetstream.options import SCHEMES, JetStreamOptions
from playsmart_gateway.sinks.loyalty import Entry, EntryType, LoyaltyReader, StreakFigures
from playsmart_gateway.sinks.records import (
    OPT_OUT_STATES,
    ActionStatistics,
    AppPlayer,
    Audited,
    Cause,
    Channel,
    CoinTransaction,
    OptOutState,
    Player,
    PropertyValue,
    Statistics,
    Violation,
    Written,
)
from playsmart_gateway.sinks.source import Delivery, Source, SourceState
from playsmart_gateway.turnstile import TakeTurn

__all__ = [
    "EVERYTHING",
    "OPT_OUT_STATES",
    "SPANS",
    "ActionStatistics",
    "AppPlayer",
    "Audited",
    "Cause",
    "Channel",
    "CoinTransaction",
    "CountPage",
    "DeadLetter",
    "Delivery",
    "Entry",
    "EntryType",
    "EventCount",
    "EventFilter",
    "EventPage",
    "EventReader",
    "Expired",
    "FigureKeeper",
    "Figures",
    "Followed",
    "JetStreamOptions",
    "LoyaltyReader",
    "OptOutState",
    "Player",
    "PropertyValue",
    "Reader",
    "Sink",
    "Source",
    "SourceState",
    "Statistics",
    "Store",
    "StoreHealth",
    "StoredEvent",
    "StreakFigures",
    "Violation",
    "Written",
    "is_nats",
    "open_consumer",
    "open_sink",
]


def open_sink(
    url: str,
    rules: Sequence[Rule] = (),
    program: Program | None = None,
    *,
    take_turn: TakeTurn = contextlib.nullcontext,
    reads_url: str | None = None,
    jetstream: JetStreamOptions | None = None,
) -> Store:
    """Return the sink that ``url`` names; enter it to open it.

    It pays coins by ``rules``, and points by ``program`` (none: no event is defined). Where several
    processes of a gateway write to a store that takes one at a time, they ``take_turn``.

    ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db``,
    ``postgresql://user:password@host:5432/database`` or ``memory:``. Or ``nats://...`` (see
    ``jetstream.options``), where batches are only published; then ``reads_url`` names the database
    to which workers write them, and which does all the rest.

    Raises:
        ConfigError: no sink goes by that URL.
    """
    if is_nats(url):
        if reads_url is None or is_nats(reads_url):
            problem = "must name the database that the workers write to, as storage.url is NATS"
            raise ConfigError([f"storage.reads_url: {problem}"])
        database = open_sink(reads_url, rules, program, take_turn=take_turn)
        _require("nats", "NATS", "nats")
        from playsmart_gateway.sinks.jetstream.store import JetStreamStore

        return JetStreamStore(url, jetstream or JetStreamOptions(), database)
    if reads_url is not None:
        raise ConfigError(["storage.reads_url: is only for a storage.url of NATS"])
    if url == "memory:":
        from playsmart_gateway.sinks.memory import MemorySink

        return MemorySink(rules, program)
    if url.startswith(("sqlite:", "file:", ":memory:")):
        path = _sqlite_path(url)
        from playsmart_gateway.sinks.sqlite import SqliteSink

        return SqliteSink(path, rules, program, take_turn)
    if url.startswith("postgresql://"):
        _require("asyncpg", "PostgreSQL", "postgres")
        from playsmart_gateway.sinks.postgres import PostgresSink

        return PostgresSink(url, rules, program)
    raise ConfigError(
        ["storage.url: must be sqlite:///PATH, postgresql://..., nats://HOST:PORT or memory:"]
    )


def _sqlite_path(url: str) -> str:
    """Return the path in a URL of SQLite, which has one meaning or is refused."""
    path = url.removeprefix("sqlite:///")
    if ":memory:" in url or not path:
        problem = "a database in memory would lose every event; memory: is for trying things out"
    elif path == url:
        problem = "must be sqlite:///relative/path.db or sqlite:////absolute/path.db"
    elif {"?", "#"} & {*path}:
        problem = "sqlite:///PATH takes no parameters, and a path with ? or # cannot be used"
    elif path.endswith("/"):
        problem = "names a folder; must be sqlite:///PATH of a file"
    else:
        return path
    raise ConfigError([f"storage.url: {problem}"])


def open_consumer(url: str, options: JetStreamOptions) -> Source:
    """Return what takes from the stream at ``url`` what gateways publish; enter it to open it.

    Raises:
        ConfigError: that is not a URL of NATS.
    """
    if not is_nats(url):
        raise ConfigError(["worker --from: must be nats://HOST:PORT[,HOST:PORT...]"])
    _require("nats", "NATS", "nats")
    from playsmart_gateway.sinks.jetstream.consumer import Consumer

    return Consumer(url, options)


def is_nats(url: str) -> bool:
    """Whether a URL names NATS."""
    return url.partition("://")[0] in SCHEMES


def _require(driver: str, engine: str, extra: str) -> None:
    if find_spec(driver) is None:
        needed = f"pip install 'playsmart-gateway[{extra}]'"
        raise ConfigError([f"storage.url: {engine} needs its driver: {needed}"])
