"""The far end: where flushed batches go, one file a database.

``open_sink`` reads the storage URL and imports a driver only when it is asked for.
"""

from collections.abc import Sequence

from playsmart_gateway.errors import ConfigError
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
from playsmart_gateway.sinks.figures import SPANS, FigureKeeper, Figures, Followed

__all__ = [
    "OPT_OUT_STATES",
    "SPANS",
    "ActionStatistics",
    "AppPlayer",
    "Audited",
    "Cause",
    "Channel",
    "CoinTransaction",
    "FigureKeeper",
    "Figures",
    "Followed",
    "OptOutState",
    "Player",
    "PropertyValue",
    "Reader",
    "Sink",
    "Statistics",
    "Store",
    "Violation",
    "Written",
    "open_sink",
]


def open_sink(url: str, rules: Sequence[Rule] = ()) -> Store:
    """Return the sink that ``url`` names, paying by ``rules``; enter it to open it.

    ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db`` or ``memory:``.

    Raises:
        ConfigError: no sink goes by that URL.
    """
    if url == "memory:":
        from playsmart_gateway.sinks.memory import MemorySink

        return MemorySink(rules)
    prefix, path = url[: len("sqlite:///")], url[len("sqlite:///") :]
    if prefix == "sqlite:///" and path:
        from playsmart_gateway.sinks.sqlite import SqliteSink

        return SqliteSink(path, rules)
    raise ConfigError(["storage.url: must be sqlite:///PATH or memory:"])
