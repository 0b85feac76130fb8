-- +goose Up
-- 1 if the server sent the token to the e-mail address of the user.
ALTER TABLE reset_tokens ADD COLUMN mailed BIGINT NOT NULL DEFAULT 0;
-- When a reset token set a new password while the e-mail address was not confirmed.
ALTER TABLE users ADD COLUMN taken_over_at BIGINT;

-- +goose Down
ALTER TABLE users DROP COLUMN taken_over_at;
ALTER TABLE reset_tokens DROP COLUMN mailed;
