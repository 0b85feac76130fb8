package api

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	pyth "github.com/pyth-on/pyth-on"
)

// RunSettings contains the fields that all requests to run a program have in common.
type RunSettings struct {
	_ struct{} `doc:"The common settings of all operations that run a program."`

	Secrets       []string        `json:"secrets,omitempty" maxItems:"200" doc:"The names of the secrets that the program receives as environment variables. If absent, the program receives all your secrets. An empty list means no secrets." example:"[\"API_TOKEN\"]"`
	Files         []InputFile     `json:"files,omitempty" doc:"Files that the server writes to the working directory before the run."`
	TimeoutMs     int64           `json:"timeoutMs,omitempty" minimum:"1" doc:"The maximum wall-clock time of a run in milliseconds." example:"30000"`
	Limits        *LimitsRequest  `json:"limits,omitempty" doc:"The limits of a run. An absent limit has its default value."`
	Network       *NetworkRequest `json:"network,omitempty" doc:"The hosts that the program may connect to. If absent, the program has no network."`
	SessionID     string          `json:"sessionId,omitempty" maxLength:"128" doc:"The ID of the session in which the program runs. The session determines the language and all limits except cpuMs and outputBytes." example:"ses_01k7"`
	Labels        []string        `json:"labels,omitempty" maxItems:"16" doc:"Short strings for finding the run in the list of runs and in the audit log." example:"[\"nightly\"]"`
	Store         *bool           `json:"store,omitempty" default:"true" doc:"Whether the server stores the code and the output of the run for a limited time. If false, the server stores only metadata, such as the status and the duration. The server never stores code and output of encrypted programs."`
	RedactSecrets *bool           `json:"redactSecrets,omitempty" default:"true" doc:"Whether the server replaces the values of secrets with [secret:NAME] in stdout, stderr, error and text results. The server replaces values of at least 6 bytes, even if they are encoded in base64, hexadecimal or percent-encoding, or escaped in JSON."`
}

// RunOptions contains the fields of requests that contain a program to run. A request for
// a generation has only RunSettings, because the model writes the program.
type RunOptions struct {
	_ struct{} `doc:"The settings of a run of a program that is not encrypted."`

	RunSettings

	Runtime     string            `json:"runtime,omitempty" maxLength:"64" doc:"The runtime: one of the runtimes that GET /api returns for the language. If absent, the program runs in the built-in runtime." example:"python"`
	Stdin       string            `json:"stdin,omitempty" doc:"The standard input of the program." example:"1 2 3"`
	Args        []string          `json:"args,omitempty" doc:"The command-line arguments of the program." example:"[\"--verbose\"]"`
	Env         map[string]string `json:"env,omitempty" doc:"Environment variables by name. The request fails if a name is reserved for the runtime."`
	OutputFiles []string          `json:"outputFiles,omitempty" maxItems:"64" doc:"Glob patterns that select the files to return from the working directory. If absent, the server returns no files." example:"[\"*.csv\"]"`
	Isolation   Isolation         `json:"isolation,omitempty" default:"tenant" doc:"Whether later runs of the same user may use the sandbox of this run."`
	Results     *bool             `json:"results,omitempty" default:"true" doc:"Whether the response contains rich values: the value of a final expression, the arguments of display(), and figures that are open at the end."`
}

// ExecuteRequest is the body of runProgram.
type ExecuteRequest struct {
	_ struct{} `doc:"A program to run."`

	RunOptions

	Code     string   `json:"code" minLength:"1" doc:"The source code of the program." example:"print(42)"`
	Language Language `json:"language,omitempty" doc:"The language of the program. The default is the language of the session, or python if there is no session. GET /api returns the languages of this server." example:"python"`

	Webhook *WebhookRequest `json:"webhook,omitempty" doc:"A URL that receives the events of this run. Only an asynchronous run (Prefer: respond-async) can have a webhook."`
}

// InputFile is a file that the server writes to the working directory before a run.
type InputFile struct {
	_ struct{} `doc:"A file for a run."`

	Path     string   `json:"path" minLength:"1" doc:"The path, relative to the working directory." example:"data/in.csv"`
	Content  string   `json:"content" doc:"The content of the file. The field encoding says how the content is encoded." example:"a,b\n1,2\n"`
	Encoding Encoding `json:"encoding,omitempty" default:"utf8" doc:"How the content of the file is encoded."`
}

