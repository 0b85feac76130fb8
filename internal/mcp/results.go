package mcp

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// Limits of a result. A model pays for each character and has a limited context. So these
// limits are far lower than the limits of the API.
const (
	maxOutputText = 20_000   // bytes of stdout; the same limit applies to stderr
	maxValueText  = 10_000   // bytes of all values as text; the same limit applies to a traceback or message
	maxImageBytes = 3 << 20  // bytes of one image; several models accept at most 5 MB in base64
	maxMediaBytes = 4 << 20  // bytes of all images and resources of a result
	maxTextMedia  = 64 << 10 // bytes of one text resource
)

const saveOutput = "print less, or write long output to a file of a session and read parts of it with file_read"

// runOutput is the structured result of run_code and run_command.
type runOutput struct {
	ExecutionID  string    `json:"execution_id"`
	Status       string    `json:"status" jsonschema:"succeeded, failed, timed_out, out_of_memory, output_limit, killed or canceled"`
	ExitCode     *int64    `json:"exit_code,omitempty" jsonschema:"Absent if a signal or a limit ended the program."`
	Signal       string    `json:"signal,omitempty" jsonschema:"The signal that ended the program, for example SIGKILL."`
	Stdout       string    `json:"stdout"`
	Stderr       string    `json:"stderr"`
	Value        string    `json:"value,omitempty" jsonschema:"The values of display() and of the last expression, as text."`
	Error        *runError `json:"error,omitempty" jsonschema:"The exception that ended the program."`
	SessionID    string    `json:"session_id,omitempty"`
	SessionEnded bool      `json:"session_ended,omitempty" jsonschema:"True if the session no longer exists."`
	Usage        runUsage  `json:"usage"`
	Notes        []string  `json:"notes,omitempty" jsonschema:"What is missing in this result, and why."`
}

// runError is an uncaught exception of a program.
type runError struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Line    *int64 `json:"line,omitempty"`
	Hint    string `json:"hint,omitempty" jsonschema:"What to do about the error."`
}

// runUsage contains the resources that a run used.
type runUsage struct {
	WallMs          int64 `json:"wall_ms"`
	CPUMs           int64 `json:"cpu_ms"`
	MemoryPeakBytes int64 `json:"memory_peak_bytes"`
	QueuedMs        int64 `json:"queued_ms"`
}

// presentation collects the parts of a result.
type presentation struct {
	media  []sdk.Content
	bytes  int
	values []string
	notes  []string
	id     string
	count  int
}

// present converts the result of a run for a model. The first content is a text with all
// outputs. Images and other media follow.
func present(run *client.ExecuteResponse) (*sdk.CallToolResult, *runOutput) {
	p := &presentation{id: run.ID}
	for _, value := range run.Results {
		p.addValue(value)
	}
	for i := range run.Files {
		p.addFile(&run.Files[i])
	}
	p.addNotes(run)
	out := &runOutput{
		ExecutionID: run.ID, Status: string(run.Status), ExitCode: run.ExitCode, Signal: run.Signal,
		Stdout: clip(run.Stdout, maxOutputText, saveOutput), Stderr: clip(run.Stderr, maxOutputText, saveOutput),
		Value:     clip(strings.Join(p.values, "\n"), maxValueText, "display smaller values"),
		SessionID: run.SessionID, SessionEnded: run.SessionEnded, Notes: p.notes,
		Usage: runUsage{
			WallMs: run.Usage.WallMs, CPUMs: run.Usage.CPUMs, MemoryPeakBytes: run.Usage.MemoryPeakBytes, QueuedMs: run.Usage.QueuedMs,
		},
	}
	if e := run.Error; e != nil {
		out.Error = &runError{Name: e.Name, Message: clip(e.Message, maxValueText, "the message is too long"), Line: e.Line, Hint: toolHint(e.Hint)}
	}
	content := append([]sdk.Content{&sdk.TextContent{Text: out.text(run)}}, p.media...)
	return &sdk.CallToolResult{Content: content, IsError: run.Status != client.ExecutionStatusSucceeded}, out
}

