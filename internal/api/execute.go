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

// RunSettings are the settings that all calls have in common that run a
// program.
type RunSettings struct {
	_ struct{} `doc:"The settings that all calls have that run a program."`

	Secrets       []string        `json:"secrets,omitempty" maxItems:"200" doc:"The names of the secrets that the program gets as environment variables. If it is absent, the program gets all of your secrets. An empty list means none." example:"[\"API_TOKEN\"]"`
	Files         []InputFile     `json:"files,omitempty" doc:"Files that the server writes to the working directory before the run."`
	TimeoutMs     int64           `json:"timeoutMs,omitempty" minimum:"1" doc:"The maximum wall-clock time of a run in milliseconds." example:"30000"`
	Limits        *LimitsRequest  `json:"limits,omitempty" doc:"The limits of a run. A limit that is absent has its default."`
	Network       *NetworkRequest `json:"network,omitempty" doc:"The hosts that the program may reach. If it is absent, the program has no network."`
	SessionID     string          `json:"sessionId,omitempty" maxLength:"128" doc:"The id of the session to run in. The language and all limits but cpuMs and outputBytes come from the session." example:"ses_01k7"`
	Labels        []string        `json:"labels,omitempty" maxItems:"16" doc:"Short strings to find the run by." example:"[\"nightly\"]"`
	RedactSecrets *bool           `json:"redactSecrets,omitempty" default:"true" doc:"Whether the server replaces values of the secrets of the run by [secret:NAME] in stdout, stderr, error and text results. It replaces values of 6 bytes or more, also in base64, percent-encoded, JSON-escaped and hexadecimal form."`
}

// RunOptions are the settings of a run whose program the caller knows.
type RunOptions struct {
	_ struct{} `doc:"The settings of a run whose program the caller knows."`

	RunSettings

	Runtime     string            `json:"runtime,omitempty" maxLength:"64" doc:"The runtime, one of those that /api lists for the language. If it is absent, the built-in runtime is used." example:"python"`
	Stdin       string            `json:"stdin,omitempty" doc:"The standard input of the program." example:"1 2 3"`
	Args        []string          `json:"args,omitempty" doc:"The command-line arguments of the program." example:"[\"--verbose\"]"`
	Env         map[string]string `json:"env,omitempty" doc:"Environment variables by name. Names that the runtime reserves are refused."`
	OutputFiles []string          `json:"outputFiles,omitempty" maxItems:"64" doc:"Glob patterns of the files to return from the working directory. If it is absent, no file is returned." example:"[\"*.csv\"]"`
	Isolation   Isolation         `json:"isolation,omitempty" default:"tenant" doc:"Who may use the sandbox after the run."`
	Results     *bool             `json:"results,omitempty" default:"true" doc:"Whether the answer has rich values: the value of a final expression, the arguments of display(), and figures that are open at the end."`
}

// ExecuteRequest is a program to run.
type ExecuteRequest struct {
	_ struct{} `doc:"A program to run."`

	RunOptions

	Code     string   `json:"code" minLength:"1" doc:"The source code of the program." example:"print(42)"`
	Language Language `json:"language,omitempty" doc:"The language of the program. If it is absent, it is that of the session, or python without a session. /api lists the languages of this server." example:"python"`
}

// InputFile is a file for a run.
type InputFile struct {
	_ struct{} `doc:"A file for a run."`

	Path     string   `json:"path" minLength:"1" doc:"The path, relative to the working directory." example:"data/in.csv"`
	Content  string   `json:"content" doc:"The content. encoding tells how it is written." example:"a,b\n1,2\n"`
	Encoding Encoding `json:"encoding,omitempty" default:"utf8" doc:"How content is written."`
}

