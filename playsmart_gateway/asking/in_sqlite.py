"""Asks a SQLite file: SQLite itself tells what a statement would do, before it does it."""

import contextlib
import sqlite3
import time
from pathlib import Path

from playsmart_gateway.asking.question import (
    MAX_SQL_LENGTH,
    Answer,
    Limits,
    Page,
    Question,
    refused,
    too_large,
    too_long,
)
from playsmart_gateway.asking.relations import RELATIONS

MAX_VALUE_BYTES = 8_388_608
"""Of one text or row, also on the way to an answer."""

BUSY_SECONDS = 1.0
ROWS_PER_READ = 50
OPERATIONS_PER_LOOK = 5_000
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_LENGTH,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_SETTINGS = (
    "PRAGMA hard_heap_limit = {memory}",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA query_only = ON",
)
_HARMLESS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)
_FUNCTIONS_WITH_EFFECTS = ("load_extension", "fts3_tokenizer", "sqlite_log")
_TABLES_OF_FUNCTIONS = ("json_each", "json_tree")
_INTERNAL = ("sqlite_", "pragma_", "dbstat", "bytecode", "tables_used")


def answer(question: Question) -> Answer:
    """Return the answer; every problem is in it."""
    path = Path(question.url.removeprefix("sqlite:///")).absolute()
    until = time.monotonic() + question.limits.seconds
    try:
        with contextlib.closing(_open(path, question.limits)) as db:
            db.execute("BEGIN")
            db.set_authorizer(Guard(db).judge)
            db.set_progress_handler(lambda: time.monotonic() > until, OPERATIONS_PER_LOOK)
            return _answer(db, question)
    except MemoryError:
        return too_large(question.limits)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return too_long(question.limits)
        return refused(error)


def _open(path: Path, limits: Limits) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_SECONDS
    )
    db.text_factory = lambda text: text.decode("utf-8", "replace")
    for each in _SETTINGS:
        db.execute(each.format(memory=limits.memory_bytes))
    for name, most in _LIMITS.items():
        db.setlimit(name, most)
    return db


def _answer(db: sqlite3.Connection, question: Question) -> Answer:
    parameters = {str(place): each for place, each in enumerate(question.parameters, 1)}
    cursor = db.execute(question.sql, parameters)
    if cursor.description is None:
        return refused("one SELECT can be asked")
    page = Page([name for name, *_ in cursor.description], question.limits)
    while (rows := cursor.fetchmany(ROWS_PER_READ)) and page.take(rows):
        pass
    cursor.close()
    for (counted,) in db.execute("SELECT counted_up_to FROM v_counted"):
        page.answer.counted_up_to = counted
    return page.answer


class Guard:
    """Says of all that a statement would do whether it may.

    It may read what the documented relations themselves read: those tables, and of them those
    columns. It cannot go by the view through which a table is read, as that may be a name that the
    statement gave to a part of itself.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        found = db.execute("SELECT name FROM sqlite_schema")
        self._theirs = {name.lower() for (name,) in found}
        self._columns: set[tuple[str | None, str | None]] = set()
        db.set_authorizer(self._note)
        for relation in RELATIONS:
            db.execute(f"EXPLAIN SELECT * FROM {relation}")  # noqa: S608 - our own constants
        tables = {table for table, _ in self._columns if table}
        self._tables = {each.lower() for each in (*tables, *RELATIONS, *_TABLES_OF_FUNCTIONS)}

    def _note(self, action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ:
            self._columns.add((table, column))
        return sqlite3.SQLITE_OK

    def judge(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        """Return what SQLite is to do; ``first`` and ``second`` depend on the action."""
        if action == sqlite3.SQLITE_READ:
            may = self._may_read((first or "").lower(), first, second)
        elif action == sqlite3.SQLITE_FUNCTION:
            may = (second or "").lower() not in _FUNCTIONS_WITH_EFFECTS
        else:
            may = action in _HARMLESS
        return sqlite3.SQLITE_OK if may else sqlite3.SQLITE_DENY

    def _may_read(self, name: str, table: str | None, column: str | None) -> bool:
        if not column:  # how many rows there are; the name may be one that the statement gave
            return name in self._tables or not (name in self._theirs or name.startswith(_INTERNAL))
        return (table, column) in self._columns or name in _TABLES_OF_FUNCTIONS
