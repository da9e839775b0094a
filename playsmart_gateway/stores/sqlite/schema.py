"""What is in a SQLite store, version by version.

An event's id is its batch's id and its place in the batch, ``batch_id * 256 + n``: found both ways
by the two primary keys, so event rows need neither a foreign key nor an index. Times are stored as
they travel (20 or 27 characters); ``occurred_at`` pads them to one width when read. The view
``events`` is the face for people and programs that read.

A grant of coins has the id of the event that earned it: one event earns once, and the ledger has
one order, that of the events. Adjustments take the next batch's id for themselves. The view
``coin_transactions`` is the face of ``coin_entries``, which stores what cannot be computed.
``app_players`` are the players of Teak's apps, known by ``identify``; the unique key of a player
decides which ``Installed`` is the first. In a batch of many players each event row has its own
``user_id``, and the batch has an empty one. ``game_rules`` keeps every rule that ever held and from
which batch on, so that an audit can tell what each event should have earned; ``expired_events`` and
``custom_event_baselines`` tell it what ``retention`` took away. The ``rollup_`` tables are the sums
that ``rollup`` keeps for the dashboard.

Of players, ``player_names`` has who they are, ``player_states`` all that changes, and
``player_changes`` what came to that since (see ``coins``); the view ``players`` is the face of the
three. ``player_folding`` has the stretch of ids that was folded last, and when the newest batch
came.

``coin_days`` is what a day has paid where a game has a cap (``max_per_day``). ``erasures`` counts
how often a player was erased; ``lynes_cells.erased`` counts events of erased players that
``retention`` had deleted.

Of Lynes, a history entry has the id of its event, or one of the numbers after that; the entry of
the event has in ``streaks`` what the answer said of them. A cell is one event id on one local day
for one user group. ``lynes_fields.stats`` is a ``FieldStats`` without its named strings, which are
in ``lynes_values`` by the CRC-32 of their text; ``names`` is how many of them there are at most.
``last_name`` and ``last_value``, once there were too many, are the last one that is counted by name
(see ``stores.sql.metadata``).

The tables themselves are in ``migrations/``, a script a version.
"""

from pathlib import Path

from playsmart_gateway.stores.sql.migrations import read_migrations

MIGRATIONS = read_migrations(Path(__file__).parent / "migrations")
"""One script a schema version; never edited once released, only added to.

A script is taken apart where a line ends with a semicolon, so a trigger has one line to end on.
"""


def printed_time(microseconds: str) -> str:
    """Return SQL that prints a column of microseconds since the epoch: UTC, 27 characters."""
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', {microseconds} / 1000000, 'unixepoch')"
        f" || printf('.%06dZ', {microseconds} % 1000000)"
    )


def last_member(name: str, value: str = "atom") -> str:
    """Return SQL of ``value``, of the columns of ``json_each``, for a member of ``customdata``.

    Of two members of one name that is the last, as for all other readers of JSON: ``json_extract``
    takes the first. NULL if there is none.
    """
    return (
        f"(SELECT {value} FROM json_each(customdata)"  # noqa: S608 - built from our own constants
        f" WHERE key = '{name}' ORDER BY id DESC LIMIT 1)"
    )
