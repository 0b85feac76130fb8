package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// databaseName is the name of the SQLite database in the data directory.
const databaseName = "pyth-on.db"

// databaseFlags select a PostgreSQL database. A flag cannot contain a password, because
// all users of the machine can read the arguments of a process. For a URL with a
// password, use PYTH_ON_DATABASE: the function hideSettings hides the value of this
// variable.
type databaseFlags struct {
	Database     string `env:"-" placeholder:"URL" help:"URL of a PostgreSQL database for one or several servers: postgres://USER@HOST/NAME (default: an SQLite database in the data directory). If the URL has a password, use PYTH_ON_DATABASE or --database-file instead of this flag."`
	DatabaseFile string `type:"existingfile" help:"File with the URL of the PostgreSQL database."`
	// flag is the name of the flag that sets the field Database. Error messages use
	// this name. The value "" means --database.
	flag string
}

// url returns the URL of the PostgreSQL database, or "" if the database is SQLite. Call
// url only once, because it closes the file descriptor that contains the hidden URL.
func (f *databaseFlags) url() (string, error) {
	hidden, given, err := hiddenSetting(databaseVariable)
	if err != nil {
		return "", err
	}
	defer clear(hidden)
	return f.choose(string(hidden), given)
}

func (f *databaseFlags) choose(hidden string, given bool) (string, error) {
	flag := cmp.Or(f.flag, "--database")
	switch {
	case f.Database != "" && f.DatabaseFile != "", given && f.DatabaseFile != "", given && f.Database != "" && f.Database != hidden:
		return "", fmt.Errorf("more than one of %s, --database-file and %s is given; choose one", flag, databaseVariable)
	case f.DatabaseFile != "":
		url, err := onlyLine(f.DatabaseFile, "URL of the database")
		if err != nil {
			return "", err
		}
		return url, postgres.CheckURL(url)
	case f.Database != "":
		return f.Database, checkArgument(flag, f.Database)
	case given:
		return hidden, postgres.CheckURL(hidden)
	}
	return "", nil
}

// checkArgument returns an error if the URL in the flag is not valid or contains a
// password.
func checkArgument(flag, url string) error {
	if err := postgres.CheckURL(url); err != nil {
		return err
	}
	if postgres.HasPassword(url) {
		return fmt.Errorf("the URL in %s has a password, and all users of this machine can read the arguments of a process; "+
			"remove the password from the flag, and set %s or --database-file to the URL", flag, databaseVariable)
	}
	return nil
}

type dataFlags struct {
	DataDir string `default:"./data" type:"path" help:"The server's data directory."`
}

// serverFlags select the database of a server. Commands such as `backup` use these
// flags to read the server's data.
type serverFlags struct {
	dataFlags
	databaseFlags
}

// openToRead opens an existing database only for reading. Servers may use the database
// at the same time.
func (f *serverFlags) openToRead(ctx context.Context) (pyth.Store, error) {
	url, err := f.url()
	if err != nil {
		return nil, err
	}
	if url != "" {
		return postgres.OpenToRead(ctx, url)
	}
	path, err := f.sqlitePath()
	if err != nil {
		return nil, err
	}
	return sqlite.OpenToRead(ctx, path)
}

// The method "open" opens an existing database. Servers may use the database at the
// same time.
func (f *serverFlags) open(ctx context.Context) (pyth.Store, error) {
	url, err := f.url()
	if err != nil {
		return nil, err
	}
	if url != "" {
		return postgres.Open(ctx, url)
	}
	path, err := f.sqlitePath()
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, path)
}

// sqlitePath returns the path of the SQLite database, or an error if the database
// does not exist.
func (f *dataFlags) sqlitePath() (string, error) {
	path := filepath.Join(f.DataDir, databaseName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the database %s does not exist; set --data-dir to the data directory of the server", path)
	} else if err != nil {
		return "", err
	}
	return path, nil
}
