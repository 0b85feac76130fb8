-- +goose Up
-- The token buckets of rate limits, which all servers share. The table is unlogged: a
-- write waits for no disk, and a crash of PostgreSQL makes all buckets full.
CREATE UNLOGGED TABLE rate_limits (
    -- A hash of the limit and the key.
    bucket  BYTEA PRIMARY KEY,
    tokens  DOUBLE PRECISION NOT NULL,
    -- Whether the last call took a token.
    taken   BOOLEAN NOT NULL,
    at      TIMESTAMPTZ NOT NULL,
    full_at TIMESTAMPTZ NOT NULL
);

-- +goose Down
DROP TABLE rate_limits;
