ALTER TABLE game_rules ADD COLUMN max_per_day bigint NOT NULL DEFAULT 0;
CREATE TABLE coin_days (
    player_id bigint NOT NULL,
    game_id text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    coins bigint NOT NULL,
    PRIMARY KEY (player_id, game_id, day)
) WITH (fillfactor = 60);
ALTER TABLE lynes_cells ADD COLUMN erased bigint NOT NULL DEFAULT 0;
CREATE TABLE erasures (count bigint NOT NULL);
INSERT INTO erasures VALUES (0);
