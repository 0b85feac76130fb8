-- +goose Up
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user';
-- NULL for an enabled account.
ALTER TABLE users ADD COLUMN disabled_at INTEGER;
-- A JSON object with the limits of this user, by the names of quotas.
ALTER TABLE users ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
CREATE INDEX users_admins ON users (id) WHERE role = 'admin';

CREATE TABLE invites (
    id         TEXT NOT NULL PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    -- NULL if any e-mail address can use the invite.
    email      TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- The administrator; NULL for an invite from the command line.
    created_by TEXT,
    -- 1 for the code that creates the first administrator.
    setup      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reset_tokens (
    hash       BLOB NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reset_tokens_of_user ON reset_tokens (user_id);

-- +goose Down
DROP TABLE reset_tokens;
DROP TABLE invites;
DROP INDEX users_admins;
ALTER TABLE users DROP COLUMN quotas;
ALTER TABLE users DROP COLUMN disabled_at;
ALTER TABLE users DROP COLUMN role;
