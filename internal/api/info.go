package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ServerInfo is the response of GET /api. It describes the server.
type ServerInfo struct {
	_ struct{} `doc:"The features of the server."`

	Name          string         `json:"name" doc:"The name of the API." example:"Pyth-On API"`
	Version       string         `json:"version" doc:"The version of the server." example:"1.0.0"`
	Documentation string         `json:"documentation" format:"uri-reference" doc:"The URL of the documentation." example:"/docs"`
	OpenAPI       string         `json:"openapi" format:"uri-reference" doc:"The URL of the OpenAPI document." example:"/openapi.json"`
	Languages     []LanguageInfo `json:"languages" doc:"The languages of this server."`
	Limits        ServerLimits   `json:"limits" doc:"The limits of this server."`
	OIDC          *OIDCInfo      `json:"oidc,omitempty" nullable:"false" doc:"The sign-in at an OIDC provider. Absent if the server has no provider."`
	Features      []string       `json:"features" doc:"The parts of the API that this server offers." example:"[\"execute\"]"`
}

// LanguageInfo describes a programming language that the server can run.
type LanguageInfo struct {
	_ struct{} `doc:"A language of the server."`

	Name     Language      `json:"name" doc:"The language." example:"python"`
	Version  string        `json:"version" doc:"The version of the default runtime. Empty if a request must select a runtime." example:"3.14.6"`
	Runtimes []RuntimeInfo `json:"runtimes" doc:"The runtimes of the language. If a default runtime exists, it is the first."`
}

// RuntimeInfo describes a runtime for a language.
type RuntimeInfo struct {
	_ struct{} `doc:"A runtime of a language."`

	Name    string `json:"name" doc:"The value for the field runtime of a request." example:"python"`
	Version string `json:"version" doc:"The version of the interpreter." example:"3.14.6"`
}

// ServerLimits contains the limits that apply to requests.
type ServerLimits struct {
	_ struct{} `doc:"The limits of all requests."`

	MaxCodeBytes     int64     `json:"maxCodeBytes" doc:"The maximum size of the source code." example:"1048576"`
	MaxStdinBytes    int64     `json:"maxStdinBytes" doc:"The maximum size of the standard input." example:"1048576"`
	MaxFilesBytes    int64     `json:"maxFilesBytes" doc:"The maximum total size of all files in a request." example:"10485760"`
	MaxFiles         int       `json:"maxFiles" doc:"The maximum number of files of a request." example:"64"`
	MaxArgs          int       `json:"maxArgs" doc:"The maximum number of arguments." example:"64"`
	DefaultTimeoutMs int64     `json:"defaultTimeoutMs" doc:"The default value of timeoutMs in a request." example:"30000"`
	MaxTimeoutMs     int64     `json:"maxTimeoutMs" doc:"The maximum value of timeoutMs in a request." example:"300000"`
	Default          RunLimits `json:"default" doc:"The default limits of a run."`
	Max              RunLimits `json:"max" doc:"The maximum limits that a request may set."`
}

// RunLimits contains the limits of a run: either the defaults or the maximums.
type RunLimits struct {
	_ struct{} `doc:"The limits of a run."`

	MemoryBytes int64 `json:"memoryBytes" doc:"The maximum memory of all processes together." example:"268435456"`
	CPUMs       int64 `json:"cpuMs,omitzero" doc:"The maximum processor time of all processes together. Absent if only the time-out limits the processor time." example:"300000"`
	OutputBytes int64 `json:"outputBytes" doc:"The maximum size of stdout. The same limit applies to stderr." example:"1048576"`
	DiskBytes   int64 `json:"diskBytes" doc:"The maximum total size of the files that the run writes." example:"104857600"`
	Processes   int   `json:"processes" doc:"The maximum number of processes and threads that exist at the same time." example:"64"`
}

type infoOutput struct{ Body ServerInfo }

func (h *Handler) registerInfo() {
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "getServerInfo", Method: http.MethodGet, Path: "/api",
			Summary: "Get the features of the server", Tags: []string{tagSystem},
			Description: "Returns the languages and the limits of this server, and the parts of the API that this server offers.",
		},
		public: true,
		answer: map[string]any{
			"name": apiName, "version": "1.0.0", "documentation": docsPath, "openapi": openAPIPath + ".json",
			"languages": []any{map[string]any{
				"name": "python", "version": "3.14.6", "runtimes": []any{map[string]any{"name": "python", "version": "3.14.6"}},
			}},
			"limits": map[string]any{
				"maxCodeBytes": 1048576, "maxStdinBytes": 1048576, "maxFilesBytes": 10485760, "maxFiles": 64, "maxArgs": 64,
				"defaultTimeoutMs": 30000, "maxTimeoutMs": 300000,
				"default": exampleLimits(268435456), "max": exampleLimits(1073741824),
			},
			"features": []any{"execute"},
		},
	}, h.info)
}

func exampleLimits(memory int64) map[string]any {
	return map[string]any{"memoryBytes": memory, "outputBytes": 1048576, "diskBytes": 104857600, "processes": 64}
}

func (h *Handler) info(context.Context, *noInput) (*infoOutput, error) {
	l := h.cfg.Limits
	out := ServerInfo{
		Name:          apiName,
		Version:       h.cfg.Version,
		Documentation: docsPath,
		OpenAPI:       openAPIPath + ".json",
		Languages:     make([]LanguageInfo, len(h.cfg.Languages)),
		Limits: ServerLimits{
			MaxCodeBytes:     l.MaxCodeBytes,
			MaxStdinBytes:    l.MaxStdinBytes,
			MaxFilesBytes:    l.MaxFilesBytes,
			MaxFiles:         l.MaxFiles,
			MaxArgs:          l.MaxArgs,
			DefaultTimeoutMs: l.DefaultTimeout.Milliseconds(),
			MaxTimeoutMs:     l.MaxTimeout.Milliseconds(),
			Default:          runLimits(l.Default),
			Max:              runLimits(l.Max),
		},
		Features: append([]string{}, h.cfg.Features...),
	}
	if h.cfg.Identities != nil {
		out.OIDC = &OIDCInfo{Name: h.cfg.OIDCName, Path: oidcLoginPath}
	}
	for i, lang := range h.cfg.Languages {
		out.Languages[i] = languageInfo(lang)
	}
	return &infoOutput{Body: out}, nil
}

func languageInfo(l pyth.LanguageInfo) LanguageInfo {
	out := LanguageInfo{Name: Language(l.Name), Version: l.Version, Runtimes: []RuntimeInfo{}}
	if l.Version != "" {
		out.Runtimes = append(out.Runtimes, RuntimeInfo{Name: string(l.Name.Runtime()), Version: l.Version})
	}
	for _, r := range l.Runtimes {
		out.Runtimes = append(out.Runtimes, RuntimeInfo{Name: string(r.Name), Version: r.Version})
	}
	return out
}

func runLimits(l pyth.Limits) RunLimits {
	return RunLimits{
		MemoryBytes: l.MemoryBytes,
		CPUMs:       l.CPU.Milliseconds(),
		OutputBytes: l.OutputBytes,
		DiskBytes:   l.DiskBytes,
		Processes:   l.Processes,
	}
}
