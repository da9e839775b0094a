-- Views for people and programs that ask in SQL: their names and columns stay. A day is that of
-- receipt in UTC, YYYY-MM-DD; the game '' is all games together.
CREATE TABLE game_properties (
    game_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (game_id, meaning)
) WITHOUT ROWID;
-- Purchases are few among events: this finds them, and costs the others a glance at their type.
CREATE INDEX event_rows_purchases ON event_rows (event_id) WHERE type = 'IAPPurchase';
CREATE VIEW v_purchases AS
    SELECT events.event_id, events.game_id, events.user_id, events.received_at,
           events.adjusted_at,
           (
               SELECT CASE
                   WHEN type IN ('integer', 'real') AND abs(atom + 0.0) <= 1e9 THEN atom + 0.0
                   WHEN type = 'text' AND length(atom) <= 12 AND atom GLOB '[0-9]*[0-9]'
                        AND atom NOT GLOB '*[^0-9.]*' AND atom NOT GLOB '*.*.*'
                        THEN CAST(atom AS REAL)
                   WHEN type = 'text' AND atom GLOB '[0-9]' THEN CAST(atom AS REAL) END
               FROM json_each(event_rows.customdata) WHERE key = ifnull((
                   SELECT name FROM game_properties AS own
                   WHERE own.game_id = batches.game_id AND meaning = 'price'
               ), 'price') ORDER BY id DESC LIMIT 1
           ) AS price,
           ifnull((
               SELECT CASE
                   WHEN type = 'text' AND atom GLOB '[A-Za-z][A-Za-z][A-Za-z]' THEN upper(atom) END
               FROM json_each(event_rows.customdata) WHERE key = ifnull((
                   SELECT name FROM game_properties AS own
                   WHERE own.game_id = batches.game_id AND meaning = 'currency'
               ), 'currency') ORDER BY id DESC LIMIT 1
           ), 'unknown') AS currency,
           ifnull((
               SELECT CASE
                   WHEN type <> 'text' THEN NULL
                   WHEN atom GLOB '[A-Za-z][A-Za-z]' THEN upper(atom)
                   ELSE nullif(substr(trim(atom), 1, 40), '') END
               FROM json_each(event_rows.customdata) WHERE key = ifnull((
                   SELECT name FROM game_properties AS own
                   WHERE own.game_id = batches.game_id AND meaning = 'country'
               ), 'country') ORDER BY id DESC LIMIT 1
           ), 'unknown') AS country,
           coalesce((
               SELECT iif(type = 'text', nullif(substr(trim(atom), 1, 40), ''), NULL)
               FROM json_each(event_rows.customdata) WHERE key = ifnull((
                   SELECT name FROM game_properties AS own
                   WHERE own.game_id = batches.game_id AND meaning = 'platform'
               ), 'platform') ORDER BY id DESC LIMIT 1
           ), nullif(clients.platform, ''), 'unknown') AS platform,
           coalesce((
               SELECT iif(type = 'text', nullif(substr(trim(atom), 1, 40), ''), NULL)
               FROM json_each(event_rows.customdata) WHERE key = ifnull((
                   SELECT name FROM game_properties AS own
                   WHERE own.game_id = batches.game_id AND meaning = 'app_version'
               ), 'app_version') ORDER BY id DESC LIMIT 1
           ), nullif(clients.app_version, ''), 'unknown')
               AS app_version
    FROM event_rows
    JOIN events ON events.event_id = event_rows.event_id
    JOIN batches ON batches.batch_id = event_rows.event_id / 256
    LEFT JOIN runs ON runs.run = batches.run
    LEFT JOIN clients ON clients.client_id = runs.client_id
    WHERE event_rows.type = 'IAPPurchase' AND batches.source = 'playsmart';
CREATE VIEW v_revenue AS
    SELECT substr(received_at, 1, 10) AS day, game_id, currency, country, platform, app_version,
           count(*) AS purchases, count(DISTINCT user_id) AS payers,
           count(*) - count(price) AS unpriced, coalesce(sum(price), 0) AS amount
    FROM v_purchases
    GROUP BY substr(received_at, 1, 10), game_id, currency, country, platform, app_version;
CREATE VIEW v_daily AS
    WITH counted AS (
        SELECT start / 86400 AS day, game_id, sum(events) AS events,
               sum(CASE WHEN source = 'playsmart' AND type = 'AppOpen'
                     OR source = 'teak' AND type = 'Played' THEN events ELSE 0 END) AS sessions,
               sum(CASE WHEN source = 'playsmart' AND type = 'AdImpression'
                     THEN events ELSE 0 END) AS ads,
               sum(CASE WHEN source = 'playsmart' AND type = 'IAPPurchase'
                     THEN events ELSE 0 END) AS purchases
        FROM rollup_counts WHERE span = 86400 GROUP BY start, game_id
    ), counts AS (
        SELECT * FROM counted
        UNION ALL
        SELECT day, '', sum(events), sum(sessions),
               sum(ads), sum(purchases)
        FROM counted GROUP BY day
    ), coins AS (
        SELECT day, game_id, coins FROM rollup_coins
        UNION ALL
        SELECT day, '', sum(coins) FROM rollup_coins GROUP BY day
    ), keys AS (
        SELECT day, game_id FROM rollup_days UNION SELECT day, game_id FROM counts
        UNION SELECT day, game_id FROM coins
    )
    SELECT date(keys.day * 86400, 'unixepoch') AS day,
           keys.game_id,
           coalesce(rollup_days.players, 0) AS players,
           coalesce(rollup_days.new_players, 0) AS new_players,
           coalesce(rollup_days.players, 0) - coalesce(rollup_days.new_players, 0)
               AS returning_players,
           coalesce(counts.sessions, 0) AS sessions, coalesce(counts.events, 0) AS events,
           coalesce(counts.ads, 0) AS ads, coalesce(counts.purchases, 0) AS purchases,
           coalesce(coins.coins, 0) AS coins
    FROM keys
    LEFT JOIN rollup_days ON rollup_days.day = keys.day AND rollup_days.game_id = keys.game_id
    LEFT JOIN counts ON counts.day = keys.day AND counts.game_id = keys.game_id
    LEFT JOIN coins ON coins.day = keys.day AND coins.game_id = keys.game_id;
