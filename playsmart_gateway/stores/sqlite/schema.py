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

``coin_days`` is what a day has paid where a game has a cap (``max_per_day``). ``erasures`` counts
how often a player was erased; ``lynes_cells.erased`` counts events of erased players that
``retention`` had deleted.
"""

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.stores.sql.database import (
    EVENT_TRIGGER,
    LEVEL_COMPLETE,
)
from playsmart_gateway.stores.sqlite.rollup_tables import ROLLUP_TABLES


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


_SCORE = last_member(
    "score",
    "iif(type IN ('integer', 'real') AND atom BETWEEN -1.7e308 AND 1.7e308, atom, NULL)",
)


def count_activity(batches: str, which: str) -> str:
    """Return SQL that adds what events say about their players (contract section 4).

    ``batches`` is a relation with ``batch_id`` and ``player_id``; ``which`` limits the events. The
    best and the last score are those of ``GameEnd`` events whose score is a finite number. A LIMIT,
    here of none, keeps SQLite from looking for the score again at each use.
    """
    return f"""
    UPDATE players SET
        sessions = sessions + opened,
        total_games_played = total_games_played + ended,
        best_score = coalesce(max(best_score, best), best, best_score),
        last_score = ifnull(
            (SELECT {_SCORE} FROM event_rows WHERE event_id = last), last_score
        )
    FROM (
        SELECT player_id AS whose, sum(type = 'AppOpen') AS opened, sum(type = 'GameEnd') AS ended,
               max(score) AS best, max(iif(score IS NULL, NULL, event_id)) AS last
        FROM (
            SELECT player_id, event_id, type,
                   iif(type = 'GameEnd', {_SCORE}, NULL) AS score
            FROM event_rows CROSS JOIN {batches}
            WHERE batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            AND type IN ('AppOpen', 'GameEnd') AND {which} LIMIT -1
        )
        GROUP BY player_id
    )
    WHERE player_id = whose;
    """  # noqa: S608 - built from our own constants


LOYALTY_TABLES = """
    CREATE TABLE lynes_users (
        user_number INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        user_id TEXT NOT NULL,
        points INTEGER NOT NULL DEFAULT 0 CHECK (typeof(points) = 'integer'),
        created_at_ms INTEGER NOT NULL,
        UNIQUE (project, user_id)
    );
    CREATE TABLE lynes_completions (
        user_number INTEGER NOT NULL REFERENCES lynes_users,
        event_id TEXT NOT NULL,
        count INTEGER NOT NULL,
        day TEXT NOT NULL,
        PRIMARY KEY (user_number, event_id)
    ) WITHOUT ROWID;
    CREATE TABLE lynes_streaks (
        user_number INTEGER NOT NULL REFERENCES lynes_users,
        streak_id TEXT NOT NULL,
        count INTEGER NOT NULL,
        longest INTEGER NOT NULL,
        day TEXT NOT NULL,
        updated_at_ms INTEGER NOT NULL,
        PRIMARY KEY (user_number, streak_id)
    ) WITHOUT ROWID;
    CREATE INDEX lynes_streaks_by_id ON lynes_streaks (streak_id, day, count, longest);
    CREATE TABLE lynes_history (
        user_number INTEGER NOT NULL REFERENCES lynes_users,
        at_ms INTEGER NOT NULL,
        entry_id INTEGER NOT NULL,
        type INTEGER NOT NULL,
        source_id TEXT NOT NULL,
        points INTEGER NOT NULL,
        streaks TEXT,
        PRIMARY KEY (user_number, at_ms, entry_id)
    ) WITHOUT ROWID;
    CREATE TABLE lynes_cells (
        cell_id INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        event_id TEXT NOT NULL,
        day TEXT NOT NULL,
        usergroup TEXT NOT NULL,
        events INTEGER NOT NULL,
        unnamed INTEGER NOT NULL DEFAULT 0,
        last_name TEXT,
        UNIQUE (project, event_id, day, usergroup)
    );
    CREATE TABLE lynes_fields (
        field_id INTEGER PRIMARY KEY,
        cell_id INTEGER NOT NULL REFERENCES lynes_cells,
        name TEXT NOT NULL,
        stats TEXT NOT NULL,
        names INTEGER NOT NULL,
        last_value TEXT,
        UNIQUE (cell_id, name)
    );
    CREATE TABLE lynes_values (
        field_id INTEGER NOT NULL REFERENCES lynes_fields,
        crc INTEGER NOT NULL,
        value TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (field_id, crc, value)
    ) WITHOUT ROWID;
