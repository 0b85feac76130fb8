package execution_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// The function "encrypted" returns an encrypted job whose key derivation needs
// memoryKiB of memory.
func encrypted(memoryKiB int) *pyth.EncryptedJob {
	return &pyth.EncryptedJob{
		Name: "report", Password: []byte("pw"),
		Code: &pyth.EncryptedProgram{Language: pyth.Python, KDF: pyth.KDF{MemoryKiB: memoryKiB}, Ciphertext: make([]byte, 17)},
	}
}

func TestExecuteDispatchesEncryptedProgramsUnchanged(t *testing.T) {
	s, r := service()
	l := encrypted(64 << 10)
	if _, err := s.Execute(t.Context(), "ada", &pyth.Program{Language: pyth.Python, Encrypted: l}, nil); err != nil {
		t.Fatal(err)
	}
	if r.job.Encrypted != l || len(r.job.Code) > 0 {
		t.Errorf("got %+v", r.job)
	}
}

func TestExecuteRefusesInvalidEncryptedPrograms(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *pyth.Program)
		at     []string
	}{
		"a key that just fits":    {func(p *pyth.Program) { p.Limits.MemoryBytes = 32<<20 + 64<<20 }, nil},
		"a key that does not fit": {func(p *pyth.Program) { p.Limits.MemoryBytes = 32<<20 + 64<<20 - 1 }, []string{"body.limits.memoryBytes"}},
		"no password":             {func(p *pyth.Program) { p.Encrypted.Password = nil }, []string{"body.masterPassword"}},
		"too long a password":     {func(p *pyth.Program) { p.Encrypted.Password = make([]byte, 1025) }, []string{"body.masterPassword"}},
		"a sealed password":       {func(p *pyth.Program) { p.Encrypted.Sandbox, p.Encrypted.Sealed = "r", make([]byte, 49) }, nil},
		"a sealed one of nothing": {func(p *pyth.Program) { p.Encrypted.Sandbox, p.Encrypted.Sealed = "r", make([]byte, 48) }, []string{"body.sealedPassword"}},
		"too long a sealed one":   {func(p *pyth.Program) { p.Encrypted.Sandbox, p.Encrypted.Sealed = "r", make([]byte, 1073) }, []string{"body.sealedPassword"}},
		"a disk that is too small": {func(p *pyth.Program) {
			p.Limits.DiskBytes, p.Encrypted.Code.Ciphertext = 1<<20, make([]byte, 1<<19)
		}, []string{"body.limits.diskBytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := service()
			p := &pyth.Program{Language: pyth.Python, Encrypted: encrypted(64 << 10)}
			c.change(p)
			_, err := s.Execute(t.Context(), "ada", p, nil)
			expectFaults(t, err, c.at)
			if (r.job == nil) != (c.at != nil) {
				t.Errorf("the dispatched job is %v", r.job)
			}
		})
	}
}

func expectFaults(t *testing.T, err error, want []string) {
	t.Helper()
	var got []string
	if e, ok := errors.AsType[*pyth.Error](err); ok {
		for _, f := range e.Fields {
			got = append(got, f.Location)
		}
		if strings.Contains(e.Error(), "pw") {
			t.Errorf("the error contains the password: %v", e)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestExecuteRefusesEncryptedProgramsOfOtherSessions(t *testing.T) {
	for name, c := range map[string]struct {
		locked   *pyth.EncryptedJob
		language pyth.Language
		at       []string
	}{
		"the program exists":                       {encrypted(1 << 10), pyth.JavaScript, nil},
		"another language":                         {encrypted(1 << 10), pyth.Python, []string{"body.sessionId"}},
		"its key derivation needs too much memory": {encrypted(64 << 10), pyth.JavaScript, []string{"body.limits.memoryBytes"}},
		"another sandbox": {
			&pyth.EncryptedJob{Sandbox: "r", Sealed: make([]byte, 64), Code: encrypted(1 << 10).Code}, pyth.JavaScript, []string{"body.sandboxId"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := withSession(succeeds)
			_, err := s.Execute(t.Context(), "ada", &pyth.Program{Session: "ses", Language: c.language, Encrypted: c.locked}, nil)
			expectFaults(t, err, c.at)
		})
	}
}
