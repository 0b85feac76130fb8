-- +goose Up
-- One row, which the server changes to check that writes are kept.
CREATE TABLE write_check (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE write_check;
