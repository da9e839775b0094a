-- The price of a refund may be a text, too: "-4.99".
CREATE OR REPLACE VIEW v_purchases AS
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
                        data ->> price_name ~ '^-?[0-9]+(\.[0-9]+)?$'
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
