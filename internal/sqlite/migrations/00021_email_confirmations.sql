-- +goose Up
-- NULL if the e-mail address is confirmed, or if no confirmation is needed. So all
-- accounts of earlier versions count as confirmed.
ALTER TABLE users ADD COLUMN email_unconfirmed_at INTEGER;

CREATE TABLE email_confirmations (
    hash       BLOB NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The form of the e-mail address for comparisons.
    email_key  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_confirmations_of_user ON email_confirmations (user_id);

-- +goose Down
DROP TABLE email_confirmations;
ALTER TABLE users DROP COLUMN email_unconfirmed_at;
