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

// ExecuteRequest is a program to run.
type ExecuteRequest struct {
	Code          string            `json:"code" minLength:"1" doc:"The program's source." example:"print(42)"`
	Language      string            `json:"language,omitempty" enum:"python,javascript,typescript" doc:"Default: python. /api lists what this server runs."`
	Runtime       string            `json:"runtime,omitempty" maxLength:"64" doc:"One of the runtimes that /api lists for the language. Default: the one that is built in."`
	Stdin         string            `json:"stdin,omitempty" doc:"Standard input."`
	Args          []string          `json:"args,omitempty" doc:"Arguments of the program."`
	Env           map[string]string `json:"env,omitempty" doc:"Environment variables by name. Names that belong to the runtime are refused."`
	Secrets       []string          `json:"secrets,omitempty" maxItems:"200" doc:"Names of the secrets to inject as environment variables. Default: all of yours; an empty list is for none."`
	Files         []InputFile       `json:"files,omitempty" doc:"Files to put into the working directory."`
	OutputFiles   []string          `json:"outputFiles,omitempty" maxItems:"64" doc:"Glob patterns of the files to return from the working directory. Default: none."`
	TimeoutMs     int64             `json:"timeoutMs,omitempty" minimum:"1" doc:"How long the program may take by the clock."`
	Limits        *LimitsRequest    `json:"limits,omitempty" doc:"Bounds of this run; what is left out has the default."`
	Network       *NetworkRequest   `json:"network,omitempty" doc:"What the program may reach. Default: nothing."`
	SessionID     string            `json:"sessionId,omitempty" maxLength:"128" doc:"The session to run in: in its language, with its limits but for cpuMs and outputBytes."`
	Isolation     string            `json:"isolation,omitempty" enum:"tenant,execution" doc:"tenant (default) lets your later runs have the sandbox; execution destroys it after this one."`
	Labels        []string          `json:"labels,omitempty" maxItems:"16" doc:"Short strings to find the run by."`
	Results       *bool             `json:"results,omitempty" doc:"Whether rich values are returned: the value of a final expression, what display() is called with, figures that are open at the end. Default: true."`
	RedactSecrets *bool             `json:"redactSecrets,omitempty" doc:"Whether values of the run's secrets, of 6 bytes or more, are replaced by [secret:NAME] in stdout, stderr, error and text results; also in base64, percent-, JSON-escaped and hexadecimal form. Default: true."`
}

// InputFile is a file for a run.
type InputFile struct {
	Path     string `json:"path" minLength:"1" doc:"Relative to the working directory." example:"data/in.csv"`
	Content  string `json:"content" doc:"The content, encoded as encoding says."`
	Encoding string `json:"encoding,omitempty" enum:"utf8,base64" doc:"utf8 (default), or base64 with padding (RFC 4648, section 4)."`
}

// LimitsRequest bounds a run.
type LimitsRequest struct {
	MemoryBytes int64 `json:"memoryBytes,omitempty" minimum:"1" doc:"Memory of all processes together."`
	CPUMs       int64 `json:"cpuMs,omitempty" minimum:"1" doc:"Processor time. Default: only timeoutMs bounds it."`
	OutputBytes int64 `json:"outputBytes,omitempty" minimum:"1" doc:"Each of stdout and stderr."`
	DiskBytes   int64 `json:"diskBytes,omitempty" minimum:"1" doc:"Everything that the run writes."`
	Processes   int64 `json:"processes,omitempty" minimum:"1" doc:"Processes and threads alive at once."`
}

// NetworkRequest says what a run may reach.
type NetworkRequest struct {
	Allow []string `json:"allow,omitempty" maxItems:"100" doc:"Names of hosts, with *. in front for all below, and a port behind a colon if it is not 80 or 443. Programs find the way by HTTP_PROXY and HTTPS_PROXY; a SOCKS5 proxy is at the same address." example:"[\"api.example.org\", \"*.example.net:8443\"]"`
}

