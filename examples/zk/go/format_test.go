package main

import (
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVectors(t *testing.T) {
	b, err := os.ReadFile("../../../docs/zero-knowledge-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Programs []struct {
			Comment, Code, Password string
			Payload                 *payload
		}
		Sealed []struct{ Comment, Password, SandboxID, PrivateKeyHex string }
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Programs) == 0 || len(vectors.Sealed) == 0 {
		t.Fatal("a list of test vectors is empty")
	}
	for _, v := range vectors.Programs {
		want := v.Payload
		got, err := encryptWith([]byte(v.Code), []byte(v.Password), want.Language, want.Name, want.KDF.cost, want.KDF.Salt, want.Cipher.Nonce)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(kdf{})); diff != "" || err != nil {
			t.Errorf("%s: %v %s", v.Comment, err, diff)
		}
	}
	for _, v := range vectors.Sealed {
		private, err := hex.DecodeString(v.PrivateKeyHex)
		if err != nil {
			t.Fatal(err)
		}
		key, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := seal([]byte(v.Password), key.PublicKey().Bytes(), v.SandboxID)
		if err != nil {
			t.Fatal(err)
		}
		r, err := hpke.NewRecipient(sealed[:32], key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte("pyth-on/zk/sealed/1"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Open([]byte(v.SandboxID), sealed[32:]); err != nil || string(got) != v.Password {
			t.Errorf("%s: got %q, %v", v.Comment, got, err)
		}
	}
}
