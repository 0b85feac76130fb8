-- +goose Up
CREATE TABLE secrets (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    -- This column can have 64 KiB. It is last, so that SQLite reads the other columns
    -- without it.
    sealed       BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX secrets_of_user ON secrets (user_id, name);

-- The ID of the root key that encrypts the key; '' for keys from before root keys
-- had IDs.
ALTER TABLE data_keys ADD COLUMN root_key TEXT NOT NULL DEFAULT '';
CREATE INDEX data_keys_by_root_key ON data_keys (root_key);

-- Keys of the server itself.
CREATE TABLE server_keys (
    name     TEXT PRIMARY KEY,
    root_key TEXT NOT NULL,
    wrapped  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Root keys that must not encrypt further keys.
CREATE TABLE retired_root_keys (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE retired_root_keys;
DROP TABLE server_keys;
DROP INDEX data_keys_by_root_key;
ALTER TABLE data_keys DROP COLUMN root_key;
DROP TABLE secrets;
