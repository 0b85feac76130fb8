package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

type packageStore struct {
	err   error
	given string
	there bool
}

var _ pyth.PackageService = (*packageStore)(nil)

func numpy() *pyth.Package {
	return &pyth.Package{Name: "numpy", Version: "2.3.1", Requirement: "numpy>=2", Language: pyth.Python, Direct: true, SizeBytes: 42, InstalledAt: created}
}

const numpyJSON = `{"name":"numpy","version":"2.3.1","requirement":"numpy>=2","language":"python","direct":true,"sizeBytes":42,"installedAt":"2026-04-04T08:23:21.123Z"}`

func (s *packageStore) Packages(_ context.Context, user pyth.UserID, language pyth.Language) ([]*pyth.Package, error) {
	s.given = fmt.Sprintf("%s lists %q", user, language)
	return []*pyth.Package{numpy()}, s.err
}

func (s *packageStore) SetPackages(_ context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	s.given = fmt.Sprintf("%s sets %s %q", user, language, requirements)
	if progress != nil {
		if err := progress("resolve", "looking"); err != nil {
			return nil, err
		}
	}
	return &pyth.PackageChange{Packages: []*pyth.Package{numpy()}}, s.err
}

func (s *packageStore) AddPackage(_ context.Context, user pyth.UserID, language pyth.Language, requirement string, _ pyth.PackageProgress) (*pyth.PackageChange, error) {
	s.given = fmt.Sprintf("%s adds %s %s", user, language, requirement)
	return &pyth.PackageChange{Package: numpy(), Created: !s.there}, s.err
}

func (s *packageStore) RemovePackage(_ context.Context, user pyth.UserID, language pyth.Language, name string) (*pyth.PackageChange, error) {
	s.given = fmt.Sprintf("%s removes %s %s", user, language, name)
	return nil, s.err
}

func TestPackages(t *testing.T) {
	list := `{"packages":[` + numpyJSON + `]}`
	for _, c := range []struct {
		name, method, path, body string
		packages                 packageStore
		status                   int
		answer, given            string
	}{
		{"are listed", "GET", "", "", packageStore{}, 200, list, `usr_ada lists ""`},
		{"are listed for a language", "GET", "?language=javascript", "", packageStore{}, 200, list, `usr_ada lists "javascript"`},
		{"are replaced", "PUT", "", `{"packages":["numpy>=2"]}`, packageStore{}, 200, list, `usr_ada sets python ["numpy>=2"]`},
		{"are all removed", "PUT", "", `{"language":"typescript","packages":[]}`, packageStore{}, 200, list, `usr_ada sets typescript []`},
		{"are added", "POST", "", `{"package":"numpy>=2"}`, packageStore{}, 201, numpyJSON, `usr_ada adds python numpy>=2`},
		{"are changed", "POST", "", `{"package":"numpy>=2"}`, packageStore{there: true}, 200, numpyJSON, `usr_ada adds python numpy>=2`},
		{"are removed", "DELETE", "/numpy", "", packageStore{}, 204, "", `usr_ada removes  numpy`},
		{"are removed by a name with a scope", "DELETE", "/@noble/hashes?language=javascript", "", packageStore{}, 204, "", `usr_ada removes javascript @noble/hashes`},
		{"are removed by an escaped name", "DELETE", "/@noble%2Fhashes?language=javascript", "", packageStore{}, 204, "", `usr_ada removes javascript @noble/hashes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, func(config *api.Config) { config.Packages = &c.packages })
			res := s.send(request(c.method, "/api/v1/packages"+c.path, c.body))
			if res.StatusCode != c.status || res.body != c.answer || c.packages.given != c.given {
				t.Errorf("status %d: %s; the service received %s", res.StatusCode, res.body, c.packages.given)
			}
		})
	}
}

func TestPackagesRefuseFaultyRequests(t *testing.T) {
	for code, status := range map[pyth.Code]int{
		pyth.CodeInvalidRequirement: 400, pyth.CodeUnsatisfiable: 409, pyth.CodeIndexUnavailable: 502, pyth.CodeTooLarge: 413,
	} {
		s := newServer(t, func(c *api.Config) { c.Packages = &packageStore{err: pyth.Errorf(code, "Reason.")} })
		res := s.send(request(http.MethodPut, "/api/v1/packages", `{"packages":["a"]}`))
		if p := res.problem(t); res.StatusCode != status || p.Code != string(code) || p.Detail != "Reason." {
			t.Errorf("status %d: %s", res.StatusCode, res.body)
		}
	}
	for _, body := range []string{`{}`, `{"packages":null}`, `{"packages":[1]}`, `{"packages":["a"],"language":"ruby"}`, `{"packages":["a"],"index":"x"}`} {
		packages := &packageStore{}
		s := newServer(t, func(c *api.Config) { c.Packages = packages })
		if res := s.send(request(http.MethodPut, "/api/v1/packages", body)); res.StatusCode != 400 || packages.given != "" {
			t.Errorf("%s: status %d: %s", body, res.StatusCode, res.body)
		}
	}
}

func TestPackagesStreamProgress(t *testing.T) {
	for _, failure := range []error{nil, pyth.Errorf(pyth.CodeUnsatisfiable, "It does not fit.")} {
		s := newServer(t, func(c *api.Config) { c.Packages = &packageStore{err: failure} })
		r := request(http.MethodPut, "/api/v1/packages", `{"packages":["numpy"]}`)
		r.Header.Set("Accept", "text/event-stream")
		res := s.send(r)
		want := "event: progress\ndata: {\"step\":\"resolve\",\"detail\":\"looking\"}\n\nevent: "
		last := "end\ndata: {\"packages\":[" + numpyJSON + "]}\n\n"
		if failure != nil {
			last = "error\n"
		}
		if !strings.HasPrefix(res.body, want+last) || failure != nil && !strings.Contains(res.body, `"code":"unsatisfiable"`) {
			t.Errorf("got %s", res.body)
		}
	}
}
