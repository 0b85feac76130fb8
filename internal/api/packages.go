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

// PackagesRequest is the body of replacePackages.
type PackagesRequest struct {
	_ struct{} `doc:"The complete list of your packages for a language. This list replaces the current list."`

	Language Language `json:"language,omitempty" default:"python" doc:"The language of the packages. JavaScript and TypeScript have the same packages."`
	Packages []string `json:"packages" doc:"Package names, each with an optional version constraint in the syntax of pip for Python or of npm for JavaScript. An empty list removes all packages." example:"[\"requests==2.32.3\"]"`
}

// PackageRequest is the body of addPackage.
type PackageRequest struct {
	_ struct{} `doc:"A package to add."`

	Language Language `json:"language,omitempty" default:"python" doc:"The language of the package."`
	Package  string   `json:"package" doc:"The name of a package with an optional version constraint." example:"numpy>=2"`
}

// PackageInfo describes an installed package.
type PackageInfo struct {
	_ struct{} `doc:"An installed package."`

	Name        string    `json:"name" doc:"The name of the package." example:"numpy"`
	Version     string    `json:"version" doc:"The installed version." example:"2.3.1"`
	Requirement string    `json:"requirement" doc:"The requirement exactly as you sent it. Empty for a dependency of another package." example:"numpy>=2"`
	Language    Language  `json:"language" doc:"The language of the package: python or javascript. Packages for TypeScript have the language javascript." example:"python"`
	Direct      bool      `json:"direct" doc:"True if you requested the package. False if the package is only a dependency." example:"true"`
	SizeBytes   int64     `json:"sizeBytes" doc:"The size of the installed files." example:"71303168"`
	InstalledAt Timestamp `json:"installedAt" doc:"When the package was installed."`
}

// PackageList contains the packages of a user.
type PackageList struct {
	_ struct{} `doc:"The packages of a user."`

	Packages []PackageInfo `json:"packages" doc:"The packages, sorted by name."`
}

// PackageQuery contains the query parameter that selects a language. The type is
// exported, because huma ignores unexported types.
type PackageQuery struct {
	Language Language `query:"language" doc:"The language of the packages."`
}

// PackageRef contains the path parameter with the name of a package.
type PackageRef struct {
	Name string `path:"package" maxLength:"256" doc:"The name of the package. A slash in the name, as in @types/node, may be percent-encoded." example:"numpy"`
	PackageQuery
}

type (
	packagesInput  struct{ PackageQuery }
	packagesOutput struct{ Body PackageList }
	setInput       struct{ jsonBody[PackagesRequest] }
	addInput       struct{ jsonBody[PackageRequest] }
	removeInput    struct{ PackageRef }
	// packageOutput is the output of an operation. Its field Body writes the response as
	// JSON or as a stream of events.
	packageOutput struct{ Body func(huma.Context) }
)

