package api

import (
	"cmp"
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// PackagesRequest is a whole list of packages.
type PackagesRequest struct {
	Language string   `json:"language,omitempty" enum:"python,javascript,typescript" default:"python" doc:"Whose packages. JavaScript and TypeScript have the same."`
	Packages []string `json:"packages" doc:"Names with version constraints if need be: as pip has them for Python, as npm for JavaScript. An empty list removes all." example:"[\"requests==2.32.3\"]"`
}

// PackageRequest is a package to be added.
type PackageRequest struct {
	Language string `json:"language,omitempty" enum:"python,javascript,typescript" default:"python" doc:"Whose package."`
	Package  string `json:"package" doc:"A name, with a version constraint if need be." example:"numpy>=2"`
}

// PackageInfo is a package that runs have.
type PackageInfo struct {
	Name        string    `json:"name" example:"numpy"`
	Version     string    `json:"version" example:"2.3.1"`
	Requirement string    `json:"requirement" doc:"What was asked for; empty for what others need." example:"numpy>=2"`
	Language    string    `json:"language" enum:"python,javascript"`
	Direct      bool      `json:"direct" doc:"Whether it was asked for, rather than needed by others."`
	SizeBytes   int64     `json:"sizeBytes"`
	InstalledAt Timestamp `json:"installedAt"`
}

// PackageList are the packages that runs have.
type PackageList struct {
	Packages []PackageInfo `json:"packages"`
}

// PackageQuery selects a language. huma looks only into exported types.
type PackageQuery struct {
	Language string `query:"language" enum:"python,javascript,typescript" doc:"Whose packages."`
}

// PackageRef names a package.
type PackageRef struct {
	Name string `path:"package" maxLength:"256" doc:"The package's name. The slash of a scope may be as it is or escaped."`
	PackageQuery
}

type (
	packagesInput  struct{ PackageQuery }
	packagesOutput struct{ Body PackageList }
	setInput       struct{ body[PackagesRequest] }
	addInput       struct{ body[PackageRequest] }
	removeInput    struct{ PackageRef }
	// packageOutput writes the answer, in one of its two forms.
	packageOutput struct{ Body func(huma.Context) }
)

const (
	packagesPath = "/api/v1/packages"
	packagePath  = packagesPath + "/" + packageName
	tagPackages  = "Packages"
	// packagesTimeout is more than a change may take by itself.
	packagesTimeout = 30 * time.Minute
	// packagesBytes is a list of 500 requirements with every byte escaped.
	packagesBytes = 500*(6*512+8) + 1<<10
)

func (h *Handler) registerPackages() {
	if h.cfg.Packages == nil {
		return
	}
	example := map[string]any{
		"name": "numpy", "version": "2.3.1", "requirement": "numpy>=2", "language": "python", "direct": true,
		"sizeBytes": 71303168, "installedAt": "2026-04-04T08:23:21.123Z",
	}
	failures := []int{http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusBadGateway}
	const events = "progress {step, detail}, where step is resolve or install; and at last end, with what is answered otherwise, or error, an Error."
	const streaming = " A caller that accepts text/event-stream hears of the progress. Closing the connection gives the change up."
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listPackages", Method: http.MethodGet, Path: packagesPath,
			Summary: "List the packages", Tags: []string{tagPackages},
			Description: "Lists the packages that your runs have, with those that others need, by name.",
		},
		answer: map[string]any{"packages": []any{example}},
	}, h.listPackages)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "setPackages", Method: http.MethodPut, Path: packagesPath,
			Summary: "Replace the packages", Tags: []string{tagPackages},
			Description: "Replaces the list of a language by the newest versions that satisfy it, as a whole or not at all. Runs that go on keep what they have." + streaming,
			Errors:      failures,
			Responses:   h.bothForms("The new list", reflect.TypeFor[PackageList](), events),
		},
		maxBytes: packagesBytes, timeout: packagesTimeout,
		example: map[string]any{"packages": []string{"requests==2.32.3"}}, answer: map[string]any{"packages": []any{example}},
		action: pyth.ActionPackagesChanged,
	}, h.setPackages)
	info := reflect.TypeFor[PackageInfo]()
	responses := h.bothForms("It was there, and is now as asked for", info, events)
	responses["201"] = h.jsonForm("Added", info)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "addPackage", Method: http.MethodPost, Path: packagesPath, DefaultStatus: http.StatusCreated,
			Summary: "Add a package", Tags: []string{tagPackages},
			Description: "Adds a package with what it needs (201), or changes what was asked for of one that is there (200). Others keep their versions if that is possible." + streaming,
			Errors:      failures,
			Responses:   responses,
		},
		maxBytes: smallBody, timeout: packagesTimeout,
		example: map[string]any{"package": "numpy>=2"}, answer: example, action: pyth.ActionPackagesChanged,
	}, h.addPackage)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "removePackage", Method: http.MethodDelete, Path: packagePath,
			Summary: "Remove a package", Tags: []string{tagPackages},
			Description: "Removes a package that was asked for, with what nothing else needs. One that others need stays with them. Without a language the package is looked for in both lists, Python's first.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		timeout: packagesTimeout, action: pyth.ActionPackagesChanged,
	}, h.removePackage)
}