// LimitsRequest contains the limits of a run.
type LimitsRequest struct {
	_ struct{} `doc:"The limits of a run."`

	MemoryBytes int64 `json:"memoryBytes,omitempty" minimum:"1" doc:"The maximum memory of all processes together." example:"268435456"`
	CPUMs       int64 `json:"cpuMs,omitempty" minimum:"1" doc:"The maximum processor time of all processes together. If absent, only timeoutMs limits the processor time." example:"10000"`
	OutputBytes int64 `json:"outputBytes,omitempty" minimum:"1" doc:"The maximum size of stdout. The same limit applies to stderr." example:"1048576"`
	DiskBytes   int64 `json:"diskBytes,omitempty" minimum:"1" doc:"The maximum total size of the files that the run writes." example:"104857600"`
	Processes   int64 `json:"processes,omitempty" minimum:"1" doc:"The maximum number of processes and threads that exist at the same time." example:"64"`
}

// NetworkRequest contains the hosts that a run may connect to.
type NetworkRequest struct {
	_ struct{} `doc:"The hosts that a run may connect to."`

	Allow []string `json:"allow,omitempty" maxItems:"100" doc:"Host names. For example, *.example.net allows all subdomains of example.net. For ports other than 80 and 443, add a colon and the port. Programs connect through a proxy, which also supports SOCKS5. The environment variables HTTP_PROXY and HTTPS_PROXY contain the address of the proxy." example:"[\"api.example.org\", \"*.example.net:8443\"]"`
}

// ExecuteResponse is the result of a run.
type ExecuteResponse struct {
	_ struct{} `doc:"The result of a run."`

	RunMetadata

	Status           ExecutionStatus `json:"status" doc:"How the run ended. The HTTP status is 200 even if the program fails." example:"succeeded"`
	Reason           string          `json:"reason,omitzero" doc:"The reason for the end of the run, if the status does not show the reason. The value worker_lost means that the machine that ran the program no longer responds." example:"worker_lost"`
	Stdout           string          `json:"stdout" doc:"The standard output. U+FFFD replaces bytes that are not UTF-8." example:"42\n"`
	Stderr           string          `json:"stderr" doc:"The standard error. U+FFFD replaces bytes that are not UTF-8." example:""`
	StdoutTruncated  bool            `json:"stdoutTruncated" doc:"Whether stdout was longer than its limit."`
	StderrTruncated  bool            `json:"stderrTruncated" doc:"Whether stderr was longer than its limit."`
	Error            *ExecutionError `json:"error,omitempty" doc:"The uncaught exception that ended the program."`
	Results          []ResultValue   `json:"results" doc:"Rich values, in the order in which the program displayed them."`
	ResultsTruncated bool            `json:"resultsTruncated,omitzero" doc:"Whether rich values were omitted, because there were too many or they were too large."`
	ResultsSkipped   []SkippedResult `json:"resultsSkipped,omitempty" doc:"The media types of rich values that the server omitted, each with the reason. For example, JSON can be nested too deeply."`
	Files            []OutputFile    `json:"files" doc:"The files that match outputFiles."`
	FilesSkipped     []SkippedFile   `json:"filesSkipped" doc:"Files that match outputFiles but are not returned."`
	Redactions       int             `json:"redactions" doc:"How often the server replaced the value of a secret in the output." example:"0"`
	Usage            Usage           `json:"usage" doc:"The resources that the run used."`
	Labels           []string        `json:"labels,omitempty" doc:"The labels of the request."`
	SessionEnded     bool            `json:"sessionEnded,omitzero" doc:"True if the session no longer exists: the run ended the session, or the session was closed or expired during the run."`
}

// RunMetadata contains the fields that the result and the record of a run have in
// common.
type RunMetadata struct {
	_ struct{} `doc:"The metadata of a run."`

	ID        string    `json:"id" doc:"The ID of the run." example:"0196f0a2-1234-7abc-8def-0123456789ab"`
	Language  Language  `json:"language" doc:"The language of the program." example:"python"`
	ExitCode  *int      `json:"exitCode,omitempty" minimum:"0" maximum:"255" doc:"The exit code of the program. Absent if a signal or a limit ended the program." example:"0"`
	Signal    string    `json:"signal,omitzero" doc:"The name of the signal that ended the program." example:"SIGKILL"`
	SessionID string    `json:"sessionId,omitzero" doc:"The ID of the session of the run." example:"ses_01k7"`
	CreatedAt Timestamp `json:"createdAt" doc:"When the server accepted the run."`
}

// ResultValue is a rich value. It maps each media type of the value to the data.
type ResultValue map[string]any

