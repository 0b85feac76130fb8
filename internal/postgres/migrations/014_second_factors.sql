-- +goose Up
-- NULL for an account without an active second factor.
ALTER TABLE users ADD COLUMN second_factor_at BIGINT;

CREATE TABLE second_factors (
    user_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    id         TEXT COLLATE "C" NOT NULL,
    -- The secret, encrypted with the user's data key.
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    last_step  BIGINT NOT NULL,
    -- Attempts since the last accepted code, and the time of the last one.
    attempts   BIGINT NOT NULL,
    attempt_at BIGINT
);

CREATE TABLE recovery_codes (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash    BYTEA NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- +goose Down
DROP TABLE recovery_codes;
DROP TABLE second_factors;
ALTER TABLE users DROP COLUMN second_factor_at;
