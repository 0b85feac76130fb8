-- +goose Up
-- The number of model tokens that each user took on the user's latest day with
-- tokens. The day is the number of days since 1970-01-01.
CREATE TABLE token_budgets (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    day     INTEGER NOT NULL,
    tokens  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE token_budgets;
