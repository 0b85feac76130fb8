package postgres

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// timeValue returns the column value for a time: microseconds since 1970, or NULL for
// the zero time.
func timeValue(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// timeOf is a scan target for a column that was written with timeValue.
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

// hashOf is a scan target for a hash column. It reads NULL as the zero hash.
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

// hashesOf is a scan target for a column with concatenated hashes.
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

func joined(hashes [][32]byte) []byte {
	all := make([]byte, 0, 32*len(hashes))
	for i := range hashes {
		all = append(all, hashes[i][:]...)
	}
	return all
}

// textOf is a scan target for a text in a BYTEA column.
type textOf struct{ s *string }

func (d textOf) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok {
		return fmt.Errorf("column contains a text of type %T", v)
	}
	*d.s = string(b)
	return nil
}
