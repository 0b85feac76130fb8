package api

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Names of the lists that have pages. A cursor is valid for only one list.
const (
	cursorActive     = "active executions"
	cursorInvites    = "invites"
	cursorUsers      = "users"
	cursorAudit      = "audit"
	cursorDeliveries = "deliveries"
	cursorExecutions = "executions"
	cursorKeys       = "keys"
	cursorLogins     = "logins"
	cursorSecrets    = "secrets"
	cursorSessions   = "sessions"
)

// cursorSum is the length of the checksum in a cursor, in bytes.
const cursorSum = 6

// newCursor returns a cursor that points to the page after an item. The parameter
// "position" is the position of this item. If "position" is "", newCursor returns "".
func newCursor(list string, user pyth.UserID, position string) string {
	if position == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(sumOfCursor(list, user, position), position...))
}

// The function "position" returns the position that a cursor contains. It returns an
// error if the cursor is invalid or belongs to another list or user. The checksum detects
// mistakes of clients, but does not prevent forged cursors.
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

const badCursor = "must be the nextCursor of the previous page of the same list and account; omit it for the first page"