// LimitsRequest has the limits of a run.
type LimitsRequest struct {
	_ struct{} `doc:"The limits of a run."`

	MemoryBytes int64 `json:"memoryBytes,omitempty" minimum:"1" doc:"The memory of all processes together." example:"268435456"`
	CPUMs       int64 `json:"cpuMs,omitempty" minimum:"1" doc:"The processor time of all processes. If it is absent, only timeoutMs limits it." example:"10000"`
	OutputBytes int64 `json:"outputBytes,omitempty" minimum:"1" doc:"The size of stdout, and the size of stderr." example:"1048576"`
	DiskBytes   int64 `json:"diskBytes,omitempty" minimum:"1" doc:"The size of all files that the run writes." example:"104857600"`
	Processes   int64 `json:"processes,omitempty" minimum:"1" doc:"The number of processes and threads at the same time." example:"64"`
}

// NetworkRequest has the hosts that a run may reach.
type NetworkRequest struct {
	_ struct{} `doc:"The hosts that a run may reach."`

	Allow []string `json:"allow,omitempty" maxItems:"100" doc:"Host names. A leading *. allows all names below. Add a colon and a port for a port other than 80 and 443. Programs find the proxy in HTTP_PROXY and HTTPS_PROXY; a SOCKS5 proxy has the same address." example:"[\"api.example.org\", \"*.example.net:8443\"]"`
}

// ExecuteResponse is the result of a run.
type ExecuteResponse struct {
	_ struct{} `doc:"The result of a run."`

	ID               string          `json:"id" doc:"The id of the run." example:"exe_01k7"`
	Language         Language        `json:"language" doc:"The language of the program." example:"python"`
	Status           ExecutionStatus `json:"status" doc:"How the run ended. The HTTP status is 200 for a program that fails, too." example:"succeeded"`
	ExitCode         *int            `json:"exitCode,omitempty" minimum:"0" maximum:"255" doc:"The exit code of the program. Absent if a signal or a limit ended it." example:"0"`
	Signal           string          `json:"signal,omitzero" doc:"The signal that ended the program." example:"SIGKILL"`
	Stdout           string          `json:"stdout" doc:"The standard output. Bytes that are not UTF-8 are replaced by U+FFFD." example:"42\n"`
	Stderr           string          `json:"stderr" doc:"The standard error. Bytes that are not UTF-8 are replaced by U+FFFD." example:""`
	StdoutTruncated  bool            `json:"stdoutTruncated" doc:"Whether stdout was longer than its limit."`
	StderrTruncated  bool            `json:"stderrTruncated" doc:"Whether stderr was longer than its limit."`
	Error            *ExecutionError `json:"error,omitempty" doc:"The exception that the program did not catch."`
	Results          []ResultValue   `json:"results" doc:"Rich values, in the order in which the program displayed them."`
	ResultsTruncated bool            `json:"resultsTruncated,omitzero" doc:"Whether there were more or larger rich values than an answer may have."`
	ResultsSkipped   []SkippedResult `json:"resultsSkipped,omitempty" doc:"Forms of rich values that are not returned, such as JSON that cannot be parsed or is too deep."`
	Files            []OutputFile    `json:"files" doc:"The files that match outputFiles."`
	FilesSkipped     []SkippedFile   `json:"filesSkipped" doc:"Files that match outputFiles and are not returned."`
	Redactions       int             `json:"redactions" doc:"How many values of secrets were replaced in the output." example:"0"`
	Usage            Usage           `json:"usage" doc:"The resources that the run used."`
	Labels           []string        `json:"labels,omitempty" doc:"The labels of the request."`
	SessionID        string          `json:"sessionId,omitzero" doc:"The id of the session of the run." example:"ses_01k7"`
	SessionEnded     bool            `json:"sessionEnded,omitzero" doc:"Whether that session ended with or during the run."`
	CreatedAt        Timestamp       `json:"createdAt" doc:"When the server accepted the run."`
}

// ResultValue is a rich value in one or more forms.
type ResultValue map[string]any