// Schema returns a schema that refers to the component ResultValue.
func (ResultValue) Schema(r huma.Registry) *huma.Schema {
	const name = "ResultValue"
	components := r.Map()
	if components[name] == nil {
		components[name] = &huma.Schema{
			Type:                 huma.TypeObject,
			Description:          "A rich value: a map from media type to data. Text is a string, images are strings in base64, JSON is a JSON value.",
			AdditionalProperties: &huma.Schema{Description: "The data of one media type."},
			Examples:             []any{map[string]any{"text/plain": "42"}},
		}
	}
	return &huma.Schema{Ref: schemaPrefix + name}
}

// ExecutionError describes an exception that the program did not catch.
type ExecutionError struct {
	_ struct{} `doc:"An exception that the program did not catch."`

	Name      string `json:"name" doc:"The class of the exception." example:"ValueError"`
	Message   string `json:"message" doc:"The message of the exception." example:"invalid literal for int() with base 10: 'x'"`
	Traceback string `json:"traceback" doc:"The traceback. Frames of Pyth-On's code in the interpreter are removed."`
	Hint      string `json:"hint,omitzero" doc:"What to do about the error, for example the request that installs a missing package. Absent if the server has no advice."`
	Line      int    `json:"line,omitzero" doc:"The line of the program in which the error occurred. Absent if unknown." example:"1"`
}

// OutputFile is a file that a run created and that the server returns in the response.
type OutputFile struct {
	_ struct{} `doc:"A file from the working directory after a run."`

	Path      string   `json:"path" doc:"The path, relative to the working directory." example:"out.csv"`
	SizeBytes int64    `json:"sizeBytes" doc:"The size of the file." example:"8"`
	Content   string   `json:"content" doc:"The content of the file. The field encoding says how the content is encoded." example:"a,b\n1,2\n"`
	Encoding  Encoding `json:"encoding" doc:"How the field content is encoded: utf8 for text, base64 for all other files." example:"utf8"`
	MediaType string   `json:"mediaType" doc:"The media type, from the name of the file or its content." example:"text/csv"`
}

// SkippedFile describes an output file that is not returned.
type SkippedFile struct {
	_ struct{} `doc:"A file that is not returned."`

	Path   string `json:"path" doc:"The path, relative to the working directory." example:"big.bin"`
	Reason string `json:"reason" doc:"Why the file is not returned." example:"it is too large"`
}

// SkippedResult describes a form of a rich value that the response omits. It contains the
// media type of this form and the reason.
type SkippedResult struct {
	_ struct{} `doc:"A media type of a rich value that the server omitted."`

	MediaType string `json:"mediaType" doc:"The media type." example:"application/json"`
	Reason    string `json:"reason" doc:"Why the server omitted this media type." example:"it is not valid JSON"`
}

// Usage describes the resources that a run used.
type Usage struct {
	_ struct{} `doc:"The resources that a run used."`

	WallMs          int64        `json:"wallMs" doc:"The wall-clock time of the run, in milliseconds." example:"12"`
	CPUMs           int64        `json:"cpuMs" doc:"The processor time of all processes together, in milliseconds." example:"9"`
	MemoryPeakBytes int64        `json:"memoryPeakBytes" doc:"The peak memory of all processes together." example:"8388608"`
	QueuedMs        int64        `json:"queuedMs" doc:"The time that the run waited for a sandbox, in milliseconds." example:"0"`
	NetworkBytes    int64        `json:"networkBytes,omitzero" doc:"The number of bytes that all connections of the run sent and received. Only records of runs have this field." example:"0"`
	Network         []Connection `json:"network,omitempty" doc:"The connections of the run. Absent if the run has no network. One item contains all connections with the same host, port, verdict and reason."`
}

// Connection describes all connections of a run that have the same host, port, verdict
// and reason.
type Connection struct {
	_ struct{} `doc:"All connections of a run with the same host, port, verdict and reason."`

	Host          string  `json:"host" doc:"The host name or IP address. Empty if the program named no host." example:"api.example.org"`
	Port          int     `json:"port" doc:"The port." example:"443"`
	SentBytes     int64   `json:"sentBytes" doc:"The number of bytes that the program sent." example:"512"`
	ReceivedBytes int64   `json:"receivedBytes" doc:"The number of bytes that the program received." example:"2048"`
	Verdict       Verdict `json:"verdict" doc:"What happened to the connections." example:"allowed"`
	Reason        string  `json:"reason,omitzero" doc:"Why the server denied or closed the connections, or why the connections failed."`
	Count         int     `json:"count" doc:"The number of connections." example:"1"`
}

