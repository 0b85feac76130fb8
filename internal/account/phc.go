package account

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltBytes = 16
	hashBytes = 32
)

type parameters struct {
	memoryKiB, time uint32
	parallelism     uint8
}

// phc is a password hash with its parameters and salt. The method String returns the
// PHC string format: $argon2id$v=19$m=19456,t=2,p=1$salt$hash. Salt and hash are in
// base64 without padding.
type phc struct {
	parameters
	salt, hash []byte
}

var errPHC = errors.New("account: the stored password hash has an invalid format")

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memoryKiB, p.time, p.parallelism, b64.EncodeToString(p.salt), b64.EncodeToString(p.hash))
}

// parsePHC parses the PHC string format. It rejects parameters with a high cost.
// Otherwise an attacker with write access to the database could make the server use all
// its memory.
func parsePHC(s string) (*phc, error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errPHC
	}
	costs := strings.Split(fields[3], ",")
	if len(costs) != 3 {
		return nil, errPHC
	}
	memory, err1 := cost(costs[0], "m=", 8, 256*1024)
	time, err2 := cost(costs[1], "t=", 1, 10)
	parallelism, err3 := cost(costs[2], "p=", 1, 16)
	salt, err4 := base64.RawStdEncoding.Strict().DecodeString(fields[4])
	hash, err5 := base64.RawStdEncoding.Strict().DecodeString(fields[5])
	if errors.Join(err1, err2, err3, err4, err5) != nil || len(salt) < 8 || len(salt) > 64 || len(hash) < 16 || len(hash) > 64 {
		return nil, errPHC
	}
	p := &phc{parameters{memory, time, uint8(parallelism)}, salt, hash}
	if p.String() != s {
		// Reject strings that the method String would not return, for example strings
		// with line breaks or leading zeros.
		return nil, errPHC
	}
	return p, nil
}

func cost(field, name string, minimum, maximum uint32) (uint32, error) {
	value, ok := strings.CutPrefix(field, name)
	n, err := strconv.ParseUint(value, 10, 32)
	if !ok || err != nil || uint32(n) < minimum || uint32(n) > maximum {
		return 0, errPHC
	}
	return uint32(n), nil
}
