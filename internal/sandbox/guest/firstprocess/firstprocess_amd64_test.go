package firstprocess_test

import (
	"bytes"
	"testing"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/firstprocess"
)

func TestExecutableMatchesEmbedded(t *testing.T) {
	want, err := firstprocess.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(guest.Init(), want) {
		t.Errorf("init.elf was not assembled from code_amd64.s; run `go generate ./internal/sandbox/guest`\nembedded  %x\nassembled %x", guest.Init(), want)
	}
}
