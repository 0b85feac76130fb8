package log

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
)

func TestNewIDContainsTheSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sequence := rapid.Int64Range(0, 1<<48-1).Draw(t, "sequence")
		at := time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "milliseconds"))
		id, err := newID(sequence, at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sequenceOf(id); err != nil || got != sequence {
			t.Fatalf("%s: %d, %v", id, got, err)
		}
		if id[14] != '7' || id[19] < '8' || id[19] > 'b' {
			t.Fatalf("%s is no UUID of version 7", id)
		}
	})
}

func FuzzID(f *testing.F) {
	f.Add("01a21670-0dba-7483-b2b9-000000000004")
	f.Add("01A21670-0dba-7483-b2b9-000000000004")
	f.Add("urn:uuid:01a21670-0dba-7483-b2b9-000000000004")
	f.Fuzz(func(t *testing.T, id string) {
		if n, err := sequenceOf(id); err == nil && (n < 0 || len(id) != 36) {
			t.Errorf("%q: %d", id, n)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("MTc3NTI5MTAwMTEyMzQ1Ni40MQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		if p, err := parseCursor(cursor); err == nil && p.Sequence < 0 {
			t.Errorf("%q: %+v", cursor, p)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	s, err := newSigner(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	valid, err := s.sign(newTree())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid, "pyth-on\n1\nUWrlkUJnNYGjZcQoArUufoRlbx/yNicU3Lvs4nq9uDY=\n")
	f.Fuzz(func(t *testing.T, signed []byte, text string) {
		if head, err := openCheckpoint(signed, s.key); err == nil && head.N != 0 {
			t.Errorf("%q was accepted without a signature", signed)
		}
		if head, err := parseCheckpoint(text, logName); err == nil && head.N < 0 {
			t.Errorf("%q: %+v", text, head)
		}
	})
}

func FuzzRecord(f *testing.F) {
	p, err := newPending(&pyth.Origin{}, &pyth.AuditEvent{Action: pyth.ActionUserLogin}, time.Unix(1, 0).UTC())
	if err != nil {
		f.Fatal(err)
	}
	r, err := p.recordAt(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Record)
	f.Fuzz(func(t *testing.T, content []byte) {
		if e, err := entryOf(content); err == nil && e.Hash != leafHash(content) {
			t.Errorf("%q: %+v", content, e)
		}
	})
}

func FuzzClean(f *testing.F) {
	f.Add("curl/8 pyapi_0123456789abcdefghij")
	f.Add("a\r\nb\x00\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		if got := clean(s); len(got) > maxText || clean(got) != got {
			t.Errorf("%q was written as %q, and then as %q", s, got, clean(got))
		}
	})
}

// TestCleanKeepsJoinedEmoji checks that the function "clean" keeps zero-width joiners.
// Labels of runs may contain emoji with such joiners.
func TestCleanKeepsJoinedEmoji(t *testing.T) {
	const label = "\U0001f469\u200d\U0001f4bb \u0646\u200c\u0647"
	if got := clean(label); got != label {
		t.Errorf("%q becomes %q", label, got)
	}
}
