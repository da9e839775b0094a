-- Views for people and programs that ask in SQL: their names and columns stay. A day is that of
-- receipt in UTC, YYYY-MM-DD; the game '' is all games together.
CREATE TABLE game_properties (
    game_id text COLLATE "C" NOT NULL,
    meaning text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (game_id, meaning)
);
-- Purchases are few among events: this finds them, and costs the others a glance at their type.
CREATE INDEX event_rows_purchases ON event_rows (event_id) WHERE type = 'IAPPurchase';
CREATE VIEW v_purchases AS
    SELECT event_id, game_id, coalesce(event_rows.user_id, batches.user_id) AS user_id,
           (SELECT received_at FROM events WHERE events.event_id = event_rows.event_id)
               AS received_at,
           (SELECT adjusted_at FROM events WHERE events.event_id = event_rows.event_id)
               AS adjusted_at,
           CASE WHEN abs(price) <= 1e9 THEN price::float8 END AS price,
           CASE WHEN currency ~ '^[A-Za-z]{3}$' THEN upper(currency)
                ELSE 'unknown' END AS currency,
           CASE WHEN country ~ '^[A-Za-z]{2}$' THEN upper(country)
                ELSE coalesce(country, 'unknown') END AS country,
           coalesce(said.platform, nullif(clients.platform, ''), 'unknown') AS platform,
           coalesce(said.app_version, nullif(clients.app_version, ''), 'unknown') AS app_version
    FROM event_rows
    JOIN batches ON batches.batch_id = event_rows.event_id / 256
    LEFT JOIN runs ON runs.run = batches.run
    LEFT JOIN clients ON clients.client_id = runs.client_id
    CROSS JOIN LATERAL (
        SELECT CASE json_typeof(customdata) WHEN 'object' THEN readable(customdata) END AS data,
            coalesce((
                SELECT name FROM game_properties AS own
                WHERE own.game_id = batches.game_id AND meaning = 'price'
            ), 'price') AS price_name,
            coalesce((
                SELECT name FROM game_properties AS own
                WHERE own.game_id = batches.game_id AND meaning = 'currency'
            ), 'currency') AS currency_name,
            coalesce((
                SELECT name FROM game_properties AS own
                WHERE own.game_id = batches.game_id AND meaning = 'country'
            ), 'country') AS country_name,
            coalesce((
                SELECT name FROM game_properties AS own
                WHERE own.game_id = batches.game_id AND meaning = 'platform'
            ), 'platform') AS platform_name,
            coalesce((
                SELECT name FROM game_properties AS own
                WHERE own.game_id = batches.game_id AND meaning = 'app_version'
            ), 'app_version') AS app_version_name
        OFFSET 0
    ) AS named
    CROSS JOIN LATERAL (
        SELECT CASE json_typeof(data -> price_name)
                    WHEN 'number' THEN CASE WHEN length(data ->> price_name) < 300 AND
                        data ->> price_name ~ '^-?[0-9]{1,10}(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$'
                        THEN (data ->> price_name)::numeric END
                    WHEN 'string' THEN CASE WHEN length(data ->> price_name) <= 12 AND
                        data ->> price_name ~ '^[0-9]+(\.[0-9]+)?$'
                        THEN (data ->> price_name)::numeric END END AS price,
               CASE json_typeof(data -> currency_name) WHEN 'string'
                    THEN nullif(left(trim(data ->> currency_name), 40), '') END AS currency,
               CASE json_typeof(data -> country_name) WHEN 'string'
                    THEN nullif(left(trim(data ->> country_name), 40), '') END AS country,
               CASE json_typeof(data -> platform_name) WHEN 'string'
                    THEN nullif(left(trim(data ->> platform_name), 40), '') END AS platform,
               CASE json_typeof(data -> app_version_name) WHEN 'string'
                    THEN nullif(left(trim(data ->> app_version_name), 40), '') END AS app_version
        OFFSET 0
    ) AS said
    WHERE event_rows.type = 'IAPPurchase' AND batches.source = 'playsmart';
CREATE VIEW v_revenue AS
    SELECT substr(received_at, 1, 10) AS day, game_id, currency, country, platform, app_version,
           count(*) AS purchases, count(DISTINCT user_id) AS payers,
           count(*) - count(price) AS unpriced, coalesce(sum(price), 0) AS amount
    FROM v_purchases
    GROUP BY substr(received_at, 1, 10), game_id, currency, country, platform, app_version;
