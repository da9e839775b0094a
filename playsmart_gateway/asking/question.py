"""A question, what it may take, and its answer, as they go between two processes."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

MAX_SQL_LENGTH = 20_000
MAX_TOLD = 500
"""Characters of what a database says of a mistake."""


class Limits(msgspec.Struct, frozen=True):
    """What a question may take.

    ``bytes`` are those of the rows as JSON, ``cell`` the characters of a text in them; of longer
    ones the beginning is shown. ``memory_bytes`` are what a database may take in this process.
    """

    seconds: float = 10.0
    rows: int = 1_000
    bytes: int = 131_072
    columns: int = 100
    cell: int = 1_000
    memory_bytes: int = 268_435_456


LIMITS = Limits()
Parameter = str | int | None


class Question(msgspec.Struct, frozen=True):
    """One SELECT to the store at ``url``; ``$1`` in it is the first of the ``parameters``.

    With a ``lake_url`` it is to the lake there, and to what of the store is not in it yet; then
    there are no parameters.
    """

    url: str
    sql: str
    parameters: Sequence[Parameter] = ()
    limits: Limits = LIMITS
    lake_url: str | None = None

    def __repr__(self) -> str:
        """Show no password of a URL."""
        return "Question(...)"


class Answer(msgspec.Struct):
    """The first rows of an answer, or the ``problem``: why there is none.

    ``is_whole`` says that there are no more rows. The sums of a store have what came up to
    ``counted_up_to``; of a lake it says which events were asked.
    """

    columns: list[str] = []
    rows: list[list[Any]] = []
    is_whole: bool = True
    counted_up_to: str | None = None
    problem: str | None = None


class Page:
    """Takes rows until an answer is as long as it may be.

    Raises ``ValueError`` if it has more columns than it may.
    """

    def __init__(self, columns: Sequence[str], limits: Limits) -> None:
        self.answer = Answer(list(columns))
        self._limits = limits
        self._bytes = 0
        if len(columns) > limits.columns:
            raise ValueError(f"it has more than {limits.columns} columns")

    def take(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Take some more; return whether there is room for others."""
        for row in rows:
            cells = [_cell(each, self._limits.cell) for each in row]
            self._bytes += len(msgspec.json.encode(cells))
            if len(self.answer.rows) == self._limits.rows or self._bytes > self._limits.bytes:
                self.answer.is_whole = False
                return False
            self.answer.rows.append(cells)
        return True


def refused(problem: object) -> Answer:
    """Return the answer that says why there is none."""
    return Answer(problem=" ".join(f"{problem}".split())[:MAX_TOLD])


def too_long(limits: Limits) -> Answer:
    """Return the answer to what takes too long."""
    return refused(f"it took longer than {limits.seconds:g} s: ask for less, or of fewer days")


def too_large(limits: Limits) -> Answer:
    """Return the answer to what takes too much memory."""
    return refused(f"it needs more memory than {limits.memory_bytes // 2**20} MiB: ask for less")


def _cell(value: Any, length: int) -> Any:
    """Return a value as JSON has it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal) and value.is_finite() and abs(value) < 2**63:
        return int(value) if value == int(value) else float(value)
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    text = value.hex() if isinstance(value, bytes) else f"{value}"
    return text if len(text) <= length else f"{text[:length]}... ({len(text):,} characters)"
