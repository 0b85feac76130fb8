package process

import "github.com/prometheus/procfs"

// ResidentBytes returns the resident memory of this process, in bytes. It returns 0 if
// /proc cannot be read.
func ResidentBytes() int64 {
	self, err := procfs.Self()
	if err != nil {
		return 0
	}
	stat, err := self.Stat()
	if err != nil {
		return 0
	}
	return int64(stat.ResidentMemory())
}
