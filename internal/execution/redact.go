package execution

import (
	"encoding/json"
	"strconv"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/results"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// redaction replaces secret values in the output, the results and the error of one
// run.
type redaction struct {
	redactor *redact.Redactor
	count    int
	hidden   []pyth.SecretValue
	// paths maps the path of each output file to its redacted path.
	paths map[string]string
	// The field "streamed" is true if the server sent results as events. The replacements
	// in these results are already counted.
	streamed bool
}

// redaction returns a redaction for one run. It returns nil if redaction is disabled
// or there are no values to replace.
func (s *Service) redaction(hidden []pyth.SecretValue, p *pyth.Program) *redaction {
	if p.KeepSecrets || s.config.KeepSecrets || len(hidden) == 0 {
		return nil
	}
	return &redaction{redactor: redact.New(hidden), hidden: hidden, paths: map[string]string{}}
}

// clear overwrites the data that the redactor derived from secret values. It also
// releases the values.
func (r *redaction) clear() { r.redactor.Clear() }

// events returns a receiver of events. It redacts each event and passes the event to
// "next". The result is nil if r or "next" is nil.
func (r *redaction) events(next pyth.Events) *redactedEvents {
	if r == nil || next == nil {
		return nil
	}
	return &redactedEvents{redaction: r, next: next}
}

func (r *redaction) outcome(o *pyth.Outcome) {
	o.Stdout = r.output(o.Stdout, o.StdoutTruncated)
	o.Stderr = r.output(o.Stderr, o.StderrTruncated)
	r.error(o.Error)
	count := r.count
	for i := range o.Results {
		o.Results[i] = r.result(o.Results[i])
	}
	if r.streamed {
		r.count = count // These redactions were counted when the events were sent.
	}
	for i := range o.ResultsSkipped {
		one := &o.ResultsSkipped[i]
		one.MediaType, one.Reason = r.text(one.MediaType), r.text(one.Reason)
	}
	for i := range o.Files {
		o.Files[i].Path = r.path(o.Files[i].Path)
	}
	r.skipped(o.FilesSkipped)
	for i := range o.Usage.Network {
		one := &o.Usage.Network[i]
		one.Host, one.Reason = r.text(one.Host), r.text(one.Reason)
	}
	o.Redactions = r.count
}

// error replaces secret values in an exception. The interpreter may already have
// truncated a name or message at its end, or a traceback at its beginning. At these
// places, a secret value may be incomplete.
func (r *redaction) error(e *pyth.ProgramError) {
	if e == nil {
		return
	}
	e.Name = r.cut(e.Name, false, len(e.Name) >= maxErrorName)
	e.Message = r.cut(e.Message, false, len(e.Message) >= maxErrorMessage)
	e.Traceback = r.cut(e.Traceback, len(e.Traceback) >= maxErrorTraceback, false)
}

// The method "cut" redacts a text. If "head" is true, the beginning of the text may be
// missing. If "tail" is true, the end of the text may be missing. At these places, the
// method also redacts incomplete secret values.
func (r *redaction) cut(text string, head, tail bool) string {
	var before, after string
	if head {
		before, text = trimHead(text)
	}
	if tail {
		text, after = trimTail(text)
	}
	out, n := r.redactor.Cut([]byte(text), head, tail)
	r.count += n
	return before + string(out) + after
}

// path returns the redacted path of a file. If two files have the same redacted
// path, it adds a number to the second path.
func (r *redaction) path(name string) string {
	if shown, ok := r.paths[name]; ok {
		return shown
	}
	redacted := r.text(name)
	shown := redacted
	for n := 2; r.isShown(shown); n++ {
		shown = redacted + "-" + strconv.Itoa(n)
	}
	r.paths[name] = shown
	return shown
}

func (r *redaction) isShown(path string) bool {
	for _, shown := range r.paths {
		if shown == path {
			return true
		}
	}
	return false
}

// The method "skipped" replaces secret values in the paths of files that the server did
// not return. In these paths, workpath.Display has replaced unprintable characters and
// truncated long names. So the method also searches for the displayed form of each secret
// value.
func (r *redaction) skipped(files []pyth.SkippedFile) {
	if len(files) == 0 {
		return
	}
	shown := []pyth.SecretValue{}
	for _, v := range r.hidden {
		if value := workpath.Display(string(v.Value)); value != string(v.Value) {
			value, _ = trimTail(value)
			shown = append(shown, pyth.SecretValue{Name: v.Name, Value: []byte(value)})
		}
	}
	unprintable := redact.New(shown)
	defer unprintable.Clear()
	defer pyth.ClearSecrets(shown)
	for i := range files {
		f := &files[i]
		f.Path = r.cut(f.Path, false, strings.HasSuffix(f.Path, "\u2026"))
		out, n := unprintable.Cut([]byte(f.Path), false, strings.HasSuffix(f.Path, "\u2026"))
		f.Path, r.count = string(out), r.count+n
		f.Reason = r.text(f.Reason)
	}
}

// The method "output" replaces secret values in standard output or standard error after
// the run. The parameter "cut" is true if the output was truncated.
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

// result redacts the media types and the text of a result. It does not change binary
// data.
func (r *redaction) result(from pyth.Result) pyth.Result {
	to := make(pyth.Result, len(from))
	for media, data := range from {
		shown := r.text(media)
		switch {
		case isBinary(media, data):
			to[shown] = data
		case pyth.IsJSON(media):
			to[shown] = r.json(data)
		default:
			to[shown] = r.cut(data, false, len(data) >= maxHookResult)
		}
	}
	return to
}

// json redacts JSON. If the redacted text is no longer valid JSON, it returns the
// whole text as a JSON string.
func (r *redaction) json(data string) string {
	out := r.text(data)
	// The replacement of secret values may have caused invalid syntax or two equal names
	// in an object.
	if _, err := results.JSON([]byte(out)); err != nil {
		quoted, _ := json.Marshal(out) // A string can always be marshaled.
		return string(quoted)
	}
	return out
}

type redactedEvents struct {
	redaction *redaction
	next      pyth.Events
	streams   [2]*redact.Stream
}

func (e *redactedEvents) Started(id pyth.ExecutionID) error { return e.next.Started(id) }

func (e *redactedEvents) Output(name pyth.Stream, b []byte) error {
	return e.pass(name, e.stream(name).Write(b))
}

func (e *redactedEvents) Result(r pyth.Result) error {
	e.redaction.streamed = true
	return e.next.Result(e.redaction.result(r))
}

func (e *redactedEvents) File(f pyth.File) error {
	f.Path = e.redaction.path(f.Path)
	return e.next.File(f)
}

// The method "end" redacts the rest of both streams and passes it to "next". It ignores
// errors, because the client may have disconnected.
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
