package log_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
)

func TestRecordHasTheDocumentedForm(t *testing.T) {
	store := newStore(t)
	l := openLog(t, store)
	ctx := pyth.WithOrigin(t.Context(), &pyth.Origin{
		Credential: pyth.CredentialAPIKey, KeyPrefix: "pyapi_x7Qd", IP: "192.0.2.7", UserAgent: `curl/8 "é"`, RequestID: "4f2c9a",
	})
	if err := l.Record(ctx, &pyth.AuditEvent{
		User: "usr_ada", Action: pyth.ActionSecretUsed, Outcome: pyth.AuditSuccess, Resource: "KEY",
		Details: map[string]any{"names": []string{"KEY"}, "n": 3, "big": int64(1 << 40), "b": true, "executionId": "exe_1"},
	}); err != nil {
		t.Fatal(err)
	}
	record(t, l, &pyth.AuditEvent{Action: pyth.ActionUserLogin, Outcome: pyth.AuditDenied})
	got := exported(t, store)
	for i, line := range got {
		at := strings.Index(line, `"id":"`) + len(`"id":"`)
		got[i] = line[:at] + "<id>" + line[at+36:]
	}
	want := []string{
		`{"action":"secret.used","credential":"api_key","details":{"b":true,"big":1099511627776,"executionId":"exe_1","n":3,"names":["KEY"]},` +
			`"id":"<id>","ip":"192.0.2.7","keyPrefix":"pyapi_x7Qd","outcome":"success","requestId":"4f2c9a","resource":"KEY",` +
			`"sequence":0,"time":"2026-04-04T08:23:21.123456Z","user":"usr_ada","userAgent":"curl/8 \"é\"","v":1}`,
		`{"action":"user.login","credential":"none","details":{},"id":"<id>","outcome":"denied","sequence":1,"time":"2026-04-04T08:23:21.123456Z","v":1}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestAttack100RecordCannotForgeALine records events with arbitrary texts. Each
// record must be a single line of canonical JSON (RFC 8785). It must be printable
// and limited in size.
func TestAttack100RecordCannotForgeALine(t *testing.T) {
	store := newStore(t)
	l := openLog(t, store)
	texts := rapid.OneOf(
		rapid.String(), rapid.StringN(300, 2000, -1), rapid.Just("a\r\nb\x00\x1b[2J\u202e\u2028\xff\xfe"),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(rt *rapid.T) {
		user := pyth.UserID(fmt.Sprint("usr_", l.Size()))
		ctx := pyth.WithOrigin(t.Context(), &pyth.Origin{
			Credential: pyth.CredentialNone, UserAgent: texts.Draw(rt, "agent"), IP: texts.Draw(rt, "ip"), RequestID: texts.Draw(rt, "request"),
		})
		if err := l.Record(ctx, &pyth.AuditEvent{
			User: user, Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: texts.Draw(rt, "resource"),
			Details: map[string]any{"name": texts.Draw(rt, "name"), "names": rapid.SliceOf(texts).Draw(rt, "names")},
		}); err != nil {
			rt.Fatal(err)
		}
		all := exported(t, store)
		line := all[len(all)-1]
		canonical := jsontext.Value(line)
		if err := canonical.Canonicalize(); err != nil || string(canonical) != line {
			rt.Fatalf("not canonical: %v\n%s\n%s", err, line, canonical)
		}
		for _, r := range line {
			if r < ' ' || r == '\u202e' || r == '\u2028' || r == 0x7f {
				rt.Fatalf("%U in %q", r, line)
			}
		}
		entries, _, err := l.Entries(t.Context(), user, pyth.AuditFilter{}, "", 10)
		if err != nil || len(entries) != 1 {
			rt.Fatalf("%v, %v", entries, err)
		}
		for _, text := range []string{entries[0].Origin.UserAgent, entries[0].Resource, entries[0].Origin.IP, entries[0].Details["name"].(string)} {
			if len(text) > 256 {
				rt.Fatalf("%d bytes: %q", len(text), text)
			}
		}
	})
	whole(t, store, nil)
}

func TestAttack097RecordContainsNoCredentials(t *testing.T) {
	store := newStore(t)
	l := openLog(t, store)
	credentials := []string{
		"pyapi_0123456789abcdefghijABCDEFGHIJklmnopqr", "pyrt_ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		"pyconfirm_ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST", "pysignin_ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c3JfYWRhIn0.c2lnbmF0dXJl",
	}
	for _, c := range credentials {
		text := "curl " + c + "; " + c
		ctx := pyth.WithOrigin(t.Context(), &pyth.Origin{UserAgent: text})
		if err := l.Record(ctx, &pyth.AuditEvent{
			Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: text,
			Details: map[string]any{"name": text, "names": []string{text}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i, line := range exported(t, store) {
		if strings.Contains(line, credentials[i][6:20]) || strings.Count(line, "[credential]") != 8 {
			t.Errorf("%s", line)
		}
	}
}

func TestRecordRefusesDetailsOfOtherTypes(t *testing.T) {
	l := openLog(t, newStore(t))
	for _, v := range []any{[]byte("x"), 1.5, map[string]any{}, nil, t} {
		e := event("ada", 1)
		e.Details = map[string]any{"x": v}
		if err := l.Record(t.Context(), e); err == nil {
			t.Errorf("%T is recorded", v)
		}
	}
	record(t, l, event("ada", 2))
}

func TestEntriesPages(t *testing.T) {
	l := openLog(t, newStore(t))
	for i := range 23 {
		record(t, l, event("ada", i), event("bob", i))
	}
	var got []string
	for cursor, pages := "", 0; ; pages++ {
		entries, next, err := l.Entries(t.Context(), "ada", pyth.AuditFilter{Action: pyth.ActionKeyCreated}, cursor, 5)
		if err != nil || pages > 5 {
			t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, e.Resource)
			if e.User != "ada" || e.Hash == [32]byte{} || e.ID == "" || !e.Timestamp.Equal(start) {
				t.Errorf("%+v", e)
			}
		}
		if next == "" {
			break
		}
		cursor = next
	}
	var want []string
	for i := range 23 {
		want = append(want, fmt.Sprint("key-", 22-i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, cursor := range []string{"x", "!", "MTIz", "MS4tMQ", "Lg"} {
		if _, _, err := l.Entries(t.Context(), "ada", pyth.AuditFilter{}, cursor, 5); pyth.ErrorCode(err) != pyth.CodeInvalid {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}

// rootOf computes the root hash from an audit path (RFC 9162, section 2.1.3.2).
func rootOf(leaf [32]byte, index, size int64, path [][32]byte) [32]byte {
	node := func(left, right [32]byte) [32]byte {
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
	for last := size - 1; len(path) > 0; index, last, path = index>>1, last>>1, path[1:] {
		for index&1 == 0 && index == last {
			index, last = index>>1, last>>1
		}
		if index&1 == 1 {
			leaf = node(path[0], leaf)
		} else {
			leaf = node(leaf, path[0])
		}
	}
	return leaf
}

func TestProofWorksForEveryEntryAndSize(t *testing.T) {
	l := openLog(t, newStore(t))
	for size := range int64(40) {
		record(t, l, event("ada", int(size)))
		entries, _, err := l.Entries(t.Context(), "ada", pyth.AuditFilter{}, "", 100)
		if err != nil || int64(len(entries)) != size+1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for _, e := range entries {
			p, err := l.Proof(t.Context(), "ada", e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if e.Hash != sha256.Sum256(append([]byte{0}, p.Record...)) || p.Entry.Hash != e.Hash || p.TreeSize != size+1 {
				t.Fatalf("%+v", p)
			}
			root := rootOf(e.Hash, e.Sequence, p.TreeSize, p.Hashes)
			want := fmt.Sprintf("pyth-on\n%d\n%s\n\n", size+1, base64Of(root))
			if !strings.HasPrefix(string(p.Checkpoint), want) {
				t.Fatalf("entry %d of %d: %q is not in %q", e.Sequence, size+1, want, p.Checkpoint)
			}
		}
	}
}

func TestProofRefusesEntriesOfOthers(t *testing.T) {
	store := newStore(t)
	l := openLog(t, store)
	record(t, l, event("ada", 1), event("", 2))
	entries, _, err := l.Entries(t.Context(), "ada", pyth.AuditFilter{}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	id := entries[0].ID
	for name, c := range map[string]struct {
		user pyth.UserID
		id   string
	}{
		"another's":          {"bob", id},
		"nobody's":           {"", id},
		"in capitals":        {"ada", strings.ToUpper(id)},
		"of another time":    {"ada", "00000000" + id[8:]},
		"not yet in the log": {"ada", id[:24] + "0000000000ff"},
		"far off":            {"ada", id[:24] + "ffffffffffff"},
		"without an entry":   {"", id[:35] + "1"},
		"no id":              {"ada", "key_1"},
		"none":               {"ada", ""},
	} {
		if _, err := l.Proof(t.Context(), c.user, c.id); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := l.Prune(t.Context(), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Proof(t.Context(), "ada", id); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("one that was pruned: %v", err)
	}
}

func TestExportSelectsRecords(t *testing.T) {
	store := newStore(t)
	l := openLog(t, store)
	record(t, l, event("ada", 1), event("bob", 2), event("ada", 3))
	var b bytes.Buffer
	if err := log.Export(t.Context(), store, func(r *pyth.AuditRecord) bool { return r.User == "ada" }, &b); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(b.Bytes(), []byte("\n")) != 2 || bytes.Contains(b.Bytes(), []byte("bob")) {
		t.Errorf("%s", b.Bytes())
	}
}
