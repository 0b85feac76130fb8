package postgres

import (
	"fmt"
)

// textOf is a scan target for a string in a BYTEA column.
type textOf struct{ s *string }

func (d textOf) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok {
		return fmt.Errorf("column contains a text of type %T", v)
	}
	*d.s = string(b)
	return nil
}
