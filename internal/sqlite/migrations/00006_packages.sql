-- +goose Up
-- The lockfile of each user for a runtime, and the layer with its files.
CREATE TABLE package_lists (
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    runtime  TEXT NOT NULL,
    revision INTEGER NOT NULL,
    layer    TEXT NOT NULL,
    PRIMARY KEY (user_id, runtime)
) STRICT, WITHOUT ROWID;
CREATE INDEX package_lists_by_layer ON package_lists (layer);

CREATE TABLE packages (
    user_id      TEXT NOT NULL,
    runtime      TEXT NOT NULL,
    place        TEXT NOT NULL,
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    requirement  TEXT NOT NULL,
    language     TEXT NOT NULL,
    direct       INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    installed_at INTEGER NOT NULL,
    url          TEXT NOT NULL,
    hash         TEXT NOT NULL,
    -- Places, as a JSON array.
    requires     TEXT NOT NULL,
    PRIMARY KEY (user_id, runtime, place),
    FOREIGN KEY (user_id, runtime) REFERENCES package_lists (user_id, runtime) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE packages;
DROP TABLE package_lists;