// Schema returns a reference to the component.
func (ResultValue) Schema(r huma.Registry) *huma.Schema {
	const name = "ResultValue"
	components := r.Map()
	if components[name] == nil {
		components[name] = &huma.Schema{
			Type:                 huma.TypeObject,
			Description:          "A rich value: a map from media type to data. Text is a string, an image is a string in base64, JSON is JSON.",
			AdditionalProperties: &huma.Schema{Description: "The data of one media type."},
			Examples:             []any{map[string]any{"text/plain": "42"}},
		}
	}
	return &huma.Schema{Ref: schemaPrefix + name}
}

// ExecutionError is an exception that the program did not catch.
type ExecutionError struct {
	_ struct{} `doc:"An exception that the program did not catch."`

	Name      string `json:"name" doc:"The class of the exception." example:"ValueError"`
	Message   string `json:"message" doc:"The message of the exception." example:"invalid literal for int() with base 10: 'x'"`
	Traceback string `json:"traceback" doc:"The traceback, without frames of the server."`
	Hint      string `json:"hint,omitzero" doc:"What to do about the error, if the server knows it: such as the call that installs a missing package."`
	Line      int    `json:"line,omitzero" doc:"The line of the program, if it is known." example:"1"`
}

// OutputFile is a file that a run created.
type OutputFile struct {
	_ struct{} `doc:"A file that a run created."`

	Path      string   `json:"path" doc:"The path, relative to the working directory." example:"out.csv"`
	SizeBytes int64    `json:"sizeBytes" doc:"The size of the file." example:"8"`
	Content   string   `json:"content" doc:"The content. encoding tells how it is written." example:"a,b\n1,2\n"`
	Encoding  Encoding `json:"encoding" doc:"How content is written: utf8 for text, base64 for all other files." example:"utf8"`
	MediaType string   `json:"mediaType" doc:"The media type, from the name of the file or its content." example:"text/csv"`
}

// SkippedFile is a file that is not returned.
type SkippedFile struct {
	_ struct{} `doc:"A file that is not returned."`

	Path   string `json:"path" doc:"The path, relative to the working directory." example:"big.bin"`
	Reason string `json:"reason" doc:"Why the file is not returned." example:"it is too large"`
}

// SkippedResult is a form of a rich value that is not returned.
type SkippedResult struct {
	_ struct{} `doc:"A form of a rich value that is not returned."`

	MediaType string `json:"mediaType" doc:"The media type of the form." example:"application/json"`
	Reason    string `json:"reason" doc:"Why the form is not returned." example:"it is not valid JSON"`
}

// Usage has the resources that a run used.
type Usage struct {
	_ struct{} `doc:"The resources that a run used."`

	WallMs          int64        `json:"wallMs" doc:"The wall-clock time of the run." example:"12"`
	CPUMs           int64        `json:"cpuMs" doc:"The processor time of all processes." example:"9"`
	MemoryPeakBytes int64        `json:"memoryPeakBytes" doc:"The largest memory of all processes together." example:"8388608"`
	QueuedMs        int64        `json:"queuedMs" doc:"The time that the run waited for a sandbox." example:"0"`
	Network         []Connection `json:"network,omitempty" doc:"The connections of a run with a network. Equal connections are one item."`
}

// Connection stands for equal connections of a run.
type Connection struct {
	_ struct{} `doc:"Equal connections of a run."`

	Host          string  `json:"host" doc:"The host name or address. Empty if the program sent none." example:"api.example.org"`
	Port          int     `json:"port" doc:"The port." example:"443"`
	SentBytes     int64   `json:"sentBytes" doc:"The number of bytes that the program sent." example:"512"`
	ReceivedBytes int64   `json:"receivedBytes" doc:"The number of bytes that the program received." example:"2048"`
	Verdict       Verdict `json:"verdict" doc:"What happened to the connections." example:"allowed"`
	Reason        string  `json:"reason,omitzero" doc:"Why the server denied or closed the connections, or why they failed."`
	Count         int     `json:"count" doc:"The number of connections." example:"1"`
}

type (
	executeInput struct{ jsonBody[ExecuteRequest] }
	// executeOutput writes the answer as JSON or as a stream.
	executeOutput struct{ Body func(huma.Context) }
)

