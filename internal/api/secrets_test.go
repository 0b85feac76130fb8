package api_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

type secretStore struct {
	err     error
	all     []*pyth.Secret
	given   string
	value   []byte
	deleted string
}

var _ pyth.SecretService = (*secretStore)(nil)

func (s *secretStore) PutSecret(_ context.Context, user pyth.UserID, name string, value []byte, description string) (*pyth.Secret, bool, error) {
	s.given = fmt.Sprintf("%s %s=%q (%s)", user, name, value, description)
	s.value = value
	if s.err != nil {
		return nil, false, s.err
	}
	return &pyth.Secret{Name: name, Description: description, Version: 1, CreatedAt: created, UpdatedAt: created}, name == "NEW", nil
}

func (s *secretStore) DeleteSecret(_ context.Context, user pyth.UserID, name string) error {
	s.deleted = string(user) + " " + name
	return s.err
}

func (s *secretStore) Secrets(context.Context, pyth.UserID) ([]*pyth.Secret, error) {
	return s.all, s.err
}

func TestSecretsHideValues(t *testing.T) {
	for name, status := range map[string]int{"NEW": 201, "OLD": 200} {
		s := newServer(t)
		res := s.send(request(http.MethodPut, "/api/v1/secrets/"+name, `{"value":"c\u00e4nary\n\ud83d\ude00","description":"of mine"}`))
		want := `{"name":"` + name + `","description":"of mine","version":1,"createdAt":"2026-04-04T08:23:21.123Z","updatedAt":"2026-04-04T08:23:21.123Z"}`
		if res.StatusCode != status || res.body != want {
			t.Errorf("status %d: %s", res.StatusCode, res.body)
		}
		if want := `usr_ada ` + name + `="cänary\n😀" (of mine)`; s.secrets.given != want {
			t.Errorf("the service received %s", s.secrets.given)
		}
		if strings.Contains(s.log.String(), "nary") {
			t.Errorf("the log contains the value: %s", s.log)
		}
	}
}

func TestSecretsRefuseFaultyRequestsWithoutValue(t *testing.T) {
	for name, tt := range map[string]struct{ body, location string }{
		"no value":           {`{}`, "body"},
		"a number":           {`{"value":31415926}`, "body.value"},
		"null":               {`{"value":null}`, "body.value"},
		"a list":             {`{"value":["canary"]}`, "body.value"},
		"no description":     {`{"value":"canary","description":null}`, "body.description"},
		"a long description": {`{"value":"canary","description":"` + strings.Repeat("x", 1001) + `"}`, "body.description"},
		"twice":              {`{"value":"canary","value":"canary"}`, "body.value"},
		"an unknown field":   {`{"value":"canary","values":"canary"}`, "body.values"},
		"invalid UTF-8":      {"{\"value\":\"canary\xff\"}", "body.value"},
		"no end":             {`{"value":"canary`, "body.value"},
		"half a character":   {`{"value":"canary\ud800"}`, "body.value"},
		"trailing text":      {`{"value":"canary"}"canary"`, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			res := s.send(request(http.MethodPut, "/api/v1/secrets/A", tt.body))
			p := res.problem(t)
			if res.StatusCode != 400 || !cmp.Equal(p.locations(), []string{tt.location}) {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
			if strings.Contains(res.body+s.log.String(), "canary") || s.secrets.given != "" {
				t.Errorf("the value is shown or stored: %s", res.body)
			}
		})
	}
}

func TestSecretsClearBody(t *testing.T) {
	s := newServer(t)
	s.secrets.err = pyth.Errorf(pyth.CodeReservedName, "PATH is reserved.")
	body := &remembering{}
	r := request(http.MethodPut, "/api/v1/secrets/PATH", `{"value":"canary-in-memory"}`)
	body.from = r.Body
	r.Body = body
	if res := s.send(r); res.StatusCode != 400 {
		t.Fatalf("status %d: %s", res.StatusCode, res.body)
	}
	if len(body.buffers) == 0 {
		t.Fatal("nothing was read")
	}
	for _, b := range body.buffers {
		if bytes.Contains(b, []byte("canary")) {
			t.Errorf("remaining: %q", b)
		}
	}
}

// The type "remembering" is a request body that stores the buffers of all reads. With
// these buffers, the test checks that the server has cleared them.
type remembering struct {
	from interface {
		Read([]byte) (int, error)
		Close() error
	}
	buffers [][]byte
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.buffers = append(r.buffers, p[:n])
	return n, err
}

func (r *remembering) Close() error { return r.from.Close() }

func TestSecretsListPagesAndDelete(t *testing.T) {
	s := newServer(t)
	for i := range 60 {
		s.secrets.all = append(s.secrets.all, &pyth.Secret{Name: fmt.Sprintf("S%02d", i), Version: 1, CreatedAt: created, UpdatedAt: created})
	}
	var names []string
	for path := "/api/v1/secrets?limit=25"; ; {
		all := s.secrets.all
		s.secrets.all = append([]*pyth.Secret(nil), all...)
		var page struct {
			Secrets    []struct{ Name string }
			NextCursor string
		}
		s.send(request(http.MethodGet, path, "")).decode(t, &page)
		s.secrets.all = all
		for _, secret := range page.Secrets {
			names = append(names, secret.Name)
		}
		if page.NextCursor == "" {
			break
		}
		path = "/api/v1/secrets?limit=25&cursor=" + page.NextCursor
	}
	if len(names) != 60 || names[59] != "S59" {
		t.Errorf("got %v", names)
	}
	if res := s.send(request(http.MethodDelete, "/api/v1/secrets/S01", "")); res.StatusCode != 204 || s.secrets.deleted != "usr_ada S01" {
		t.Errorf("status %d, deleted %q", res.StatusCode, s.secrets.deleted)
	}
}
