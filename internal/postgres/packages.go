package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	selectPackages = "SELECT place, name, version, requirement, language, direct, size_bytes, installed_at, url, hash, requires" +
		" FROM packages WHERE user_id = $1 AND runtime = $2 ORDER BY place"
	insertPackage = "INSERT INTO packages (user_id, runtime, place, name, version, requirement, language, direct, size_bytes, installed_at, url, hash, requires)" +
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
)

// PackageList returns the user's lockfile for the runtime. If the user has no lockfile
// yet, PackageList returns an empty list with revision 0.
func (s *Store) PackageList(ctx context.Context, user pyth.UserID, runtime pyth.Runtime) (*pyth.PackageList, error) {
	list := &pyth.PackageList{Runtime: runtime}
	// Read the list and its packages in one snapshot, so that both belong to the same
	// revision.
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := s.reading(ctx, func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
			err := tx.QueryRow(ctx, "SELECT revision, layer FROM package_lists WHERE user_id = $1 AND runtime = $2", user, runtime).
				Scan(&list.Revision, &list.Layer)
			if err != nil {
				return err
			}
			rows, err := tx.Query(ctx, selectPackages, user, runtime)
			if err != nil {
				return err
			}
			list.Packages, err = pgx.CollectRows(rows, scanPackage)
			return err
		})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	if len(list.Packages) == 0 {
		list.Packages = nil
	}
	return list, nil
}

func scanPackage(row pgx.CollectableRow) (*pyth.PinnedPackage, error) {
	p := new(pyth.PinnedPackage)
	var requires []byte
	if err := row.Scan(&p.Place, &p.Name, &p.Version, &p.Requirement, &p.Language, &p.Direct, &p.SizeBytes,
		column.Time(&p.InstalledAt), &p.URL, &p.Hash, &requires); err != nil {
		return nil, err
	}
	return p, json.Unmarshal(requires, &p.Requires)
}

// PackageLayers returns the layers of all lockfiles of the user.
func (s *Store) PackageLayers(ctx context.Context, user pyth.UserID) (layers pyth.Layers, err error) {
	type list struct {
		runtime pyth.Runtime
		layer   pyth.LayerID
	}
	lists, err := collect(ctx, s, func(row pgx.CollectableRow) (l list, err error) {
		return l, row.Scan(&l.runtime, &l.layer)
	}, "SELECT runtime, layer FROM package_lists WHERE user_id = $1", user)
	for _, l := range lists {
		layers = layers.With(l.runtime, l.layer)
	}
	return layers, err
}

// PutPackageList replaces the user's lockfile. It returns CodeConflict unless the stored
// revision is list.Revision-1.
func (s *Store) PutPackageList(ctx context.Context, user pyth.UserID, list *pyth.PackageList) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		query := "UPDATE package_lists SET revision = $3::bigint, layer = $4 WHERE user_id = $1 AND runtime = $2 AND revision = $3::bigint - 1"
		if list.Revision == 1 {
			query = "INSERT INTO package_lists (user_id, runtime, revision, layer) VALUES ($1, $2, $3, $4)"
		}
		tag, err := tx.Exec(ctx, query, user, list.Runtime, list.Revision, list.Layer)
		if duplicate(err) || err == nil && tag.RowsAffected() == 0 {
			return pyth.Errorf(pyth.CodeConflict, "The packages were changed by another request at the same time. Try again.")
		}
		if err != nil {
			return err
		}
		changes := new(pgx.Batch)
		changes.Queue("DELETE FROM packages WHERE user_id = $1 AND runtime = $2", user, list.Runtime)
		for _, p := range list.Packages {
			requires, err := json.Marshal(p.Requires)
			if err != nil {
				return err
			}
			changes.Queue(insertPackage, user, list.Runtime, p.Place, p.Name, p.Version, p.Requirement, p.Language,
				p.Direct, p.SizeBytes, column.TimeValue(p.InstalledAt), p.URL, p.Hash, string(requires))
		}
		return tx.SendBatch(ctx, changes).Close()
	})
}

// UsedLayers returns the layers in the lockfiles of all users. It returns each layer
// only once.
func (s *Store) UsedLayers(ctx context.Context) ([]pyth.LayerID, error) {
	return collect(ctx, s, pgx.RowTo[pyth.LayerID], "SELECT DISTINCT layer FROM package_lists WHERE layer <> '' ORDER BY layer")
}
