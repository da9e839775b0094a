CREATE TABLE accounts (
    user_id text COLLATE "C" PRIMARY KEY,
    email text COLLATE "C" UNIQUE,
    password text,
    created_at bigint NOT NULL,
    tokens_not_before bigint NOT NULL,
    CHECK ((email IS NULL) = (password IS NULL))
);
CREATE INDEX accounts_revoked ON accounts (tokens_not_before)
    WHERE tokens_not_before > created_at;
CREATE INDEX lynes_users_by_id ON lynes_users (user_id);
