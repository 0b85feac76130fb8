-- +goose Up
-- NULL for an account without an active second factor.
ALTER TABLE users ADD COLUMN second_factor_at INTEGER;

CREATE TABLE second_factors (
    user_id    TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    -- The secret, encrypted with the user's data key.
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_step  INTEGER NOT NULL,
    -- Attempts since the last accepted code, and the time of the last one.
    attempts   INTEGER NOT NULL,
    attempt_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash    BLOB NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE recovery_codes;
DROP TABLE second_factors;
ALTER TABLE users DROP COLUMN second_factor_at;
