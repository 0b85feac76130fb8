package api

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Cursors of lists. Each is of one list and one user.
const (
	cursorAudit    = "audit"
	cursorKeys     = "keys"
	cursorSecrets  = "secrets"
	cursorSessions = "sessions"
)

// cursorSum is how many bytes of a cursor tell it from anything else.
const cursorSum = 6

// newCursor makes the cursor that callers see of where a page ended; "" stays so.
func newCursor(list string, user pyth.UserID, position string) string {
	if position == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(sumOfCursor(list, user, position), position...))
}

// position is where the page before ended. It refuses what newCursor did not
// make for this list and user; it is no secret, and protects from mistakes only.
func position(list string, user pyth.UserID, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) <= cursorSum || strings.ContainsAny(cursor, "\r\n") {
		return "", pyth.Invalid("query.cursor", badCursor)
	}
	at := string(b[cursorSum:])
	if string(b[:cursorSum]) != string(sumOfCursor(list, user, at)) {
		return "", pyth.Invalid("query.cursor", badCursor)
	}
	return at, nil
}

func sumOfCursor(list string, user pyth.UserID, position string) []byte {
	sum := sha256.Sum256([]byte(list + "\x00" + string(user) + "\x00" + position))
	return sum[:cursorSum]
}

// badCursor is the message for a cursor that is of no page.
const badCursor = "must be the nextCursor of the page before, of this list and account; leave it out for the first page"
