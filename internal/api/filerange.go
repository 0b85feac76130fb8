package api

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// byteRange is the part of a file that a request asks for (RFC 9110, section 14.1.2).
type byteRange struct {
	// The part begins at "first" and ends with "last". If "last" is -1, it ends with the
	// file. If "first" is -1, the part is the last "last" bytes.
	first, last int64
}

// requestedRange parses the header Range. It returns false for headers that a server must
// or may ignore: other units, invalid ranges, and several ranges.
func requestedRange(h http.Header) (byteRange, bool) {
	values := h.Values("Range")
	if len(values) != 1 {
		return byteRange{}, false
	}
	unit, spec, _ := strings.Cut(values[0], "=")
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") || !ok || first == "" && last == "" {
		return byteRange{}, false
	}
	r := byteRange{-1, -1}
	for text, value := range map[*string]*int64{&first: &r.first, &last: &r.last} {
		if *text == "" {
			continue
		}
		n, err := strconv.ParseUint(*text, 10, 63)
		if err != nil {
			return byteRange{}, false
		}
		*value = int64(n)
	}
	return r, r.first < 0 || r.last < 0 || r.first <= r.last
}

// of returns the part of a file with the given size. It returns false if the part is
// empty.
func (r byteRange) of(size int64) (offset, length int64, ok bool) {
	switch {
	case r.first < 0:
		length = min(r.last, size)
		return size - length, length, length > 0
	case r.first >= size:
		return 0, 0, false
	case r.last < 0 || r.last >= size:
		return r.first, size - r.first, true
	default:
		return r.first, r.last - r.first + 1, true
	}
}

// getFilePart sends a part of a file as the response.
func (h *Handler) getFilePart(ctx context.Context, in *SessionFileRef, part byteRange) (*getFileOutput, error) {
	req := requestOf(ctx)
	f, err := h.cfg.Files.OpenFile(ctx, caller(ctx).User.ID, in.id(), in.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size := f.Entry().SizeBytes
	header := req.w.Header()
	offset, length, ok := part.of(size)
	if !ok {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return nil, pyth.Errorf(pyth.CodeRange, "The range is outside the file, which has %s bytes. Send a range that begins before the end of the file.", pyth.Digits(size))
	}
	content, err := f.Section(offset, length)
	if err != nil {
		return nil, err
	}
	header.Set("Content-Type", mediaTypeOfName(in.Path))
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, size))
	header.Set("Accept-Ranges", "bytes")
	asAttachment(header, path.Base(in.Path))
	req.w.WriteHeader(http.StatusPartialContent)
	if req.r.Method != http.MethodHead {
		// Ignore the error: the status was already sent. net/http closes the connection.
		_, _ = io.CopyN(newDownload(req.w, h.cfg.ResponseTimeout), content, length)
	}
	return &getFileOutput{Body: func(huma.Context) {}}, nil
}

// mediaTypeOfName returns the media type for the extension of a file name.
func mediaTypeOfName(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
