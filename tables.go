package pyth

import (
	"context"
	"iter"
)

// TableSource reads all tables of a store, so that the tables can be copied to another
// store. All methods read the same consistent state of the store.
type TableSource interface {
	// Tables returns a map from the name of each table to its columns.
	Tables(ctx context.Context) (map[string][]string, error)
	// Count returns the number of rows of a table.
	Count(ctx context.Context, table string) (int64, error)
	// Rows returns the given columns of all rows, sorted by the columns in the
	// parameter "order". Values are int64, string, []byte or nil. Strings and byte
	// slices are sorted byte by byte.
	Rows(ctx context.Context, table string, columns, order []string) iter.Seq2[[]any, error]
}

// TableTarget is a new store that receives all tables of another store.
type TableTarget interface {
	TableSource
	// Fill inserts rows with the given columns into an empty table. Values are int64,
	// bool, string, []byte or nil.
	Fill(ctx context.Context, table string, columns []string, rows iter.Seq2[[]any, error]) error
}