// ExecuteResponse is how a run ended.
type ExecuteResponse struct {
	ID               string          `json:"id"`
	Language         string          `json:"language" example:"python"`
	Status           string          `json:"status" enum:"succeeded,failed,timed_out,out_of_memory,output_limit,killed,canceled" doc:"How the run ended. A program that fails is still an answer of 200."`
	ExitCode         *int            `json:"exitCode,omitempty" minimum:"0" maximum:"255" doc:"What the program exited with; absent when a signal or a limit ended it."`
	Signal           string          `json:"signal,omitzero" doc:"The signal that ended the program, such as SIGKILL."`
	Stdout           string          `json:"stdout" doc:"Bytes that are not UTF-8 are shown as U+FFFD."`
	Stderr           string          `json:"stderr" doc:"As stdout."`
	StdoutTruncated  bool            `json:"stdoutTruncated"`
	StderrTruncated  bool            `json:"stderrTruncated"`
	Error            *ExecutionError `json:"error,omitempty" doc:"The exception that the program did not catch."`
	Results          []ResultValue   `json:"results" doc:"Rich values in the order in which they were displayed, each a map of media type to data: text as it is, images in base64, JSON as JSON."`
	ResultsTruncated bool            `json:"resultsTruncated,omitzero" doc:"Whether there were more rich values, or larger ones, than fit into an answer."`
	ResultsSkipped   []SkippedResult `json:"resultsSkipped,omitempty" doc:"Forms of rich values that are left out, such as JSON that cannot be read or is nested too deep."`
	Files            []OutputFile    `json:"files" doc:"The files that outputFiles asked for."`
	FilesSkipped     []SkippedFile   `json:"filesSkipped" doc:"Files that matched but are not returned."`
	Redactions       int             `json:"redactions" doc:"How many values of secrets were replaced in the output."`
	Usage            Usage           `json:"usage"`
	Labels           []string        `json:"labels,omitempty" doc:"The labels of the request."`
	SessionID        string          `json:"sessionId,omitzero" doc:"The session that it ran in."`
	SessionEnded     bool            `json:"sessionEnded,omitzero" doc:"Whether that session has ended with the run, or during it."`
	CreatedAt        Timestamp       `json:"createdAt"`
}

// ResultValue is a rich value in its forms.
type ResultValue map[string]any