func (h *Handler) listPackages(ctx context.Context, in *packagesInput) (*packagesOutput, error) {
	all, err := h.cfg.Packages.Packages(ctx, caller(ctx).User.ID, pyth.Language(in.Language))
	if err != nil {
		return nil, err
	}
	return &packagesOutput{Body: packageList(all)}, nil
}

func (h *Handler) setPackages(ctx context.Context, in *setInput) (*packageOutput, error) {
	return h.changePackages(in.r, in.w, func(progress pyth.PackageProgress) (int, any, error) {
		all, err := h.cfg.Packages.SetPackages(ctx, caller(ctx).User.ID, languageOf(in.Value.Language), in.Value.Packages, progress)
		return http.StatusOK, packageList(all), err
	})
}

func (h *Handler) addPackage(ctx context.Context, in *addInput) (*packageOutput, error) {
	return h.changePackages(in.r, in.w, func(progress pyth.PackageProgress) (int, any, error) {
		p, added, err := h.cfg.Packages.AddPackage(ctx, caller(ctx).User.ID, languageOf(in.Value.Language), in.Value.Package, progress)
		if err != nil {
			return 0, nil, err
		}
		if added {
			return http.StatusCreated, packageInfo(p), nil
		}
		return http.StatusOK, packageInfo(p), nil
	})
}

func (h *Handler) removePackage(ctx context.Context, in *removeInput) (*noOutput, error) {
	return nil, h.cfg.Packages.RemovePackage(ctx, caller(ctx).User.ID, pyth.Language(in.Language), in.Name)
}

// changePackages answers with the result of a change, or with a stream of how it
// goes on that ends with the result.
func (h *Handler) changePackages(r *http.Request, w http.ResponseWriter, change func(pyth.PackageProgress) (int, any, error)) (*packageOutput, error) {
	if !acceptsEvents(r) {
		status, result, err := change(nil)
		if err != nil {
			return nil, err
		}
		return &packageOutput{Body: h.inJSON(status, result)}, nil
	}
	return &packageOutput{Body: func(huma.Context) {}}, h.streamTo(r, w, func(s *stream) (any, error) {
		_, result, err := change(func(step, detail string) error { return s.send("progress", progressEvent{step, detail}) })
		return result, err
	})
}

// progressEvent is the data of an event.
type progressEvent struct {
	Step   string `json:"step"`
	Detail string `json:"detail"`
}

// languageOf is the language of a request that may not name one.
func languageOf(name string) pyth.Language {
	return cmp.Or(pyth.Language(name), pyth.Python)
}

func packageList(all []*pyth.Package) PackageList {
	list := PackageList{Packages: make([]PackageInfo, len(all))}
	for i, p := range all {
		list.Packages[i] = packageInfo(p)
	}
	return list
}

func packageInfo(p *pyth.Package) PackageInfo {
	return PackageInfo{
		Name:        p.Name,
		Version:     p.Version,
		Requirement: p.Requirement,
		Language:    string(p.Language),
		Direct:      p.Direct,
		SizeBytes:   p.SizeBytes,
		InstalledAt: Timestamp(p.InstalledAt),
	}
}
