package lockbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

type payload struct {
	Version        int
	Language, Name string
	KDF            struct {
		Name                         string
		Salt                         []byte
		Time, MemoryKiB, Parallelism int
	}
	Cipher struct {
		Name  string
		Nonce []byte
	}
	Ciphertext []byte
}

func (p *payload) box() *lockbox.Box {
	return &lockbox.Box{
		Language: p.Language, Name: p.Name, Nonce: p.Cipher.Nonce,
		KDF: lockbox.KDF{
			Salt: p.KDF.Salt, Time: uint32(p.KDF.Time), MemoryKiB: uint32(p.KDF.MemoryKiB), Parallelism: uint8(p.KDF.Parallelism),
		},
	}
}

// vectors holds the test vectors of docs/zero-knowledge-vectors.json. The Python
// client in examples/zk generated them.
type vectors struct {
	Programs []struct {
		Comment, Code, Password, PasswordHex, AssociatedData, KeyHex string
		Payload                                                      payload
	}
	Locked []struct {
		Comment, Password string
		Payload           payload
	}
	Sealed []struct {
		Comment, Password, SandboxID, PrivateKeyHex string
		PublicKey, SealedPassword                   []byte
	}
}

func read(t testing.TB) *vectors {
	t.Helper()
	b, err := os.ReadFile("../../../docs/zero-knowledge-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
	if len(v.Programs) == 0 || len(v.Locked) == 0 || len(v.Sealed) == 0 {
		t.Fatal("a list of test vectors is empty")
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectorProgramsOpenAndSealEqually(t *testing.T) {
	for _, v := range read(t).Programs {
		t.Run(v.Comment, func(t *testing.T) {
			b := v.Payload.box()
			if got := string(b.AssociatedData()); got != v.AssociatedData {
				t.Errorf("associated data %q", got)
			}
			if got := hex.EncodeToString(b.KDF.Key([]byte(v.Password))); got != v.KeyHex || hex.EncodeToString([]byte(v.Password)) != v.PasswordHex {
				t.Errorf("key %s", got)
			}
			code, err := b.Open(v.Payload.Ciphertext, []byte(v.Password))
			if err != nil || string(code) != v.Code {
				t.Errorf("got %q, %v", code, err)
			}
			sealed, err := b.Seal([]byte(v.Code), []byte(v.Password))
			if diff := cmp.Diff(v.Payload.Ciphertext, sealed); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestVectorProgramsWithWrongPasswordsDoNotOpen(t *testing.T) {
	for _, v := range read(t).Locked {
		t.Run(v.Comment, func(t *testing.T) {
			if code, err := v.Payload.box().Open(v.Payload.Ciphertext, []byte(v.Password)); !errors.Is(err, lockbox.ErrDecryption) {
				t.Errorf("got %q, %v", code, err)
			}
		})
	}
}

func TestOpenDetectsFlippedBits(t *testing.T) {
	box := lockbox.Box{
		Language: "python", Name: "n", Nonce: make([]byte, lockbox.NonceBytes),
		KDF: lockbox.KDF{Salt: make([]byte, lockbox.SaltBytes), Time: 1, MemoryKiB: 8, Parallelism: 1},
	}
	sealed, err := box.Seal([]byte("code"), []byte("password"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"ciphertext": sealed, "nonce": box.Nonce, "salt": box.KDF.Salt} {
		for i := range len(b) * 8 {
			b[i/8] ^= 1 << (i % 8)
			if _, err := box.Open(sealed, []byte("password")); !errors.Is(err, lockbox.ErrDecryption) {
				t.Errorf("bit %d of the %s: %v", i, name, err)
			}
			b[i/8] ^= 1 << (i % 8)
		}
	}
	if code, err := box.Open(sealed, []byte("password")); err != nil || string(code) != "code" {
		t.Errorf("got %q, %v", code, err)
	}
}

func TestOpenRefusesInvalidBoxes(t *testing.T) {
	good := func() *lockbox.Box {
		return &lockbox.Box{Nonce: make([]byte, lockbox.NonceBytes), KDF: lockbox.KDF{Time: 1, MemoryKiB: 8, Parallelism: 1}}
	}
	for name, change := range map[string]func(b *lockbox.Box){
		"no passes":           func(b *lockbox.Box) { b.KDF.Time = 0 },
		"no lanes":            func(b *lockbox.Box) { b.KDF.Parallelism = 0 },
		"invalid nonce":       func(b *lockbox.Box) { b.Nonce = nil },
		"a nonce of 12 bytes": func(b *lockbox.Box) { b.Nonce = b.Nonce[:12] },
	} {
		t.Run(name, func(t *testing.T) {
			b := good()
			change(b)
			if _, err := b.Open(make([]byte, 32), nil); !errors.Is(err, lockbox.ErrDecryption) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := good().Open(make([]byte, lockbox.Overhead-1), nil); !errors.Is(err, lockbox.ErrDecryption) {
		t.Errorf("got %v", err)
	}
}

// TestArgon2id checks the vectors of the reference implementation (test.c of
// github.com/P-H-C/phc-winner-argon2). The vector of RFC 9106, section 5.3, uses a
// secret. The Argon2 library for Go does not support secrets, so only the tests of the
// examples check that vector.
func TestArgon2id(t *testing.T) {
	for _, v := range []struct {
		time, memoryKiB uint32
		parallelism     uint8
		password, salt  string
		want            string
	}{
		{2, 256, 1, "password", "somesalt", "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
		{2, 256, 2, "password", "somesalt", "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"},
		{1, 65536, 1, "password", "somesalt", "f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98"},
	} {
		k := lockbox.KDF{Salt: []byte(v.salt), Time: v.time, MemoryKiB: v.memoryKiB, Parallelism: v.parallelism}
		if got := hex.EncodeToString(k.Key([]byte(v.password))); got != v.want {
			t.Errorf("%+v: %s", v, got)
		}
	}
}

// TestXChaCha20Poly1305 checks the vector of draft-irtf-cfrg-xchacha-03, appendix
// A.3.1. If any bit of the vector is flipped, decryption must fail.
func TestXChaCha20Poly1305(t *testing.T) {
	key := unhex(t, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
	nonce := unhex(t, "404142434445464748494a4b4c4d4e4f5051525354555657")
	data := unhex(t, "50515253c0c1c2c3c4c5c6c7")
	want := unhex(t, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"+
		"731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"+
		"2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"+
		"21f9664c97637da9768812f615c68b13b52e"+
		"c0875924c1c7987947deafd8780acf49")
	aead, err := lockbox.NewAEAD(key)
	if err != nil {
		t.Fatal(err)
	}
	plaintext := []byte("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
	if diff := cmp.Diff(want, aead.Seal(nil, nonce, plaintext, data)); diff != "" {
		t.Error(diff)
	}
	if got, err := aead.Open(nil, nonce, want, data); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, part := range [][]byte{want, nonce, data} {
		for i := range len(part) * 8 {
			part[i/8] ^= 1 << (i % 8)
			if _, err := aead.Open(nil, nonce, want, data); err == nil {
				t.Errorf("it was opened with bit %d flipped", i)
			}
			part[i/8] ^= 1 << (i % 8)
		}
	}
}

func FuzzOpen(f *testing.F) {
	box := lockbox.Box{Language: "python", Nonce: make([]byte, lockbox.NonceBytes), KDF: lockbox.KDF{Salt: []byte{1}, Time: 1, MemoryKiB: 8, Parallelism: 1}}
	sealed, err := box.Seal([]byte("code"), []byte("password"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, []byte("password"), box.Nonce, []byte{1}, uint8(1), uint8(1))
	f.Add([]byte{}, []byte{}, []byte{}, []byte{}, uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, ciphertext, password, nonce, salt []byte, time, lanes uint8) {
		b := lockbox.Box{Language: "python", Nonce: nonce, KDF: lockbox.KDF{Salt: salt, Time: uint32(time % 3), MemoryKiB: 8, Parallelism: lanes}}
		code, err := b.Open(ciphertext, password)
		if err != nil {
			if !errors.Is(err, lockbox.ErrDecryption) {
				t.Fatal(err)
			}
			return
		}
		again, err := b.Seal(code, password)
		if err != nil || !bytes.Equal(again, ciphertext) {
			t.Errorf("%x was opened, and sealed again as %x: %v", ciphertext, again, err)
		}
	})
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
