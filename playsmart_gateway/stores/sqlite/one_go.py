"""Several statements on one way to the thread of a connection and back.

Each way takes as long as the event loop is busy with others, two or three milliseconds under load:
to go once for each statement of a flush would cost a tenth of it.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, TypeVar

import aiosqlite
from typing_extensions import override

AND_THEN = "\0"
"""Between statements that are run in one go; no statement can hold it."""

Result = TypeVar("Result")

Statement = tuple[str, Sequence[Any] | Mapping[str, Any]]
"""With its parameters."""


class Underneath(sqlite3.Connection):
    """What works in the thread: runs ``first`` before the next statement, and those in one go.

    ``work`` is done in the place of the next statement.
    """

    first = ""
    work: Callable[[], object] | None = None
    busy_seconds = 0.0
    ran: Sequence[sqlite3.Cursor] = ()
    """What became of the statements of the last go of several."""

    @override
    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement, or several; then the parameters are a sequence with those of each."""
        began, busy = time.thread_time(), self.busy_seconds
        try:
            self._begin()
            if self.work is not None:
                work, self.work = self.work, None
                work()
                return self.cursor()
            if AND_THEN not in sql:
                return super().execute(sql, parameters)
            statements = sql.split(AND_THEN)
            self.ran = ran = []
            for statement, its in zip(statements, parameters or repeat(()), strict=False):
                ran.append(super().execute(statement, its))
            return ran[-1]
        finally:
            self.busy_seconds = busy + time.thread_time() - began  # work executes, too

    @override
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        self._begin()
        return super().executemany(sql, parameters)

    def _begin(self) -> None:
        if self.first:
            first, self.first = self.first, ""
            super().execute(first)


class InOneGo(aiosqlite.Connection):
    """A connection of ``aiosqlite`` that goes to its thread once for several statements."""

    def __init__(self, underneath: Underneath) -> None:
        super().__init__(lambda: underneath, iter_chunk_size=64)
        self._underneath = underneath

    def begin(self, statement: str) -> None:
        """Have the next statement preceded by this one."""
        self._underneath.first = statement

    async def run(self, statements: Sequence[Statement]) -> Sequence[sqlite3.Cursor]:
        """Run statements with their parameters; return a cursor of each.

        After an error ``ran`` are those of the statements before the one that failed.
        """
        text = "".join(f"{sql}{AND_THEN}" for sql, _ in statements)
        await self.execute(text, [parameters for _, parameters in statements])
        return self.ran

    async def call(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return what ``work`` does with the connection, in its thread."""
        results: list[Result] = []
        self._underneath.work = lambda: results.append(work(self._underneath))
        await self.execute("")
        return results[0]

    @property
    def busy_seconds(self) -> float:
        """How long statements kept a core busy so far, up to the first row of each."""
        return self._underneath.busy_seconds

    @property
    def ran(self) -> Sequence[sqlite3.Cursor]:
        """See ``run``."""
        return self._underneath.ran
