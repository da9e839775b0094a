CREATE TABLE catalogue_state (position bigint NOT NULL);
INSERT INTO catalogue_state VALUES (0);
CREATE TABLE catalogue_entries (
    game_id text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    learned text NOT NULL,
    PRIMARY KEY (game_id, source, type, name)
);
