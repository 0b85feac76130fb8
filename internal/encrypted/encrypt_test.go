package encrypted

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

func TestEncryptUsesDefaultsAndWipesPassword(t *testing.T) {
	e := newEncrypter(1)
	var box *lockbox.Box
	e.seal = func(b *lockbox.Box, code, password []byte) ([]byte, error) {
		box = b
		return append(append([]byte("sealed "), code...), password...), nil
	}
	password := []byte(" pässwörd")
	got, err := e.Encrypt(t.Context(), pyth.TypeScript, []byte("let x = 1"), password)
	want := &pyth.EncryptedProgram{
		Language: pyth.TypeScript, Nonce: box.Nonce, Ciphertext: []byte("sealed let x = 1 pässwörd"),
		KDF: pyth.KDF{Salt: box.KDF.Salt, Time: 3, MemoryKiB: 65536, Parallelism: 4},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if box.Language != "typescript" || box.Name != "" || box.KDF.Time != 3 || box.KDF.MemoryKiB != 65536 || box.KDF.Parallelism != 4 {
		t.Errorf("the encrypted program is %+v", box)
	}
	if !bytes.Equal(password, make([]byte, len(password))) {
		t.Error("the password is not wiped")
	}
	if bytes.Equal(box.KDF.Salt, make([]byte, 16)) || bytes.Equal(box.Nonce, make([]byte, 24)) {
		t.Error("salt or nonce is not random")
	}
}

func TestEncryptLimitsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound, each = 2, 4 * time.Second
		e := newEncrypter(bound)
		var mu sync.Mutex
		now, most := 0, 0
		e.seal = func(*lockbox.Box, []byte, []byte) ([]byte, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(each)
			mu.Lock()
			now--
			mu.Unlock()
			return nil, nil
		}
		encrypt := func(ctx context.Context) error {
			_, err := e.Encrypt(ctx, pyth.Python, []byte("1"), []byte("pw"))
			return err
		}
		// Two encryptions run at the same time, and each takes four seconds. So two of
		// the eight callers start after 0, 4 and 8 seconds. A caller waits for at most
		// ten seconds, so the last two callers get an error.
		results := make(chan error, 10)
		for range 8 {
			go func() { results <- encrypt(t.Context()) }()
		}
		gone, cancel := context.WithCancel(t.Context())
		synctest.Wait()
		go func() { results <- encrypt(gone) }()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("the canceled caller was not the first to return: %v", err)
		}
		got := map[pyth.Code]int{}
		for range 8 {
			got[pyth.ErrorCode(<-results)]++
		}
		if most != bound || got[""] != 6 || got[pyth.CodeOverloaded] != 2 {
			t.Errorf("at most %d calls ran concurrently, and the results are %v", most, got)
		}
	})
}
