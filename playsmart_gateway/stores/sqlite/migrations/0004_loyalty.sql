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
