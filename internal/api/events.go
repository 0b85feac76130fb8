package api

import (
	"context"
	"math"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// StartEvent is the data of the event start.
type StartEvent struct {
	_ struct{} `doc:"The data of the event start. The server sends this event when a sandbox has received the program."`

	ID string `json:"id" doc:"The ID of the run." example:"0196f0a2-1234-7abc-8def-0123456789ab"`
}

// OutputEvent is the data of the events stdout and stderr.
type OutputEvent struct {
	_ struct{} `doc:"The data of the events stdout and stderr."`

	Text string `json:"text" doc:"New output. A character is never split between two events. U+FFFD replaces bytes that are not UTF-8." example:"42\n"`
}

// ResultEvent is the data of the event result.
type ResultEvent ResultValue

// Schema returns a schema that refers to the component ResultEvent.
func (ResultEvent) Schema(r huma.Registry) *huma.Schema {
	const name = "ResultEvent"
	components := r.Map()
	if components[name] == nil {
		components[name] = &huma.Schema{
			Description: "The data of the event result.", AllOf: []*huma.Schema{r.Schema(reflect.TypeFor[ResultValue](), true, "")},
		}
	}
	return &huma.Schema{Ref: schemaPrefix + name}
}

// FileEvent is the data of the event file.
type FileEvent struct {
	_ struct{} `doc:"The data of the event file."`

	OutputFile
}

// EndEvent is the data of the event end.
type EndEvent struct {
	_ struct{} `doc:"The data of the event end. The data is the result of the run, but the fields stdout and stderr are empty."`

	ExecuteResponse
}

// eventTypes returns the Go types of the data of events. Some streams do not refer to
// these types. Therefore, publish adds the schemas of these types to the OpenAPI
// document.
func eventTypes() []reflect.Type { return append(runEventTypes(), reflect.TypeFor[DroppedEvent]()) }

// runEventTypes returns the Go types of the data of the events of runs.
func runEventTypes() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[StartEvent](), reflect.TypeFor[OutputEvent](), reflect.TypeFor[ResultEvent](), reflect.TypeFor[FileEvent](),
		reflect.TypeFor[EndEvent](),
	}
}

type executionEventsInput struct {
	ExecutionRef
	LastEventID int `header:"Last-Event-ID" minimum:"0" doc:"The id of the last event that the client has received. The response begins with the next event. Without this header, the response begins with the first event."`
}

func (h *Handler) registerExecutionEvents() {
	forms := h.eventForm()
	forms["204"] = &huma.Response{Description: "The run has ended, and the client has received all of its events."}
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "listExecutionEvents", Method: http.MethodGet, Path: executionPath + "/events",
			Summary: "Get the events of a run", Tags: []string{tagExecute},
			Description: "Returns the events of the run from the first event, or from the event after Last-Event-ID. If the run has not ended, the response continues until the run ends. The ids and the events are the same as in the stream of runProgramAsStream. If the server has not stored the content of the run, the response has only the events start and end. In this case, the id of end is 2147483647.",
			Responses:   forms,
			Errors:      []int{http.StatusNotFound},
		},
		timeout: h.cfg.Limits.MaxTimeout + queueAllowance,
	}, ifEnabled(h.cfg.Records != nil, "records of runs", h.followExecution))
}

func (h *Handler) followExecution(ctx context.Context, in *executionEventsInput) (*executeOutput, error) {
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(h.drained, func() {
		stop(&pyth.Error{Code: pyth.CodeDraining, Message: "The server is stopping. Connect again with the header Last-Event-ID."})
	})()
	return &executeOutput{Body: func(huma.Context) {}}, h.streamTo(ctx, func(s *stream) (any, error) {
		s.numbered, s.skip = true, in.LastEventID
		r, err := h.cfg.Records.FollowExecution(following, caller(ctx).User.ID, pyth.ExecutionID(in.ID), s)
		if err != nil {
			return nil, err
		}
		if r.Outcome == nil {
			s.endID = maxEventID
		}
		return endOf(r), nil
	})
}

// maxEventID is the id of the event "end" if the content of the run is not stored. Before
// the content was lost, the client may have received more events than the record has. So
// the id must be larger than the id of each of these events.
const maxEventID = math.MaxInt32

// endOf returns the data of the last event of a recorded run.
func endOf(r *pyth.RecordedExecution) ExecuteResponse {
	e := &pyth.Execution{ID: r.ID, Language: r.Language, CreatedAt: r.CreatedAt, Labels: r.Labels, Session: r.Session}
	if r.Outcome != nil {
		e.Outcome = *r.Outcome
	} else {
		e.Status, e.Reason, e.ExitCode, e.Signal, e.Usage = r.Status, r.Reason, r.ExitCode, r.Signal, r.Usage
	}
	e.Stdout, e.Stderr = nil, nil
	return executeResponse(e)
}
