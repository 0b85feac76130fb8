-- +goose Up
ALTER TABLE users
    ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT 'user',
    -- NULL for an enabled account.
    ADD COLUMN disabled_at BIGINT,
    -- A JSON object with the limits of this user, by the names of quotas.
    ADD COLUMN quotas TEXT COLLATE "C" NOT NULL DEFAULT '{}';
CREATE INDEX users_admins ON users (id) WHERE role = 'admin';

CREATE TABLE invites (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    -- NULL if any e-mail address can use the invite.
    email      TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- The administrator; NULL for an invite from the command line.
    created_by TEXT COLLATE "C",
    -- 1 for the code that creates the first administrator.
    setup      BIGINT NOT NULL
);

CREATE TABLE reset_tokens (
    hash       BYTEA NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX reset_tokens_of_user ON reset_tokens (user_id);

-- +goose Down
DROP TABLE reset_tokens;
DROP TABLE invites;
DROP INDEX users_admins;
ALTER TABLE users DROP COLUMN quotas, DROP COLUMN disabled_at, DROP COLUMN role;
