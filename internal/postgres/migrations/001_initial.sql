-- +goose Up
-- The tables have the names and columns of the SQLite database, so that `pyth-on
-- migrate` can copy them. Times are microseconds since 1970 in UTC, or NULL. Texts
-- use the collation "C", which sorts by bytes, like SQLite.
CREATE TABLE users (
    id            TEXT COLLATE "C" PRIMARY KEY,
    email         TEXT COLLATE "C" NOT NULL,
    -- The form of the e-mail address for comparisons.
    email_key     TEXT COLLATE "C" NOT NULL UNIQUE,
    password_hash TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE data_keys (
    user_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    version  BIGINT NOT NULL,
    wrapped  BYTEA NOT NULL,
    -- The ID of the root key that encrypts the key; '' for keys from before root keys
    -- had IDs.
    root_key TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX data_keys_by_root_key ON data_keys (root_key);

CREATE TABLE api_keys (
    id         TEXT COLLATE "C" PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT COLLATE "C" NOT NULL,
    prefix     TEXT COLLATE "C" NOT NULL,
    hash       BYTEA NOT NULL UNIQUE,
    sealed     BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX api_keys_of_user ON api_keys (user_id, id);

CREATE TABLE refresh_tokens (
    hash        BYTEA PRIMARY KEY,
    family_id   TEXT COLLATE "C" NOT NULL,
    user_id     TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issued_at   BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    spent_at    BIGINT,
    client_hash BYTEA
);
CREATE INDEX refresh_tokens_of_user ON refresh_tokens (user_id, family_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

CREATE TABLE secrets (
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT COLLATE "C" NOT NULL,
    -- Not TEXT, because a description may contain the character U+0000.
    description  BYTEA NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    sealed       BYTEA NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- Keys of the server itself.
CREATE TABLE server_keys (
    name     TEXT COLLATE "C" PRIMARY KEY,
    root_key TEXT COLLATE "C" NOT NULL,
    wrapped  BYTEA NOT NULL
);

-- Root keys that must not encrypt further keys.
CREATE TABLE retired_root_keys (
    id TEXT COLLATE "C" PRIMARY KEY
);

-- The audit log. One row is one leaf of the tree. In a pruned row, all columns except
-- sequence and hashes are NULL.
CREATE TABLE audit (
    sequence BIGINT PRIMARY KEY,
    -- The hashes, of 32 bytes each, of the subtrees that the leaf completes, the
    -- smallest subtree first.
    hashes   BYTEA NOT NULL,
    user_id  TEXT COLLATE "C",
    action   TEXT COLLATE "C",
    outcome  TEXT COLLATE "C",
    at       BIGINT,
    record   BYTEA
);
-- Each filter has an index in the order of the list, so that the cost of a page does
-- not depend on the number of other entries.
CREATE INDEX audit_of_user ON audit (user_id, at, sequence) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_outcome ON audit (user_id, outcome, at, sequence) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_action ON audit (user_id, action, outcome, at, sequence) WHERE user_id IS NOT NULL;

-- The signed checkpoint of all rows in audit.
CREATE TABLE audit_checkpoint (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    note BYTEA NOT NULL
);

-- Programs that their authors encrypted.
CREATE TABLE encrypted_code (
    user_id     TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        TEXT COLLATE "C" NOT NULL,
    language    TEXT COLLATE "C" NOT NULL,
    -- The name in the associated data of the ciphertext; '' for none.
    bound_name  TEXT COLLATE "C" NOT NULL,
    salt        BYTEA NOT NULL,
    time        BIGINT NOT NULL,
    memory_kib  BIGINT NOT NULL,
    parallelism BIGINT NOT NULL,
    nonce       BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    executed_at BIGINT,
    ciphertext  BYTEA NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- The model tokens that each user took on the latest day with any. Days are counted
-- from 1970-01-01.
CREATE TABLE token_budgets (
    user_id TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    day     BIGINT NOT NULL,
    tokens  BIGINT NOT NULL
);

-- The lockfile of each user for a runtime, and the layer with its files.
CREATE TABLE package_lists (
    user_id  TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    runtime  TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    layer    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, runtime)
);
CREATE INDEX package_lists_by_layer ON package_lists (layer);

CREATE TABLE packages (
    user_id      TEXT COLLATE "C" NOT NULL,
    runtime      TEXT COLLATE "C" NOT NULL,
    place        TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    version      TEXT COLLATE "C" NOT NULL,
    requirement  TEXT COLLATE "C" NOT NULL,
    language     TEXT COLLATE "C" NOT NULL,
    direct       BOOLEAN NOT NULL,
    size_bytes   BIGINT NOT NULL,
    installed_at BIGINT NOT NULL,
    url          TEXT COLLATE "C" NOT NULL,
    hash         TEXT COLLATE "C" NOT NULL,
    -- Places, as a JSON array.
    requires     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, runtime, place),
    FOREIGN KEY (user_id, runtime) REFERENCES package_lists (user_id, runtime) ON DELETE CASCADE
);

-- +goose Down
DROP TABLE packages;
DROP TABLE package_lists;
DROP TABLE token_budgets;
DROP TABLE encrypted_code;
DROP TABLE audit_checkpoint;
DROP TABLE audit;
DROP TABLE retired_root_keys;
DROP TABLE server_keys;
DROP TABLE secrets;
DROP TABLE refresh_tokens;
DROP TABLE api_keys;
DROP TABLE data_keys;
DROP TABLE users;
