CREATE TABLE runs (
    run bytea PRIMARY KEY,
    next bigint NOT NULL,
    missing text COLLATE "C",
    duplicates bigint NOT NULL,
    batch_id bigint,
    seen_at bigint NOT NULL
) WITH (fillfactor = 80);
