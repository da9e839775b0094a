CREATE TABLE player_states (
    player_id INTEGER PRIMARY KEY,
    last_seen INTEGER NOT NULL,
    coins_balance INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    total_games_played INTEGER NOT NULL,
    best_score NUMERIC,
    last_score NUMERIC
);
CREATE TABLE player_changes (
    player_id INTEGER PRIMARY KEY,
    last_seen INTEGER NOT NULL DEFAULT 0,
    coins_balance INTEGER NOT NULL DEFAULT 0,
    sessions INTEGER NOT NULL DEFAULT 0,
    total_games_played INTEGER NOT NULL DEFAULT 0,
    best_score NUMERIC,
    last_score NUMERIC
);
CREATE TABLE player_folding (
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    newest INTEGER NOT NULL
);
INSERT INTO player_states
    SELECT player_id,
           ifnull(CAST(strftime('%s', substr(last_seen_at, 1, 19)) AS INTEGER), 0) * 1000000
               + CAST(substr(last_seen_at, 21, 6) AS INTEGER),
           coins_balance, sessions, total_games_played, best_score, last_score
    FROM players;
INSERT INTO player_folding SELECT 0, 0, ifnull(max(last_seen), 0) FROM player_states;
ALTER TABLE players RENAME TO player_names;
ALTER TABLE player_names DROP COLUMN coins_balance;
ALTER TABLE player_names DROP COLUMN total_games_played;
ALTER TABLE player_names DROP COLUMN sessions;
ALTER TABLE player_names DROP COLUMN best_score;
ALTER TABLE player_names DROP COLUMN last_score;
ALTER TABLE player_names DROP COLUMN last_seen_at;
CREATE VIEW players AS
    SELECT player_names.player_id, user_id,
           ifnull(state.coins_balance, 0) + ifnull(change.coins_balance, 0) AS coins_balance,
           ifnull(state.total_games_played, 0) + ifnull(change.total_games_played, 0)
               AS total_games_played,
           ifnull(state.sessions, 0) + ifnull(change.sessions, 0) AS sessions,
           coalesce(max(state.best_score, change.best_score), change.best_score, state.best_score)
               AS best_score,
           ifnull(change.last_score, state.last_score) AS last_score,
           first_seen_at,
           strftime('%Y-%m-%dT%H:%M:%S',
                    max(ifnull(state.last_seen, 0), ifnull(change.last_seen, 0)) / 1000000,
                    'unixepoch')
               || printf('.%06dZ',
                         max(ifnull(state.last_seen, 0), ifnull(change.last_seen, 0)) % 1000000)
               AS last_seen_at
    FROM player_names
    LEFT JOIN player_states AS state ON state.player_id = player_names.player_id
    LEFT JOIN player_changes AS change ON change.player_id = player_names.player_id;
-- Of the triggers each statement but the last has a remark behind it: a line that ends with a
-- semicolon ends the whole.
CREATE TRIGGER players_go INSTEAD OF DELETE ON players BEGIN
    DELETE FROM player_states WHERE player_id = OLD.player_id; -- what it was
    DELETE FROM player_changes WHERE player_id = OLD.player_id; -- what came to it
    DELETE FROM player_names WHERE player_id = OLD.player_id; END;
CREATE TRIGGER players_are_changed INSTEAD OF UPDATE ON players BEGIN
    UPDATE player_names SET user_id = NEW.user_id, first_seen_at = NEW.first_seen_at
    WHERE player_id = OLD.player_id; -- who it is
    DELETE FROM player_changes WHERE player_id = OLD.player_id; -- what came to it
    INSERT OR REPLACE INTO player_states VALUES (
        OLD.player_id,
        ifnull(CAST(strftime('%s', substr(NEW.last_seen_at, 1, 19)) AS INTEGER), 0) * 1000000
            + CAST(substr(NEW.last_seen_at, 21, 6) AS INTEGER),
        NEW.coins_balance, NEW.sessions, NEW.total_games_played, NEW.best_score, NEW.last_score
    ); END;
