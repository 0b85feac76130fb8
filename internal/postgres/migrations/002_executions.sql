-- +goose Up
-- Records of runs. IDs sort by time, so the indexes sort by time.
CREATE TABLE executions (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    state         TEXT COLLATE "C" NOT NULL,
    language      TEXT COLLATE "C" NOT NULL,
    -- A JSON array. The table execution_labels has the same labels for filters.
    labels        TEXT COLLATE "C" NOT NULL,
    session_id    TEXT COLLATE "C",
    encrypted     TEXT COLLATE "C",
    key_id        TEXT COLLATE "C",
    started_at    BIGINT,
    ended_at      BIGINT,
    status        TEXT COLLATE "C",
    reason        TEXT COLLATE "C",
    exit_code     BIGINT,
    signal        TEXT COLLATE "C",
    wall          BIGINT NOT NULL,
    cpu           BIGINT NOT NULL,
    memory_peak   BIGINT NOT NULL,
    queued        BIGINT NOT NULL,
    network_bytes BIGINT NOT NULL,
    content       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX executions_of_user ON executions (user_id, id);
CREATE INDEX executions_by_status ON executions (user_id, status, id);
CREATE INDEX executions_by_language ON executions (user_id, language, id);
CREATE INDEX executions_by_session ON executions (user_id, session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX executions_by_key ON executions (user_id, key_id, id) WHERE key_id IS NOT NULL;
CREATE INDEX executions_unended ON executions (id) WHERE state <> 'ended';

CREATE TABLE execution_labels (
    user_id      TEXT COLLATE "C" NOT NULL,
    label        TEXT COLLATE "C" NOT NULL,
    execution_id TEXT COLLATE "C" NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, label, execution_id)
);
CREATE INDEX execution_labels_of ON execution_labels (execution_id);

-- Code and outcome of runs, encrypted with the user's data key.
CREATE TABLE execution_contents (
    execution_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    -- NULL until the run has ended.
    ended_at     BIGINT,
    sealed       BYTEA NOT NULL
);
CREATE INDEX execution_contents_by_age ON execution_contents (ended_at) WHERE ended_at IS NOT NULL;

-- +goose Down
DROP TABLE execution_contents;
DROP TABLE execution_labels;
DROP TABLE executions;