CREATE VIEW v_daily AS
    WITH counted AS (
        SELECT start / 86400 AS day, game_id, (sum(events))::bigint AS events,
               (sum(CASE WHEN source = 'playsmart' AND type = 'AppOpen'
                     OR source = 'teak' AND type = 'Played' THEN events ELSE 0 END))::bigint AS sessions,
               (sum(CASE WHEN source = 'playsmart' AND type = 'AdImpression'
                     THEN events ELSE 0 END))::bigint AS ads,
               (sum(CASE WHEN source = 'playsmart' AND type = 'IAPPurchase'
                     THEN events ELSE 0 END))::bigint AS purchases
        FROM rollup_counts WHERE span = 86400 GROUP BY start, game_id
    ), counts AS (
        SELECT * FROM counted
        UNION ALL
        SELECT day, '', (sum(events))::bigint, (sum(sessions))::bigint,
               (sum(ads))::bigint, (sum(purchases))::bigint
        FROM counted GROUP BY day
    ), coins AS (
        SELECT day, game_id, coins FROM rollup_coins
        UNION ALL
        SELECT day, '', (sum(coins))::bigint FROM rollup_coins GROUP BY day
    ), keys AS (
        SELECT day, game_id FROM rollup_days UNION SELECT day, game_id FROM counts
        UNION SELECT day, game_id FROM coins
    )
    SELECT to_char(date '1970-01-01' + (keys.day)::integer, 'YYYY-MM-DD') COLLATE "C" AS day,
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
        SELECT game_id, day, (sum(players))::bigint AS players,
               (sum(sum(week)) OVER so_far)::bigint AS week, (sum(sum(month)) OVER so_far)::bigint AS month
        FROM changes GROUP BY game_id, day
        WINDOW so_far AS (PARTITION BY game_id ORDER BY day)
    )
    SELECT to_char(date '1970-01-01' + (day)::integer, 'YYYY-MM-DD') COLLATE "C" AS day, game_id,
           players AS players_day, week AS players_week, month AS players_month,
           100.0 * players / month AS stickiness_percent
    FROM added WHERE players > 0;
CREATE VIEW v_retention AS
    SELECT to_char(date '1970-01-01' + (first_day)::integer, 'YYYY-MM-DD') COLLATE "C" AS first_day,
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
    ) AS cohorts CROSS JOIN (SELECT extract(epoch FROM now())::bigint / 86400 AS today) AS clock;
CREATE VIEW v_levels AS
    SELECT to_char(date '1970-01-01' + (day)::integer, 'YYYY-MM-DD') COLLATE "C" AS day, game_id, level,
           coalesce(substring(level FROM '^ *([-+]?[0-9]{1,40}(?:\.[0-9]*)?(?:e\+[0-9]{2})?)')::float8, 0) AS level_number, players,
           completions + failures AS attempts, completions, failures, timed, seconds
    FROM rollup_levels;
CREATE VIEW v_coins AS
    SELECT to_char(date '1970-01-01' + (day)::integer, 'YYYY-MM-DD') COLLATE "C" AS day, game_id,
           coins AS earned, 0::bigint AS given, 0::bigint AS taken
    FROM rollup_coins
    UNION ALL
    SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') COLLATE "C", '', 0, (sum(CASE WHEN amount > 0 THEN amount ELSE 0 END))::bigint,
           (-sum(CASE WHEN amount < 0 THEN amount ELSE 0 END))::bigint
    FROM coin_entries WHERE trigger IS NULL 
    GROUP BY to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') COLLATE "C";
CREATE VIEW v_names AS
    SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') COLLATE "C" AS day, game_id, type,
           custom_event_name AS name, count(*) AS events,
           count(DISTINCT coalesce(event_rows.user_id, batches.user_id)) AS players
    FROM event_rows JOIN batches ON batch_id = event_id / 256
    GROUP BY to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') COLLATE "C",
             game_id, type, custom_event_name;
CREATE VIEW v_versions AS
    SELECT day, game_id, app_version, platform, runs, numbers AS events, lost,
           100.0 * lost / numbers AS lost_percent
    FROM losses WHERE numbers > 0;
CREATE VIEW v_counted AS
    SELECT (
               SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                   COLLATE "C"
               FROM batches WHERE batch_id <= position ORDER BY batch_id DESC LIMIT 1
           ) AS counted_up_to, (SELECT last_batch_id FROM batch_counter) - position AS batches_to_go
    FROM rollup_state;
