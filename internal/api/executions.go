package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ExecutionSummary is the metadata of a run.
type ExecutionSummary struct {
	_ struct{} `doc:"The record of a run, without code and output."`

	RunMetadata

	State        ExecutionState  `json:"state" doc:"Whether the run is queued, running or ended." example:"ended"`
	Labels       []string        `json:"labels" doc:"The labels of the request; empty if the request had no labels."`
	KeyID        string          `json:"keyId,omitzero" doc:"The ID of the API key that started the run. Absent if the request had a token instead of an API key." example:"key_01k7"`
	EncryptedAs  string          `json:"encryptedName,omitzero" doc:"The name of the encrypted program. Absent if the program was not encrypted." example:"report"`
	StartedAt    Timestamp       `json:"startedAt,omitzero" doc:"When a sandbox received the program. Absent if no sandbox has received the program."`
	EndedAt      Timestamp       `json:"endedAt,omitzero" doc:"When the run ended. Absent if the run has not ended."`
	Status       ExecutionStatus `json:"status,omitzero" doc:"How the run ended. Absent if the run has not ended." example:"succeeded"`
	Reason       string          `json:"reason,omitzero" doc:"The reason for the end of the run, if the status does not show the reason. The value worker_lost means that the server or the machine that ran the program no longer responds. An error code means that an asynchronous run could not start because of this error." example:"worker_lost"`
	Usage        *Usage          `json:"usage,omitempty" doc:"The resources that the run used. Absent if the run has not ended."`
	ContentState ContentState    `json:"content,omitzero" doc:"Whether the server has the code and the output of the run. Absent if the run has not ended." example:"stored"`
}

// Execution is a run with its code and output.
type Execution struct {
	_ struct{} `doc:"A run with its code and output. The output is present only if the field state is ended and the field content is stored. The output consists of the standard streams, the exception, the rich values and the files."`

	ExecutionSummary

	Webhook          *WebhookCreated `json:"webhook,omitempty" doc:"The webhook of the run, with its secret. Present only in the 202 response to the request that starts a run with a webhook."`
	Code             string          `json:"code,omitzero" doc:"The source code of the program, if the server has it." example:"print(42)"`
	Stdout           *string         `json:"stdout,omitzero" nullable:"false" doc:"The standard output, if content is stored. U+FFFD replaces bytes that are not UTF-8." example:"42\n"`
	Stderr           *string         `json:"stderr,omitzero" nullable:"false" doc:"The standard error, if content is stored. U+FFFD replaces bytes that are not UTF-8." example:""`
	StdoutTruncated  bool            `json:"stdoutTruncated,omitzero" doc:"True if stdout was longer than its limit. Absent if stdout is complete."`
	StderrTruncated  bool            `json:"stderrTruncated,omitzero" doc:"True if stderr was longer than its limit. Absent if stderr is complete."`
	Error            *ExecutionError `json:"error,omitempty" doc:"The uncaught exception that ended the program, if content is stored."`
	Results          []ResultValue   `json:"results,omitzero" doc:"Rich values, in the order in which the program displayed them, if content is stored."`
	ResultsTruncated bool            `json:"resultsTruncated,omitzero" doc:"True if the server omitted rich values, because there were too many or they were too large. Absent if the server omitted none."`
	ResultsSkipped   []SkippedResult `json:"resultsSkipped,omitempty" doc:"The media types of rich values that the server omitted, each with the reason."`
	Files            []OutputFile    `json:"files,omitzero" doc:"The files that match outputFiles, if content is stored."`
	FilesSkipped     []SkippedFile   `json:"filesSkipped,omitzero" doc:"Files that match outputFiles but are not returned, if content is stored."`
	Redactions       int             `json:"redactions,omitzero" doc:"How often the server replaced the value of a secret in the output. Absent if the server replaced no values." example:"0"`
	SessionEnded     bool            `json:"sessionEnded,omitzero" doc:"True if the session ended during the run: the run ended the session, or the session was closed or expired. Absent if the session did not end."`
}

// ExecutionList is a page of runs.
type ExecutionList struct {
	_ struct{} `doc:"A page of runs."`

	Executions []ExecutionSummary `json:"executions" doc:"The runs, newest first."`
	ListPage
}

