-- +goose Up
-- One row, which the servers change to check that writes are kept.
CREATE TABLE write_check (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE write_check;
