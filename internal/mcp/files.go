package mcp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

const (
	// defaultReadBytes and maxReadBytes are the default and the maximum number of bytes
	// that one call of file_read returns. For images, the limit is maxImageBytes, because
	// a part of an image is useless.
	defaultReadBytes = 32 << 10
	maxReadBytes     = 256 << 10
	// maxWriteBytes is the maximum size of a file for file_write. In base64, a file of
	// this size fits in a message.
	maxWriteBytes = 2 << 20
	// sniffBytes is the number of bytes that determine the media type of a file.
	// http.DetectContentType considers only these bytes.
	sniffBytes = 512
	// maxListed is the maximum number of files in a result of file_list.
	maxListed = 500
)

// fileReadInput is the input of file_read.
type fileReadInput struct {
	SessionID string `json:"session_id"`
	Path      string `json:"path" jsonschema:"Path relative to the first working directory of the session."`
	Offset    int64  `json:"offset,omitempty" jsonschema:"Number of bytes to skip. Default: 0."`
	MaxBytes  int64  `json:"max_bytes,omitempty" jsonschema:"Maximum number of bytes to return. Default: 32768. Ignored for images."`
}

// fileReadOutput is the structured result of file_read.
type fileReadOutput struct {
	Path       string `json:"path"`
	MediaType  string `json:"media_type"`
	SizeBytes  int64  `json:"size_bytes,omitempty" jsonschema:"The size of the whole file."`
	Offset     int64  `json:"offset" jsonschema:"The position of the first returned byte."`
	NextOffset int64  `json:"next_offset,omitempty" jsonschema:"The offset for the next call. Absent if this is the end of the file."`
	Text       string `json:"text,omitempty" jsonschema:"The content, if it is text. Other content is an image or an embedded resource."`
}

// fileWriteInput is the input of file_write.
type fileWriteInput struct {
	SessionID string `json:"session_id"`
	Path      string `json:"path" jsonschema:"Path relative to the first working directory of the session. Missing directories are created."`
	Content   string `json:"content" jsonschema:"The whole content, at most 2 MiB. An existing file is replaced."`
	Encoding  string `json:"encoding,omitempty" jsonschema:"How content is encoded. Default: utf8."`
}

// fileWriteOutput is the result of file_write.
type fileWriteOutput struct {
	Path      string `json:"path"`
	SizeBytes int64  `json:"size_bytes"`
}

// fileListInput is the input of file_list.
type fileListInput struct {
	SessionID string `json:"session_id"`
	Path      string `json:"path,omitempty" jsonschema:"List only the files below this directory. Default: all files."`
}

// fileListOutput is the result of file_list.
type fileListOutput struct {
	Files   []fileOutput `json:"files"`
	Omitted int          `json:"omitted,omitempty" jsonschema:"The number of further files that are not in the list."`
}

// fileOutput describes a file.
type fileOutput struct {
	Path       string    `json:"path"`
	SizeBytes  int64     `json:"size_bytes"`
	ModifiedAt time.Time `json:"modified_at"`
}

func (s *Server) addFiles() {
	closed, open := false, true
	add(s, tool[fileReadInput, fileReadOutput]{
		Tool: &sdk.Tool{
			Name: "file_read", Title: "Read a file of a session",
			Description: "Reads a file of a session. Text is returned as text. PNG, JPEG, GIF and WebP files of at most 3 MiB are returned as images. Other content is returned as an embedded resource. " +
				"Returns at most max_bytes (1 to 262144, default 32768). To read on, set offset to next_offset.",
			Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closed},
		},
		limits: func(p properties) {
			lengths(p["path"], 4096)
			between(p["offset"], 0, 1<<40)
			between(p["max_bytes"], 1, maxReadBytes)
		},
		run: readFile,
	})
	add(s, tool[fileWriteInput, fileWriteOutput]{
		Tool: &sdk.Tool{
			Name: "file_write", Title: "Write a file of a session",
			Description: "Creates or replaces a file of a session, at most 2 MiB. The file can be used by run_code and run_command in the same session.",
			Annotations: &sdk.ToolAnnotations{DestructiveHint: &open, IdempotentHint: true, OpenWorldHint: &closed},
		},
		limits: func(p properties) {
			lengths(p["path"], 4096)
			oneOf(p["encoding"], "utf8", "base64")
		},
		run: writeFile,
	})
	add(s, tool[fileListInput, fileListOutput]{
		Tool: &sdk.Tool{
			Name: "file_list", Title: "List the files of a session",
			Description: "Lists the regular files of a session, recursively, at most 500 files. Each file has its size in bytes and the time of its last change.",
			Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closed},
		},
		run: listFiles,
	})
}

