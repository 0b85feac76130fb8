-- +goose Up
-- The audit log. One row is one leaf of the tree. Some columns repeat fields of the
-- column "record", so that queries can use indexes. In a pruned row, all columns except
-- sequence and hashes are NULL.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    -- The hashes, of 32 bytes each, of the subtrees that the leaf completes, the
    -- smallest subtree first.
    hashes   BLOB NOT NULL,
    user_id  TEXT,
    action   TEXT,
    outcome  TEXT,
    at       INTEGER,
    record   BLOB
) STRICT;
-- Each filter has an index in the order of the list, so that the cost of a page does
-- not depend on the number of other entries.
CREATE INDEX audit_of_user ON audit (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_outcome ON audit (user_id, outcome, at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_action ON audit (user_id, action, outcome, at) WHERE user_id IS NOT NULL;

-- The signed checkpoint of all rows in audit.
CREATE TABLE audit_checkpoint (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    note BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE audit_checkpoint;
DROP TABLE audit;
