-- +goose Up
-- The tokens of models that users have taken on the latest day on which they
-- took any; a day counts from 1970-01-01.
CREATE TABLE token_budgets (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    day     INTEGER NOT NULL,
    tokens  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE token_budgets;
