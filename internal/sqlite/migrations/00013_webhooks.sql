-- +goose Up
CREATE TABLE webhooks (
    id           TEXT NOT NULL PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url          TEXT NOT NULL,
    -- A JSON array.
    events       TEXT NOT NULL,
    -- The run whose events the webhook receives; NULL for all runs of the user.
    execution_id TEXT,
    created_at   INTEGER NOT NULL,
    -- The secret that signs deliveries, encrypted with the user's data key.
    sealed       BLOB NOT NULL
) STRICT;
CREATE INDEX webhooks_of_user ON webhooks (user_id, id) WHERE execution_id IS NULL;
CREATE INDEX webhooks_of_execution ON webhooks (execution_id) WHERE execution_id IS NOT NULL;

-- Deliveries are created in the transaction that stores their event. IDs sort by time.
CREATE TABLE webhook_deliveries (
    id              TEXT NOT NULL PRIMARY KEY,
    webhook_id      TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    user_id         TEXT NOT NULL,
    event           TEXT NOT NULL,
    execution_id    TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    state           TEXT NOT NULL,
    -- 1 if there is a background job for the delivery.
    scheduled       INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    last_attempt_at INTEGER,
    next_attempt_at INTEGER,
    response_status INTEGER NOT NULL,
    error           TEXT NOT NULL,
    -- NULL after the last attempt.
    payload         BLOB,
    UNIQUE (webhook_id, execution_id, event)
) STRICT;
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (user_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_unscheduled ON webhook_deliveries (id) WHERE state = 'pending' AND scheduled = 0;

-- +goose Down
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
