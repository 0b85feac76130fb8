package fleet_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func TestStreamIsRelayed(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		spec := &pyth.SessionSpec{ID: "session", Tenant: "user", Language: pyth.Python, Limits: pyth.DefaultLimits()}
		if err := c.fleet.OpenSession(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		if _, err := c.fleet.SessionStream(t.Context(), "other"); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Error(err)
		}
		first, err := c.fleet.SessionStream(t.Context(), "session")
		if err != nil {
			t.Fatal(err)
		}
		// A sender that is faster than the receiver must wait. The second stream works
		// meanwhile.
		sent := bytes.Repeat([]byte("0123456789"), 300_000)
		written := make(chan error, 1)
		go func() {
			_, err := first.Write(sent)
			written <- err
		}()
		time.Sleep(time.Second)
		select {
		case err := <-written:
			t.Errorf("nobody has read, but Write returned %v", err)
		default:
		}
		second, err := c.fleet.SessionStream(t.Context(), "session")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.Write([]byte("bye q")); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(second); string(got) != "bye q" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(first, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("got other bytes, %v", err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		// Close ends a blocked Read, and the worker closes its stream.
		read := make(chan error, 1)
		go func() {
			_, err := first.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		_, _ = first.Close(), second.Close()
		if err := <-read; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("got %v after Close", err)
		}
		time.Sleep(time.Second)
		for _, m := range c.machines {
			m.change(func() {
				if m.streams != 0 {
					t.Errorf("%d streams are still open", m.streams)
				}
			})
		}
	})
}
