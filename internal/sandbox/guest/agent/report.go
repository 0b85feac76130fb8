package agent

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// maxReport bounds what is read of the report, which the program can write.
const maxReport = 512 << 10

// makeReport makes the file that the interpreter's hook writes to.
func (p *program) makeReport() error {
	fd, err := unix.Openat(p.reports, reportName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchown(fd, userID, userID)
}

// readReport reads what the interpreter's hook left about an uncaught
// exception; nil when there is nothing of use.
func (p *program) readReport() *protocol.Report {
	fd, err := unix.Openat(p.reports, reportName, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), reportName)
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