const (
	packagesPath = "/api/v1/packages"
	packagePath  = packagesPath + "/" + packageName
	tagPackages  = "Packages"
	// packagesTimeout is the time-out of requests that change packages. By default, the
	// package service has a shorter time-out. So the caller receives the error of the
	// service instead of an error of the HTTP handler.
	packagesTimeout = 30 * time.Minute
	// packagesBytes is the maximum body size of replacePackages. It is enough for 500
	// requirements, even if JSON escapes every byte.
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
	const events = "progress with {step, detail}, where step is resolve or install. The last event is end with the response, or error with an Error."
	const exampleEvents = "event: progress\ndata: {\"step\":\"resolve\",\"detail\":\"numpy\"}\n\n"
	const streaming = " With Accept: text/event-stream the response is a stream of events. To cancel, close the connection."
	register(h, operation{
		scope: pyth.ScopePackages,
		Operation: huma.Operation{
			OperationID: "listPackages", Method: http.MethodGet, Path: packagesPath,
			Summary: "List the packages", Tags: []string{tagPackages},
			Description: "Lists the packages that your programs can import, including dependencies, sorted by name.",
		},
		answer: map[string]any{"packages": []any{example}},
	}, h.listPackages)
	register(h, operation{
		scope: pyth.ScopePackages,
		Operation: huma.Operation{
			OperationID: "replacePackages", Method: http.MethodPut, Path: packagesPath,
			Summary: "Replace the packages", Tags: []string{tagPackages},
			Description: "Replaces your packages for a language with the packages in the request. The server installs the newest versions that satisfy the list, and their dependencies. If the server cannot install a package, nothing changes. Running programs keep their packages." + streaming,
			Errors:      failures,
			Responses:   h.bothForms("The new list", reflect.TypeFor[PackageList](), events, exampleEvents),
		},
		maxBytes: packagesBytes, timeout: packagesTimeout,
		example: map[string]any{"packages": []string{"requests==2.32.3"}}, answer: map[string]any{"packages": []any{example}},
		action: pyth.ActionPackagesChanged,
	}, h.setPackages)
	info := reflect.TypeFor[PackageInfo]()
	responses := h.bothForms("The requirement of the existing package was replaced", info, events, exampleEvents)
	responses["201"] = h.jsonForm("The package was added", info)
	register(h, operation{
		scope: pyth.ScopePackages,
		Operation: huma.Operation{
			OperationID: "addPackage", Method: http.MethodPost, Path: packagesPath, DefaultStatus: http.StatusCreated,
			Summary: "Add a package", Tags: []string{tagPackages},
			Description: "Adds a package and its dependencies (201), or replaces the requirement of an existing package (200). Other packages keep their versions if possible." + streaming,
			Errors:      failures,
			Responses:   responses,
		},
		timeout: packagesTimeout,
		example: map[string]any{"package": "numpy>=2"}, answer: example, action: pyth.ActionPackagesChanged,
	}, h.addPackage)
	register(h, operation{
		scope: pyth.ScopePackages,
		Operation: huma.Operation{
			OperationID: "removePackage", Method: http.MethodDelete, Path: packagePath,
			Summary: "Remove a package", Tags: []string{tagPackages},
			Description: "Removes a package that you requested, and the dependencies that no other package needs. A package that another package needs stays installed as a dependency. If the package is only a dependency, the status is 409. If language is absent, the server searches the Python packages first, then the JavaScript packages.",
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
	return h.changePackages(ctx, func(progress pyth.PackageProgress) (int, any, error) {
		change, err := h.cfg.Packages.SetPackages(ctx, caller(ctx).User.ID, languageOf(in.Value.Language), in.Value.Packages, progress)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, packageList(change.Packages), nil
	})
}

func (h *Handler) addPackage(ctx context.Context, in *addInput) (*packageOutput, error) {
	return h.changePackages(ctx, func(progress pyth.PackageProgress) (int, any, error) {
		change, err := h.cfg.Packages.AddPackage(ctx, caller(ctx).User.ID, languageOf(in.Value.Language), in.Value.Package, progress)
		if err != nil {
			return 0, nil, err
		}
		if change.Created {
			return http.StatusCreated, packageInfo(change.Package), nil
		}
		return http.StatusOK, packageInfo(change.Package), nil
	})
}

func (h *Handler) removePackage(ctx context.Context, in *removeInput) (*noOutput, error) {
	_, err := h.cfg.Packages.RemovePackage(ctx, caller(ctx).User.ID, pyth.Language(in.Language), in.Name)
	return nil, err
}

// changePackages calls the function "change" and responds with the result. If the caller
// accepts events, changePackages first sends events about the progress of the change.
func (h *Handler) changePackages(ctx context.Context, change func(pyth.PackageProgress) (int, any, error)) (*packageOutput, error) {
	if !acceptsEvents(ctx) {
		status, result, err := change(nil)
		if err != nil {
			return nil, err
		}
		return &packageOutput{Body: h.inJSON(status, result)}, nil
	}
	return &packageOutput{Body: func(huma.Context) {}}, h.streamTo(ctx, func(s *stream) (any, error) {
		_, result, err := change(func(step, detail string) error { return s.send("progress", progressEvent{step, detail}) })
		return result, err
	})
}

type progressEvent struct {
	Step   string `json:"step"`
	Detail string `json:"detail"`
}

// languageOf returns the language of a request. The default is Python.
func languageOf(name Language) pyth.Language {
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
		Language:    Language(p.Language),
		Direct:      p.Direct,
		SizeBytes:   p.SizeBytes,
		InstalledAt: Timestamp(p.InstalledAt),
	}
}
