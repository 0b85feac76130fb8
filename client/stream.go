package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// Event is an event of a run: a *Started, *Output, *Result, *File or *Ended.
type Event interface{ event() }

type (
	// Started is the first event. The server sends this event when the sandbox has
	// received the program.
	Started struct{ ID string }
	// Output is new output of the program.
	Output struct {
		Text string
		// Stderr is true for standard error, and false for standard output.
		Stderr bool
	}
	// Result is a rich value. It maps each media type to the data of the value in this
	// media type.
	Result struct{ Value ResultValue }
	// File is an output file that the request selected.
	File struct{ OutputFile }
	// Ended is the last event. It contains the result of the run. The fields Stdout and
	// Stderr of the result are empty, because Output events contain the output.
	Ended struct{ ExecuteResponse }
)

func (*Started) event() {}
func (*Output) event()  {}
func (*Result) event()  {}
func (*File) event()    {}
func (*Ended) event()   {}

// maxEvent is the maximum size of an event in bytes. Events that contain files are the
// largest.
const maxEvent = 64 << 20

// errStreamEnded means that the stream ended before the run ended.
var errStreamEnded = errors.New("the connection was lost before the run ended")

// message is one event of a stream of server-sent events.
type message struct {
	id   int64
	name string
	data []byte
}

// stream sends the request and returns the messages of its response. It closes the
// connection when the loop over the messages ends.
func (c *Client) stream(ctx context.Context, r *call) iter.Seq2[*message, error] {
	return func(yield func(*message, error) bool) {
		// If the client closes the connection, the server cancels the run. End the
		// context to close the connection, even while the server sends nothing.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		header := r.header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Accept", "text/event-stream")
		streamed := *r
		streamed.header = header
		res, err := c.send(ctx, &streamed)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode == http.StatusNoContent {
			return
		}
		for m, err := range messages(res.Body) {
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// messages reads a stream of server-sent events.
func messages(r io.Reader) iter.Seq2[*message, error] {
	return func(yield func(*message, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxEvent)
		m := new(message)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case name == "id":
				m.id, _ = strconv.ParseInt(value, 10, 64)
			case name == "event":
				m.name = value
			case name == "data":
				m.data = append(m.data, value...)
			case lines.Text() == "" && m.name != "":
				if !yield(m, nil) {
					return
				}
				m = new(message)
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("read the stream: %w", err))
		}
	}
}

// decode converts a message to an event. It returns nil if this version of the client
// does not know the kind of event.
func (m *message) decode() (Event, error) {
	var e Event
	var into any
	switch m.name {
	case "start":
		started := new(Started)
		e, into = started, started
	case "stdout", "stderr":
		output := &Output{Stderr: m.name == "stderr"}
		e, into = output, output
	case "result":
		result := new(Result)
		e, into = result, &result.Value
	case "file":
		file := new(File)
		e, into = file, &file.OutputFile
	case "end":
		ended := new(Ended)
		e, into = ended, &ended.ExecuteResponse
	case "error":
		return nil, m.problem()
	default:
		return nil, nil //nolint:nilnil // The caller skips unknown events.
	}
	if err := json.Unmarshal(m.data, into); err != nil {
		return nil, fmt.Errorf("the event %s is not from a Pyth-On server: %w", m.name, err)
	}
	return e, nil
}

// problem returns the error that the server sent in an event with the name "error".
func (m *message) problem() error {
	e := new(Error)
	if err := json.Unmarshal(m.data, &e.Problem); err != nil || e.Code == "" {
		return errors.New("the server ended the stream with an unknown error")
	}
	return e
}

// events decodes the messages of a run. It yields errStreamEnded if the stream ends
// without the event Ended.
func events(all iter.Seq2[*message, error]) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for m, err := range all {
			var e Event
			if err == nil {
				e, err = m.decode()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if e == nil {
				continue
			}
			_, ended := e.(*Ended)
			if !yield(e, nil) || ended {
				return
			}
		}
		yield(nil, errStreamEnded)
	}
}
