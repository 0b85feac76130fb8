-- +goose Up
CREATE TABLE webhooks (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url          TEXT COLLATE "C" NOT NULL,
    -- A JSON array.
    events       TEXT COLLATE "C" NOT NULL,
    -- The run whose events the webhook receives; NULL for all runs of the user.
    execution_id TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    -- The secret that signs deliveries, encrypted with the user's data key.
    sealed       BYTEA NOT NULL
);
CREATE INDEX webhooks_of_user ON webhooks (user_id, id) WHERE execution_id IS NULL;
CREATE INDEX webhooks_of_execution ON webhooks (execution_id) WHERE execution_id IS NOT NULL;

-- Deliveries are created in the transaction that stores their event. IDs sort by time.
CREATE TABLE webhook_deliveries (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    webhook_id      TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    user_id         TEXT COLLATE "C" NOT NULL,
    event           TEXT COLLATE "C" NOT NULL,
    execution_id    TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    -- 1 if there is a background job for the delivery.
    scheduled       BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    last_attempt_at BIGINT,
    next_attempt_at BIGINT,
    response_status BIGINT NOT NULL,
    error           TEXT COLLATE "C" NOT NULL,
    -- NULL after the last attempt.
    payload         BYTEA,
    UNIQUE (webhook_id, execution_id, event)
);
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (user_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_unscheduled ON webhook_deliveries (id) WHERE state = 'pending' AND scheduled = 0;

-- +goose Down
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
