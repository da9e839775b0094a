"""Hold the store against the ledger: what was acknowledged is there once, what was refused never.

A batch of unknown outcome may be there or not, but whole. The batches of one player are stored in
the order in which they were sent, as each waits for its answer.
"""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from tests.support.engines import postgres
from tests.support.players import Ledger

SQLITE = "sqlite:///"
_ROWS = """
    SELECT user_id, CAST(customdata ->> 'b' AS BIGINT), CAST(customdata ->> 'n' AS BIGINT),
           customdata ->> 'c', event_id
    FROM events WHERE event_id > {} AND source = 'playsmart' ORDER BY event_id
"""
_INTEGRITY = """
    SELECT CASE WHEN (SELECT coalesce(sum(event_count), 0) FROM batches)
                     = (SELECT count(*) FROM event_rows)
           THEN 'ok' ELSE 'headers and rows differ' END
"""
"""PostgreSQL has no ``PRAGMA integrity_check``."""

Key = tuple[str, int]


@dataclass
class Verdict:
    """Batches by what is wrong with them, and the number of events that were looked at.

    ``repeated_events`` were stored before, as their numbers told.
    """

    accepted_events: int = 0
    unknown_events: int = 0
    unknown_stored_events: int = 0
    lost: list[Key] = field(default_factory=list)
    lost_events: int = 0
    duplicated: list[Key] = field(default_factory=list)
    torn: list[Key] = field(default_factory=list)
    never_accepted: list[Key] = field(default_factory=list)
    disordered: list[Key] = field(default_factory=list)
    buried: int = 0
    repeated_events: int = 0
    integrity: str = "ok"

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return self.exactly_once and not self.disordered

    @property
    def exactly_once(self) -> bool:
        """Whether every promise was kept but that of order, which many workers cannot give."""
        return self.integrity == "ok" and not (
            self.lost or self.duplicated or self.torn or self.never_accepted
        )


class Auditor:
    """Reads the database at ``url``, which only grows; an ``audit`` looks at what is new in it."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self._url = url
        self._ledger = ledger
        self._last_event_id = 0
        self._rows: Counter[Key] = Counter()
        self._newest: dict[str, int] = {}
        self._verdict = Verdict()

    def audit(self) -> Verdict:
        """Return what is wrong up to now; the buffer must be empty.

        PostgreSQL is asked from a thread that has no event loop.
        """
        verdict = self._verdict
        self._read()
        ((verdict.buried,),) = _select(self._url, "SELECT count(*) FROM dead_letters")
        ((repeated,),) = _select(self._url, "SELECT coalesce(sum(duplicates), 0) FROM runs")
        verdict.repeated_events = int(repeated)
        is_file = self._url.startswith(SQLITE)
        findings = _select(self._url, "PRAGMA integrity_check" if is_file else _INTEGRITY)
        verdict.integrity = "; ".join(text for (text,) in findings)
        self._balance()
        return verdict

    def _read(self) -> None:
        rows = _select(self._url, _ROWS.format(self._last_event_id))
        verdict = self._verdict
        for key, group in groupby(rows, key=itemgetter(0, 1)):
            user_id, number = key
            places = []
            for _, _, place, sender, event_id in group:
                assert sender == user_id, "a row has the header of its own batch"
                places.append(place)
                self._last_event_id = event_id
            if self._rows[key] or len(set(places)) < len(places):
                verdict.duplicated.append(key)
            if places != sorted(places):
                verdict.disordered.append(key)
            if number < self._newest.get(user_id, 0):
                verdict.disordered.append(key)
            self._newest[user_id] = number
            self._rows[key] += len(places)

    def _balance(self) -> None:
        verdict = self._verdict
        verdict.lost.clear()
        verdict.lost_events = 0
        verdict.torn.clear()
        for key, (size, outcome) in self._ledger.batches.items():
            found = self._rows[key]
            if outcome == "accepted" and found < size:
                verdict.lost.append(key)
                verdict.lost_events += size - found
            elif outcome == "unknown" and 0 < found < size:
                verdict.torn.append(key)
        verdict.never_accepted = [
            key
            for key, found in self._rows.items()
            if found and self._ledger.batches.get(key, (0, "refused"))[1] == "refused"
        ]
        unknown = [key for key, (_, what) in self._ledger.batches.items() if what == "unknown"]
        verdict.accepted_events = self._ledger.events("accepted")
        verdict.unknown_events = self._ledger.events("unknown")
        verdict.unknown_stored_events = sum(self._rows[key] for key in unknown)


def count(database: Path, ledger: Ledger) -> Verdict:
    """Return the verdict over a whole SQLite file."""
    return Auditor(f"{SQLITE}{database}", ledger).audit()


def _select(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask a database past everything that is ours."""
    if not url.startswith(SQLITE):
        return asyncio.run(postgres.fetch(url, query))
    file = f"{Path(url.removeprefix(SQLITE)).as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(file, uri=True, timeout=10)) as db:
        return db.execute(query).fetchall()
