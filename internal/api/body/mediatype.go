package body

import (
	"mime"
	"net/http"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// checkMediaType returns an error if the body is not JSON in UTF-8, or has a content
// encoding. The server does not decompress bodies, because a small body could become very
// large.
func checkMediaType(h http.Header, hasBody bool) error {
	if err := CheckCoding(h); err != nil {
		return err
	}
	switch types := h.Values("Content-Type"); {
	case len(types) > 1:
		return unsupported("The request has several Content-Type headers. Send only one.")
	case len(types) == 0 || types[0] == "":
		if hasBody {
			return unsupported("The request has no Content-Type. Send Content-Type: application/json.")
		}
		return nil
	case types[0] == "application/json":
		return nil
	default:
		if isForm(types[0]) {
			return unsupported("The body must be JSON, not a form. Send Content-Type: application/json. With curl use -H 'Content-Type: application/json' -d '{…}'.")
		}
		mediaType, params, err := mime.ParseMediaType(types[0])
		if err != nil || mediaType != "application/json" {
			return unsupported("The Content-Type is not JSON. Send Content-Type: application/json.")
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			return unsupported("The charset in Content-Type is not UTF-8. Send the body in UTF-8.")
		}
		return nil
	}
}

// CheckCoding returns an error if the body has a content encoding, for example gzip. The
// server does not decompress bodies, because a small body could become very large.
func CheckCoding(h http.Header) error {
	for _, coding := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return unsupported("The body has a Content-Encoding, which this server does not support. Send the body without Content-Encoding.")
		}
	}
	return nil
}

// CheckWhole returns an error if the body of an upload is not the whole file. It rejects
// a range of a file (RFC 9110, section 14.5) and an HTML form. Without this check, the
// server would store the range or the form instead of the file.
func CheckWhole(h http.Header) error {
	if len(h.Values("Content-Range")) > 0 {
		return pyth.Invalid("header.Content-Range", "is not supported: send the whole file")
	}
	for _, value := range h.Values("Content-Type") {
		// Accept the type application/x-www-form-urlencoded, because curl --data-binary
		// sends this type for every file.
		if isForm(value) && !strings.Contains(strings.ToLower(value), "urlencoded") {
			return unsupported("The body must be the bytes of the file, not a form. With curl use -T FILE instead of -F.")
		}
	}
	return nil
}

// isForm reports whether HTML forms use this content type.
func isForm(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return strings.HasPrefix(kind, "multipart/") || kind == "application/x-www-form-urlencoded"
}

func unsupported(message string) error {
	return &pyth.Error{Code: pyth.CodeUnsupportedMedia, Message: message}
}
