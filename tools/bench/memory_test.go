package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestMemoryIsReadFromARollup(t *testing.T) {
	const rollup = `00400000-7ffd1000 ---p 00000000 00:00 0                                  [rollup]
Rss:                3100 kB
Pss:                1505 kB
Pss_Anon:             17 kB
`
	for field, want := range map[string]float64{"Rss": 3100 * 1024, "Pss": 1505 * 1024, "Pss_Anon": 17 * 1024, "Pss_Shmem": 0} {
		if got := smapsField(rollup, field); got != want {
			t.Errorf("%s is %v, want %v", field, got, want)
		}
	}
}

func TestMemoryCountsAddressSpaceOnce(t *testing.T) {
	pid := os.Getpid()
	if !sameMemory(pid, pid) {
		t.Skip("this kernel does not support kcmp")
	}
	if sameMemory(pid, os.Getppid()) {
		t.Error("two processes share an address space")
	}
	once, err := memoryOf([]int{pid})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := memoryOf([]int{pid, pid})
	if err != nil {
		t.Fatal(err)
	}
	if once.resident == 0 || twice.resident > 1.5*once.resident {
		t.Errorf("once %v bytes, twice %v", once.resident, twice.resident)
	}
}

func TestMemoryFileFindsCgroup(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/user/px-1\n":                           "/sys/fs/cgroup/user/px-1/memory.current",
		"5:memory:/a/px-1\n2:cpu:/b\n0::/\n":        "/sys/fs/cgroup/memory/a/px-1/memory.usage_in_bytes",
		"9:name=systemd:/\n5:memory:/\n0::/other\n": "/sys/fs/cgroup/memory/memory.usage_in_bytes",
		"": "",
	} {
		if got := memoryFile(cgroups); got != want {
			t.Errorf("%q leads to %q, want %q", cgroups, got, want)
		}
	}
}

func TestProcessesSeparatesSandboxesFromServer(t *testing.T) {
	// Start a process whose name is like the names of gVisor's processes. The process
	// starts a child process.
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "sleep 60 & echo; wait")
	cmd.Args[0] = "runsc-launch"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	found := processesOf(os.Getpid())
	t.Cleanup(func() {
		for _, sandbox := range found.sandboxes {
			for _, pid := range sandbox {
				if p, err := os.FindProcess(pid); err == nil {
					_ = p.Kill()
				}
			}
		}
		_ = cmd.Wait()
	})
	if !slices.Contains(found.server, os.Getpid()) || slices.Contains(found.server, cmd.Process.Pid) {
		t.Errorf("the server's processes are %v", found.server)
	}
	if len(found.sandboxes) != 1 || len(found.sandboxes[0]) != 2 || found.sandboxes[0][0] != cmd.Process.Pid {
		t.Errorf("the sandboxes' processes are %v, want two of %d", found.sandboxes, cmd.Process.Pid)
	}
}
