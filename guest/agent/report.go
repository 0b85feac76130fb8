package agent

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/guest/protocol"
)

// maxReport bounds what is read of the report, which the program can write.
const maxReport = 512 << 10

// readReport reads what the interpreter's hook left about an uncaught
// exception; nil when there is nothing of use.
func readReport() *protocol.Report {
	f, err := os.OpenFile(reportPath, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxReport))
	if err != nil {
		return nil
	}
	fields := bytes.Split(b, []byte{0})
	if len(fields) != 4 {
		return nil
	}
	line, err := strconv.Atoi(string(fields[3]))
	if err != nil {
		return nil
	}
	return &protocol.Report{
		Name:      string(fields[0]),
		Message:   string(fields[1]),
		Traceback: string(fields[2]),
		Line:      line,
	}
}
