-- +goose Up
-- The names of scopes, separated by spaces. NULL, for keys from before scopes existed,
-- stands for the default scopes.
ALTER TABLE api_keys ADD COLUMN scopes TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;

-- +goose Down
ALTER TABLE api_keys DROP COLUMN last_used_at;
ALTER TABLE api_keys DROP COLUMN scopes;
