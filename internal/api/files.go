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

// outputFile shows text as text and everything else in base64. A NUL makes it
// binary, as in git and grep.
func outputFile(f pyth.File) OutputFile {
	out := OutputFile{
		Path:      f.Path,
		SizeBytes: int64(len(f.Content)),
		Encoding:  "utf8",
		MediaType: mediaType(f.Path, f.Content),
	}
	if utf8.Valid(f.Content) && bytes.IndexByte(f.Content, 0) < 0 {
		out.Content = string(f.Content)
	} else {
		out.Encoding = "base64"
		out.Content = base64.StdEncoding.EncodeToString(f.Content)
	}
	return out
}

// mediaType goes by the extension and else by the content. The table is our
// own, as package mime reads the host's and would answer differently on each.
func mediaType(name string, content []byte) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".txt", ".log":
		return "text/plain"
	case ".csv":
		return "text/csv"
	case ".tsv":
		return "text/tab-separated-values"
	case ".md":
		return "text/markdown"
	case ".html", ".htm":
		return "text/html"
	case ".css":
		return "text/css"
	case ".js", ".mjs", ".cjs":
		return "text/javascript"
	case ".ts":
		return "text/x-typescript"
	case ".py":
		return "text/x-python"
	case ".json":
		return "application/json"
	case ".jsonl", ".ndjson":
		return "application/x-ndjson"
	case ".ipynb":
		return "application/x-ipynb+json"
	case ".geojson":
		return "application/geo+json"
	case ".xml":
		return "application/xml"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".toml":
		return "application/toml"
	case ".pdf":
		return "application/pdf"
	case ".zip":
		return "application/zip"
	case ".gz":
		return "application/gzip"
	case ".tar":
		return "application/x-tar"
	case ".parquet":
		return "application/vnd.apache.parquet"
	case ".arrow", ".feather":
		return "application/vnd.apache.arrow.file"
	case ".sqlite", ".db":
		return "application/vnd.sqlite3"
	case ".xlsx":
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case ".docx":
		return "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	case ".pptx":
		return "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".svg":
		return "image/svg+xml"
	case ".bmp":
		return "image/bmp"
	case ".tif", ".tiff":
		return "image/tiff"
	case ".ico":
		return "image/vnd.microsoft.icon"
	case ".mp3":
		return "audio/mpeg"
	case ".wav":
		return "audio/wav"
	case ".ogg":
		return "audio/ogg"
	case ".mp4":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".pkl", ".pickle", ".npy", ".npz", ".bin", ".pt", ".onnx":
		return "application/octet-stream"
	default:
		// It says "text/plain; charset=utf-8"; the encoding is told apart from
		// the type here.
		sniffed, _, _ := strings.Cut(http.DetectContentType(content), ";")
		return sniffed
	}
}
