package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine describes the machine and the software of a benchmark run. The report
// contains this description, because the figures depend on the machine and the
// software.
type machine struct {
	Date      time.Time
	Version   string
	Go        string
	GVisor    string
	Processor string
	Cores     int
	Memory    string
	Kernel    string
	// Load is the load average of the minute before the benchmark. If this value is
	// well above zero, other programs used the machine.
	Load string
}

func examine(ctx context.Context, binary string, at time.Time) (machine, error) {
	m := machine{Date: at, Cores: runtime.NumCPU()}
	built, err := buildinfo.ReadFile(binary)
	if err != nil {
		return m, fmt.Errorf("%w; build it with `make build`", err)
	}
	m.Go = built.GoVersion
	cmd := exec.CommandContext(ctx, binary, "version")
	cmd.Env = environment()
	version, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("get the version of %s: %w", binary, err)
	}
	m.Version = strings.TrimSpace(string(version))
	m.Processor = fileField("/proc/cpuinfo", "model name")
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(fileField("/proc/meminfo", "MemTotal"), " kB"), 64)
	m.Memory = fmt.Sprintf("%.0f GiB", kib/(1<<20))
	load, _ := os.ReadFile("/proc/loadavg")
	m.Load, _, _ = strings.Cut(string(load), " ")
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	return m, nil
}

// gvisorVersion returns the version of gVisor that the executable for sandboxes
// contains.
func gvisorVersion(executable string) (string, error) {
	built, err := buildinfo.ReadFile(executable)
	if err != nil {
		return "", err
	}
	for _, module := range built.Deps {
		if module.Path == "gvisor.dev/gvisor" {
			return module.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not contain gVisor", executable)
}

// fileField returns the first value of a name in a file that has lines of the form
// "name: value". It returns "unknown" if the file does not contain the name.
func fileField(file, name string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
