-- The price of a refund may be a text, too: "-4.99".
DROP VIEW v_purchases;
CREATE VIEW v_purchases AS
    SELECT events.event_id, events.game_id, events.user_id, events.received_at,
           events.adjusted_at,
           (
               SELECT CASE
                   WHEN type IN ('integer', 'real') AND abs(atom + 0.0) <= 1e9 THEN atom + 0.0
                   WHEN type = 'text' AND length(atom) <= 12 AND (
                           digits GLOB '[0-9]' OR digits GLOB '[0-9]*[0-9]'
                           AND digits NOT GLOB '*[^0-9.]*' AND digits NOT GLOB '*.*.*'
                        ) THEN CAST(atom AS REAL) END
               FROM (
                   SELECT *, substr(atom, 1 + (atom GLOB '-*')) AS digits
                   FROM json_each(event_rows.customdata)
               ) WHERE key = ifnull((
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