type (
	executeInput struct {
		Prefer string `header:"Prefer" doc:"With respond-async, the server stores the run, responds with 202, and starts the program later. Other preferences are ignored (RFC 7240)." example:"respond-async"`
		jsonBody[ExecuteRequest]
	}
	streamInput struct{ jsonBody[ExecuteRequest] }
	// executeOutput is the output of an operation. Its field Body writes the response as
	// JSON or as a stream of events.
	executeOutput struct{ Body func(huma.Context) }
)

// queueAllowance is the additional time that a request may take, beyond the time-out of
// its program. In this time, the program waits in the queue and the server cleans up its
// sandbox.
const queueAllowance = 90 * time.Second

// executeBodyBytes returns the maximum body size of runProgram. Files in base64 need four
// bytes for every three bytes. A byte of code or standard input may need six bytes,
// because it can be escaped as \u00XX. The other fields together get 1 MiB.
func executeBodyBytes(l pyth.ExecutionLimits) int64 {
	return l.MaxFilesBytes*4/3 + 6*(l.MaxCodeBytes+l.MaxStdinBytes) + 1<<20
}

func (h *Handler) registerExecute() {
	forms := h.runForms()
	if h.cfg.Queue != nil {
		forms["202"] = h.acceptedForm()
	}
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: opRun, Method: http.MethodPost, Path: "/api/v1/execute",
			Summary: "Run a program", Tags: []string{tagExecute},
			Description: "Runs the program in a sandbox and responds when the program has ended. The HTTP status is 200 even if the program fails, times out or is killed. The field status says how the program ended. To cancel the run, close the connection. With Accept: text/event-stream the response is a stream of events. With Prefer: respond-async the server stores the run and responds at once with 202; get the result with getExecution.",
			Responses:   forms,
			Errors:      []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits),
		timeout:  h.cfg.Limits.MaxTimeout + queueAllowance,
		action:   pyth.ActionCodeExecuted,
		example:  map[string]any{"code": "print(42)"},
		answer:   exampleExecution(),
	}, h.execute)
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "runProgramAsStream", Method: http.MethodPost, Path: "/api/v1/execute/stream",
			Summary: "Run a program and stream its events", Tags: []string{tagExecute},
			Description: "Runs the program in the same way as runProgram. The response is always a stream of events, even if the header Accept has a different media type. If the connection is lost, the run is canceled.",
			Responses:   h.eventForm(),
			Errors:      []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits),
		timeout:  h.cfg.Limits.MaxTimeout + queueAllowance,
		action:   pyth.ActionCodeExecuted,
		example:  map[string]any{"code": "print(42)"},
	}, h.executeAsStream)
}

func exampleExecution() map[string]any {
	return map[string]any{
		"id": "<execution id>", "language": "python", "status": "succeeded", "exitCode": 0,
		"stdout": "42\n", "stderr": "", "stdoutTruncated": false, "stderrTruncated": false,
		"results": []any{}, "files": []any{}, "filesSkipped": []any{}, "redactions": 0,
		"usage":     map[string]any{"wallMs": 1, "cpuMs": 1, "memoryPeakBytes": 8388608, "queuedMs": 0},
		"createdAt": "2026-04-04T08:23:21.123Z",
	}
}

const (
	tagExecute = "Execute"
	opRun      = "runProgram"
)

