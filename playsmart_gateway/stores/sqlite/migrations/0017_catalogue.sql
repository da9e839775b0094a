CREATE TABLE catalogue_state (position INTEGER NOT NULL);
INSERT INTO catalogue_state VALUES (0);
CREATE TABLE catalogue_entries (
    game_id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    learned TEXT NOT NULL,
    UNIQUE (game_id, source, type, name)
);
CREATE INDEX dead_letters_by_reason ON dead_letters (game_id, reason, event_count, buried_at);
