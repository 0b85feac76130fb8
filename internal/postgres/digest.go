package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// digest computes a hash of rows. Equal values have equal hashes in all databases. This
// is true even if one database stores a string as bytes, or a boolean as a number.
type digest struct {
	hash hash.Hash
	rows int64
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

// These constants are the kinds of values in the hashed form of a row.
const (
	kindNull = iota
	kindNumber
	kindBytes
)

// The method "add" adds a row. The hashed form of a value contains the kind and the
// content of the value. The content of bytes begins with the number of bytes, so that
// different rows have different forms.
func (d *digest) add(row []any) error {
	var form []byte
	for _, value := range row {
		switch v := value.(type) {
		case nil:
			form = append(form, kindNull)
		case int64:
			form = binary.BigEndian.AppendUint64(append(form, kindNumber), uint64(v))
		case bool:
			number := uint64(0)
			if v {
				number = 1
			}
			form = binary.BigEndian.AppendUint64(append(form, kindNumber), number)
		case string:
			form = binary.BigEndian.AppendUint64(append(form, kindBytes), uint64(len(v)))
			form = append(form, v...)
		case []byte:
			form = binary.BigEndian.AppendUint64(append(form, kindBytes), uint64(len(v)))
			form = append(form, v...)
		default:
			return fmt.Errorf("a value has the type %T", value)
		}
	}
	d.rows++
	_, err := d.hash.Write(form)
	return err
}

func (d *digest) sum() []byte { return d.hash.Sum(nil) }
