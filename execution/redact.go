package execution

import (
	"encoding/json"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/redact"
	"github.com/pyth-on/pyth-on/results"
)

// redaction keeps the values of secrets out of what is told of one run.
type redaction struct {
	redactor *redact.Redactor
	count    int
}

// redaction makes one, or nil if there is nothing to hide.
func (s *Service) redaction(hidden []pyth.SecretValue, p *pyth.Program) *redaction {
	if p.KeepSecrets || s.config.KeepSecrets || len(hidden) == 0 {
		return nil
	}
	return &redaction{redactor: redact.New(hidden)}
}

// clear forgets the values.
func (r *redaction) clear() { r.redactor.Clear() }

// events are those of the run, without values; nil if nobody listens.
func (r *redaction) events(next pyth.Events) *redactedEvents {
	if r == nil || next == nil {
		return nil
	}
	return &redactedEvents{redaction: r, next: next}
}

// outcome replaces the values in what is told at the end.
func (r *redaction) outcome(o *pyth.Outcome) {
	o.Stdout = r.output(o.Stdout, o.StdoutTruncated)
	o.Stderr = r.output(o.Stderr, o.StderrTruncated)
	if e := o.Error; e != nil {
		e.Name, e.Message, e.Traceback = r.text(e.Name), r.text(e.Message), r.text(e.Traceback)
	}
	for i := range o.Results {
		o.Results[i] = r.result(o.Results[i])
	}
	o.Redactions = r.count
}

// output is the whole of a stream.
func (r *redaction) output(b []byte, cut bool) []byte {
	if len(b) == 0 {
		return b
	}
	s := r.redactor.Stream()
	out := append(s.Write(b), s.Close(cut)...)
	r.count += s.Count()
	return out
}

func (r *redaction) text(t string) string {
	out, n := r.redactor.Text([]byte(t))
	r.count += n
	return string(out)
}

// result replaces values in what of it is text.
func (r *redaction) result(from pyth.Result) pyth.Result {
	to := make(pyth.Result, len(from))
	for media, data := range from {
		switch {
		case pyth.IsJSON(media):
			to[media] = r.json(data)
		case strings.HasPrefix(media, "text/"), strings.HasSuffix(media, "+xml"), media == "application/javascript", media == "application/xml":
			to[media] = r.text(data)
		default:
			to[media] = data
		}
	}
	return to
}

// json is JSON still: a value that stood there as a number becomes a string,
// with all that is around it.
func (r *redaction) json(data string) string {
	out := r.text(data)
	// Two names may have become equal, too.
	if _, err := results.JSON([]byte(out)); err != nil {
		quoted, _ := json.Marshal(out) // A string has no error.
		return string(quoted)
	}
	return out
}

// redactedEvents pass on what they hear without values.
type redactedEvents struct {
	redaction *redaction
	next      pyth.Events
	streams   [2]*redact.Stream
}

func (e *redactedEvents) Started(id pyth.ExecutionID) error { return e.next.Started(id) }

func (e *redactedEvents) Output(name pyth.Stream, b []byte) error {
	return e.pass(name, e.stream(name).Write(b))
}

func (e *redactedEvents) Result(r pyth.Result) error { return e.next.Result(e.redaction.result(r)) }

func (e *redactedEvents) File(f pyth.File) error { return e.next.File(f) }

// end passes on what was held back. Who listens may have gone; then the run has
// ended for that.
func (e *redactedEvents) end(o *pyth.Outcome) {
	e.endStream(pyth.Stdout, o.StdoutTruncated)
	e.endStream(pyth.Stderr, o.StderrTruncated)
}

func (e *redactedEvents) endStream(name pyth.Stream, cut bool) {
	s := e.stream(name)
	_ = e.pass(name, s.Close(cut))
	e.redaction.count += s.Count()
}

func (e *redactedEvents) stream(name pyth.Stream) *redact.Stream {
	i := 0
	if name == pyth.Stderr {
		i = 1
	}
	if e.streams[i] == nil {
		e.streams[i] = e.redaction.redactor.Stream()
	}
	return e.streams[i]
}

func (e *redactedEvents) pass(name pyth.Stream, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return e.next.Output(name, b)
}