func readFile(ctx context.Context, c *call, in *fileReadInput) (*sdk.CallToolResult, *fileReadOutput, error) {
	session, err := c.openSession(ctx, in.SessionID)
	if err != nil {
		return nil, nil, err
	}
	body, err := session.ReadFile(ctx, in.Path)
	if err != nil {
		return nil, nil, explainFile(err)
	}
	defer func() { _ = body.Close() }()
	most := in.MaxBytes
	if most == 0 {
		most = defaultReadBytes
	}
	if _, err := io.CopyN(io.Discard, body, in.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("read the file: %w", err)
	}
	// Read one more byte to find out whether the file continues.
	b, err := io.ReadAll(io.LimitReader(body, max(most, sniffBytes)+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the file: %w", err)
	}
	out := &fileReadOutput{Path: in.Path, MediaType: mediaTypeOf(in.Path, b), Offset: in.Offset}
	if isImage(out.MediaType) && in.Offset == 0 {
		// Read the whole image, because a part of an image is useless.
		rest, err := io.ReadAll(io.LimitReader(body, maxImageBytes+1-int64(len(b))))
		if err != nil {
			return nil, nil, fmt.Errorf("read the file: %w", err)
		}
		return readImage(out, append(b, rest...))
	}
	if int64(len(b)) > most {
		b = wholeRunes(b[:most])
		out.NextOffset = in.Offset + int64(len(b))
	}
	return out.show(session.ID, b), out, nil
}

func readImage(out *fileReadOutput, b []byte) (*sdk.CallToolResult, *fileReadOutput, error) {
	if len(b) > maxImageBytes {
		return nil, nil, fmt.Errorf("the image is larger than %d bytes; make a smaller copy of it with run_code", maxImageBytes)
	}
	out.SizeBytes = int64(len(b))
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.ImageContent{MIMEType: out.MediaType, Data: b}}}, out, nil
}

// show returns the content of a part of a file.
func (o *fileReadOutput) show(session string, b []byte) *sdk.CallToolResult {
	var content []sdk.Content
	if utf8.Valid(b) && !bytes.ContainsRune(b, 0) {
		o.Text = string(b)
		content = []sdk.Content{&sdk.TextContent{Text: o.Text}}
	} else {
		if isText(o.MediaType) {
			o.MediaType = "application/octet-stream"
		}
		content = []sdk.Content{resource("sessions", session+"/files/"+o.Path, o.MediaType, b)}
	}
	if o.NextOffset > 0 {
		content = append(content, &sdk.TextContent{Text: fmt.Sprintf("[The file continues; read on with offset %d.]", o.NextOffset)})
	} else {
		o.SizeBytes = o.Offset + int64(len(b))
	}
	return &sdk.CallToolResult{Content: content}
}

// wholeRunes removes an incomplete character at the end of a part of a text.
func wholeRunes(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n < len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}

// mediaTypeOf returns the media type of a file. The bytes decide whether a file is an
// image, because a client refuses the whole result if one image is invalid.
func mediaTypeOf(name string, b []byte) string {
	sniffed, _, _ := strings.Cut(http.DetectContentType(b), ";")
	byName, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(name)), ";")
	if isImage(sniffed) || byName == "" || isImage(byName) {
		return sniffed
	}
	return byName
}

func writeFile(ctx context.Context, c *call, in *fileWriteInput) (*sdk.CallToolResult, *fileWriteOutput, error) {
	content := []byte(in.Content)
	if in.Encoding == "base64" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(in.Content); err != nil {
			return nil, nil, fmt.Errorf("the content is not valid base64: %w", err)
		}
	}
	if len(content) > maxWriteBytes {
		return nil, nil, errors.New("the content is larger than 2 MiB; create the file with run_code")
	}
	session, err := c.openSession(ctx, in.SessionID)
	if err != nil {
		return nil, nil, err
	}
	if err := session.WriteFile(ctx, in.Path, bytes.NewReader(content)); err != nil {
		return nil, nil, err
	}
	return text(fmt.Sprintf("Wrote %d bytes to %s.", len(content), in.Path)), &fileWriteOutput{Path: in.Path, SizeBytes: int64(len(content))}, nil
}

func listFiles(ctx context.Context, c *call, in *fileListInput) (*sdk.CallToolResult, *fileListOutput, error) {
	session, err := c.openSession(ctx, in.SessionID)
	if err != nil {
		return nil, nil, err
	}
	all, err := session.Files(ctx)
	if err != nil {
		return nil, nil, err
	}
	out := &fileListOutput{Files: []fileOutput{}}
	lines := make([]string, 0, min(len(all), maxListed)+1)
	for _, f := range all {
		if !isBelow(f.Path, in.Path) {
			continue
		}
		if len(out.Files) == maxListed {
			out.Omitted++
			continue
		}
		out.Files = append(out.Files, fileOutput{Path: f.Path, SizeBytes: f.SizeBytes, ModifiedAt: f.ModifiedAt})
		lines = append(lines, fmt.Sprintf("%s (%d bytes)", f.Path, f.SizeBytes))
	}
	switch {
	case len(lines) == 0:
		lines = append(lines, "There are no files.")
	case out.Omitted > 0:
		lines = append(lines, fmt.Sprintf("[%d more files; list a directory with path, or use run_command.]", out.Omitted))
	}
	return text(strings.Join(lines, "\n")), out, nil
}

// isBelow reports whether the file is in the directory, or is itself the given path. All
// files are below "" and ".".
func isBelow(file, dir string) bool {
	dir = path.Clean(dir)
	return dir == "." || file == dir || strings.HasPrefix(file, dir+"/")
}

// explainFile adds a hint to an error of a call that reads a file.
func explainFile(err error) error {
	if client.HasCode(err, client.ErrorCodeNotFound) {
		return fmt.Errorf("%w; file_list lists the files", err)
	}
	return err
}
