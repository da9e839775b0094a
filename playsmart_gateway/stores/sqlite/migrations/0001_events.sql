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
        ON batch_id = event_id / 256
        AND event_id BETWEEN batch_id * 256
                     AND batch_id * 256 + 255;