// queueAllowance is the time beyond its time-out that a run has to wait in the
// queue and to clean up.
const queueAllowance = 90 * time.Second

// executeBodyBytes is the largest body of an execution: all files in base64 (four
// bytes for three), code and standard input with every byte escaped as \u00XX
// (six for one), and a megabyte for the rest.
func executeBodyBytes(l pyth.ExecutionLimits) int64 {
	return l.MaxFilesBytes*4/3 + 6*(l.MaxCodeBytes+l.MaxStdinBytes) + 1<<20
}

func (h *Handler) registerExecute() {
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opRun, Method: http.MethodPost, Path: "/api/v1/execute",
			Summary: "Run a program", Tags: []string{"Execute"},
			Description: "Runs the program in a sandbox and answers when it has ended. A program that fails, times out or is killed is a successful call: status tells how it ended. To cancel the run, close the connection. With Accept: text/event-stream the answer is a stream of events.",
			Responses:   h.runForms(),
			Errors:      []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits),
		timeout:  h.cfg.Limits.MaxTimeout + queueAllowance,
		action:   pyth.ActionCodeExecuted,
		example:  map[string]any{"code": "print(42)"},
		answer:   exampleExecution(),
	}, h.execute)
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

// opRun is the id of the operation that runs a program.
const opRun = "runProgram"

// boundSchemas writes the limits and defaults of this server into the schemas,
// which document and check them.
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
			continue // This server does not have the operation.
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
		describe(s, "files", l.MaxFilesBytes, " in all.")
		s.PrecomputeMessages()
	}
}

func (h *Handler) execute(ctx context.Context, in *executeInput) (*executeOutput, error) {
	program, err := in.Value.program()
	if err != nil {
		return nil, err
	}
	return h.run(ctx, program)
}

// run runs the program and answers as JSON or as a stream.
func (h *Handler) run(ctx context.Context, program *pyth.Program) (*executeOutput, error) {
	run := func(events pyth.Events) (*pyth.Execution, error) {
		e, err := h.cfg.Executions.Execute(ctx, caller(ctx).User.ID, program, events)
		if err == nil {
			h.metrics.executions.WithLabelValues(string(e.Language), string(e.Status)).Inc()
		}
		return e, err
	}
	if acceptsEvents(ctx) {
		return &executeOutput{Body: func(huma.Context) {}}, h.stream(ctx, run)
	}
	e, err := run(nil)
	if err != nil {
		return nil, err
	}
	return &executeOutput{Body: h.inJSON(http.StatusOK, executeResponse(e))}, nil
}

// program returns the program of the request.
func (r *ExecuteRequest) program() (*pyth.Program, error) {
	p, err := r.RunOptions.program()
	if err != nil {
		return nil, err
	}
	p.Language, p.Code = pyth.Language(r.Language), r.Code
	return p, nil
}

// program returns a program without language and code.
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
		KeepSecrets: r.RedactSecrets != nil && !*r.RedactSecrets,
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		p.Env = append(p.Env, pyth.EnvVar{Name: name, Value: r.Env[name]})
	}
	return p, nil
}

// hosts returns the hosts that the program may reach.
func (r *NetworkRequest) hosts() []string {
	if r == nil {
		return nil
	}
	return r.Allow
}

// limits returns the limits of the request; those that are absent are zero.
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

// decodeBase64 decodes standard base64 and refuses line breaks, which the
// decoder of Go skips.
func decodeBase64(s string) ([]byte, error) {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func executeResponse(e *pyth.Execution) ExecuteResponse {
	out := ExecuteResponse{
		ID:               string(e.ID),
		Language:         Language(e.Language),
		Status:           ExecutionStatus(e.Status),
		ExitCode:         e.ExitCode,
		Signal:           e.Signal,
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
		SessionID:    string(e.Session),
		SessionEnded: e.SessionEnded,
		CreatedAt:    Timestamp(e.CreatedAt),
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
