CREATE TABLE rollup_state (position INTEGER NOT NULL);
INSERT INTO rollup_state VALUES (0);
CREATE TABLE rollup_counts (
    span INTEGER NOT NULL,
    start INTEGER NOT NULL,
    game_id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (span, start, game_id, source, type)
) WITHOUT ROWID;
CREATE TABLE rollup_players (
    player_id INTEGER PRIMARY KEY,
    game_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    first_day INTEGER NOT NULL,
    UNIQUE (game_id, user_id)
);
CREATE TABLE rollup_player_days (
    player_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (player_id, day)
) WITHOUT ROWID;
CREATE TABLE rollup_player_levels (
    player_id INTEGER NOT NULL,
    level TEXT NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (player_id, level)
) WITHOUT ROWID;
CREATE TABLE rollup_days (
    game_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    players INTEGER NOT NULL DEFAULT 0,
    new_players INTEGER NOT NULL DEFAULT 0,
    retained_1 INTEGER NOT NULL DEFAULT 0,
    retained_7 INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (game_id, day)
) WITHOUT ROWID;
CREATE TABLE rollup_levels (
    game_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    level TEXT NOT NULL,
    completions INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    players INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, game_id, level)
) WITHOUT ROWID;
CREATE TABLE rollup_coins (
    day INTEGER NOT NULL,
    game_id TEXT NOT NULL,
    coins INTEGER NOT NULL,
    PRIMARY KEY (day, game_id)
) WITHOUT ROWID;
CREATE TABLE rollup_actions (
    game_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    action TEXT NOT NULL,
    events INTEGER NOT NULL,
    occurrences REAL NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (day, game_id, action)
) WITHOUT ROWID;
CREATE TRIGGER rollup_new_player AFTER INSERT ON rollup_players BEGIN
    INSERT INTO rollup_days (game_id, day, new_players) VALUES (NEW.game_id, NEW.first_day, 1)
    ON CONFLICT DO UPDATE SET new_players = new_players + 1; END;
CREATE TRIGGER rollup_player_active AFTER INSERT ON rollup_player_days BEGIN
    INSERT INTO rollup_days (game_id, day, players)
    SELECT game_id, NEW.day, 1 FROM rollup_players WHERE player_id = NEW.player_id
    ON CONFLICT DO UPDATE SET players = players + 1; END;
CREATE TRIGGER rollup_retained_1 AFTER INSERT ON rollup_player_days BEGIN
    UPDATE rollup_days SET retained_1 = retained_1 + 1
    WHERE (game_id, day) = (
        SELECT game_id, first_day FROM rollup_players
        WHERE player_id = NEW.player_id AND first_day + 1 = NEW.day
    ); END;
CREATE TRIGGER rollup_retained_7 AFTER INSERT ON rollup_player_days BEGIN
    UPDATE rollup_days SET retained_7 = retained_7 + 1
    WHERE (game_id, day) = (
        SELECT game_id, first_day FROM rollup_players
        WHERE player_id = NEW.player_id AND first_day + 7 = NEW.day
    ); END;
CREATE TRIGGER rollup_level_player AFTER INSERT ON rollup_player_levels BEGIN
    UPDATE rollup_levels SET players = players + 1
    WHERE day = NEW.day AND level = NEW.level
    AND game_id = (SELECT game_id FROM rollup_players WHERE player_id = NEW.player_id); END;
