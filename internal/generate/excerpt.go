package generate

import (
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// The model receives at most headBytes bytes from the beginning of an output and
// tailBytes bytes from its end. The part from the end is longer, because errors are
// usually at the end.
const (
	headBytes = 2 << 10
	tailBytes = 6 << 10
)

// excerpt keeps the beginning and the end of an output stream. It redacts secret values
// before it truncates the output, so that no part of a value remains.
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

// close ends the stream and returns the excerpt. The parameter "cut" is true if the
// server has already truncated the output.
func (x *excerpt) close(cut bool) string {
	x.keep(x.stream.Close(cut))
	between := ""
	if x.left > 0 {
		between = fmt.Sprintf("\n[%d bytes omitted]\n", x.left)
	}
	// Replace invalid UTF-8 instead of removing it. If it were removed, two separate
	// parts of a secret value could become adjacent.
	return strings.ToValidUTF8(string(x.head)+between+string(x.tail), "\uFFFD")
}

// recorder passes the events of a run to the caller. It also writes the output of the run
// to excerpts.
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
