package e2e_test

import (
	"regexp"
	"testing"
)

var runName = regexp.MustCompile(`<run \d+>`)

func TestSessionInterruptsReachChildren(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for language, c := range map[string]struct {
		begin, show, left string
		wait              []string
	}{
		"python": {
			begin: "import os, subprocess, signal, time, threading\nserver = subprocess.Popen(['sleep', '300'])\nkept = 5\ntime.sleep(0.1)",
			show:  "print(kept)",
			// The process of the first run must still be alive. The processes of
			// interrupted runs must end soon. The test waits for the end of these
			// processes, because a signal takes some time to arrive.
			left: `
def names():
    found = []
    for p in os.listdir('/proc'):
        try:
            stat = open(f'/proc/{p}/stat').read() if p.isdigit() else ' Z '
        except OSError:
            continue
        if ' Z ' not in stat and int(p) not in (1, os.getpid(), server.pid): found.append(stat)
    return found
end = time.monotonic() + 10
while names() and time.monotonic() < end: time.sleep(0.01)
print(server.poll(), names())`,
			wait: []string{
				"os.system('sleep 60')",
				"while True: os.system('sleep 60')",
				"subprocess.run(['sleep', '60'])",
				"subprocess.run('trap \"\" INT; sleep 60; sleep 60', shell=True)",
				"subprocess.run(['sleep', '60'], start_new_session=True)",
				"subprocess.run(['python3', '-c', 'import time\\ntry: time.sleep(60)\\nexcept KeyboardInterrupt: time.sleep(60)'])",
				"if os.fork() == 0: time.sleep(60)\nos.wait()",
				"background = subprocess.Popen(['sleep', '60'])\nwhile True: pass",
				"try: time.sleep(60)\nexcept BaseException: time.sleep(60)",
				"import socket\na, b = socket.socketpair()\na.recv(1)",
				"r, w = os.pipe()\nos.read(r, 1)",
				"t = threading.Thread(target=time.sleep, args=[2], daemon=True)\nt.start()\nt.join()",
			},
		},
		"javascript": {
			begin: "let kept = 5; const { execSync, spawnSync, spawn } = require('child_process');",
			show:  "console.log(kept)",
			wait:  []string{"execSync('sleep 60')", "spawnSync('sh', ['-c', 'trap \"\" INT; sleep 60; sleep 60'])", "spawn('sleep', ['60']); for (;;);"},
		},
	} {
		for _, code := range c.wait {
			t.Run(language, func(t *testing.T) {
				t.Parallel()
				s := a.openSession(t, object{"language": language})
				s.runCode(t, c.begin).ends(t, "succeeded")
				x := s.runCode(t, code, object{"timeoutMs": 1000})
				if x.Status != "timed_out" || x.SessionEnded {
					t.Fatalf("%s: ended %v: %s", code, x.SessionEnded, x)
				}
				s.runCode(t, c.show).prints(t, "5\n")
				if c.left != "" {
					s.runCode(t, c.left).prints(t, "None []\n")
				}
			})
		}
	}
}
