-- +goose Up
-- Records of runs. IDs sort by time, so the table and its indexes sort by time.
CREATE TABLE executions (
    id            TEXT NOT NULL PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    state         TEXT NOT NULL,
    language      TEXT NOT NULL,
    -- A JSON array. The table execution_labels has the same labels for filters.
    labels        TEXT NOT NULL,
    session_id    TEXT,
    encrypted     TEXT,
    key_id        TEXT,
    started_at    INTEGER,
    ended_at      INTEGER,
    status        TEXT,
    reason        TEXT,
    exit_code     INTEGER,
    signal        TEXT,
    wall          INTEGER NOT NULL,
    cpu           INTEGER NOT NULL,
    memory_peak   INTEGER NOT NULL,
    queued        INTEGER NOT NULL,
    network_bytes INTEGER NOT NULL,
    content       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX executions_of_user ON executions (user_id, id);
CREATE INDEX executions_by_status ON executions (user_id, status, id);
CREATE INDEX executions_by_language ON executions (user_id, language, id);
CREATE INDEX executions_by_session ON executions (user_id, session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX executions_by_key ON executions (user_id, key_id, id) WHERE key_id IS NOT NULL;
CREATE INDEX executions_unended ON executions (id) WHERE state <> 'ended';

CREATE TABLE execution_labels (
    user_id      TEXT NOT NULL,
    label        TEXT NOT NULL,
    execution_id TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, label, execution_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX execution_labels_of ON execution_labels (execution_id);

-- Code and outcome of runs, encrypted with the user's data key.
CREATE TABLE execution_contents (
    execution_id TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    -- NULL until the run has ended.
    ended_at     INTEGER,
    sealed       BLOB NOT NULL
) STRICT;
CREATE INDEX execution_contents_by_age ON execution_contents (ended_at) WHERE ended_at IS NOT NULL;

-- +goose Down
DROP TABLE execution_contents;
DROP TABLE execution_labels;
DROP TABLE executions;