// boundSchemas writes the limits and defaults of this server to the schemas. The schemas
// document the limits, and the server also checks requests with the schemas.
func (h *Handler) boundSchemas() {
	l := h.cfg.Limits
	schemas := h.api.OpenAPI().Components.Schemas.Map()
	bound := func(s *huma.Schema, name string, most, standard int64) {
		p := s.Properties[name]
		if p == nil {
			return
		}
		if most > 0 {
			value := float64(most)
			p.Maximum = &value
		}
		if standard > 0 {
			p.Default = standard
		}
	}
	describe := func(s *huma.Schema, name string, bytes int64, rest string) {
		if p := s.Properties[name]; p != nil {
			p.Description += " At most " + pyth.Digits(bytes) + " bytes" + rest
		}
	}
	limits := schemas["LimitsRequest"]
	bound(limits, "memoryBytes", l.Max.MemoryBytes, l.Default.MemoryBytes)
	bound(limits, "cpuMs", l.Max.CPU.Milliseconds(), l.Default.CPU.Milliseconds())
	bound(limits, "outputBytes", l.Max.OutputBytes, l.Default.OutputBytes)
	bound(limits, "diskBytes", l.Max.DiskBytes, l.Default.DiskBytes)
	bound(limits, "processes", int64(l.Max.Processes), int64(l.Default.Processes))
	limits.PrecomputeMessages()
	for _, t := range []reflect.Type{
		reflect.TypeFor[RunSettings](), reflect.TypeFor[RunOptions](), reflect.TypeFor[ExecuteRequest](),
		reflect.TypeFor[ZKExecuteRequest](), reflect.TypeFor[GenerateRequest](),
	} {
		s := schemas[t.Name()]
		if s == nil {
			continue // This server has no operation with this type.
		}
		bound(s, "timeoutMs", l.MaxTimeout.Milliseconds(), l.DefaultTimeout.Milliseconds())
		if args := s.Properties["args"]; args != nil {
			args.MaxItems = &l.MaxArgs
		}
		if files := s.Properties["files"]; files != nil {
			files.MaxItems = &l.MaxFiles
		}
		describe(s, "code", l.MaxCodeBytes, ".")
		describe(s, "stdin", l.MaxStdinBytes, ".")
		describe(s, "files", l.MaxFilesBytes, " in total.")
		s.PrecomputeMessages()
	}
}

func (h *Handler) execute(ctx context.Context, in *executeInput) (*executeOutput, error) {
	program, err := in.Value.program()
	if err != nil {
		return nil, err
	}
	if err := h.checkProgram(ctx, program); err != nil {
		return nil, err
	}
	if h.cfg.Queue != nil && prefersAsync(requestOf(ctx).r.Header) {
		return h.enqueue(ctx, program, in.Value.Webhook)
	}
	if in.Value.Webhook != nil {
		return nil, errSynchronousWebhook
	}
	return h.run(ctx, program, acceptsEvents(ctx))
}

func (h *Handler) executeAsStream(ctx context.Context, in *streamInput) (*executeOutput, error) {
	program, err := in.Value.program()
	if err != nil {
		return nil, err
	}
	if err := h.checkProgram(ctx, program); err != nil {
		return nil, err
	}
	if in.Value.Webhook != nil {
		return nil, errSynchronousWebhook
	}
	return h.run(ctx, program, true)
}

// errSynchronousWebhook is the error for a request that has a webhook but is not
// asynchronous. Only asynchronous runs can have a webhook.
var errSynchronousWebhook = pyth.Invalid("body.webhook", "is possible only in an asynchronous run; remove webhook, or send the request to /api/v1/execute with the header Prefer: respond-async")

// run executes the program and responds with JSON or a stream of events.
func (h *Handler) run(ctx context.Context, program *pyth.Program, stream bool) (*executeOutput, error) {
	run := func(events pyth.Events) (*pyth.Execution, error) {
		e, err := h.cfg.Executions.Execute(ctx, caller(ctx).User.ID, program, events)
		if err == nil {
			h.metrics.executions.WithLabelValues(string(e.Language), string(e.Status)).Inc()
		}
		return e, err
	}
	if stream {
		return &executeOutput{Body: func(huma.Context) {}}, h.stream(ctx, run)
	}
	e, err := run(nil)
	if err != nil {
		return nil, err
	}
	return &executeOutput{Body: h.inJSON(http.StatusOK, executeResponse(e))}, nil
}

func (r *ExecuteRequest) program() (*pyth.Program, error) {
	p, err := r.RunOptions.program()
	if err != nil {
		return nil, err
	}
	p.Language, p.Code = pyth.Language(r.Language), r.Code
	return p, nil
}

// program converts the options of a request to a program. The caller must set the
// language and the code.
func (r *RunOptions) program() (*pyth.Program, error) {
	files, err := inputFiles(r.Files)
	if err != nil {
		return nil, err
	}
	p := &pyth.Program{
		Session:     pyth.SessionID(r.SessionID),
		Runtime:     pyth.Runtime(r.Runtime),
		Stdin:       r.Stdin,
		Args:        r.Args,
		Files:       files,
		OutputFiles: r.OutputFiles,
		Timeout:     time.Duration(r.TimeoutMs) * time.Millisecond,
		Limits:      r.Limits.limits(),
		Isolation:   pyth.Isolation(r.Isolation),
		Labels:      r.Labels,
		Network:     r.Network.hosts(),
		Results:     r.Results == nil || *r.Results,
		Secrets:     r.Secrets,
		AllSecrets:  r.Secrets == nil,
		NoStore:     r.Store != nil && !*r.Store,
		KeepSecrets: r.RedactSecrets != nil && !*r.RedactSecrets,
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		p.Env = append(p.Env, pyth.EnvVar{Name: name, Value: r.Env[name]})
	}
	return p, nil
}

