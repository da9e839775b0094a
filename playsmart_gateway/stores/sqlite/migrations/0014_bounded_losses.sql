DROP VIEW losses;
CREATE VIEW losses AS
    SELECT day, game_id, app_version, platform,
           count(*) AS runs, sum(numbers) AS numbers, sum(lost) AS lost
    FROM run_losses
    WHERE seen_at < (CAST(strftime('%s', 'now') AS INTEGER) - 3600) * 1000000
          AND numbers <= 10000000000 AND lost <= 1000000
    GROUP BY day, game_id, app_version, platform;
DELETE FROM rollup_losses;
