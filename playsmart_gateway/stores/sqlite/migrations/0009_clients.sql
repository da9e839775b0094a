CREATE TABLE clients (
    client_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    app_version TEXT NOT NULL,
    platform TEXT NOT NULL,
    runs INTEGER NOT NULL,
    UNIQUE (name, version, app_version, platform)
);
ALTER TABLE runs ADD COLUMN client_id INTEGER;
ALTER TABLE runs ADD COLUMN offset_ms INTEGER;
