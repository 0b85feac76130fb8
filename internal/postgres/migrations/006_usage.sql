-- +goose Up
-- How much users use. Counters stay when the records of the runs are deleted. A day
-- counts from 1970-01-01.
CREATE TABLE usage_days (
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    day             BIGINT NOT NULL,
    language        TEXT COLLATE "C" NOT NULL,
    -- '' for runs that were started without an API key.
    key_id          TEXT COLLATE "C" NOT NULL,
    executions      BIGINT NOT NULL,
    cpu             BIGINT NOT NULL,
    memory          BIGINT NOT NULL,
    network_bytes   BIGINT NOT NULL,
    generate_tokens BIGINT NOT NULL,
    PRIMARY KEY (user_id, day, language, key_id)
);

-- Count the runs that the database knows.
INSERT INTO usage_days (user_id, day, language, key_id, executions, cpu, memory, network_bytes, generate_tokens)
SELECT user_id, ended_at / 86400000000, language, coalesce(key_id, ''), count(*), sum(cpu),
    sum((memory_peak / 1024 * (wall / 1000000) + 512) / 1024), sum(network_bytes), 0
FROM executions
WHERE state = 'ended' AND started_at IS NOT NULL
GROUP BY user_id, ended_at / 86400000000, language, coalesce(key_id, '');

-- Copy what the usage is grouped by, so that an index has the sizes of a user's
-- contents.
ALTER TABLE execution_contents
    ADD COLUMN user_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN language TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN key_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
UPDATE execution_contents SET user_id = e.user_id, language = e.language, key_id = coalesce(e.key_id, ''), bytes = length(sealed)
FROM executions e
WHERE e.id = execution_id;
CREATE INDEX execution_contents_of_user ON execution_contents (user_id, ended_at, language, key_id, bytes);

-- +goose Down
DROP INDEX execution_contents_of_user;
ALTER TABLE execution_contents DROP COLUMN bytes, DROP COLUMN key_id, DROP COLUMN language, DROP COLUMN user_id;
DROP TABLE usage_days;
