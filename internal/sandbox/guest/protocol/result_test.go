package protocol_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

func TestAResultKeepsItsForms(t *testing.T) {
	want := map[string][]byte{"text/plain": []byte("42"), "image/png": {0, 255}, "x/y": {}}
	if diff := cmp.Diff(want, maps.Collect(protocol.DecodeResult(protocol.EncodeResult(want)))); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(protocol.EncodeResult(map[string][]byte{"text/plain": []byte("42"), "a/b": nil}))
	f.Add([]byte{255, 255, 255, 255, 'x'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		size := 0
		for media, data := range protocol.DecodeResult(b) {
			size += 8 + len(media) + len(data)
		}
		if size > len(b) {
			t.Errorf("%d bytes were read as %d", len(b), size)
		}
	})
}