// text returns the result as text. It omits empty parts.
func (o *runOutput) text(run *client.ExecuteResponse) string {
	var parts []string
	section := func(name, text string) {
		if text != "" {
			parts = append(parts, name+":\n"+strings.TrimSuffix(text, "\n"))
		}
	}
	section("stdout", o.Stdout)
	section("stderr", o.Stderr)
	section("value", o.Value)
	if e := run.Error; e != nil {
		// Do not repeat the traceback: the interpreter has usually printed it to stderr.
		if !strings.Contains(run.Stderr, strings.TrimSpace(e.Traceback)) || e.Traceback == "" {
			section("error", clip(cmp.Or(e.Traceback, e.Name+": "+e.Message), maxValueText, "the traceback is too long"))
		}
		section("hint", toolHint(e.Hint))
	}
	for _, note := range o.Notes {
		section("note", note)
	}
	return strings.Join(append(parts, "status: "+o.summary(run)), "\n\n")
}

// toolHint changes a hint of the API about the installation of a package. It replaces the
// API request with the name of the tool.
func toolHint(hint string) string {
	return strings.ReplaceAll(hint, "POST /api/v1/packages", "package_add")
}

// summary describes how the run ended, in one line.
func (o *runOutput) summary(run *client.ExecuteResponse) string {
	s := o.Status
	switch {
	case o.ExitCode != nil:
		s += fmt.Sprintf(", exit code %d", *o.ExitCode)
	case o.Signal != "":
		s += ", ended by " + o.Signal
	}
	if run.Reason != "" {
		s += ", reason " + run.Reason
	}
	return s + fmt.Sprintf(", %d ms", o.Usage.WallMs)
}

// addNotes describes what the server omitted, and what the model must know about the
// session.
func (p *presentation) addNotes(run *client.ExecuteResponse) {
	note := func(condition bool, text string) {
		if condition {
			p.notes = append(p.notes, text)
		}
	}
	note(run.StdoutTruncated, "stdout was longer than the limit of the run; the rest is lost")
	note(run.StderrTruncated, "stderr was longer than the limit of the run; the rest is lost")
	note(run.ResultsTruncated, "there were too many displayed values; some are missing")
	for _, s := range run.ResultsSkipped {
		note(true, "a value of type "+s.MediaType+" is missing: "+s.Reason)
	}
	for _, f := range run.FilesSkipped {
		note(true, "the file "+f.Path+" is missing: "+f.Reason)
	}
	note(run.SessionEnded, "the session has ended, and its variables and files are lost; open another one with session_create")
	note(run.Status == client.ExecutionStatusTimedOut, "the program reached its time-out; set timeout_ms for a longer time, or do less in one run")
	note(run.Status == client.ExecutionStatusOutOfMemory, "the program reached its memory limit; process the data in smaller parts")
}

// addValue adds a rich value. It adds all images and other media of the value. It adds
// the plain text only if it has added no image.
func (p *presentation) addValue(value client.ResultValue) {
	text, hasText := value["text/plain"].(string)
	shown := false
	for _, mediaType := range slices.Sorted(maps.Keys(value)) {
		switch {
		case mediaType == "text/plain":
		case isImage(mediaType):
			data, ok := value[mediaType].(string)
			b, err := base64.StdEncoding.DecodeString(data)
			if !ok || err != nil {
				p.notes = append(p.notes, "a value of type "+mediaType+" is missing: it is not valid base64")
				continue
			}
			shown = p.addImage(mediaType, b) || shown
		default:
			p.addMedia(mediaType, mediaOf(value[mediaType], mediaType))
		}
	}
	// Omit the text of an image. For example, the text of a figure, <Figure size
	// 640x480>, only repeats that there is an image.
	if hasText && !shown {
		p.values = append(p.values, text)
	}
}

