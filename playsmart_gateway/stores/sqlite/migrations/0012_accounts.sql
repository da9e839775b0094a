CREATE TABLE accounts (
    user_id TEXT PRIMARY KEY NOT NULL,
    email TEXT UNIQUE,
    password TEXT,
    created_at INTEGER NOT NULL,
    tokens_not_before INTEGER NOT NULL,
    CHECK ((email IS NULL) = (password IS NULL))
);
CREATE INDEX accounts_revoked ON accounts (tokens_not_before)
    WHERE tokens_not_before > created_at;
CREATE INDEX lynes_users_by_id ON lynes_users (user_id);
