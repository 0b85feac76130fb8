package agent

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// maxReport limits the size of the report file in bytes, since the program can
// write to the file too.
const maxReport = 512 << 10

// makeReport adds calls that create the report file. The interpreter's hook will
// write it.
func makeReport(c *calls, reports *int32) {
	c.add("create report", unix.SYS_MKNODAT, reports, reportName, unix.S_IFREG|0o600, 0)
	c.add("change owner of report", unix.SYS_FCHOWNAT, reports, reportName, userID, userID, unix.AT_SYMLINK_NOFOLLOW)
}

// readReport reads the report of an uncaught exception. It returns nil if the
// hook wrote none, or if the report is invalid.
func (p *program) readReport() *protocol.Report {
	fd, err := unix.Openat(p.reports, reportName, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), reportName)
	defer f.Close()
	frame, err := protocol.NewReader(f, maxReport).Next()
	report := new(protocol.Report)
	if err != nil || frame.Kind != protocol.KindReport || protocol.Decode(frame.Payload, report) != nil {
		return nil
	}
	return report
}
