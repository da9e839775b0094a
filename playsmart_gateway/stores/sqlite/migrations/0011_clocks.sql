DROP VIEW events;
CREATE VIEW events AS
    SELECT event_id, source, game_id, user_id, type, custom_event_name,
           occurred_at, received_at, customdata, adjusted_at,
           CASE WHEN adjusted_at < '2007' THEN 'past'
                WHEN adjusted_at > received_at AND adjusted_at >
                    strftime('%Y-%m-%dT%H:%M:%S', substr(received_at, 1, 19), '+26 hours')
                    || substr(received_at, 20) THEN 'future' END AS clock
    FROM (
        SELECT event_id, source, game_id, ifnull(event_rows.user_id, batches.user_id) AS user_id,
               type, custom_event_name, occurred_at, received_at, customdata,
               CASE WHEN abs(offset_ms) > 60000 THEN max(
                   '0001-01-01T00:00:00.000000Z',
                   ifnull(
                       strftime('%Y-%m-%dT%H:%M:%S', substr(occurred_at, 1, 19),
                                (offset_ms / 1000) || ' seconds') || substr(occurred_at, 20),
                       CASE WHEN offset_ms > 0 THEN '9999-12-31T23:59:59.999999Z'
                            ELSE '0001-01-01T00:00:00.000000Z' END
                   )
               ) ELSE occurred_at END AS adjusted_at
        FROM event_rows
        JOIN batches ON batches.batch_id = event_id / 256
             AND event_id BETWEEN batches.batch_id * 256 AND batches.batch_id * 256 + 255
        LEFT JOIN runs ON runs.run = batches.run
    );
