// Package column converts Go values and records to SQL columns and back. Its scan
// targets (destinations of a read) implement sql.Scanner. Both database/sql and pgx
// support sql.Scanner.
package column

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// TimeValue returns the column value for a time: microseconds since 1970, or NULL
// for the zero time.
func TimeValue(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// Time returns a scan target for a column that was written with TimeValue.
func Time(t *time.Time) sql.Scanner { return timeOf{t} }

type timeOf struct{ t *time.Time }

func (d timeOf) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*d.t = time.Time{}
	case int64:
		*d.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("column contains a time of type %T", v)
	}
	return nil
}

// DayValue returns the UTC day of a time as the number of days since 1970-01-01.
func DayValue(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// Day returns a scan target for a column that was written with DayValue.
func Day(t *time.Time) sql.Scanner { return dayOf{t} }

type dayOf struct{ t *time.Time }

func (d dayOf) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("column contains a day of type %T", v)
	}
	*d.t = time.Unix(n*24*60*60, 0).UTC()
	return nil
}

// Hash returns a scan target for a hash column. It reads NULL as the zero hash.
func Hash(h *[32]byte) sql.Scanner { return hashOf{h} }

type hashOf struct{ h *[32]byte }

func (d hashOf) Scan(v any) error {
	*d.h = [32]byte{}
	if v == nil {
		return nil
	}
	b, ok := v.([]byte)
	if !ok || copy(d.h[:], b) != len(d.h) || len(b) != len(d.h) {
		return errors.New("column does not contain a hash of 32 bytes")
	}
	return nil
}

// HashesValue returns the column value for several hashes. The value contains the bytes
// of all hashes, one hash after the other.
func HashesValue(hashes [][32]byte) []byte {
	all := make([]byte, 0, 32*len(hashes))
	for i := range hashes {
		all = append(all, hashes[i][:]...)
	}
	return all
}

// Hashes returns a scan target for a column that was written with HashesValue.
func Hashes(hashes *[][32]byte) sql.Scanner { return hashesOf{hashes} }

type hashesOf struct{ hashes *[][32]byte }

func (d hashesOf) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b)%32 != 0 {
		return errors.New("column does not contain hashes of 32 bytes")
	}
	*d.hashes = make([][32]byte, 0, len(b)/32)
	for h := range slices.Chunk(b, 32) {
		*d.hashes = append(*d.hashes, [32]byte(h))
	}
	return nil
}

// boolValue returns the column value for a boolean.
func boolValue(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
