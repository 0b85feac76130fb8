-- +goose Up
-- NULL if the e-mail address is confirmed, or if no confirmation is needed. So all
-- accounts of earlier versions count as confirmed.
ALTER TABLE users ADD COLUMN email_unconfirmed_at BIGINT;

CREATE TABLE email_confirmations (
    hash       BYTEA NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The form of the e-mail address for comparisons.
    email_key  TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX email_confirmations_of_user ON email_confirmations (user_id);

-- +goose Down
DROP TABLE email_confirmations;
ALTER TABLE users DROP COLUMN email_unconfirmed_at;
