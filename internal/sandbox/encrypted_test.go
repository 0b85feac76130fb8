package sandbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

func encryptedJob() *pyth.Job {
	return &pyth.Job{
		Language: pyth.Python,
		Encrypted: &pyth.EncryptedJob{
			Name: "stored", Password: []byte("password"),
			Code: &pyth.EncryptedProgram{
				Language: pyth.JavaScript, Name: "bound", Nonce: []byte("nonce"), Ciphertext: []byte("ciphertext"),
				KDF: pyth.KDF{Salt: []byte("salt"), Time: 10, MemoryKiB: 262144, Parallelism: 16},
			},
		},
	}
}

// The function "sent" returns the payloads that the host sends to the guest, by kind.
// It omits the Job frame.
func sent(t *testing.T, job *pyth.Job) map[protocol.Kind]string {
	t.Helper()
	var wire bytes.Buffer
	r := &run{sandbox: &Sandbox{conn: protocol.NewConn(&wire)}, job: job}
	if err := r.send(); err != nil {
		t.Fatal(err)
	}
	frames := map[protocol.Kind]string{}
	for c := protocol.NewConn(&wire); ; {
		kind, payload, err := c.Receive()
		if errors.Is(err, io.EOF) {
			delete(frames, protocol.KindJob)
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames[kind] = string(payload)
	}
}

func TestSendKeepsProgramEncryptedAndWipesPassword(t *testing.T) {
	header := protocol.Encrypted{
		// The frame must contain the program's name from the job, not the name in the
		// program's record.
		Language: "javascript", Name: "stored", Salt: []byte("salt"), Time: 10, MemoryKiB: 262144, Parallelism: 16, Nonce: []byte("nonce"),
	}
	unbound, reserved := header, header
	unbound.Name = ""
	reserved.Sandbox = "r"
	for name, c := range map[string]struct {
		change func(l *pyth.EncryptedJob)
		header protocol.Encrypted
		kind   protocol.Kind
		secret string
	}{
		"with a password":        {func(*pyth.EncryptedJob) {}, header, protocol.KindPassword, "password"},
		"not bound to a name":    {func(l *pyth.EncryptedJob) { l.Code.Name = "" }, unbound, protocol.KindPassword, "password"},
		"with a sealed password": {func(l *pyth.EncryptedJob) { l.Sandbox, l.Sealed = "r", []byte("sealed") }, reserved, protocol.KindSealed, "sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			job := encryptedJob()
			c.change(job.Encrypted)
			want := map[protocol.Kind]string{
				protocol.KindEncrypted: string(protocol.Encode(&c.header)), protocol.KindCipher: "ciphertext", c.kind: c.secret, protocol.KindStart: "",
			}
			if diff := cmp.Diff(want, sent(t, job)); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(job.Encrypted.Password, make([]byte, len("password"))) {
				t.Errorf("the password is still %q", job.Encrypted.Password)
			}
		})
	}
}

// TestSendKeepsPasswordAfterFailure checks that send wipes the password only on
// success. After a failure, the pool retries the job in another sandbox.
func TestSendKeepsPasswordAfterFailure(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	_ = reader.Close()
	s, job := &Sandbox{conn: protocol.NewConn(writer)}, encryptedJob()
	if err := (&run{sandbox: s, job: job}).send(); err == nil || string(job.Encrypted.Password) != "password" {
		t.Errorf("%v; the password is %q", err, job.Encrypted.Password)
	}
}

func TestRunReportsDecryptionError(t *testing.T) {
	wire := encode(protocol.KindExit, &protocol.Exit{DecryptionFailed: true})
	for name, c := range map[string]struct {
		job  *pyth.Job
		want pyth.Status
	}{
		"an encrypted program":               {encryptedJob(), pyth.StatusFailed},
		"a plain program":                    {&pyth.Job{}, pyth.StatusSucceeded},
		"an encrypted program, in a session": {&pyth.Job{Session: "a", Encrypted: encryptedJob().Encrypted}, pyth.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{sandbox: scripted(wire, io.Discard), outcome: new(pyth.Outcome), started: time.Now(), job: c.job}
			o := r.finish(r.receive())
			isError := o.Error != nil && o.Error.Name == "DecryptionError" && o.Error.Message != "" && o.ExitCode == nil && o.Signal == ""
			if o.Status != c.want || isError != (c.job.Encrypted != nil) {
				t.Errorf("got %+v", o)
			}
		})
	}
}

func TestKeyDetectsAnInvalidAnswer(t *testing.T) {
	for name, wire := range map[string][]byte{
		"no answer":       {},
		"half a key":      encode(protocol.KindKey, make([]byte, 16)),
		"two keys":        encode(protocol.KindKey, make([]byte, 64)),
		"another message": encode(protocol.KindHello, &protocol.Hello{}),
	} {
		t.Run(name, func(t *testing.T) {
			if key, err := requestKey(t, wire); err == nil {
				t.Errorf("got %x", key)
			}
		})
	}
	if key, err := requestKey(t, encode(protocol.KindKey, make([]byte, 32))); err != nil || len(key) != 32 {
		t.Errorf("got %x, %v", key, err)
	}
}

// requestKey calls Key of a sandbox whose guest answers with the given bytes.
func requestKey(t *testing.T, wire []byte) ([]byte, error) {
	t.Helper()
	ours, theirs, err := connect("guest")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	s := &Sandbox{socket: ours, conn: protocol.NewConn(readWriter{bytes.NewReader(wire), ours})}
	key, err := s.Key(t.Context())
	if (s.broken == nil) != (err == nil) {
		t.Errorf("broken is %v after error %v", s.broken, err)
	}
	return key, err
}
