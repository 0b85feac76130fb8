package generate

import (
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// Of a stream of output a model is shown the beginning and the end, where errors
// are.
const (
	headBytes = 2 << 10
	tailBytes = 6 << 10
)

// excerpt keeps the two, without values of secrets: those are replaced before
// anything is cut.
type excerpt struct {
	stream     *redact.Stream
	head, tail []byte
	left       int64
}

func newExcerpt(hiding *redact.Redactor) *excerpt { return &excerpt{stream: hiding.Stream()} }

func (x *excerpt) write(b []byte) { x.keep(x.stream.Write(b)) }

func (x *excerpt) keep(b []byte) {
	n := min(headBytes-len(x.head), len(b))
	x.head = append(x.head, b[:n]...)
	x.tail = append(x.tail, b[n:]...)
	if over := len(x.tail) - tailBytes; over > 0 {
		x.left += int64(over)
		x.tail = append(x.tail[:0], x.tail[over:]...)
	}
}

// close is the excerpt; cut is whether the output went on.
func (x *excerpt) close(cut bool) string {
	x.keep(x.stream.Close(cut))
	between := ""
	if x.left > 0 {
		between = fmt.Sprintf("\n[%d bytes left out]\n", x.left)
	}
	// What is no text is replaced, not left out: that could join the parts of a
	// value.
	return strings.ToValidUTF8(string(x.head)+between+string(x.tail), "\uFFFD")
}

// recorder passes on the events of a run and keeps an excerpt of its output.
type recorder struct {
	pyth.Events
	stdout, stderr *excerpt
}

func (r *recorder) Output(name pyth.Stream, b []byte) error {
	if name == pyth.Stderr {
		r.stderr.write(b)
	} else {
		r.stdout.write(b)
	}
	return r.Events.Output(name, b)
}