func (r *NetworkRequest) hosts() []string {
	if r == nil {
		return nil
	}
	return r.Allow
}

// limits returns the limits in the request. If the request does not set a limit, the
// limit is zero.
func (l *LimitsRequest) limits() pyth.Limits {
	if l == nil {
		return pyth.Limits{}
	}
	return pyth.Limits{
		MemoryBytes: l.MemoryBytes,
		CPU:         time.Duration(l.CPUMs) * time.Millisecond,
		OutputBytes: l.OutputBytes,
		DiskBytes:   l.DiskBytes,
		Processes:   int(l.Processes),
	}
}

func inputFiles(in []InputFile) ([]pyth.File, error) {
	if len(in) == 0 {
		return nil, nil
	}
	files := make([]pyth.File, len(in))
	var faults pyth.FieldErrors
	for i, f := range in {
		files[i] = pyth.File{Path: f.Path, Content: []byte(f.Content)}
		if f.Encoding != encodingBase64 {
			continue
		}
		content, err := decodeBase64(f.Content)
		if err != nil {
			faults.Add("body.files["+strconv.Itoa(i)+"].content", notBase64)
		}
		files[i].Content = content
	}
	return files, faults.Err()
}

// decodeBase64 decodes standard base64. Unlike Go's decoder, it rejects line breaks.
func decodeBase64(s string) ([]byte, error) {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func executeResponse(e *pyth.Execution) ExecuteResponse {
	out := ExecuteResponse{
		RunMetadata: RunMetadata{
			ID: string(e.ID), Language: Language(e.Language), ExitCode: e.ExitCode, Signal: e.Signal,
			SessionID: string(e.Session), CreatedAt: Timestamp(e.CreatedAt),
		},
		Status:           ExecutionStatus(e.Status),
		Reason:           e.Reason,
		Stdout:           string(e.Stdout),
		Stderr:           string(e.Stderr),
		StdoutTruncated:  e.StdoutTruncated,
		StderrTruncated:  e.StderrTruncated,
		Results:          make([]ResultValue, len(e.Results)),
		ResultsTruncated: e.ResultsTruncated,
		Redactions:       e.Redactions,
		Files:            make([]OutputFile, len(e.Files)),
		FilesSkipped:     make([]SkippedFile, len(e.FilesSkipped)),
		Usage: Usage{
			WallMs:          milliseconds(e.Usage.Wall),
			CPUMs:           milliseconds(e.Usage.CPU),
			MemoryPeakBytes: e.Usage.MemoryPeakBytes,
			QueuedMs:        milliseconds(e.Usage.Queued),
			Network:         networkUsage(e.Usage.Network),
		},
		Labels:       e.Labels,
		SessionEnded: e.SessionEnded,
	}
	if x := e.Error; x != nil {
		out.Error = &ExecutionError{Name: x.Name, Message: x.Message, Traceback: x.Traceback, Hint: x.Hint, Line: x.Line}
	}
	for i, r := range e.Results {
		out.Results[i] = resultValue(r)
	}
	for i, f := range e.Files {
		out.Files[i] = outputFile(f)
	}
	for _, r := range e.ResultsSkipped {
		out.ResultsSkipped = append(out.ResultsSkipped, SkippedResult{MediaType: r.MediaType, Reason: r.Reason})
	}
	for i, f := range e.FilesSkipped {
		out.FilesSkipped[i] = SkippedFile{Path: f.Path, Reason: f.Reason}
	}
	return out
}

func networkUsage(all []pyth.Connection) []Connection {
	out := make([]Connection, len(all))
	for i, c := range all {
		out[i] = Connection{
			Host: c.Host, Port: c.Port, SentBytes: c.SentBytes, ReceivedBytes: c.ReceivedBytes,
			Verdict: Verdict(c.Verdict), Reason: c.Reason, Count: c.Count,
		}
	}
	return out
}

func resultValue(r pyth.Result) ResultValue {
	out := make(ResultValue, len(r))
	for media, data := range r {
		if pyth.IsJSON(media) {
			out[media] = jsontext.Value(data)
		} else {
			out[media] = data
		}
	}
	return out
}

func milliseconds(d time.Duration) int64 { return d.Round(time.Millisecond).Milliseconds() }
