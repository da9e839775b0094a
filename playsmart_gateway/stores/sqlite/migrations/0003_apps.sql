ALTER TABLE event_rows ADD COLUMN user_id TEXT;
DROP VIEW events;
CREATE VIEW events AS
    SELECT event_id, source, game_id, ifnull(event_rows.user_id, batches.user_id) AS user_id,
           type, custom_event_name, occurred_at, received_at, customdata
    FROM event_rows JOIN batches
        ON batch_id = event_id / 256
        AND event_id BETWEEN batch_id * 256
                     AND batch_id * 256 + 255;
CREATE TABLE app_players (
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    country_code TEXT NOT NULL,
    timezone_id TEXT NOT NULL,
    email TEXT,
    email_state TEXT NOT NULL DEFAULT 'opt_in',
    push_state TEXT NOT NULL DEFAULT 'opt_in',
    sms_state TEXT NOT NULL DEFAULT 'opt_out',
    sessions INTEGER NOT NULL DEFAULT 1,
    installed_event_id INTEGER,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    PRIMARY KEY (app_id, user_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX app_players_by_email ON app_players (app_id, email) WHERE email IS NOT NULL;
CREATE TABLE app_exclusions (
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expire_at TEXT,
    PRIMARY KEY (app_id, user_id)
) WITHOUT ROWID;
CREATE TABLE app_properties (
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (app_id, user_id, name)
) WITHOUT ROWID;
