"""What is in a PostgreSQL store, version by version: what is in a SQLite store, by the same names.

Batch ids come from ``batch_counter``, which only the one writer of the moment moves (see
``connection``): they are committed in their order, so whoever has read up to one has seen all
there will ever be before it. An event's id is its batch's id and its place in the batch,
``batch_id * 256 + n``, found both ways by the two primary keys. A flush appends at the end of both;
what finds events by time is a block range index (BRIN), which costs an insert next to nothing.

Times are ``timestamptz``; the views print them as all stores do, by ``printed_time``. Customdata is
``json``: the text that was sent, to the letter, where ``jsonb`` would refuse NUL and lose duplicate
keys. ``->`` refuses a value with NUL or half a surrogate pair anywhere in it: whoever looks into
customdata asks ``readable(customdata) -> 'key'``, where such escapes are U+FFFD. Text is compared
by bytes (``COLLATE "C"``), as in every store. There are no foreign keys: each would look up its row
once per event.

Tables whose rows change with each flush keep room for that in their pages (``fillfactor``): a row
that stays in its page needs no new entries in the indexes.

What the tables are for is said in ``sqlite.schema``; they are in ``migrations/``, one script
a version. The triggers of the rollups have transition tables: each counts once for a statement,
whatever that inserts.
"""

from pathlib import Path

from playsmart_gateway.stores.sql.migrations import read_migrations

MIGRATIONS = read_migrations(Path(__file__).parent / "migrations")
"""One script a schema version; never edited once released, only added to."""

VERSION_TABLE = """
    CREATE TABLE schema_version (version integer NOT NULL);
    INSERT INTO schema_version VALUES (0);
"""


def printed_time(when: str) -> str:
    """Return SQL that prints a ``timestamptz`` as all times are printed: UTC, 27 characters."""
    return f"""to_char({when} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') COLLATE "C\""""
