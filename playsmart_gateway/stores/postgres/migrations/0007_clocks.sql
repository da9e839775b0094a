CREATE OR REPLACE VIEW events AS
    SELECT event_id, source, game_id, coalesce(event_rows.user_id, batches.user_id) AS user_id,
           type, custom_event_name,
           to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               COLLATE "C" AS occurred_at,
           to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               COLLATE "C" AS received_at,
           customdata,
           to_char(adjusted AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               COLLATE "C" AS adjusted_at,
           CASE WHEN adjusted < '2007-01-01 00:00:00+00' THEN 'past'
                WHEN adjusted > received_at + interval '26 hours' THEN 'future' END AS clock
    FROM event_rows
    JOIN batches ON batches.batch_id = event_id / 256
    LEFT JOIN runs ON runs.run = batches.run
    CROSS JOIN LATERAL (
        SELECT CASE WHEN abs(offset_ms) > 60000 THEN least(
            greatest(occurred_at + make_interval(secs => offset_ms / 1000),
                     '0001-01-01 00:00:00+00'),
            '9999-12-31 23:59:59.999999+00'
        ) ELSE occurred_at END AS adjusted
    ) AS clocks;
