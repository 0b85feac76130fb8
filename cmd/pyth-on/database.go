package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyth-on/pyth-on/internal/sqlite"
)

const databaseName = "pyth-on.db"

type dataFlags struct {
	DataDir string `default:"./data" type:"path" help:"The server's data directory."`
}

// database opens the existing database in the data directory. The function "open" is
// sqlite.Open or sqlite.OpenToRead. A running server may use the database at the
// same time.
func (f dataFlags) database(ctx context.Context, open func(context.Context, string) (*sqlite.Store, error)) (*sqlite.Store, error) {
	path := filepath.Join(f.DataDir, databaseName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the database %s does not exist; set --data-dir to the data directory of the server", path)
	} else if err != nil {
		return nil, err
	}
	return open(ctx, path)
}
