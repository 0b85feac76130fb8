package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ServerInfo tells what this server offers.
type ServerInfo struct {
	Name          string         `json:"name" example:"Pyth-On API"`
	Version       string         `json:"version"`
	Documentation string         `json:"documentation" format:"uri-reference" example:"/docs"`
	OpenAPI       string         `json:"openapi" format:"uri-reference" example:"/openapi.json"`
	Languages     []LanguageInfo `json:"languages"`
	Limits        ServerLimits   `json:"limits"`
	Features      []string       `json:"features" doc:"The parts of the API that this server has."`
}

// LanguageInfo is a language that programs may be in.
type LanguageInfo struct {
	Name     string        `json:"name" example:"python"`
	Version  string        `json:"version" doc:"That of the runtime that programs get unless they name another; empty if they have to."`
	Runtimes []RuntimeInfo `json:"runtimes" doc:"What runs the language here; the first is the default."`
}

// RuntimeInfo is what runs a language.
type RuntimeInfo struct {
	Name    string `json:"name" example:"python" doc:"What runtime of a request says."`
	Version string `json:"version" doc:"That of its interpreter."`
}

// ServerLimits are the bounds of an execution.
type ServerLimits struct {
	MaxCodeBytes     int64     `json:"maxCodeBytes"`
	MaxStdinBytes    int64     `json:"maxStdinBytes"`
	MaxFilesBytes    int64     `json:"maxFilesBytes" doc:"All files of a request together."`
	MaxFiles         int       `json:"maxFiles"`
	MaxArgs          int       `json:"maxArgs"`
	DefaultTimeoutMs int64     `json:"defaultTimeoutMs"`
	MaxTimeoutMs     int64     `json:"maxTimeoutMs"`
	Default          RunLimits `json:"default" doc:"What a request that sets no limits gets."`
	Max              RunLimits `json:"max" doc:"The most that a request may set."`
}

// RunLimits are the limits of a run.
type RunLimits struct {
	MemoryBytes int64 `json:"memoryBytes"`
	CPUMs       int64 `json:"cpuMs,omitzero" doc:"Absent where only the time-out bounds it."`
	OutputBytes int64 `json:"outputBytes"`
	DiskBytes   int64 `json:"diskBytes"`
	Processes   int   `json:"processes"`
}

type infoOutput struct{ Body ServerInfo }

func (h *Handler) registerInfo() {
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "info", Method: http.MethodGet, Path: "/api",
			Summary: "Tell what this server offers", Tags: []string{tagSystem},
			Description: "Lists the languages, the limits and the parts of the API that this server has.",
		},
		public: true,
	}, h.info)
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
	for i, lang := range h.cfg.Languages {
		out.Languages[i] = languageInfo(lang)
	}
	return &infoOutput{Body: out}, nil
}

func languageInfo(l pyth.LanguageInfo) LanguageInfo {
	out := LanguageInfo{Name: string(l.Name), Version: l.Version, Runtimes: []RuntimeInfo{}}
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
