package agent

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// maxReport is the maximum size in bytes of the file with the report of an exception.
// The limit is necessary because not only the hook but also the user's program can
// write to the file.
const maxReport = 512 << 10

// makeReport adds system calls that create the file for the report of an uncaught
// exception. The interpreter's hook writes the report to this file.
func makeReport(c *calls, reports *int32) {
	c.add("create report", unix.SYS_MKNODAT, reports, reportName, unix.S_IFREG|0o600, 0)
	c.add("change owner of report", unix.SYS_FCHOWNAT, reports, reportName, userID, userID, unix.AT_SYMLINK_NOFOLLOW)
}

// readReport reads the report of an uncaught exception. It returns nil if the
// interpreter's hook has written no report, or if the report is invalid.
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
