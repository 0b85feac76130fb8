package secret_test

import (
	"fmt"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func BenchmarkReveal(b *testing.B) {
	for _, n := range []int{0, 1, 20} {
		b.Run(fmt.Sprintf("%d secrets", n), func(b *testing.B) {
			r := newRig(b)
			for i := range n {
				r.put(b, "ada", fmt.Sprintf("SECRET_%d", i), "sk-"+strings.Repeat("x", 50))
			}
			for b.Loop() {
				grant, err := r.Reveal(b.Context(), "ada", "run", pyth.SecretRequest{All: true})
				if err != nil || len(grant.Values) != n {
					b.Fatal(err)
				}
				pyth.ClearSecrets(grant.Values)
			}
		})
	}
}