// ExecutionRef contains the path parameter with the ID of a run. It is exported
// because huma ignores unexported types.
type ExecutionRef struct {
	ID string `path:"id" maxLength:"128" doc:"The ID of the run."`
}

type (
	executionsInput struct {
		State     ExecutionState  `query:"state" doc:"Return only runs in this state."`
		Status    ExecutionStatus `query:"status" doc:"Return only runs that ended with this status."`
		Language  Language        `query:"language" doc:"Return only runs in this language."`
		Label     string          `query:"label" maxLength:"64" doc:"Return only runs with this label."`
		SessionID string          `query:"sessionId" maxLength:"128" doc:"Return only runs in this session."`
		Key       string          `query:"key" maxLength:"128" doc:"Return only runs that were started with the API key with this ID."`
		Since     time.Time       `query:"since" doc:"Return only runs that were created at or after this time."`
		Until     time.Time       `query:"until" doc:"Return only runs that were created before this time."`
		Page
	}
	executionsOutput   struct{ Body ExecutionList }
	executionByIDInput struct {
		ExecutionRef
		Wait int `query:"wait" minimum:"0" maximum:"60" doc:"How long the server waits for the end of the run, in seconds. If the run has not ended after this time, the response has the current state of the run."`
	}
	executionRefInput struct{ ExecutionRef }
	executionOutput   struct{ Body Execution }
)

const (
	executionsPath = "/api/v1/executions"
	executionPath  = executionsPath + "/{id}"
	// waitAllowance is the additional time that getExecution may take, beyond the longest
	// wait for the end of the run.
	waitAllowance = 90 * time.Second
)

func (h *Handler) registerExecutions() {
	summary := map[string]any{
		"id": "<execution id>", "state": "ended", "language": "python", "labels": []any{"nightly"}, "keyId": "<key id>",
		"createdAt": "2026-04-04T08:23:21.123Z", "startedAt": "2026-04-04T08:23:21.124Z", "endedAt": "2026-04-04T08:23:21.136Z",
		"status": "succeeded", "exitCode": 0, "content": "stored",
		"usage": map[string]any{"wallMs": 12, "cpuMs": 9, "memoryPeakBytes": 8388608, "queuedMs": 0, "networkBytes": 0},
	}
	example := map[string]any{"code": "print(42)", "stdout": "42\n", "stderr": "", "results": []any{}, "files": []any{}, "filesSkipped": []any{}}
	for name, value := range summary {
		example[name] = value
	}
	has := h.cfg.Records != nil
	const feature = "records of runs"
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "listExecutions", Method: http.MethodGet, Path: executionsPath,
			Summary: "List the runs", Tags: []string{tagExecute},
			Description: "Lists your runs, newest first, including runs that have not ended.",
		},
		answer: map[string]any{"executions": []any{summary}},
	}, ifEnabled(has, feature, h.listExecutions))
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "getExecution", Method: http.MethodGet, Path: executionPath,
			Summary: "Get a run", Tags: []string{tagExecute},
			Description: "Returns a run with its code and output. The server deletes code and output earlier than the rest of the record. The field content says whether the server still has the code and output.",
			Errors:      []int{http.StatusNotFound},
		},
		timeout: waitAllowance,
		answer:  example,
	}, ifEnabled(has, feature, h.getExecution))
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "cancelExecution", Method: http.MethodPost, Path: executionPath + "/cancel", DefaultStatus: http.StatusAccepted,
			Summary: "Cancel a run", Tags: []string{tagExecute},
			Description: "Cancels the run. A queued run never starts. A running program is killed, and the run ends with the status canceled. The response does not wait for the end of the run. If the run has already ended, nothing changes.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionExecutionCanceled,
		answer: example,
	}, ifEnabled(has, feature, h.cancelExecution))
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "deleteExecution", Method: http.MethodDelete, Path: executionPath,
			Summary: "Delete a run", Tags: []string{tagExecute},
			Description: "Deletes the record of the run with its code and output. The audit log keeps the entry of the run. If the run has not ended, the status is 409.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		action: pyth.ActionExecutionDeleted,
	}, ifEnabled(has, feature, h.deleteExecution))
	h.registerExecutionEvents()
}

