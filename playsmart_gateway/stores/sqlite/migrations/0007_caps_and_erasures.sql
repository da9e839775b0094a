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
