package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

const packagesPath = "/api/v1/packages"

// Progress receives each step of a change of packages. A step has a name, such as
// resolve or install, and a detail, such as the name of a package.
type Progress func(step, detail string)

// Packages returns the packages of a language. If the language is "", it returns the
// packages of Python.
func (c *Client) Packages(ctx context.Context, language Language) ([]PackageInfo, error) {
	var answer PackageList
	err := c.do(ctx, &call{method: http.MethodGet, path: packagesPath, query: languageQuery(language), repeatable: true}, &answer)
	return answer.Packages, err
}

// AddPackage installs a package, such as numpy>=2, with its dependencies. The function
// progress can be nil.
func (c *Client) AddPackage(ctx context.Context, language Language, requirement string, progress Progress) (*PackageInfo, error) {
	added := new(PackageInfo)
	return added, c.change(ctx, http.MethodPost, &PackageRequest{Language: language, Package: requirement}, progress, added)
}

// ReplacePackages installs exactly the given packages with their dependencies, and
// removes all other packages. The function progress can be nil.
func (c *Client) ReplacePackages(ctx context.Context, language Language, requirements []string, progress Progress) ([]PackageInfo, error) {
	var answer PackageList
	if requirements == nil {
		requirements = []string{}
	}
	err := c.change(ctx, http.MethodPut, &PackagesRequest{Language: language, Packages: requirements}, progress, &answer)
	return answer.Packages, err
}

// RemovePackage removes a package. It also removes dependencies of the package that no
// other package needs.
func (c *Client) RemovePackage(ctx context.Context, language Language, name string) error {
	return c.do(ctx, &call{
		method: http.MethodDelete, path: packagesPath + "/" + url.PathEscape(name), query: languageQuery(language), repeatable: true,
	}, nil)
}

// change sends a change of the packages. It decodes the last event of the response
// stream.
func (c *Client) change(ctx context.Context, method string, body any, progress Progress, answer any) error {
	for m, err := range c.stream(ctx, &call{method: method, path: packagesPath, body: body, repeatable: method == http.MethodPut}) {
		if err != nil {
			return err
		}
		switch m.name {
		case "progress":
			var step struct{ Step, Detail string }
			if err := json.Unmarshal(m.data, &step); err != nil {
				return err
			}
			if progress != nil {
				progress(step.Step, step.Detail)
			}
		case "end":
			return json.Unmarshal(m.data, answer)
		case "error":
			return m.problem()
		}
	}
	return errors.New("the connection was lost before the packages were changed; list the packages, and try again")
}

func languageQuery(language Language) url.Values {
	return values(map[string]string{"language": string(language)})
}
