package egress

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestSOCKS5Handshake(t *testing.T) {
	const greeting = "\x05\x01\x00"
	for _, c := range []struct {
		name, says, want string
		reply            byte
		answer           string
	}{
		{"a name", greeting + "\x05\x01\x00\x03\x0bexample.org\x01\xbb", "example.org:443", 0, "\x05\x00"},
		{"a name in capitals", greeting + "\x05\x01\x00\x03\x0bEXAMPLE.org\x01\xbb", "example.org:443", 0, "\x05\x00"},
		{"an address", greeting + "\x05\x01\x00\x01\x08\x08\x08\x08\x00\x35", "8.8.8.8:53", 0, "\x05\x00"},
		{"an address as a name", greeting + "\x05\x01\x00\x03\x078.8.8.8\x00\x35", "8.8.8.8:53", 0, "\x05\x00"},
		{"an IPv6 address", greeting + "\x05\x01\x00\x04" + "\x26\x06\x47\x00" + strings.Repeat("\x00", 11) + "\x01\x00\x35", "[2606:4700::1]:53", 0, "\x05\x00"},
		{"a mapped address", greeting + "\x05\x01\x00\x04" + strings.Repeat("\x00", 10) + "\xff\xff\x08\x08\x08\x08\x00\x35", "8.8.8.8:53", 0, "\x05\x00"},
		{"a choice of methods", "\x05\x03\x02\x01\x00\x05\x01\x00\x01\x08\x08\x08\x08\x00\x35", "8.8.8.8:53", 0, "\x05\x00"},
		{"no method that is served", "\x05\x01\x02", "", replyFailed, "\x05\xff"},
		{"no method", "\x05\x00", "", replyFailed, "\x05\xff"},
		{"BIND", greeting + "\x05\x02\x00\x01\x08\x08\x08\x08\x00\x35", "8.8.8.8:53", replyCommand, "\x05\x00"},
		{"UDP", greeting + "\x05\x03\x00\x01\x08\x08\x08\x08\x00\x35", "8.8.8.8:53", replyCommand, "\x05\x00"},
		{"an address of another type", greeting + "\x05\x01\x00\x02\x08\x08\x08\x08\x00\x35", "", replyType, "\x05\x00"},
		{"another version in the request", greeting + "\x04\x01\x00\x01\x08\x08\x08\x08\x00\x35", "", replyFailed, "\x05\x00"},
		{"port 0", greeting + "\x05\x01\x00\x01\x08\x08\x08\x08\x00\x00", "", replyFailed, "\x05\x00"},
		{"an empty name", greeting + "\x05\x01\x00\x03\x00\x01\xbb", "", replyDenied, "\x05\x00"},
		{"a name with NUL", greeting + "\x05\x01\x00\x03\x03a\x00b\x01\xbb", "", replyDenied, "\x05\x00"},
		{"an address in another form", greeting + "\x05\x01\x00\x03\x05127.1\x01\xbb", "", replyDenied, "\x05\x00"},
		{"nothing after the greeting", greeting, "", replyFailed, "\x05\x00"},
		{"half a greeting", "\x05", "", replyFailed, ""},
		{"half a name", greeting + "\x05\x01\x00\x03\xffexample", "", replyFailed, "\x05\x00"},
		{"no port", greeting + "\x05\x01\x00\x01\x08\x08\x08\x08\x00", "", replyFailed, "\x05\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var answer bytes.Buffer
			got, refused := readSOCKS(bufio.NewReader(strings.NewReader(c.says)), &answer)
			if c.reply == 0 && refused != nil || c.reply != 0 && (refused == nil || refused.reply != c.reply) {
				t.Errorf("got %+v, want reply %d", refused, c.reply)
			}
			if want := c.want; got != (target{}) && got.String() != want || got == (target{}) && want != "" {
				t.Errorf("got %v, want %q", got, want)
			}
			if answer.String() != c.answer {
				t.Errorf("answered %q, want %q", answer.String(), c.answer)
			}
		})
	}
}

// FuzzSOCKS checks that an accepted request has a valid target.
func FuzzSOCKS(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x03\x0bexample.org\x01\xbb"))
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x01\x08\x08\x08\x08\x00\x35"))
	f.Add([]byte("\x05\x02\x00\x02\x05\x01\x00\x04\x26\x06\x47\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x35"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var answer bytes.Buffer
		got, refused := readSOCKS(bufio.NewReader(bytes.NewReader(b)), &answer)
		if answer.Len() > 2 {
			t.Fatalf("answered %q", answer.Bytes())
		}
		if refused != nil {
			if refused.reply == replySucceeded || refused.reason == "" {
				t.Fatalf("refused with %+v", refused)
			}
			return
		}
		if again, err := parseTarget(got.String(), 0); err != nil || again != got {
			t.Fatalf("%q is not a valid target: %v, %v", got, again, err)
		}
	})
}
