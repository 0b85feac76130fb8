package execution

import (
	"encoding/base64"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// isBinary reports whether the media type of a result is binary and the data is
// valid base64.
func isBinary(media, data string) bool {
	kind, name, _ := strings.Cut(media, "/")
	switch {
	case pyth.IsJSON(media), strings.HasSuffix(media, "+xml"):
		return false
	case kind == "image", kind == "audio", kind == "video", kind == "font":
	case kind == "application" && slices.Contains([]string{"octet-stream", "pdf", "zip", "gzip", "wasm"}, name):
	default:
		return false
	}
	_, err := base64.StdEncoding.DecodeString(data)
	return err == nil
}
