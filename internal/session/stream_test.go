package session_test

import (
	"io"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func TestStreamCountsAsUse(t *testing.T) {
	const idle = 10 * time.Minute

	runScene(t, "opening a stream and bytes prolong the session", nil, func(s *scene) {
		x := s.open()
		time.Sleep(idle - time.Nanosecond)
		stream, err := s.Stream(s.Context(), "ada", x.ID)
		if err != nil {
			s.Fatal(err)
		}
		defer stream.Close()
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 0, false)
		if _, err := stream.Write([]byte("a")); err != nil {
			s.Error(err)
		}
		time.Sleep(idle - time.Nanosecond)
		if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
			s.Error(err)
		}
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 0, false)
		time.Sleep(time.Nanosecond)
		s.expectGone(x)
	})

	runScene(t, "a stream does not wait for a run, and a run continues", nil, func(s *scene) {
		x := s.open()
		r := s.begin(x, idle, ok())
		time.Sleep(time.Second)
		stream, err := s.Stream(s.Context(), "ada", x.ID)
		if err != nil {
			s.Fatal(err)
		}
		defer stream.Close()
		if _, err := stream.Write([]byte("a")); err != nil {
			s.Error(err)
		}
		s.expectThere(x, 0, true)
		s.expect(r, 0, idle)
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 1, false)
		time.Sleep(time.Nanosecond)
		s.expectGone(x)
	})

	runScene(t, "a session whose sandbox has ended is gone", nil, func(s *scene) {
		x := s.open()
		s.host.openFails = pyth.Errorf(pyth.CodeNotFound, "gone")
		if _, err := s.Stream(s.Context(), "ada", x.ID); pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("got %v", err)
		}
		s.expectGone(x)
	})

	runScene(t, "a session whose sandbox ends during a stream is gone", nil, func(s *scene) {
		x := s.open()
		stream, err := s.Stream(s.Context(), "ada", x.ID)
		if err != nil {
			s.Fatal(err)
		}
		s.host.openFails = pyth.Errorf(pyth.CodeNotFound, "gone")
		s.host.endStreams()
		if _, err := stream.Read(make([]byte, 1)); err == nil {
			s.Error("a stream without a sandbox can be read")
		}
		s.expectGone(x)
	})

	runScene(t, "a session whose stream is closed remains", nil, func(s *scene) {
		x := s.open()
		stream, err := s.Stream(s.Context(), "ada", x.ID)
		if err != nil {
			s.Fatal(err)
		}
		_ = stream.Close()
		if _, err := stream.Read(make([]byte, 1)); err == nil {
			s.Error("a closed stream can be read")
		}
		s.expectThere(x, 0, false)
	})

	runScene(t, "a user has a limited number of streams", nil, func(s *scene) {
		x := s.open()
		var open []io.Closer
		for {
			stream, err := s.Stream(s.Context(), "ada", x.ID)
			if err != nil {
				if pyth.ErrorCode(err) != pyth.CodeTooManyExecutions || len(open) != 256 {
					s.Errorf("got %v after %d streams", err, len(open))
				}
				break
			}
			open = append(open, stream)
		}
		for range 2 { // Close a stream twice.
			_ = open[0].Close()
		}
		for range 2 {
			stream, err := s.Stream(s.Context(), "ada", x.ID)
			if err == nil {
				open = append(open, stream)
			}
		}
		if len(open) != 257 {
			s.Errorf("one closed stream permitted %d others", len(open)-256)
		}
		for _, stream := range open {
			_ = stream.Close()
		}
	})

	runScene(t, "only the owner can open a stream", nil, func(s *scene) {
		x := s.open()
		if _, err := s.Stream(s.Context(), "bob", x.ID); pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("got %v", err)
		}
		if _, err := s.Stream(s.Context(), "ada", "absent"); pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("got %v", err)
		}
	})
}
