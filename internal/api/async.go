package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// respondAsync is the preference of a client that does not wait for the end of its run
// (RFC 7240).
const respondAsync = "respond-async"

// prefersAsync reports whether the request has the preference respond-async. It
// ignores other preferences, as RFC 7240 requires.
func prefersAsync(header http.Header) bool {
	for _, line := range header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			token, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(token), respondAsync) {
				return true
			}
		}
	}
	return false
}

// enqueue accepts an asynchronous run and responds with its record.
func (h *Handler) enqueue(ctx context.Context, program *pyth.Program) (*executeOutput, error) {
	r, err := h.cfg.Queue.EnqueueExecution(ctx, caller(ctx).User.ID, program)
	if err != nil {
		return nil, err
	}
	header := requestOf(ctx).w.Header()
	header.Set("Location", executionsPath+"/"+string(r.ID))
	header.Set("Preference-Applied", respondAsync)
	return &executeOutput{Body: h.inJSON(http.StatusAccepted, execution(&pyth.RecordedExecution{ExecutionRecord: *r}))}, nil
}

// acceptedForm describes the response for an asynchronous run.
func (h *Handler) acceptedForm() *huma.Response {
	form := h.jsonForm("The run is queued. Its record has the state queued", reflect.TypeFor[Execution]())
	form.Headers = map[string]*huma.Param{
		"Location":           stringHeader("The path of the run."),
		"Preference-Applied": stringHeader("The preference that the server has applied: respond-async."),
	}
	form.Content[applicationJSON].Example = map[string]any{
		"id": "<execution id>", "state": "queued", "language": "python", "labels": []any{}, "keyId": "<key id>",
		"createdAt": "2026-04-04T08:23:21.123Z",
	}
	return form
}
