package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// startPrograms is a program that starts 200 interpreters one after the other and then
// prints the answer. It starts interpreters because this is the most expensive part of
// a run.
const startPrograms = `import os, sys
for _ in range(200):
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], {"LANG": "C.UTF-8"})
    os.waitpid(pid, 0)
` + program

// The method "profile" runs startPrograms in a sandbox and writes a CPU profile of
// gVisor's kernel. The sandbox has the server's settings, but with profiling. Servers
// never enable profiling, because profiling weakens gVisor's protection.
func (b *bench) profile(ctx context.Context, file string) error {
	image, err := findImage(b.warmData)
	if err != nil {
		return err
	}
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	bundle, err := b.gvisor.bundle(ctx, "profile", func(spec map[string]any) {
		spec["annotations"] = map[string]any{
			"dev.gvisor.spec.rootfs.source": image,
			"dev.gvisor.spec.rootfs.type":   "erofs",
		}
		if process, ok := spec["process"].(map[string]any); ok {
			process["args"] = []string{"/usr/local/bin/python3", "-c", startPrograms}
		}
	})
	if err != nil {
		return err
	}
	b.progress.step("Profiling gVisor while interpreters start")
	took, err := b.gvisor.command(bundle, "--directfs=false", "--profile", "--profile-cpu="+file).untilEnded(ctx)
	if err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	_, err = fmt.Fprintf(os.Stdout, "200 interpreters started in %v. To see where the processor time went:\n"+
		"  go tool pprof -http=: %s\n", took.Round(1e6), file)
	return err
}
