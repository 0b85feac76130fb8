package lockbox_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

func newKey(t testing.TB) *lockbox.Key {
	t.Helper()
	k, err := lockbox.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parseKey(t testing.TB, private string) *lockbox.Key {
	t.Helper()
	k, err := lockbox.ParseKey(unhex(t, private))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVectorPasswordsOpen(t *testing.T) {
	for _, v := range read(t).Sealed {
		t.Run(v.Comment, func(t *testing.T) {
			k := parseKey(t, v.PrivateKeyHex)
			if !bytes.Equal(k.Public(), v.PublicKey) {
				t.Errorf("public key %s", encoded(k.Public()))
			}
			got, err := k.Unseal(v.SealedPassword, v.SandboxID)
			if err != nil || string(got) != v.Password {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestSealedPasswordIsBoundToSandbox(t *testing.T) {
	k := newKey(t)
	sealed, err := lockbox.SealPassword(k.Public(), []byte("pässword"), "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	private, err := k.Private()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseKey(t, hex.EncodeToString(private)).Unseal(sealed, "sandbox"); err != nil || string(got) != "pässword" {
		t.Errorf("got %q, %v", got, err)
	}
	fails := func(what string, k *lockbox.Key, sealed []byte, sandbox string) {
		t.Helper()
		if got, err := k.Unseal(sealed, sandbox); !errors.Is(err, lockbox.ErrDecryption) {
			t.Errorf("%s: got %q, %v", what, got, err)
		}
	}
	fails("another sandbox", k, sealed, "sandbox2")
	fails("another key", newKey(t), sealed, "sandbox")
	for size := range sealed {
		fails("cut short", k, sealed[:size], "sandbox")
	}
	for i := range len(sealed) * 8 {
		flipped := bytes.Clone(sealed)
		flipped[i/8] ^= 1 << (i % 8)
		fails("a bit is flipped", k, flipped, "sandbox")
	}
}

// TestHPKE checks the vector of RFC 9180, appendix A.2.1.1.
func TestHPKE(t *testing.T) {
	k := parseKey(t, "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
	if got := hex.EncodeToString(k.Public()); got != "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a" {
		t.Errorf("public key %s", got)
	}
	r, err := k.Recipient(unhex(t, "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"), []byte("Ode on a Grecian Urn"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Open([]byte("Count-0"), unhex(t, "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"))
	if err != nil || string(got) != "Beauty is truth, truth beauty" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestPointsOfLowOrderAreRefused seals and unseals with public keys of low order. With
// each of these public keys and any private key, the shared secret is zero. The public
// keys come from RFC 7748, section 6.1, and from the X25519 tests of Project Wycheproof.
func TestPointsOfLowOrderAreRefused(t *testing.T) {
	k := newKey(t)
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		if _, err := k.Unseal(append(unhex(t, point), make([]byte, 32)...), "sandbox"); !errors.Is(err, lockbox.ErrDecryption) {
			t.Errorf("unsealing with %s: %v", point, err)
		}
		if _, err := lockbox.SealPassword(unhex(t, point), []byte("password"), "sandbox"); err == nil {
			t.Errorf("a password was sealed for the public key %s", point)
		}
	}
	for _, size := range []int{0, 31, 33} {
		if _, err := lockbox.SealPassword(make([]byte, size), nil, ""); err == nil {
			t.Errorf("a password was sealed for a public key of %d bytes", size)
		}
		if _, err := lockbox.ParseKey(make([]byte, size)); err == nil {
			t.Errorf("a private key of %d bytes was accepted", size)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	k, err := lockbox.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := lockbox.SealPassword(k.Public(), []byte("password"), "sandbox")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := k.Unseal(b, "sandbox")
		switch {
		case err == nil && string(got) == "password":
		case !errors.Is(err, lockbox.ErrDecryption):
			t.Errorf("%x: %q, %v", b, got, err)
		}
	})
}
