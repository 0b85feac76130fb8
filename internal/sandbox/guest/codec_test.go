package guest_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// These programs read a Launch frame with the codec of a hook. Each program answers with
// a Report frame. The message of the Report is the list of arguments, joined with "|".
const (
	pythonCodec = `
import runpy, sys, os
codec = runpy.run_path("hook/python/protocol.py")
args = codec["fields"](codec["receive"](0)[5])
os.write(1, codec["frame"](codec["REPORT"], "näme", b"|".join(args), "", "-3"))
`
	nodeCodec = `
const fs = require('fs');
const { fieldsOf, frame, frameSize, kinds, open } = require('./hook/javascript/protocol.cjs');
const bytes = fs.readFileSync(0);
if (frameSize(bytes) !== bytes.length || frameSize(bytes.subarray(0, 4)) !== Infinity) throw new Error('size');
const args = fieldsOf(open(bytes)[5]);
fs.writeSync(1, frame(kinds.report, ['näme', Buffer.from(args.join('|')), '', '-3']));
`
)

func TestHooksHaveTheCodecOfTheProtocol(t *testing.T) {
	args := []string{"", "ü", strings.Repeat("x", 70_000), "\n"}
	launch := &protocol.Launch{Mode: protocol.ModePlain, Args: args, Env: []string{"A=1"}}
	wire, err := protocol.AppendFrames(nil, protocol.NewFrame(protocol.KindLaunch, launch))
	if err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{"python": {"python3", "-c", pythonCodec}, "node": {"node", "-e", nodeCodec}} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			var stderr bytes.Buffer
			cmd.Stdin, cmd.Stderr = bytes.NewReader(wire), &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			frame, err := protocol.NewReader(bytes.NewReader(out), len(out)).Next()
			if err != nil || frame.Kind != protocol.KindReport {
				t.Fatalf("got %q, %v", frame.Kind, err)
			}
			var got protocol.Report
			if err := protocol.Decode(frame.Payload, &got); err != nil {
				t.Fatal(err)
			}
			want := protocol.Report{Name: "näme", Message: strings.Join(args, "|"), Line: -3}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
