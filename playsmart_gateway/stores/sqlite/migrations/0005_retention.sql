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