func (h *Handler) listExecutions(ctx context.Context, in *executionsInput) (*executionsOutput, error) {
	user := caller(ctx).User.ID
	before, err := position(cursorExecutions, user, in.Cursor)
	if err != nil {
		return nil, err
	}
	filter := pyth.ExecutionFilter{
		State: pyth.ExecutionState(in.State), Status: pyth.Status(in.Status), Language: pyth.Language(in.Language), Label: in.Label,
		Session: pyth.SessionID(in.SessionID), Key: pyth.KeyID(in.Key), Since: in.Since, Until: in.Until,
	}
	// Read one more record than the page contains, to find out whether there is a next
	// page.
	all, err := h.cfg.Records.Executions(ctx, user, filter, pyth.ExecutionID(before), in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := ExecutionList{Executions: make([]ExecutionSummary, min(len(all), in.Limit))}
	for i := range out.Executions {
		out.Executions[i] = executionSummary(all[i])
	}
	if len(all) > in.Limit {
		out.NextCursor = newCursor(cursorExecutions, user, string(all[in.Limit-1].ID))
	}
	return &executionsOutput{Body: out}, nil
}

func (h *Handler) getExecution(ctx context.Context, in *executionByIDInput) (*executionOutput, error) {
	user := caller(ctx).User.ID
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	// When the server stops, do not wait any longer.
	defer context.AfterFunc(h.drained, stop)()
	r, err := h.cfg.Records.Execution(waiting, user, pyth.ExecutionID(in.ID), time.Duration(in.Wait)*time.Second)
	if err != nil {
		return nil, err
	}
	return &executionOutput{Body: execution(r)}, nil
}

func (h *Handler) cancelExecution(ctx context.Context, in *executionRefInput) (*executionOutput, error) {
	r, err := h.cfg.Records.CancelExecution(ctx, caller(ctx).User.ID, pyth.ExecutionID(in.ID))
	if err != nil {
		return nil, err
	}
	return &executionOutput{Body: execution(r)}, nil
}

func (h *Handler) deleteExecution(ctx context.Context, in *executionRefInput) (*noOutput, error) {
	return nil, h.cfg.Records.DeleteExecution(ctx, caller(ctx).User.ID, pyth.ExecutionID(in.ID))
}

func executionSummary(r *pyth.ExecutionRecord) ExecutionSummary {
	out := ExecutionSummary{
		RunMetadata: RunMetadata{
			ID: string(r.ID), Language: Language(r.Language), SessionID: string(r.Session), CreatedAt: Timestamp(r.CreatedAt),
		},
		State:       ExecutionState(r.State),
		Labels:      r.Labels,
		KeyID:       string(r.Key),
		EncryptedAs: r.Encrypted,
		StartedAt:   Timestamp(r.StartedAt),
	}
	if out.Labels == nil {
		out.Labels = []string{}
	}
	if r.State != pyth.StateEnded {
		return out
	}
	out.EndedAt = Timestamp(r.EndedAt)
	out.Status, out.Reason = ExecutionStatus(r.Status), r.Reason
	out.ExitCode, out.Signal = r.ExitCode, r.Signal
	out.ContentState = ContentState(r.Content)
	out.Usage = &Usage{
		WallMs:          milliseconds(r.Usage.Wall),
		CPUMs:           milliseconds(r.Usage.CPU),
		MemoryPeakBytes: r.Usage.MemoryPeakBytes,
		QueuedMs:        milliseconds(r.Usage.Queued),
		NetworkBytes:    r.NetworkBytes,
	}
	return out
}

func execution(r *pyth.RecordedExecution) Execution {
	out := Execution{ExecutionSummary: executionSummary(&r.ExecutionRecord), Code: r.Code}
	if r.Outcome == nil {
		return out
	}
	e := executeResponse(&pyth.Execution{Outcome: *r.Outcome})
	out.Stdout, out.Stderr = &e.Stdout, &e.Stderr
	out.StdoutTruncated, out.StderrTruncated = e.StdoutTruncated, e.StderrTruncated
	if out.Usage != nil {
		out.Usage.Network = e.Usage.Network
	}
	out.Error = e.Error
	out.Results, out.ResultsTruncated, out.ResultsSkipped = e.Results, e.ResultsTruncated, e.ResultsSkipped
	out.Files, out.FilesSkipped = e.Files, e.FilesSkipped
	out.Redactions, out.SessionEnded = e.Redactions, e.SessionEnded
	return out
}
