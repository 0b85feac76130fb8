package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

var token = []byte("a joining token for tests")

func keys(t testing.TB, token []byte) (*wire.Keys, wire.ID) {
	t.Helper()
	id := wire.NewID()
	k, err := wire.NewKeys(token, id)
	if err != nil {
		t.Fatal(err)
	}
	return k, id
}

func TestOpenRefusesForeignAndChangedMessages(t *testing.T) {
	a, aID := keys(t, token)
	b, bID := keys(t, token)
	c, _ := keys(t, token)
	foreign, _ := keys(t, []byte("another joining token"))
	seal := func(k *wire.Keys, to wire.ID) []byte {
		m, err := k.Seal(to, []byte("body"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	from, body, err := b.Open(seal(a, bID))
	if err != nil || from != aID || string(body) != "body" {
		t.Errorf("%v %q %v", from, body, err)
	}
	if _, body, err := b.Open(seal(a, wire.Everyone)); err != nil || string(body) != "body" {
		t.Errorf("broadcast: %q %v", body, err)
	}
	if bytes.Contains(seal(a, bID), []byte("body")) {
		t.Error("the body is not encrypted")
	}
	if bytes.Equal(seal(a, bID), seal(a, bID)) {
		t.Error("two messages have the same nonce")
	}
	if _, _, err := c.Open(seal(a, bID)); !errors.Is(err, wire.ErrForeign) {
		t.Errorf("message to another process: %v", err)
	}
	if _, _, err := b.Open(seal(foreign, bID)); !errors.Is(err, wire.ErrForeign) {
		t.Errorf("message with another token: %v", err)
	}
	redirected := seal(a, bID)
	copy(redirected[20:36], bytes.Repeat([]byte{0}, 16))
	if _, _, err := b.Open(redirected); !errors.Is(err, wire.ErrForeign) {
		t.Errorf("message with a changed recipient: %v", err)
	}
	for i := range seal(a, bID) {
		m := seal(a, bID)
		m[i] ^= 1
		if _, _, err := b.Open(m); err == nil {
			t.Errorf("message with a changed byte %d accepted", i)
		}
		if _, _, err := b.Open(seal(a, bID)[:i]); err == nil {
			t.Errorf("message with %d bytes accepted", i)
		}
	}
}

func TestFrameRoundTrip(t *testing.T) {
	f := &wire.Frame{Kind: wire.FrameData, Call: 1, Seq: 2, Next: 3, Limit: 1 << 40, Last: true, Payload: []byte("x")}
	got, err := wire.DecodeFrame(f.Encode())
	if err != nil || !cmp.Equal(got, f) {
		t.Error(cmp.Diff(f, got), err)
	}
}

// job returns a job with all fields set.
func job() *pyth.Job {
	return &pyth.Job{
		ID: "run", Tenant: "user", Language: pyth.Python, Runtime: "science", Code: []byte("print(1)\xff"), Stdin: []byte("in"),
		Args: []string{"a", ""}, Env: []pyth.EnvVar{{Name: "A", Value: "b"}}, Files: []pyth.File{{Path: "f", Content: []byte{0, 1}}, {Path: "g", Content: []byte{}}},
		OutputFiles: []string{"*.png"}, Timeout: time.Minute,
		Limits:    pyth.Limits{MemoryBytes: 1 << 40, CPU: time.Second, OutputBytes: 3, DiskBytes: 4, Processes: 5},
		Isolation: pyth.IsolationTenant, Results: true, Session: "session", Network: pyth.Network{Rules: []string{"example.org"}}, SecretsFollow: true,
		Encrypted: &pyth.EncryptedJob{
			Name: "n", Sealed: []byte("sealed"), Sandbox: "reservation",
			Code: &pyth.EncryptedProgram{Language: pyth.Python, Name: "n", KDF: pyth.KDF{Salt: []byte("salt"), Time: 1, MemoryKiB: 2, Parallelism: 3}, Nonce: []byte("nonce"), Ciphertext: []byte("ciphertext")},
		},
		Layers: pyth.Layers{"python-layer", "node-layer"},
	}
}

func decode(t testing.TB, b []byte) *wire.Message {
	t.Helper()
	m, err := wire.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRunRoundTrip(t *testing.T) {
	requireAllSet(t, reflect.ValueOf(*job()), "Job", "Network.Gateway", "Encrypted.Password")
	b, err := wire.EncodeRun(job(), true, "trace", nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := wire.DecodeRun(decode(t, b))
	if err != nil || !run.Events || run.Trace != "trace" {
		t.Fatal(err)
	}
	if diff := cmp.Diff(job(), &run.Job); diff != "" {
		t.Error(diff)
	}
}

func TestRunDoesNotContainPassword(t *testing.T) {
	j := job()
	j.Encrypted.Password = []byte("canary-password")
	b, err := wire.EncodeRun(j, false, "trace", func(p []byte) ([]byte, error) { return []byte(fmt.Sprint(len(p))), nil })
	if err != nil || bytes.Contains(b, []byte("canary")) {
		t.Error("the message contains the password", err)
	}
	if run, err := wire.DecodeRun(decode(t, b)); err != nil || string(run.Password) != "15" || string(j.Encrypted.Password) != "canary-password" {
		t.Errorf("%v %v", run, err)
	}
}

func TestDecodeRunRefusesIncompleteJobs(t *testing.T) {
	for name, change := range map[string]func(*pyth.Job){
		"no id":             func(j *pyth.Job) { j.ID = "" },
		"unknown language":  func(j *pyth.Job) { j.Language = "cobol" },
		"no time-out":       func(j *pyth.Job) { j.Timeout = 0 },
		"negative memory":   func(j *pyth.Job) { j.Limits.MemoryBytes = -1 },
		"no processes":      func(j *pyth.Job) { j.Limits.Processes = 0 },
		"gateway elsewhere": func(j *pyth.Job) { j.Network.Gateway = "packages" },
	} {
		j := job()
		change(j)
		b, err := wire.EncodeRun(j, false, "trace", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.DecodeRun(decode(t, b)); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func outcome() *pyth.Outcome {
	code := 3
	return &pyth.Outcome{
		Status: pyth.StatusFailed, Reason: "r", ExitCode: &code, Signal: "SIGSEGV", Stdout: []byte("out\xff"), Stderr: []byte("err"),
		StdoutTruncated: true, StderrTruncated: true, Error: &pyth.ProgramError{Name: "E", Message: "m", Traceback: "t", Hint: "h", Line: 2},
		Results: []pyth.Result{{"text/plain": "1"}}, ResultsTruncated: true, ResultsSkipped: []pyth.SkippedResult{{MediaType: "a/b", Reason: "c"}},
		Files: []pyth.File{{Path: "f", Content: []byte("content")}}, FilesSkipped: []pyth.SkippedFile{{Path: "g", Reason: "r"}}, SessionEnded: true, Redactions: 1,
		Usage: pyth.Usage{Wall: 1, CPU: 2, MemoryPeakBytes: 3, Queued: 4, Network: []pyth.Connection{{Host: "h", Port: 1, SentBytes: 2, ReceivedBytes: 3, Verdict: "allowed", Reason: "r", Count: 4}}},
	}
}

func TestOutcomeRoundTrip(t *testing.T) {
	requireAllSet(t, reflect.ValueOf(*outcome()), "Outcome")
	b, err := wire.EncodeOutcome(outcome())
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeOutcome(decode(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(outcome(), got); diff != "" {
		t.Error(diff)
	}
}

// requireAllSet fails the test if a field of the test data is zero. If a field were
// zero, the test could not notice that the encoding loses this field.
func requireAllSet(t *testing.T, v reflect.Value, path string, except ...string) {
	t.Helper()
	for _, e := range except {
		if strings.HasSuffix(path, e) {
			return
		}
	}
	if v.IsZero() {
		t.Errorf("%s is not set in the test data", path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			requireAllSet(t, v.Field(i), path+"."+v.Type().Field(i).Name, except...)
		}
	case reflect.Pointer:
		requireAllSet(t, v.Elem(), path, except...)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			requireAllSet(t, v.Index(0), path, except...)
		}
	}
}

func TestSealedSecretsBelongToOneWorkerAndRun(t *testing.T) {
	key, err := wire.NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := wire.NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	server, worker := wire.NewID(), wire.NewID()
	secrets := []pyth.SecretValue{{Name: "A", Value: []byte("canary\x00")}, {Name: "B", Value: []byte{}}}
	sealed, err := wire.Seal(key.Public(), wire.EncodeSecrets(secrets), server, worker, "run")
	if err != nil || bytes.Contains(sealed, []byte("canary")) {
		t.Fatal(err)
	}
	plain, err := key.Open(sealed, server, worker, "run")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.DecodeSecrets(plain); err != nil || !cmp.Equal(got, secrets) {
		t.Error(got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another worker's key": func() ([]byte, error) { return other.Open(sealed, server, worker, "run") },
		"another run":          func() ([]byte, error) { return key.Open(sealed, server, worker, "other") },
		"another server":       func() ([]byte, error) { return key.Open(sealed, worker, worker, "run") },
		"a part":               func() ([]byte, error) { return key.Open(sealed[:20], server, worker, "run") },
	} {
		if b, err := open(); err == nil {
			t.Errorf("%s: %q", name, b)
		}
	}
}

// TestProtocolCoversTypes fails if the type of a message has changed. After an
// incompatible change, processes of different versions do not understand each other. In
// this case, increase wire.Protocol and update the fingerprint. After a compatible
// change, update only the fingerprint. For example, a server sends Run.Trace only to
// workers that know this field.
func TestProtocolCoversTypes(t *testing.T) {
	const protocol, fingerprint = 1, "18a4dcd81fd46714"
	h := fnv.New64a()
	for _, v := range []any{
		wire.Run{},
		pyth.Outcome{},
		pyth.SessionSpec{},
		wire.Release{},
		wire.Failure{},
		wire.SessionFile{},
		wire.Reserve{},
		wire.Reserved{},
		wire.Written{},
		wire.Size{},
		wire.NeedLayer{},
		wire.NeedImage{},
		pyth.FileInfo{},
	} {
		describe(h, reflect.TypeOf(v))
	}
	if got := fmt.Sprintf("%016x", h.Sum64()); got != fingerprint || wire.Protocol != protocol {
		t.Errorf("the types of protocol %d have the fingerprint %s", wire.Protocol, got)
	}
}

func describe(w interface{ Write([]byte) (int, error) }, t reflect.Type) {
	fmt.Fprintf(w, "%s %s;", t, t.Kind())
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			fmt.Fprintf(w, "%s:", t.Field(i).Name)
			describe(w, t.Field(i).Type)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(w, t.Elem())
	}
}

// FuzzDecode checks that no input causes a panic in a decoder. It also checks that
// decoded messages respect the limits on which the pool relies.
func FuzzDecode(f *testing.F) {
	run, _ := wire.EncodeRun(job(), true, "trace", nil)
	out, _ := wire.EncodeOutcome(outcome())
	output, _ := wire.EncodeOutput(pyth.Stdout, []byte("x"))
	failed, _ := wire.EncodeFailure(errors.New("x"))
	frame := (&wire.Frame{Kind: wire.FrameData, Payload: run}).Encode()
	sealed, _ := func() *wire.Keys { k, _ := wire.NewKeys(token, wire.NewID()); return k }().Seal(wire.Everyone, frame)
	for _, b := range [][]byte{run, out, output, failed, frame, sealed, wire.EncodeJSON(wire.Announcement{Seq: 1}), wire.EncodeSecrets([]pyth.SecretValue{{Name: "A"}}), nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, _ := keys(t, token)
		_, _, _ = k.Open(bytes.Clone(b))
		_, _ = wire.DecodeFrame(b)
		var a wire.Announcement
		_ = wire.DecodeJSON(b, &a)
		_, _ = wire.DecodeSecrets(b)
		m, err := wire.Decode(b)
		if err != nil {
			return
		}
		_ = wire.DecodeFailure(m)
		_ = wire.Deliver(m, discard{})
		if r, err := wire.DecodeRun(m); err == nil && (r.Job.Timeout <= 0 || r.Job.Limits.MemoryBytes <= 0 || r.Job.ID == "") {
			t.Errorf("incomplete job: %+v", r.Job)
		}
		if o, err := wire.DecodeOutcome(m); err == nil && o.ExitCode != nil && (*o.ExitCode < 0 || *o.ExitCode > 255) {
			t.Errorf("exit code %d", *o.ExitCode)
		}
	})
}

type discard struct{}

func (discard) Started(pyth.ExecutionID) error   { return nil }
func (discard) Output(pyth.Stream, []byte) error { return nil }
func (discard) Result(pyth.Result) error         { return nil }
func (discard) File(pyth.File) error             { return nil }
