package unlock

import (
	"bytes"
	"io"
	"testing"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

type readWriter struct {
	io.Reader
	io.Writer
}

// answer sends the frames to serve, and returns the response.
func answer(t *testing.T, frames ...protocol.Frame) (kind protocol.Kind, payload string, err error) {
	t.Helper()
	var asked, answered bytes.Buffer
	if err := protocol.NewConn(&asked).SendAll(frames...); err != nil {
		t.Fatal(err)
	}
	if err := serve(protocol.NewConn(readWriter{&asked, &answered})); err != nil {
		return 0, "", err
	}
	k, b, err := protocol.NewConn(&answered).Receive()
	if err != nil {
		t.Fatal(err)
	}
	return k, string(b), nil
}

// The function "sealed" returns the frames of an encrypted program, except the
// password. The password must be sealed for the sandbox that the first frame names.
func sealed(t *testing.T, sandbox string) []protocol.Frame {
	t.Helper()
	box := lockbox.Box{
		Language: "python", Name: "n", Nonce: make([]byte, lockbox.NonceBytes),
		KDF: lockbox.KDF{Salt: make([]byte, lockbox.SaltBytes), Time: 1, MemoryKiB: 8, Parallelism: 1},
	}
	ciphertext, err := box.Seal([]byte("print(42)"), []byte("password"))
	if err != nil {
		t.Fatal(err)
	}
	header := protocol.NewFrame(protocol.KindEncrypted, &protocol.Encrypted{
		Language: "python", Name: "n", Nonce: box.Nonce, Salt: box.KDF.Salt, Time: 1, MemoryKiB: 8, Parallelism: 1, Sandbox: sandbox,
	})
	return []protocol.Frame{header, {Kind: protocol.KindCipher, Payload: ciphertext}}
}

func TestRunDecryptsOrRefuses(t *testing.T) {
	key, err := lockbox.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Private()
	if err != nil {
		t.Fatal(err)
	}
	password, err := lockbox.SealPassword(key.Public(), []byte("password"), "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	frame := func(kind protocol.Kind, payload []byte) protocol.Frame {
		return protocol.Frame{Kind: kind, Payload: bytes.Clone(payload)}
	}
	start := frame(protocol.KindStart, nil)
	for name, c := range map[string]struct {
		sandbox string
		opens   []protocol.Frame
		want    protocol.Kind
	}{
		"a password":                            {"", []protocol.Frame{frame(protocol.KindPassword, []byte("password")), start}, protocol.KindCode},
		"a sealed password":                     {"sandbox", []protocol.Frame{frame(protocol.KindSealed, password), frame(protocol.KindPrivate, private), start}, protocol.KindCode},
		"another password":                      {"", []protocol.Frame{frame(protocol.KindPassword, []byte("passwort")), start}, protocol.KindExit},
		"no password":                           {"", []protocol.Frame{start}, protocol.KindExit},
		"a password sealed for another sandbox": {"sandbox2", []protocol.Frame{frame(protocol.KindSealed, password), frame(protocol.KindPrivate, private), start}, protocol.KindExit},
		"truncated sealed password":             {"sandbox", []protocol.Frame{frame(protocol.KindSealed, password[:40]), frame(protocol.KindPrivate, private), start}, protocol.KindExit},
	} {
		t.Run(name, func(t *testing.T) {
			kind, payload, err := answer(t, append(sealed(t, c.sandbox), c.opens...)...)
			want := map[protocol.Kind]string{protocol.KindCode: "print(42)"}[c.want]
			if err != nil || kind != c.want || payload != want {
				t.Errorf("got %q %q, %v", kind, payload, err)
			}
		})
	}
	for name, frames := range map[string][]protocol.Frame{
		"an end before the start": {frame(protocol.KindPassword, []byte("password"))},
		"another frame":           {frame(protocol.KindStdin, nil), start},
		"no message":              {frame(protocol.KindEncrypted, []byte("{")), start},
		"a sealed password only":  {frame(protocol.KindSealed, password), start},
	} {
		t.Run(name, func(t *testing.T) {
			if kind, payload, err := answer(t, frames...); err == nil {
				t.Errorf("got %q %q", kind, payload)
			}
		})
	}
}
