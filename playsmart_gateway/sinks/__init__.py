"""The far end: where flushed batches go, one file a database.

``open_sink`` reads the storage URL and imports a driver only when it is asked for.
"""

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.loyalty import Program
from playsmart_gateway.rewards import Rule
from playsmart_gateway.sinks.base import (
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
    Reader,
    Sink,
    Statistics,
    Store,
    Violation,
    Written,
)
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
from playsmart_gateway.sinks.loyalty import Entry, EntryType, LoyaltyReader, StreakFigures
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
    "LoyaltyReader",
    "OptOutState",
    "Player",
    "PropertyValue",
    "Reader",
    "Sink",
    "Statistics",
    "Store",
    "StoreHealth",
    "StoredEvent",
    "StreakFigures",
    "Violation",
    "Written",
    "open_sink",
]


def open_sink(
    url: str,
    rules: Sequence[Rule] = (),
    program: Program | None = None,
    *,
    take_turn: TakeTurn = contextlib.nullcontext,
) -> Store:
    """Return the sink that ``url`` names; enter it to open it.

    It pays coins by ``rules``, and points by ``program`` (none: no event is defined). Where several
    processes of a gateway write to a store that takes one at a time, they ``take_turn``.

    ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db``,
    ``postgresql://user:password@host:5432/database`` or ``memory:``.

    Raises:
        ConfigError: no sink goes by that URL.
    """
    if url == "memory:":
        from playsmart_gateway.sinks.memory import MemorySink

        return MemorySink(rules, program)
    prefix, path = url[: len("sqlite:///")], url[len("sqlite:///") :]
    if prefix == "sqlite:///" and path:
        from playsmart_gateway.sinks.sqlite import SqliteSink

        return SqliteSink(path, rules, program, take_turn)
    if url.startswith("postgresql://"):
        if find_spec("asyncpg") is None:
            needed = "pip install 'playsmart-gateway[postgres]'"
            raise ConfigError([f"storage.url: PostgreSQL needs its driver: {needed}"])
        from playsmart_gateway.sinks.postgres import PostgresSink

        return PostgresSink(url, rules, program)
    raise ConfigError(["storage.url: must be sqlite:///PATH, postgresql://... or memory:"])
