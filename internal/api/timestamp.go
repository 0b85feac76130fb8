package api

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// Timestamp is a time in a response. Its format is RFC 3339, in UTC with
// milliseconds.
type Timestamp time.Time

const timestampLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSONTo encodes the time as a JSON string.
func (t Timestamp) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteToken(jsontext.String(time.Time(t).UTC().Format(timestampLayout)))
}

// IsZero reports whether the time is not set. encoding/json calls IsZero for fields with
// the option omitzero.
func (t Timestamp) IsZero() bool { return time.Time(t).IsZero() }

// Schema returns a string schema with the format date-time.
func (Timestamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-04-04T08:23:21.123Z"}}
}
