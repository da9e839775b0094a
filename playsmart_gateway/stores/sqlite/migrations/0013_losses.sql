CREATE VIEW run_losses AS
    SELECT runs.run, runs.seen_at, date(runs.seen_at / 1000000, 'unixepoch') AS day,
           ifnull(batches.game_id, 'unknown') AS game_id,
           ifnull(nullif(clients.app_version, ''), 'unknown') AS app_version,
           ifnull(nullif(clients.platform, ''), 'unknown') AS platform,
           runs.next AS numbers,
           CASE WHEN runs.missing IS NULL THEN 0 ELSE (
               SELECT sum((value ->> 1) - (value ->> 0)) FROM json_each(runs.missing)
           ) END AS lost,
           runs.missing
    FROM runs
    LEFT JOIN batches ON batches.batch_id = runs.batch_id
    LEFT JOIN clients ON clients.client_id = runs.client_id
    WHERE batches.source IS NOT 'lynes';
CREATE VIEW losses AS
    SELECT day, game_id, app_version, platform,
           count(*) AS runs, sum(numbers) AS numbers, sum(lost) AS lost
    FROM run_losses
    WHERE seen_at < (CAST(strftime('%s', 'now') AS INTEGER) - 3600) * 1000000
    GROUP BY day, game_id, app_version, platform;
CREATE TABLE rollup_losses (
    day INTEGER NOT NULL,
    game_id TEXT NOT NULL,
    app_version TEXT NOT NULL,
    platform TEXT NOT NULL,
    runs INTEGER NOT NULL,
    numbers INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    PRIMARY KEY (day, game_id, app_version, platform)
) WITHOUT ROWID;
