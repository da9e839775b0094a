CREATE TABLE clients (
    client_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    app_version text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    UNIQUE (name, version, app_version, platform)
);
ALTER TABLE runs ADD COLUMN client_id bigint, ADD COLUMN offset_ms bigint;
