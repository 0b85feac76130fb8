-- +goose Up
-- Programs that their authors encrypted.
CREATE TABLE encrypted_code (
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    language    TEXT NOT NULL,
    -- The name in the associated data of the ciphertext; '' for none.
    bound_name  TEXT NOT NULL,
    salt        BLOB NOT NULL,
    time        INTEGER NOT NULL,
    memory_kib  INTEGER NOT NULL,
    parallelism INTEGER NOT NULL,
    nonce       BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    executed_at INTEGER,
    -- This column is large. It is last, so that SQLite reads the other columns
    -- without it.
    ciphertext  BLOB NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT;

-- +goose Down
DROP TABLE encrypted_code;
