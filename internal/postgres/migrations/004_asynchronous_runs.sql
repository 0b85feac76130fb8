-- +goose Up
-- Whether the run was accepted asynchronously.
ALTER TABLE executions ADD COLUMN async BIGINT NOT NULL DEFAULT 0;
-- The server that has claimed or started an asynchronous run.
ALTER TABLE executions ADD COLUMN server_id TEXT COLLATE "C";
ALTER TABLE executions ADD COLUMN cancel_requested BIGINT NOT NULL DEFAULT 0;
DROP INDEX executions_unended;
CREATE INDEX executions_unended ON executions (user_id, state, id) WHERE state <> 'ended';
CREATE INDEX executions_unended_synchronous ON executions (id) WHERE state <> 'ended' AND async = 0;
CREATE INDEX executions_waiting ON executions (user_id, id) WHERE state = 'queued' AND async = 1 AND server_id IS NULL;
CREATE INDEX executions_of_server ON executions (server_id) WHERE state <> 'ended' AND server_id IS NOT NULL;
CREATE INDEX executions_to_cancel ON executions (id) WHERE state <> 'ended' AND cancel_requested = 1;

-- Requests of queued runs, encrypted with the user's data key. A request is deleted
-- when its run starts or is canceled.
CREATE TABLE execution_requests (
    execution_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    user_id      TEXT COLLATE "C" NOT NULL,
    size         BIGINT NOT NULL,
    sealed       BYTEA NOT NULL
);
CREATE INDEX execution_requests_of_user ON execution_requests (user_id, size);

-- The servers that use the database.
CREATE TABLE servers (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE servers;
DROP TABLE execution_requests;
DROP INDEX executions_to_cancel;
DROP INDEX executions_of_server;
DROP INDEX executions_waiting;
DROP INDEX executions_unended_synchronous;
DROP INDEX executions_unended;
CREATE INDEX executions_unended ON executions (id) WHERE state <> 'ended';
ALTER TABLE executions DROP COLUMN cancel_requested;
ALTER TABLE executions DROP COLUMN server_id;
ALTER TABLE executions DROP COLUMN async;
