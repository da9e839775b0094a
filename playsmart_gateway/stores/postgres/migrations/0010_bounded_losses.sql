CREATE OR REPLACE VIEW losses AS
    SELECT day, game_id, app_version, platform,
           count(*) AS runs, sum(numbers)::bigint AS numbers, sum(lost)::bigint AS lost
    FROM run_losses
    WHERE seen_at < (extract(epoch FROM now())::bigint - 3600) * 1000000
          AND numbers <= 10000000000 AND lost <= 1000000
    GROUP BY day, game_id, app_version, platform;
DELETE FROM rollup_losses;