"""
"""Points and statistics of the Lynes dialect.

A history entry has the id of its event, or one of the numbers after that; the entry of the event
has in ``streaks`` what the answer said of them. A cell is one event id on one local day for one
user group. ``lynes_fields.stats`` is a ``FieldStats`` without its named strings, which are in
``lynes_values`` by the CRC-32 of their text; ``names`` is how many of them there are at most.
``last_name`` and ``last_value``, once there were too many, are the last one that is counted by name
(see ``metadata``).
"""

MIGRATIONS = (
    f"""
    CREATE TABLE journals (
        journal_id INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE
    );
    CREATE TABLE batches (
        batch_id INTEGER PRIMARY KEY AUTOINCREMENT,
        journal_id INTEGER NOT NULL REFERENCES journals,
        sequence INTEGER NOT NULL,
        source TEXT NOT NULL,
        game_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        received_at TEXT NOT NULL,
        event_count INTEGER NOT NULL,
        UNIQUE (journal_id, sequence)
    );
    CREATE TABLE event_rows (
        event_id INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        custom_event_name TEXT,
        time TEXT NOT NULL,
        customdata TEXT,
        occurred_at TEXT GENERATED ALWAYS AS (
            CASE length(time) WHEN 20 THEN substr(time, 1, 19) || '.000000Z' ELSE time END
        ) VIRTUAL
    );
    CREATE TABLE dead_letters (
        journal TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        reason TEXT NOT NULL,
        source TEXT NOT NULL,
        game_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        received_at TEXT NOT NULL,
        event_count INTEGER NOT NULL,
        rows BLOB NOT NULL,
        buried_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
        PRIMARY KEY (journal, sequence)
    );
    CREATE VIEW events AS
        SELECT event_id, source, game_id, user_id, type, custom_event_name,
               occurred_at, received_at, customdata
        FROM event_rows JOIN batches
            ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            AND event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                         AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1};
    """,  # noqa: S608 - built from our own constants
    f"""
    ALTER TABLE event_rows ADD COLUMN draw INTEGER;
    CREATE TABLE players (
        player_id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL UNIQUE,
        coins_balance INTEGER NOT NULL DEFAULT 0,
        total_games_played INTEGER NOT NULL DEFAULT 0,
        sessions INTEGER NOT NULL DEFAULT 0,
        best_score NUMERIC,
        last_score NUMERIC,
        first_seen_at TEXT NOT NULL,
        last_seen_at TEXT NOT NULL
    );
    CREATE TABLE coin_entries (
        id INTEGER PRIMARY KEY,
        player_id INTEGER NOT NULL REFERENCES players,
        trigger INTEGER,
        amount INTEGER NOT NULL CHECK (amount <> 0),
        balance_after INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        reason TEXT
    );
    CREATE INDEX coin_entries_by_player ON coin_entries (player_id, id);
    CREATE TRIGGER coin_entries_stay BEFORE DELETE ON coin_entries
        BEGIN SELECT RAISE(ABORT, 'coin_entries is append-only'); END;
    CREATE TRIGGER coin_entries_stay_as_they_are BEFORE UPDATE ON coin_entries
        BEGIN SELECT RAISE(ABORT, 'coin_entries is append-only'); END;
    CREATE TABLE custom_event_counts (
        player_id INTEGER NOT NULL REFERENCES players,
        game_id TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (player_id, game_id)
    ) WITHOUT ROWID;
    CREATE TABLE game_rules (
        rule_id INTEGER PRIMARY KEY,
        since_batch_id INTEGER NOT NULL,
        game_id TEXT NOT NULL,
        min_amount INTEGER NOT NULL,
        max_amount INTEGER NOT NULL,
        level_millionths INTEGER NOT NULL,
        trigger_threshold INTEGER NOT NULL,
        trigger_millionths INTEGER NOT NULL
    );
    CREATE INDEX game_rules_by_game ON game_rules (game_id, since_batch_id);
    CREATE VIEW coin_transactions AS
        SELECT id, players.user_id, game_id,
               CASE WHEN amount > 0 THEN 'earn' ELSE 'deduct' END AS type,
               CASE trigger WHEN {LEVEL_COMPLETE} THEN 'level_complete'
                            WHEN {EVENT_TRIGGER} THEN 'event_trigger' END AS trigger,
               abs(amount) AS amount, balance_after - amount AS balance_before, balance_after,
               CASE WHEN trigger IS NOT NULL THEN id END AS event_id,
               {printed_time("created_at")} AS created_at,
               reason
        FROM coin_entries JOIN players USING (player_id)
        LEFT JOIN batches ON batch_id = id / {MAX_EVENTS_PER_BATCH};
    INSERT INTO players (user_id, first_seen_at, last_seen_at)
        SELECT user_id, min(received_at), max(received_at) FROM batches
        WHERE source = 'playsmart' GROUP BY user_id;
    """  # noqa: S608 - built from our own constants
    + count_activity("batches JOIN players USING (user_id)", "source = 'playsmart'"),
    f"""
    ALTER TABLE event_rows ADD COLUMN user_id TEXT;
    DROP VIEW events;
    CREATE VIEW events AS
        SELECT event_id, source, game_id, ifnull(event_rows.user_id, batches.user_id) AS user_id,
               type, custom_event_name, occurred_at, received_at, customdata
        FROM event_rows JOIN batches
            ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            AND event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                         AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1};
    CREATE TABLE app_players (
        app_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        country_code TEXT NOT NULL,
        timezone_id TEXT NOT NULL,
        email TEXT,
        email_state TEXT NOT NULL DEFAULT 'opt_in',
        push_state TEXT NOT NULL DEFAULT 'opt_in',
        sms_state TEXT NOT NULL DEFAULT 'opt_out',
        sessions INTEGER NOT NULL DEFAULT 1,
        installed_event_id INTEGER,
        first_seen_at TEXT NOT NULL,
        last_seen_at TEXT NOT NULL,
        PRIMARY KEY (app_id, user_id)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX app_players_by_email ON app_players (app_id, email) WHERE email IS NOT NULL;
    CREATE TABLE app_exclusions (
        app_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        expire_at TEXT,
        PRIMARY KEY (app_id, user_id)
    ) WITHOUT ROWID;
    CREATE TABLE app_properties (
        app_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (app_id, user_id, name)
    ) WITHOUT ROWID;
    """,  # noqa: S608 - built from our own constants
    LOYALTY_TABLES,
    """
    CREATE TABLE expired_events (
        game_id TEXT NOT NULL,
        type TEXT NOT NULL,
        batch_id INTEGER NOT NULL,
        PRIMARY KEY (game_id, type)
    ) WITHOUT ROWID;
    CREATE TABLE custom_event_baselines (
        player_id INTEGER NOT NULL REFERENCES players,
        game_id TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (player_id, game_id)
    ) WITHOUT ROWID;
    """,
    ROLLUP_TABLES,
    """
    ALTER TABLE game_rules ADD COLUMN max_per_day INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE coin_days (
        player_id INTEGER NOT NULL REFERENCES players,
        game_id TEXT NOT NULL,
        day TEXT NOT NULL,
        coins INTEGER NOT NULL,
        PRIMARY KEY (player_id, game_id, day)
    ) WITHOUT ROWID;
    ALTER TABLE lynes_cells ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE erasures (count INTEGER NOT NULL);
    INSERT INTO erasures VALUES (0);
    """,
)
"""One script a schema version; never edited once released, only appended to."""
