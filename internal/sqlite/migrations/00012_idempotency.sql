-- +goose Up
-- Requests with an idempotency key. The key and the request are keyed hashes. The
-- answer is encrypted with the user's data key, and NULL until the request has ended.
CREATE TABLE idempotent_requests (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash   BLOB NOT NULL,
    request    BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    answer     BLOB,
    PRIMARY KEY (user_id, key_hash)
) STRICT;
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);

-- +goose Down
DROP TABLE idempotent_requests;
