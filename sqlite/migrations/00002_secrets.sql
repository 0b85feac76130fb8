-- +goose Up
CREATE TABLE secrets (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    -- Up to 64 KiB: last, so that the other columns are read without it.
    sealed       BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX secrets_of_user ON secrets (user_id, name);

-- Keys of the server itself, wrapped by the root key.
CREATE TABLE server_keys (
    name    TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The root key by which new keys must be wrapped, from the first rotation on.
CREATE TABLE root_key (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id   BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE root_key;
DROP TABLE server_keys;
DROP TABLE secrets;
