-- +goose Up
CREATE TABLE identities (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issuer       TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL,
    email        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_of_user ON identities (user_id);

-- Sign-ins at a provider that no client has exchanged for a login.
CREATE TABLE sign_ins (
    hash           BYTEA NOT NULL PRIMARY KEY,
    challenge      BYTEA NOT NULL,
    issuer         TEXT COLLATE "C" NOT NULL,
    subject        TEXT COLLATE "C" NOT NULL,
    email          TEXT COLLATE "C" NOT NULL,
    email_verified BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL
);

-- +goose Down
DROP TABLE sign_ins;
DROP TABLE identities;
