package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// sessionAttack is an attack in a new session, which ends with the attack.
func sessionAttack(name string, try func(t *testing.T, s *session)) attack {
	return attack{name, func(t *testing.T, s *server, a *account) {
		x := a.openSession(t, object{})
		try(t, x)
		_, _ = s.tryCall(context.Background(), http.Header{"X-Api-Key": {a.APIKey}}, "DELETE", x.path(""), nil)
	}}
}

// processAttacks start processes in sessions. After each attack, all processes must be
// gone.
var processAttacks = []attack{
	sessionAttack("131_processes_end_with_their_session", func(t *testing.T, s *session) {
		for range 5 {
			s.start(t, object{"command": "trap '' HUP INT TERM QUIT; (setsid sh -c 'trap \"\" HUP; sleep 100000; true' &) ; sleep 100000 & wait; sleep 100000"})
		}
		s.shell(t, "until test $(pgrep -c sleep) -ge 10; do :; done; echo ready").prints(t, "ready\n")
		s.server.call(t, s.account, "DELETE", s.path(""), nil).want(t, 204, nil)
		s.requireClosed(t)
	}),
	sessionAttack("132_a_flood_of_processes_is_refused", func(t *testing.T, s *session) {
		var mu sync.Mutex
		count := map[int]int{}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				r := s.server.call(t, s.account, "POST", s.path("/processes"), object{"command": "sleep 100000"})
				mu.Lock()
				defer mu.Unlock()
				count[r.status]++
			})
		}
		all.Wait()
		if count[201] == 0 || count[201] > 64 || count[201]+count[429] != 100 {
			t.Errorf("got %v", count)
		}
		s.runCode(t, "print(6 * 7)").prints(t, "42\n")
	}),
	sessionAttack("133_a_fork_bomb_in_a_process_hits_the_limit", func(t *testing.T, s *session) {
		p := s.start(t, object{"command": "bomb() { bomb | bomb & }; bomb; sleep 100000"})
		s.runCode(t, "print(6 * 7)").prints(t, "42\n")
		s.kill(t, p)
		s.runCode(t, "print(6 * 7)").prints(t, "42\n")
	}),
	sessionAttack("134_a_process_finds_no_descriptor_of_the_service", func(t *testing.T, s *session) {
		// A process has no open files except its standard streams. So it cannot write
		// frames to the connection of the service.
		s.shell(t, "exec python3 -c \"import os; print(sorted(fd for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/proc/self/fd/{fd}') and fd > 2))\"").prints(t, "[]\n")
		s.shell(t, "set -- /proc/[0-9]*; echo $#; cat /proc/1/cmdline | tr -d '\\0'; cat /proc/net/unix | wc -l").prints(t, "3\ninit3\n")
		// Output that looks like frames must arrive as output.
		frames := s.shell(t, `printf '8\0\0\0\1x9\0\0\0\0q\0\0\0\0E\0\0\0\0\0\1\0\2'`)
		if frames.Stdout != "8\x00\x00\x00\x01x9\x00\x00\x00\x00q\x00\x00\x00\x00E\x00\x00\x00\x00\x00\x01\x00\x02" {
			t.Errorf("got %s", frames)
		}
	}),
	sessionAttack("135_a_command_with_every_byte_is_data", func(t *testing.T, s *session) {
		var every strings.Builder
		for r := rune(1); r < 0x250; r++ {
			every.WriteRune(r)
		}
		name := every.String()
		request := object{"args": []string{"printf", "%s", name, name}, "name": "\x01\x1b[31m\u202e"}
		p := s.start(t, request)
		s.await(t, p)
		r := s.server.call(t, s.account, "GET", s.processPath(p, ""), nil)
		r.want(t, 200, p)
		if !json.Valid(r.body) || p.Name != request["name"] || !strings.HasPrefix(p.Command, "printf %s '\x01\x02") {
			t.Errorf("got %q, %.100q", p.Name, p.Command)
		}
		if got := s.screenOf(t, p); got != name+name {
			t.Errorf("got %d of %d bytes", len(got), 2*len(name))
		}
		s.server.call(t, s.account, "POST", s.path("/processes"), object{"args": []string{name}}).refused(t, 400, "invalid_request")
	}),
	sessionAttack("136_passed_descriptors_do_not_exhaust_the_agent", func(t *testing.T, s *session) {
		// One process collects the output pipes of many processes that end.
		s.start(t, object{"command": `exec python3 -c "
import socket, array
listener = socket.socket(socket.AF_UNIX); listener.bind('s'); listener.listen(200)
kept = []
while True:
    c, _ = listener.accept()
    kept.append(c.recvmsg(1, socket.CMSG_SPACE(8)))
    c.send(b'x')
"`})
		s.shell(t, `cat > give.py <<'END'
import socket, array
c = socket.socket(socket.AF_UNIX); c.connect('s')
c.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1, 2]))])
c.recv(1)
END
until test -S s; do :; done`).prints(t, "")
		for range 150 {
			if p := s.shell(t, "exec python3 give.py"); p.ExitCode == nil || *p.ExitCode != 0 {
				t.Fatal(p)
			}
		}
		s.shell(t, "echo works").prints(t, "works\n")
		s.runCode(t, "print(6 * 7)").prints(t, "42\n")
	}),
	sessionAttack("137_a_terminal_does_not_reach_others", func(t *testing.T, s *session) {
		c, p := s.terminal(t, "exec sleep 100000")
		defer func() { _ = c.CloseNow() }()
		// The list must contain no terminals of other users. It contains only the
		// terminal of this session and the device ptmx.
		s.shell(t, "ls /dev/pts").prints(t, "0\nptmx\n")
		s.shell(t, `exec python3 -c "
import fcntl, os, termios
for what in (termios.TIOCSTI, 0x5410, 0x540E, 0x541D):
    try:
        fd = os.open('/dev/pts/0', os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(fd, what, b'x')
        print('done', hex(what))
    except OSError as e:
        print('refused')
"`)
		s.kill(t, p)
		if ended := c.close(t); ended.Signal != "SIGKILL" {
			t.Error(ended)
		}
	}),
	sessionAttack("138_endless_output_stays_bounded", func(t *testing.T, s *session) {
		var all []*process
		for range 4 {
			all = append(all, s.start(t, object{"command": "exec yes 0123456789"}))
		}
		s.runCode(t, "import time; time.sleep(3); print(6 * 7)").prints(t, "42\n")
		for _, p := range all {
			s.kill(t, p)
			if ended := s.await(t, p); ended.OutputBytes < 1<<20 {
				t.Errorf("only %d bytes were written", ended.OutputBytes)
			}
		}
		s.runCode(t, "print(6 * 7)").prints(t, "42\n")
	}),
	sessionAttack("142_memory_of_processes_counts", func(t *testing.T, s *session) {
		s.start(t, object{"command": `exec python3 -c "
kept = []
while True: kept.append(bytearray(b'x' * (16 << 20)))"`})
		eventually(t, "the session ends", func() bool {
			return s.server.call(t, s.account, "GET", s.path("/processes"), nil).status == 404
		})
		s.requireClosed(t)
	}),
	sessionAttack("143_streams_of_a_session_are_limited", func(t *testing.T, s *session) {
		p := s.start(t, object{"command": "sleep 100000"})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		for range 70 {
			all.Go(func() {
				for ctx.Err() == nil {
					_, _ = s.server.tryCall(ctx, http.Header{"X-Api-Key": {s.APIKey}}, "GET", s.processPath(p, "?wait=60"), nil)
				}
			})
		}
		eventually(t, "a stream is refused", func() bool {
			r := s.server.call(t, s.account, "GET", s.processPath(p, ""), nil)
			if r.status != 200 && r.status != 429 {
				t.Error(r)
			}
			return r.status == 429
		})
		// A run needs no stream, so it must still succeed.
		s.runCode(t, "print(6 * 7)").prints(t, "42\n")
	}),
}
