-- +goose Up
-- The audit log: one row is one leaf of the tree. The columns beside record say
-- again what is in it, for finding it. Where a record was pruned all but
-- sequence and hashes are NULL.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    -- Hashes of 32 bytes each of the subtrees that the leaf completes, its own first.
    hashes   BLOB NOT NULL,
    user_id  TEXT,
    action   TEXT,
    outcome  TEXT,
    at       INTEGER,
    record   BLOB
) STRICT;
-- Each filter has an index that ends in the order of the list, so that a page
-- costs the same however many entries are not on it.
CREATE INDEX audit_of_user ON audit (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_outcome ON audit (user_id, outcome, at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_action ON audit (user_id, action, outcome, at) WHERE user_id IS NOT NULL;

-- The signed checkpoint that covers all rows above.
CREATE TABLE audit_checkpoint (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    note BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE audit_checkpoint;
DROP TABLE audit;