// ExecutionError is an uncaught exception.
type ExecutionError struct {
	Name      string `json:"name" example:"ValueError"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
	Hint      string `json:"hint,omitzero" doc:"What can be done about it, if that is known: the call that installs a missing package, or how to get a network."`
	Line      int    `json:"line,omitzero" doc:"The line of the program, if it is known."`
}

// OutputFile is a file that a run made.
type OutputFile struct {
	Path      string `json:"path" example:"out.csv"`
	SizeBytes int64  `json:"sizeBytes"`
	Content   string `json:"content" doc:"The content, encoded as encoding says."`
	Encoding  string `json:"encoding" enum:"utf8,base64" doc:"utf8 for text, otherwise base64."`
	MediaType string `json:"mediaType" example:"text/csv"`
}

// SkippedFile is a file that is not returned.
type SkippedFile struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// SkippedResult is a form of a rich value that is not returned.
type SkippedResult struct {
	MediaType string `json:"mediaType" example:"application/json"`
	Reason    string `json:"reason" example:"it is not valid JSON"`
}

// Usage is what a run took.
type Usage struct {
	WallMs          int64        `json:"wallMs" doc:"Time by the clock."`
	CPUMs           int64        `json:"cpuMs" doc:"Processor time of all processes."`
	MemoryPeakBytes int64        `json:"memoryPeakBytes"`
	QueuedMs        int64        `json:"queuedMs" doc:"Time that the run waited for a sandbox."`
	Network         []Connection `json:"network,omitempty" doc:"The connections of a run that has a network; those that are alike are shown as one."`
}

// Connection is what became of the connections to a host.
type Connection struct {
	Host          string `json:"host" doc:"A name or an address; empty if the program named none."`
	Port          int    `json:"port"`
	SentBytes     int64  `json:"sentBytes"`
	ReceivedBytes int64  `json:"receivedBytes"`
	Verdict       string `json:"verdict" enum:"allowed,denied,failed"`
	Reason        string `json:"reason,omitzero" doc:"Why it was denied, failed or was cut off."`
	Count         int    `json:"count" doc:"How many connections this stands for."`
}

type (
	executeInput struct{ body[ExecuteRequest] }
	// executeOutput writes the answer, in one of its two forms.
	executeOutput struct{ Body func(huma.Context) }
)

// queueAllowance is what a run may wait and clean up beyond its time-out
// before the server gives it up.
const queueAllowance = 90 * time.Second

// executeBodyBytes bounds the body of an execution: all files in base64 (four
// bytes for three), code and standard input with every byte escaped as \u00XX
// (six for one), and a megabyte for the rest.
func executeBodyBytes(l pyth.ExecutionLimits) int64 {
	return l.MaxFilesBytes*4/3 + 6*(l.MaxCodeBytes+l.MaxStdinBytes) + 1<<20
}

func (h *Handler) registerExecute() {
	h.boundSchemas()
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "execute", Method: http.MethodPost, Path: "/api/v1/execute",
			Summary: "Run a program", Tags: []string{"Execute"},
			Description: "Runs the program in a sandbox and answers when it has ended. A program that fails, runs too long or is killed is a successful call: status says what became of it. Closing the connection cancels the run. A caller that accepts text/event-stream hears of the run while it goes on.",
			Responses:   h.runForms(),
			Errors:      []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits),
		timeout:  h.cfg.Limits.MaxTimeout + queueAllowance,
		action:   pyth.ActionCodeExecuted,
		example:  map[string]any{"code": "print(42)"},
		answer: map[string]any{
			"id": "<execution id>", "language": "python", "status": "succeeded", "exitCode": 0,
			"stdout": "42\n", "stderr": "", "stdoutTruncated": false, "stderrTruncated": false,
			"results": []any{}, "files": []any{}, "filesSkipped": []any{}, "redactions": 0,
			"usage":     map[string]any{"wallMs": 1, "cpuMs": 1, "memoryPeakBytes": 8388608, "queuedMs": 0},
			"createdAt": "2026-04-04T08:23:21.123Z",
		},
	}, h.execute)
}

// boundSchemas writes this server's limits into the schemas, so that they are
// documented and checked with everything else.
func (h *Handler) boundSchemas() {
	l := h.cfg.Limits
	registry := h.api.OpenAPI().Components.Schemas
	program := registry.Schema(reflect.TypeFor[ExecuteRequest](), false, "")
	limits := registry.Schema(reflect.TypeFor[LimitsRequest](), false, "")
	bound := func(s *huma.Schema, name string, most, standard int64) {
		p := s.Properties[name]
		if most > 0 {
			value := float64(most)
			p.Maximum = &value
		}
		if standard > 0 {
			p.Description += " Default: " + strconv.FormatInt(standard, 10) + "."
		}
	}
	bound(program, "timeoutMs", l.MaxTimeout.Milliseconds(), l.DefaultTimeout.Milliseconds())
	bound(limits, "memoryBytes", l.Max.MemoryBytes, l.Default.MemoryBytes)
	bound(limits, "cpuMs", l.Max.CPU.Milliseconds(), l.Default.CPU.Milliseconds())
	bound(limits, "outputBytes", l.Max.OutputBytes, l.Default.OutputBytes)
	bound(limits, "diskBytes", l.Max.DiskBytes, l.Default.DiskBytes)
	bound(limits, "processes", int64(l.Max.Processes), int64(l.Default.Processes))
	program.Properties["args"].MaxItems = &l.MaxArgs
	program.Properties["files"].MaxItems = &l.MaxFiles
	program.Properties["code"].Description += " At most " + strconv.FormatInt(l.MaxCodeBytes, 10) + " bytes."
	program.Properties["stdin"].Description += " At most " + strconv.FormatInt(l.MaxStdinBytes, 10) + " bytes."
	program.Properties["files"].Description += " At most " + strconv.FormatInt(l.MaxFilesBytes, 10) + " bytes in all."
	limits.PrecomputeMessages()
	program.PrecomputeMessages()
}

func (h *Handler) execute(ctx context.Context, in *executeInput) (*executeOutput, error) {
	program, err := in.Value.program()
	if err != nil {
		return nil, err
	}
	return h.run(ctx, in.r, in.w, program)
}

// run runs the program and answers in the form that the request asks for.
func (h *Handler) run(ctx context.Context, r *http.Request, w http.ResponseWriter, program *pyth.Program) (*executeOutput, error) {
	run := func(events pyth.Events) (*pyth.Execution, error) {
		e, err := h.cfg.Executions.Execute(ctx, caller(ctx).User.ID, program, events)
		if err == nil {
			h.metrics.executions.WithLabelValues(string(e.Language), string(e.Status)).Inc()
		}
		return e, err
	}
	if acceptsEvents(r) {
		return &executeOutput{Body: func(huma.Context) {}}, h.stream(r, w, run)
	}
	e, err := run(nil)
	if err != nil {
		return nil, err
	}
	return &executeOutput{Body: h.inJSON(http.StatusOK, executeResponse(e))}, nil
}

// program is the request in the server's terms.
func (r *ExecuteRequest) program() (*pyth.Program, error) {
	files, err := inputFiles(r.Files)
	if err != nil {
		return nil, err
	}
	p := &pyth.Program{
		Session:     pyth.SessionID(r.SessionID),
		Language:    pyth.Language(r.Language),
		Runtime:     pyth.Runtime(r.Runtime),
		Code:        r.Code,
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

// hosts are those that may be reached.
func (r *NetworkRequest) hosts() []string {
	if r == nil {
		return nil
	}
	return r.Allow
}

// limits are zero where nothing was asked for.
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
		if f.Encoding != "base64" {
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

// decodeBase64 is strict: Go's decoder alone would skip line breaks.
func decodeBase64(s string) ([]byte, error) {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func executeResponse(e *pyth.Execution) ExecuteResponse {
	out := ExecuteResponse{
		ID:               string(e.ID),
		Language:         string(e.Language),
		Status:           string(e.Status),
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
		out.ResultsSkipped = append(out.ResultsSkipped, SkippedResult(r))
	}
	for i, f := range e.FilesSkipped {
		out.FilesSkipped[i] = SkippedFile{Path: f.Path, Reason: f.Reason}
	}
	return out
}

func networkUsage(all []pyth.Connection) []Connection {
	out := make([]Connection, len(all))
	for i, c := range all {
		out[i] = Connection(c)
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
