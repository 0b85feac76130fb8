package api

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// outputFile converts a file to its form in the response. Text is unchanged, and all
// other content is in base64. Like git and grep, it treats a file with a NUL byte as
// binary.
func outputFile(f pyth.File) OutputFile {
	out := OutputFile{
		Path:      f.Path,
		SizeBytes: int64(len(f.Content)),
		Encoding:  encodingUTF8,
		MediaType: mediaType(f.Path, f.Content),
	}
	if utf8.Valid(f.Content) && bytes.IndexByte(f.Content, 0) < 0 {
		out.Content = string(f.Content)
	} else {
		out.Encoding = encodingBase64
		out.Content = base64.StdEncoding.EncodeToString(f.Content)
	}
	return out
}

// mediaType returns the media type of a file. The type depends on the extension. If the
// extension is unknown, the type depends on the content. The function does not use
// package mime, because the table of this package depends on the host.
func mediaType(name string, content []byte) string {
	if known := mediaTypeOf(strings.ToLower(path.Ext(name))); known != "" {
		return known
	}
	// Remove "; charset=utf-8", because the response has a separate field for the
	// encoding.
	detected, _, _ := strings.Cut(http.DetectContentType(content), ";")
	return detected
}

// mediaTypeOf returns the media type for a file extension. It returns "" if the extension
// is unknown.
func mediaTypeOf(extension string) string {
	return map[string]string{
		".txt":     "text/plain",
		".log":     "text/plain",
		".csv":     "text/csv",
		".tsv":     "text/tab-separated-values",
		".md":      "text/markdown",
		".html":    "text/html",
		".htm":     "text/html",
		".css":     "text/css",
		".js":      "text/javascript",
		".mjs":     "text/javascript",
		".cjs":     "text/javascript",
		".ts":      "text/x-typescript",
		".py":      "text/x-python",
		".json":    "application/json",
		".jsonl":   "application/x-ndjson",
		".ndjson":  "application/x-ndjson",
		".ipynb":   "application/x-ipynb+json",
		".geojson": "application/geo+json",
		".xml":     "application/xml",
		".yaml":    "application/yaml",
		".yml":     "application/yaml",
		".toml":    "application/toml",
		".pdf":     "application/pdf",
		".zip":     "application/zip",
		".gz":      "application/gzip",
		".tar":     "application/x-tar",
		".parquet": "application/vnd.apache.parquet",
		".arrow":   "application/vnd.apache.arrow.file",
		".feather": "application/vnd.apache.arrow.file",
		".sqlite":  "application/vnd.sqlite3",
		".db":      "application/vnd.sqlite3",
		".xlsx":    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		".docx":    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".pptx":    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
		".png":     "image/png",
		".jpg":     "image/jpeg",
		".jpeg":    "image/jpeg",
		".gif":     "image/gif",
		".webp":    "image/webp",
		".svg":     "image/svg+xml",
		".bmp":     "image/bmp",
		".tif":     "image/tiff",
		".tiff":    "image/tiff",
		".ico":     "image/vnd.microsoft.icon",
		".mp3":     "audio/mpeg",
		".wav":     "audio/wav",
		".ogg":     "audio/ogg",
		".mp4":     "video/mp4",
		".webm":    "video/webm",
		".pkl":     "application/octet-stream",
		".pickle":  "application/octet-stream",
		".npy":     "application/octet-stream",
		".npz":     "application/octet-stream",
		".bin":     "application/octet-stream",
		".pt":      "application/octet-stream",
		".onnx":    "application/octet-stream",
	}[extension]
}
