package doctor_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/doctor"
)

// host is a fake dispatcher. It is a function that receives a job and returns the outcome
// of this job.
type host func(*pyth.Job) (*pyth.Outcome, error)

func (h host) Start(_ context.Context, j *pyth.Job, _ pyth.Events) (pyth.Run, error) {
	return run{h, j}, nil
}

type run struct {
	host host
	job  *pyth.Job
}

func (r run) Release(context.Context, []pyth.SecretValue) (*pyth.Outcome, error) {
	return r.host(r.job)
}

func (run) Abandon() {}

// The function "good" simulates a host on which all limits work.
func good(j *pyth.Job) (*pyth.Outcome, error) {
	o := &pyth.Outcome{Status: pyth.StatusSucceeded}
	code := string(j.Code)
	switch {
	case strings.Contains(code, "6 * 7"), j.Language == pyth.TypeScript:
		o.Stdout = []byte("42\n")
	case strings.Contains(code, "bytearray(512"):
		o.Status = pyth.StatusOutOfMemory
	case strings.Contains(code, "fork"):
		o.Stdout = []byte("bounded True\n")
	case strings.Contains(code, "/tmp/b"):
		o.Stdout = []byte("ENOSPC\n")
	case strings.Contains(code, "100_000"):
		o.Status, o.Stdout = pyth.StatusOutputLimit, []byte(strings.Repeat("x", int(j.Limits.OutputBytes)))
	case strings.Contains(code, "while True"):
		o.Status = pyth.StatusTimedOut
	case strings.Contains(code, "connect"):
		o.Stdout = []byte("ENETUNREACH\n")
	}
	return o, nil
}

// The function "broken" simulates a host on which Node does not start.
func broken(*pyth.Job) (*pyth.Outcome, error) {
	return &pyth.Outcome{Status: pyth.StatusFailed, Stderr: []byte("version `GLIBC_2.99' not found")}, nil
}

func levels(findings []doctor.Finding) map[string]doctor.Level {
	m := make(map[string]doctor.Level)
	for _, f := range findings {
		m[f.Name] = f.Level
	}
	return m
}

func TestCheckAcceptsWorkingLimits(t *testing.T) {
	findings := doctor.Sandboxes(t.Context(), host(good), true)
	if len(findings) != 8 || doctor.Failed(findings) {
		t.Errorf("got %+v", findings)
	}
	for _, f := range findings {
		if f.Level != doctor.OK || f.Fix != "" || f.Detail == "" {
			t.Errorf("got %+v", f)
		}
	}
}

func TestCheckWarnsWithoutCgroup(t *testing.T) {
	findings := doctor.Sandboxes(t.Context(), host(good), false)
	if got := levels(findings); got["memory"] != doctor.Warning || got["disk"] != doctor.OK || doctor.Failed(findings) {
		t.Errorf("got %v", got)
	}
}

func TestCheckReportsBrokenLimits(t *testing.T) {
	for name, marker := range map[string]string{
		"memory": "bytearray(512", "processes": "fork", "disk": "/tmp/b", "output": "100_000",
		"time": "while True", "network": "connect",
	} {
		t.Run(name, func(t *testing.T) {
			findings := doctor.Sandboxes(t.Context(), host(func(j *pyth.Job) (*pyth.Outcome, error) {
				if strings.Contains(string(j.Code), marker) {
					return &pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("ha")}, nil
				}
				return good(j)
			}), true)
			if got := levels(findings); got[name] != doctor.Failure || !doctor.Failed(findings) {
				t.Errorf("got %v", got)
			}
			for _, f := range findings {
				if (f.Level == doctor.OK) != (f.Fix == "") {
					t.Errorf("%s is %s and its fix is %q", f.Name, f.Level, f.Fix)
				}
			}
		})
	}
}

func TestCheckStopsWithoutSandboxes(t *testing.T) {
	tries := 0
	findings := doctor.Sandboxes(t.Context(), host(func(*pyth.Job) (*pyth.Outcome, error) {
		tries++
		return nil, errors.New("no namespaces")
	}), true)
	if tries != 1 || len(findings) != 1 || findings[0].Level != doctor.Failure || findings[0].Fix == "" {
		t.Errorf("%d tries, got %+v", tries, findings)
	}
}

func TestCheckReportsMissingFeatures(t *testing.T) {
	for name, c := range map[string]struct {
		got   doctor.Finding
		level doctor.Level
		says  string
	}{
		"a cgroup":               {doctor.Cgroup(2, nil), doctor.OK, "version 2"},
		"no cgroup":              {doctor.Cgroup(0, errors.New("read-only")), doctor.Warning, "read-only"},
		"a tool":                 {doctor.Tools([]string{"xargs"}), doctor.Warning, "xargs"},
		"an ordinary user":       {doctor.Identity(1000, true), doctor.OK, "1000"},
		"a user without rights":  {doctor.NoIdentity(errors.New("sysctl"), doctor.Confinement{}), doctor.Failure, "cannot"},
		"a directory":            {doctor.Disk(t.TempDir()), doctor.OK, "free"},
		"a directory not there":  {doctor.Disk("/does/not/exist"), doctor.Failure, "no such file"},
		"the system":             {doctor.System(), doctor.OK, "Linux"},
		"no Node":                {doctor.NoNode(errors.New("no registry"), "name one"), doctor.Warning, "no registry"},
		"Node":                   {doctor.Node(t.Context(), host(good), "24.1.0"), doctor.OK, "24.1.0"},
		"a Node that fails":      {doctor.Node(t.Context(), host(broken), "24.1.0"), doctor.Failure, "GLIBC"},
		"a file system not made": {doctor.NoImage(errors.New("no libc")), doctor.Failure, "no libc"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got.Level != c.level || !strings.Contains(c.got.Detail, c.says) {
				t.Errorf("got %+v", c.got)
			}
		})
	}
}

func TestNoIdentityNamesConfinement(t *testing.T) {
	const filtered, free = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n", "Name:\tx\nSeccomp:\t0\n"
	for name, c := range map[string]struct {
		status, label string
		want, not     string
	}{
		"Docker":            {filtered, "docker-default (enforce)\n", "a seccomp filter and the AppArmor profile docker-default, ", "nothing"},
		"Docker on Fedora":  {filtered, "system_u:system_r:container_t:s0:c1,c2\x00", "has a seccomp filter, ", "AppArmor profile "},
		"AppArmor alone":    {free, "cri-containerd.apparmor.d (enforce)\n", "has the AppArmor profile cri-containerd.apparmor.d, ", "seccomp filter"},
		"an ordinary host":  {free, "unconfined\n", "sysctl", "Docker"},
		"without AppArmor":  {free, "", "sysctl", "Docker"},
		"an unconfined one": {free, "unconfined (complain)\n", "sysctl", "Docker"},
	} {
		fix := doctor.NoIdentity(errors.New("see sysctl"), doctor.ParseConfinement(c.status, c.label)).Fix
		if !strings.Contains(fix, c.want) || strings.Contains(fix, c.not) || !strings.Contains(fix, "see sysctl") {
			t.Errorf("%s: got %q", name, fix)
		}
	}
}
