-- +goose Up
-- The names of scopes, separated by spaces. NULL, for keys from before scopes existed,
-- stands for the default scopes.
ALTER TABLE api_keys ADD COLUMN scopes TEXT COLLATE "C";
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;

-- +goose Down
ALTER TABLE api_keys DROP COLUMN last_used_at;
ALTER TABLE api_keys DROP COLUMN scopes;
