CREATE VIEW run_losses AS
    SELECT runs.run, runs.seen_at,
           to_char(to_timestamp(runs.seen_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')
               COLLATE "C" AS day,
           coalesce(batches.game_id, 'unknown') AS game_id,
           coalesce(nullif(clients.app_version, ''), 'unknown') AS app_version,
           coalesce(nullif(clients.platform, ''), 'unknown') AS platform,
           runs.next AS numbers,
           CASE WHEN runs.missing IS NULL THEN 0 ELSE (
               SELECT sum((span ->> 1)::bigint - (span ->> 0)::bigint)::bigint
               FROM json_array_elements(runs.missing::json) AS span
           ) END AS lost,
           runs.missing
    FROM runs
    LEFT JOIN batches ON batches.batch_id = runs.batch_id
    LEFT JOIN clients ON clients.client_id = runs.client_id
    WHERE batches.source IS DISTINCT FROM 'lynes';
CREATE VIEW losses AS
    SELECT day, game_id, app_version, platform,
           count(*) AS runs, sum(numbers)::bigint AS numbers, sum(lost)::bigint AS lost
    FROM run_losses
    WHERE seen_at < (extract(epoch FROM now())::bigint - 3600) * 1000000
    GROUP BY day, game_id, app_version, platform;
CREATE TABLE rollup_losses (
    day bigint NOT NULL,
    game_id text COLLATE "C" NOT NULL,
    app_version text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    numbers bigint NOT NULL,
    lost bigint NOT NULL,
    PRIMARY KEY (day, game_id, app_version, platform)
);
