ALTER TABLE event_rows ADD COLUMN draw INTEGER;
CREATE TABLE players (
    player_id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    coins_balance INTEGER NOT NULL DEFAULT 0,
    total_games_played INTEGER NOT NULL DEFAULT 0,
    sessions INTEGER NOT NULL DEFAULT 0,
    best_score NUMERIC,
    last_score NUMERIC,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL
);
CREATE TABLE coin_entries (
    id INTEGER PRIMARY KEY,
    player_id INTEGER NOT NULL REFERENCES players,
    trigger INTEGER,
    amount INTEGER NOT NULL CHECK (amount <> 0),
    balance_after INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    reason TEXT
);
CREATE INDEX coin_entries_by_player ON coin_entries (player_id, id);
CREATE TRIGGER coin_entries_stay BEFORE DELETE ON coin_entries
    BEGIN SELECT RAISE(ABORT, 'coin_entries is append-only'); END;
CREATE TRIGGER coin_entries_stay_as_they_are BEFORE UPDATE ON coin_entries
    BEGIN SELECT RAISE(ABORT, 'coin_entries is append-only'); END;
CREATE TABLE custom_event_counts (
    player_id INTEGER NOT NULL REFERENCES players,
    game_id TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (player_id, game_id)
) WITHOUT ROWID;
CREATE TABLE game_rules (
    rule_id INTEGER PRIMARY KEY,
    since_batch_id INTEGER NOT NULL,
    game_id TEXT NOT NULL,
    min_amount INTEGER NOT NULL,
    max_amount INTEGER NOT NULL,
    level_millionths INTEGER NOT NULL,
    trigger_threshold INTEGER NOT NULL,
    trigger_millionths INTEGER NOT NULL
);
CREATE INDEX game_rules_by_game ON game_rules (game_id, since_batch_id);
CREATE VIEW coin_transactions AS
    SELECT id, players.user_id, game_id,
           CASE WHEN amount > 0 THEN 'earn' ELSE 'deduct' END AS type,
           CASE trigger WHEN 1 THEN 'level_complete'
                        WHEN 2 THEN 'event_trigger' END AS trigger,
           abs(amount) AS amount, balance_after - amount AS balance_before, balance_after,
           CASE WHEN trigger IS NOT NULL THEN id END AS event_id,
           strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch')
               || printf('.%06dZ', created_at % 1000000) AS created_at,
           reason
    FROM coin_entries JOIN players USING (player_id)
    LEFT JOIN batches ON batch_id = id / 256;
INSERT INTO players (user_id, first_seen_at, last_seen_at)
    SELECT user_id, min(received_at), max(received_at) FROM batches
    WHERE source = 'playsmart' GROUP BY user_id;
-- What events say about their players so far: see ``coins``. The last of two members of one name
-- is the one that counts, and a LIMIT, here of none, has the score looked for once.
UPDATE players SET
    sessions = sessions + opened,
    total_games_played = total_games_played + ended,
    best_score = coalesce(max(best_score, best), best, best_score),
    last_score = ifnull(
        (SELECT (
            SELECT iif(type IN ('integer', 'real') AND atom BETWEEN -1.7e308 AND 1.7e308, atom, NULL)
            FROM json_each(customdata) WHERE key = 'score' ORDER BY id DESC LIMIT 1
        ) FROM event_rows WHERE event_id = last),
        last_score
    )
FROM (
    SELECT player_id AS whose, sum(type = 'AppOpen') AS opened, sum(type = 'GameEnd') AS ended,
           max(score) AS best, max(iif(score IS NULL, NULL, event_id)) AS last
    FROM (
        SELECT player_id, event_id, type,
               iif(type = 'GameEnd', (
                   SELECT iif(type IN ('integer', 'real') AND atom BETWEEN -1.7e308 AND 1.7e308, atom, NULL)
                   FROM json_each(customdata) WHERE key = 'score' ORDER BY id DESC LIMIT 1
               ), NULL) AS score
        FROM event_rows CROSS JOIN batches JOIN players USING (user_id)
        WHERE batch_id = event_id / 256
        AND type IN ('AppOpen', 'GameEnd') AND source = 'playsmart' LIMIT -1
    )
    GROUP BY player_id
)
WHERE player_id = whose;
