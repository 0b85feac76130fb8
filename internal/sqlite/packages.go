package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	selectLayers   = "SELECT runtime, layer FROM package_lists WHERE user_id = ?"
	selectPackages = "SELECT place, name, version, requirement, language, direct, size_bytes, installed_at, url, hash, requires" +
		" FROM packages WHERE user_id = ? AND runtime = ? ORDER BY place"
	insertPackage = "INSERT INTO packages (user_id, runtime, place, name, version, requirement, language, direct, size_bytes, installed_at, url, hash, requires)" +
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

// PackageList returns the user's lockfile for the runtime. If the user has no lockfile
// yet, PackageList returns an empty list with revision 0.
func (s *Store) PackageList(ctx context.Context, user pyth.UserID, runtime pyth.Runtime) (*pyth.PackageList, error) {
	list := &pyth.PackageList{Runtime: runtime}
	// Read the list and its packages in one transaction, so that both belong to the same
	// revision.
	tx, err := s.reader.BeginTx(ctx, nil)
	if err != nil {
		return nil, failure(err)
	}
	defer func() { _ = tx.Rollback() }() // Ignore the error, because the transaction has written nothing.
	err = tx.QueryRowContext(ctx, "SELECT revision, layer FROM package_lists WHERE user_id = ? AND runtime = ?", user, runtime).
		Scan(&list.Revision, &list.Layer)
	if errors.Is(err, sql.ErrNoRows) {
		return list, nil
	}
	if err != nil {
		return nil, failure(err)
	}
	rows, err := tx.QueryContext(ctx, selectPackages, user, runtime)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		p := new(pyth.PinnedPackage)
		var requires []byte
		if err := rows.Scan(&p.Place, &p.Name, &p.Version, &p.Requirement, &p.Language, &p.Direct, &p.SizeBytes,
			column.Time(&p.InstalledAt), &p.URL, &p.Hash, &requires); err != nil {
			return nil, failure(err)
		}
		if err := json.Unmarshal(requires, &p.Requires); err != nil {
			return nil, err
		}
		list.Packages = append(list.Packages, p)
	}
	return list, failure(rows.Err())
}

// PackageLayers returns the layers of all lockfiles of the user.
func (s *Store) PackageLayers(ctx context.Context, user pyth.UserID) (pyth.Layers, error) {
	var layers pyth.Layers
	rows, err := s.reader.QueryContext(ctx, selectLayers, user)
	if err != nil {
		return layers, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var runtime pyth.Runtime
		var layer pyth.LayerID
		if err := rows.Scan(&runtime, &layer); err != nil {
			return layers, failure(err)
		}
		layers = layers.With(runtime, layer)
	}
	return layers, failure(rows.Err())
}

// PutPackageList replaces the user's lockfile. It returns CodeConflict unless the stored
// revision is list.Revision-1.
func (s *Store) PutPackageList(ctx context.Context, user pyth.UserID, list *pyth.PackageList) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		query := "UPDATE package_lists SET revision = ?3, layer = ?4 WHERE user_id = ?1 AND runtime = ?2 AND revision = ?3 - 1"
		if list.Revision == 1 {
			query = "INSERT INTO package_lists (user_id, runtime, revision, layer) VALUES (?1, ?2, ?3, ?4)"
		}
		changed, err := affected(tx.ExecContext(ctx, query, user, list.Runtime, list.Revision, list.Layer))
		if duplicate(err) || err == nil && !changed {
			return pyth.Errorf(pyth.CodeConflict, "The packages were changed by another request at the same time. Try again.")
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM packages WHERE user_id = ? AND runtime = ?", user, list.Runtime); err != nil {
			return err
		}
		for _, p := range list.Packages {
			requires, err := json.Marshal(p.Requires)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, insertPackage, user, list.Runtime, p.Place, p.Name, p.Version, p.Requirement, p.Language,
				p.Direct, p.SizeBytes, column.TimeValue(p.InstalledAt), p.URL, p.Hash, string(requires)); err != nil {
				return err
			}
		}
		return nil
	})
}

// UsedLayers returns the layers in the lockfiles of all users. It returns each layer
// only once.
func (s *Store) UsedLayers(ctx context.Context) ([]pyth.LayerID, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT DISTINCT layer FROM package_lists WHERE layer <> '' ORDER BY layer")
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []pyth.LayerID
	for rows.Next() {
		var layer pyth.LayerID
		if err := rows.Scan(&layer); err != nil {
			return nil, failure(err)
		}
		all = append(all, layer)
	}
	return all, failure(rows.Err())
}
