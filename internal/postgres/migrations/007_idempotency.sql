-- +goose Up
-- Requests with an idempotency key. The key and the request are keyed hashes. The
-- answer is encrypted with the user's data key, and NULL until the request has ended.
CREATE TABLE idempotent_requests (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash   BYTEA NOT NULL,
    request    BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    answer     BYTEA,
    PRIMARY KEY (user_id, key_hash)
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);

-- +goose Down
DROP TABLE idempotent_requests;
