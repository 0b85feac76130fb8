package packages

import (
	"context"
	_ "embed" // For the program.
	"errors"
	"slices"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
)

//go:embed resolve.py
var pythonProgram []byte

// pythonResolver has pip resolve, against an index.
type pythonResolver struct {
	*Service
	source *source
}

// found is what a resolver tells of a package.
type found struct {
	URL      string   `json:"url"`
	Requires []string `json:"requires"`
}

func (p *pythonResolver) resolve(ctx context.Context, user pyth.UserID, w wish, tell pyth.PackageProgress) ([]*candidate, error) {
	index := &pythonIndex{source: p.source, disk: p.disk}
	r := p.config.Gateway.begin(ctx, index.handle)
	defer r.end()
	input := map[string]any{"host": gatewayHost, "requirements": texts(pyth.PythonRuntime, w.direct)}
	constraints := make([]string, 0, len(w.keep))
	for _, kept := range w.keep {
		constraints = append(constraints, kept.Name+"=="+kept.Version)
	}
	input["constraints"] = constraints
	encoded, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	job := p.job(user, pyth.Python, pythonProgram)
	job.Files = []pyth.File{{Path: "job.json", Content: encoded}}
	result, err := p.run(ctx, job, r, "result.json", tell)
	if err != nil {
		return nil, err
	}
	return p.candidates(ctx, index, result)
}

func texts(runtime pyth.Runtime, requirements []requirement) []string {
	all := make([]string, len(requirements))
	for i, r := range requirements {
		all[i] = r.text(runtime)
	}
	return all
}

var errResult = errors.New("packages: what was resolved is not among what the index has")

// candidates takes what the sandbox says for what it is: the choice of some of
// the wheels that the index was seen to have.
func (p *pythonResolver) candidates(ctx context.Context, index *pythonIndex, result []byte) ([]*candidate, error) {
	var all []found
	if json.Unmarshal(result, &all) != nil {
		return nil, errResult
	}
	var chosen []*candidate
	names := map[string]bool{}
	for _, f := range all {
		wheel := index.find(f.URL)
		if wheel == nil || names[wheel.project] {
			return nil, errResult
		}
		names[wheel.project] = true
		if wheel.hash == "" {
			// The index does not tell: what it has now is what is locked.
			if _, err := index.fetch(ctx, wheel); err != nil {
				return nil, unavailable(err)
			}
		}
		c := &candidate{archive: func(ctx context.Context) (string, error) { return index.fetch(ctx, wheel) }}
		c.Version = wheel.version
		c.Name, c.Place, c.Language = wheel.project, wheel.project, pyth.Python
		c.URL, c.Hash, c.Requires = wheel.url.String(), wheel.hash, f.Requires
		chosen = append(chosen, c)
	}
	for _, c := range chosen {
		c.Requires = slices.DeleteFunc(c.Requires, func(name string) bool { return !names[name] })
		slices.Sort(c.Requires)
		c.Requires = slices.Compact(c.Requires)
	}
	return chosen, nil
}