// mediaOf returns the bytes of a value. Text is a string, JSON is any value, and all
// other media are strings in base64.
func mediaOf(v any, mediaType string) []byte {
	s, ok := v.(string)
	if !ok || mediaType == "application/json" {
		b, _ := json.Marshal(v)
		return b
	}
	if !isText(mediaType) {
		if b, err := base64.StdEncoding.DecodeString(s); err == nil {
			return b
		}
	}
	return []byte(s)
}

// addFile adds a file that the run returned.
func (p *presentation) addFile(f *client.OutputFile) {
	b, err := f.Bytes()
	if err != nil {
		p.notes = append(p.notes, "the file "+f.Path+" is missing: its content is not valid base64")
		return
	}
	mediaType := f.MediaType
	if f.Encoding != client.EncodingBase64 && !isText(mediaType) {
		mediaType = "text/plain"
	}
	if isImage(mediaType) {
		p.addImage(mediaType, b)
		return
	}
	p.addResource("files/"+f.Path, mediaType, b)
}

// addImage adds an image, and returns whether the result contains it. The bytes determine
// the media type of the image. The program can choose a wrong media type. With a wrong
// media type, the service of the model can refuse the result and all later messages of
// the conversation.
func (p *presentation) addImage(mediaType string, b []byte) bool {
	if len(b) > maxImageBytes || p.bytes+len(b) > maxMediaBytes {
		p.notes = append(p.notes, fmt.Sprintf("an image of %d bytes is missing: one image can have %d bytes, and all media of a result %d bytes; make it smaller", len(b), maxImageBytes, maxMediaBytes))
		return false
	}
	sniffed := http.DetectContentType(b)
	if !isImage(sniffed) {
		p.notes = append(p.notes, "an image is missing: its data is not of the type "+mediaType)
		return false
	}
	p.bytes += len(b)
	p.media = append(p.media, &sdk.ImageContent{MIMEType: sniffed, Data: b})
	return true
}

// addMedia adds a value of another media type as an embedded resource.
func (p *presentation) addMedia(mediaType string, b []byte) {
	p.count++
	p.addResource(fmt.Sprintf("results/%d", p.count), mediaType, b)
}

func (p *presentation) addResource(name, mediaType string, b []byte) {
	limit := maxMediaBytes
	if isText(mediaType) {
		limit = maxTextMedia
	}
	if len(b) > limit || p.bytes+len(b) > maxMediaBytes {
		p.notes = append(p.notes, fmt.Sprintf("%s (%s) of %d bytes is missing: the limit is %d bytes", name, mediaType, len(b), limit))
		return
	}
	p.bytes += len(b)
	p.media = append(p.media, resource("executions", p.id+"/"+name, mediaType, b))
}

// resource returns an embedded resource with text or bytes. Its URI has the given host and
// path. Clients cannot open the URI. It only identifies the resource. Programs choose the
// names of files, so special characters in the path are escaped. Clients can refuse a
// result with an invalid URI.
func resource(host, path, mediaType string, b []byte) sdk.Content {
	uri := url.URL{Scheme: "pyth-on", Host: host, Path: "/" + path}
	contents := &sdk.ResourceContents{URI: uri.String(), MIMEType: mediaType}
	if isText(mediaType) {
		contents.Text = string(b)
	} else {
		contents.Blob = b
	}
	return &sdk.EmbeddedResource{Resource: contents}
}

// isImage reports whether models can see images of the media type.
func isImage(mediaType string) bool {
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// isText reports whether data of the media type is text.
func isText(mediaType string) bool {
	base, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return false
	}
	return strings.HasPrefix(base, "text/") || base == "image/svg+xml" || base == "application/json" || base == "application/xml" ||
		base == "application/javascript" || strings.HasSuffix(base, "+json") || strings.HasSuffix(base, "+xml")
}