-- Who played on a day is active until 6 and until 29 days later: come and gone are added up.
CREATE VIEW v_active AS
    WITH plays AS (
        SELECT game_id, player_id, day, day - lag(day) OVER of_one AS since,
               lead(day) OVER of_one - day AS until
        FROM rollup_player_days JOIN rollup_players USING (player_id)
        WINDOW of_one AS (PARTITION BY player_id ORDER BY day)
    ), changes AS (
        SELECT game_id, day, count(*) AS players,
               sum(CASE WHEN coalesce(since, 30) >= 7 THEN 1 ELSE 0 END) AS week,
               sum(CASE WHEN coalesce(since, 30) >= 30 THEN 1 ELSE 0 END) AS month
        FROM plays GROUP BY game_id, day
        UNION ALL
        SELECT game_id, day + 7, 0, -count(*), 0
        FROM plays WHERE coalesce(until, 30) >= 7 GROUP BY game_id, day
        UNION ALL
        SELECT game_id, day + 30, 0, 0, -count(*)
        FROM plays WHERE coalesce(until, 30) >= 30 GROUP BY game_id, day
    ), added AS (
        SELECT game_id, day, sum(players) AS players,
               sum(sum(week)) OVER so_far AS week, sum(sum(month)) OVER so_far AS month
        FROM changes GROUP BY game_id, day
        WINDOW so_far AS (PARTITION BY game_id ORDER BY day)
    )
    SELECT date(day * 86400, 'unixepoch') AS day, game_id,
           players AS players_day, week AS players_week, month AS players_month,
           100.0 * players / month AS stickiness_percent
    FROM added WHERE players > 0;
CREATE VIEW v_retention AS
    SELECT date(first_day * 86400, 'unixepoch') AS first_day,
           game_id, new_players,
           CASE WHEN first_day + 1 < today THEN day_1 END AS day_1,
           CASE WHEN first_day + 3 < today THEN day_3 END AS day_3,
           CASE WHEN first_day + 7 < today THEN day_7 END AS day_7,
           CASE WHEN first_day + 14 < today THEN day_14 END AS day_14,
           CASE WHEN first_day + 30 < today THEN day_30 END AS day_30
    FROM (
        SELECT first_day, game_id, count(DISTINCT rollup_players.player_id) AS new_players,
               sum(CASE day - first_day WHEN 1 THEN 1 ELSE 0 END) AS day_1,
               sum(CASE day - first_day WHEN 3 THEN 1 ELSE 0 END) AS day_3,
               sum(CASE day - first_day WHEN 7 THEN 1 ELSE 0 END) AS day_7,
               sum(CASE day - first_day WHEN 14 THEN 1 ELSE 0 END) AS day_14,
               sum(CASE day - first_day WHEN 30 THEN 1 ELSE 0 END) AS day_30
        FROM rollup_players LEFT JOIN rollup_player_days
            ON rollup_player_days.player_id = rollup_players.player_id
            AND day - first_day IN (1, 3, 7, 14, 30)
        GROUP BY first_day, game_id
    ) AS cohorts CROSS JOIN (SELECT CAST(strftime('%s', 'now') AS INTEGER) / 86400 AS today) AS clock;
CREATE VIEW v_levels AS
    SELECT date(day * 86400, 'unixepoch') AS day, game_id, level,
           CAST(level AS REAL) AS level_number, players,
           completions + failures AS attempts, completions, failures, timed, seconds
    FROM rollup_levels;
CREATE VIEW v_coins AS
    SELECT date(day * 86400, 'unixepoch') AS day, game_id,
           coins AS earned, 0 AS given, 0 AS taken
    FROM rollup_coins
    UNION ALL
    SELECT date(created_at / 1000000, 'unixepoch'), '', 0, sum(CASE WHEN amount > 0 THEN amount ELSE 0 END),
           -sum(CASE WHEN amount < 0 THEN amount ELSE 0 END)
    FROM coin_entries WHERE trigger IS NULL 
    GROUP BY date(created_at / 1000000, 'unixepoch');
CREATE VIEW v_names AS
    SELECT substr(received_at, 1, 10) AS day, game_id, type,
           custom_event_name AS name, count(*) AS events,
           count(DISTINCT coalesce(event_rows.user_id, batches.user_id)) AS players
    FROM event_rows JOIN batches ON batch_id = event_id / 256
    GROUP BY substr(received_at, 1, 10),
             game_id, type, custom_event_name;
CREATE VIEW v_versions AS
    SELECT day, game_id, app_version, platform, runs, numbers AS events, lost,
           100.0 * lost / numbers AS lost_percent
    FROM losses WHERE numbers > 0;
CREATE VIEW v_counted AS
    SELECT (
               SELECT received_at FROM batches WHERE batch_id <= position
               ORDER BY batch_id DESC LIMIT 1
           ) AS counted_up_to, ifnull((SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'), 0)
                - position AS batches_to_go
    FROM rollup_state;
