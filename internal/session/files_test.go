package session_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

func TestFilesAreReadAndWritten(t *testing.T) {
	runScene(t, "are written, read, listed and deleted", nil, func(s *scene) {
		x := s.open()
		ctx := s.Context()
		for _, created := range []bool{true, false} {
			if got, err := s.WriteFile(ctx, "ada", x.ID, "d/a", &reader{"content"}); err != nil || got != created {
				s.Errorf("created %v, %v", got, err)
			}
		}
		files, err := s.Files(ctx, "ada", x.ID)
		if diff := cmp.Diff([]pyth.FileInfo{{Path: "d/a", SizeBytes: 7}}, files); err != nil || diff != "" {
			s.Errorf("%v %s", err, diff)
		}
		err = s.ReadFile(ctx, "ada", x.ID, "d/a", func(size int64, content io.Reader) error {
			if b, err := io.ReadAll(content); err != nil || size != 7 || string(b) != "content" {
				s.Errorf("got %d bytes, %q, %v", size, b, err)
			}
			return nil
		})
		if err != nil {
			s.Error(err)
		}
		if err := s.DeleteFile(ctx, "ada", x.ID, "d/a"); err != nil || len(s.host.files) > 0 {
			s.Errorf("%v, remaining: %v", err, s.host.files)
		}
	})

	runScene(t, "operations and runs wait for each other", nil, func(s *scene) {
		x := s.open()
		s.begin(x, time.Minute, ok())
		start := time.Now()
		if err := s.DeleteFile(s.Context(), "ada", x.ID, "a"); err != nil || time.Since(start) != time.Minute+fileTime {
			s.Errorf("after %v: %v", time.Since(start), err)
		}
		go func() { _, _ = s.Files(s.Context(), "ada", x.ID) }()
		time.Sleep(fileTime / 2)
		s.expect(s.begin(x, time.Second, ok()), fileTime/2, fileTime/2+time.Second)
	})

	runScene(t, "a missing file does not end the session", nil, func(s *scene) {
		x := s.open()
		err := s.ReadFile(s.Context(), "ada", x.ID, "a", nil)
		if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Message != "There is no such file." {
			s.Errorf("got %v", err)
		}
		s.expectThere(x, 0, false)
	})

	runScene(t, "a failed write returns its cause", nil, func(s *scene) {
		x, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{Limits: pyth.Limits{DiskBytes: 1 << 20}})
		if err != nil {
			s.Fatal(err)
		}
		broken := errors.New("broken")
		for name, c := range map[string]struct {
			content io.Reader
			want    func(error) bool
		}{
			"too large":         {&reader{strings.Repeat("x", 1<<20+1)}, func(err error) bool { return pyth.ErrorCode(err) == pyth.CodeTooLarge }},
			"exactly the limit": {&reader{strings.Repeat("x", 1<<20)}, func(err error) bool { return err == nil }},
			"broken off":        {io.MultiReader(&reader{"x"}, failing{broken}), func(err error) bool { return errors.Is(err, broken) }},
		} {
			if _, err := s.WriteFile(s.Context(), "ada", x.ID, "a", c.content); !c.want(err) {
				s.Errorf("%s: %v", name, err)
			}
		}
	})

	runScene(t, "operations are canceled when the session ends", nil, func(s *scene) {
		x := s.open()
		time.AfterFunc(fileTime/2, func() { _ = s.CloseSession(context.Background(), "ada", x.ID) })
		if _, err := s.Files(s.Context(), "ada", x.ID); pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("got %v", err)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestAttack attacks the files of sessions. The names of its subtests begin with the
// numbers of the attacks.
func TestAttack(t *testing.T) {
	runScene(t, "061_paths_out_of_the_directory", nil, func(s *scene) {
		x := s.open()
		for _, path := range []string{
			"../x", "/x", "a\x00b", "a/../../b", "", ".", "..", "a/..", "a/./b", "a//b", "a/", "./a", "a\nb", "\xff",
			strings.Repeat("a", 256), strings.Repeat("d/", 64) + "f", "main.py",
		} {
			_, write := s.WriteFile(s.Context(), "ada", x.ID, path, &reader{"x"})
			read := s.ReadFile(s.Context(), "ada", x.ID, path, nil)
			remove := s.DeleteFile(s.Context(), "ada", x.ID, path)
			for _, err := range []error{write, read, remove} {
				if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeInvalid || e.Fields[0].Location != "path.path" {
					s.Errorf("%q: %v", path, err)
				}
			}
		}
	})
}
