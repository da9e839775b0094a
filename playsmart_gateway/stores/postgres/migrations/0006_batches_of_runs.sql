ALTER TABLE batches ADD COLUMN run bytea, ADD COLUMN seq bigint;
