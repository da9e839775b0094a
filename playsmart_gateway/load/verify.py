"""Counting in the database that every acknowledged event is stored exactly once.

Of the relation ``events`` only rows are read with an ``event_id`` above the highest one at the
start of the run (see ``databases``). Nothing but the outcome of
each request was remembered: the bodies are made again. The gateway stores what it acknowledged a
moment later, so the rows are read until all are there or the time is up. Of what was sent again on
purpose it is asked, too, what the gateway counted, and whether it was paid (see ``repeats``).
"""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import msgspec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.databases import Database, Missing, Unreadable, database_at
from playsmart_gateway.load.repeats import Retried, look
from playsmart_gateway.load.row import Row
from playsmart_gateway.load.tally import Counts, Tally

_POLL_SECONDS = 0.25


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What the database holds of a run, in events; see ``Counts`` for the words.

    ``retries`` is there when some were sent again on purpose, and is part of ``exactly_once``.
    ``problem`` says why the database could not be read to the end, and what to do; empty if it was.
    """

    exactly_once: bool
    acknowledged: int
    stored: int
    missing: int
    duplicated: int
    unexpected: int
    unknown: int
    unknown_stored: int
    foreign: int
    waited_seconds: float
    problem: str = ""
    retries: Retried | None = None


class Baseline(msgspec.Struct, frozen=True):
    """A database and its highest ``event_id`` before the run; 0 when there is none yet."""

    database: Database
    event_id: int

    @classmethod
    def take(cls, where: str | Path) -> "Baseline":
        """Look at a SQLite file, or a ``postgresql://`` URL, now.

        Raises ``ConfigError`` when it is not there or cannot be read as the gateway's: a run that
        sends first and learns that at its end has proved nothing.
        """
        database = database_at(where)
        try:
            return cls(database, database.newest_event_id())
        except Unreadable as error:
            raise ConfigError([f"cannot verify: {error}"]) from error


def verify(
    baseline: Baseline,
    tally: Callable[[], Tally],
    *,
    timeout_seconds: float = 60.0,
    settle_seconds: float = _POLL_SECONDS,
    on_progress: Callable[[Counts], None] | None = None,
) -> Verification:
    """Read what was stored since ``baseline`` until nothing is missing, and say what was found.

    ``tally`` makes a fresh tally of the run. Rows are read as they come; once all are there, it
    looks again after ``settle_seconds``, so that a late duplicate is seen. When some are missing
    after ``timeout_seconds``, everything is read once more from the start, so that no order in
    which rows may appear can look like loss.
    """
    began = monotonic()
    progress = on_progress or (lambda _: None)
    reader = _Reader(baseline, tally(), progress)
    reader.read()
    settled = False
    while not settled and (left := timeout_seconds - (monotonic() - began)) > 0:
        was_complete = reader.complete
        sleep(min(left, settle_seconds if was_complete else _POLL_SECONDS))
        reader.read()
        settled = was_complete and reader.complete
    if not reader.complete:
        reader = _Reader(baseline, tally(), progress)
        reader.read()
    return _verdict(reader, monotonic() - began)


class _Reader:
    """Reads on from the last row it saw."""

    def __init__(
        self, baseline: Baseline, tally: Tally, on_progress: Callable[[Counts], None]
    ) -> None:
        self.tally = tally
        self.problem = ""
        self.retries: Retried | None = None
        self._baseline = baseline
        self._last = baseline.event_id
        self._on_progress = on_progress

    @property
    def complete(self) -> bool:
        counted = self.retries is None or self.retries.all_counted
        return self.tally.counts.missing == 0 and counted and not self.problem

    def read(self) -> None:
        """Read the new rows. A database that cannot be read just now is a ``problem``, for now."""
        counts = self.tally.counts
        try:
            for rows in self._baseline.database.rows_behind(self._last):
                for event_id, *columns in rows:
                    self.tally.see(Row._make(columns))
                    self._last = max(self._last, event_id)
                self._on_progress(counts)
            if self.tally.again is not None:
                self.retries = look(
                    self._baseline.database, self.tally.again, self._baseline.event_id
                )
            self.problem = ""
        except Missing as error:
            self.problem = str(error) if counts.acknowledged else ""
        except Unreadable as error:
            self.problem = str(error)
        self._on_progress(counts)


def _verdict(reader: _Reader, waited_seconds: float) -> Verification:
    counts = reader.tally.counts
    wrong = counts.missing or counts.duplicated or counts.unexpected or reader.problem
    repeated_rightly = reader.retries is None or reader.retries.right
    return Verification(
        exactly_once=not wrong and repeated_rightly,
        acknowledged=counts.acknowledged,
        stored=counts.stored,
        missing=counts.missing,
        duplicated=counts.duplicated,
        unexpected=counts.unexpected,
        unknown=counts.unknown,
        unknown_stored=counts.unknown_stored,
        foreign=counts.foreign,
        waited_seconds=round(waited_seconds, 3),
        problem=reader.problem,
        retries=reader.retries,
    )
