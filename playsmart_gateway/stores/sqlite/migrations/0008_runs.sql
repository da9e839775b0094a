CREATE TABLE runs (
    run BLOB PRIMARY KEY,
    next INTEGER NOT NULL,
    missing TEXT,
    duplicates INTEGER NOT NULL,
    batch_id INTEGER,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;
