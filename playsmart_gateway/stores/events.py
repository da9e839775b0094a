"""What can be done with stored events beside paying for them: the other half of the contract."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec


class StoredEvent(NamedTuple):
    """One row of the relation ``events``; ``customdata`` is JSON text as it is stored."""

    event_id: int
    source: str
    game_id: str
    user_id: str
    type: str
    custom_event_name: str | None
    occurred_at: str
    received_at: str
    customdata: str | None


class EventFilter(msgspec.Struct, frozen=True):
    """Which events are meant: those for which all that is given holds.

    ``since`` (included) and ``until`` (not included) compare with ``occurred_at``; UTC text of 27
    characters, as all times.
    """

    game_id: str | None = None
    user_id: str | None = None
    type: str | None = None
    source: str | None = None
    since: str | None = None
    until: str | None = None


EVERYTHING = EventFilter()


class EventPage(NamedTuple):
    """Events in the order asked for, and the id up to which all events were looked at."""

    events: list[StoredEvent]
    position: int


class EventCount(NamedTuple):
    """How many events of one type a game had on one day (``YYYY-MM-DD``, UTC)."""

    source: str
    game_id: str
    type: str
    day: str
    events: int


class CountPage(NamedTuple):
    """Counts in no order, and the id up to which all events were looked at."""

    counts: list[EventCount]
    position: int


MAX_NAMED = 10
"""Of batches with a wrong time that one step names."""

NEVER = "9999-12-31T23:59:59.999999Z"
"""Later than any time of receipt."""

CLOCK_TOLERANCE = timedelta(seconds=60)


def latest_sane() -> str:
    """Return the time up to which a time of receipt can be right: now, and a bit."""
    return f"{datetime.now(UTC) + CLOCK_TOLERANCE:%Y-%m-%dT%H:%M:%S.%fZ}"


class Expired(msgspec.Struct, frozen=True):
    """One step of deleting old events, up to the batch ``position`` of now ``end``.

    ``uncounted``: it is done because the dashboard's sums have not counted what follows.
    ``ahead`` are the first batches it met, at most ``MAX_NAMED``, whose time of receipt is yet to
    come: the clock was wrong. Batches behind them tell how old they are.
    """

    events: int
    position: int
    end: int
    done: bool
    uncounted: bool = False
    ahead: tuple[int, ...] = ()


class StoreHealth(msgspec.Struct, frozen=True):
    """What a look at the whole store found; ``problems`` are in the store's own words."""

    schema_version: int
    known_version: int
    problems: tuple[str, ...] = ()
    ahead: int = 0
    first_ahead: int = 0
    """Batches whose time of receipt is yet to come, and the id of the first one."""
