package imagestore

import "testing"

func TestStrongestReturnsTheBestHash(t *testing.T) {
	h256, h512 := SRI("sha256", make([]byte, 32)), SRI("sha512", make([]byte, 64))
	for integrity, want := range map[string]string{
		h256 + " " + h512: h512, h512 + "?x": h512, "sha1-AAAA " + h256: h256, "": "", "sha512-short": "", "md5-x": "",
	} {
		if got := Strongest(integrity); got != want {
			t.Errorf("%s: %s", integrity, got)
		}
	}
}
