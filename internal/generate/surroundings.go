package generate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Limits for the fields of surroundings. maxFileHead and maxFileHeads are in bytes,
// and maxDescription is in characters. maxListed is the maximum number of items in
// each list.
const (
	maxFileHead    = 1 << 10
	maxFileHeads   = 16 << 10
	maxDescription = 200
	maxListed      = 200
)

// surroundings describes the sandbox of the program. The model receives the description
// as JSON. So no text in the description looks like an instruction.
type surroundings struct {
	Language    string     `json:"language"`
	Version     string     `json:"version,omitempty"`
	File        string     `json:"file"`
	Executed    bool       `json:"executed"`
	TimeoutMs   int64      `json:"timeoutMs"`
	MemoryBytes int64      `json:"memoryBytes"`
	Network     []string   `json:"network"`
	Packages    []string   `json:"packages"`
	Secrets     []secret   `json:"secrets"`
	Files       []file     `json:"files"`
	Session     []variable `json:"session,omitempty"`
}

type (
	secret struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
	}
	file struct {
		Path      string `json:"path"`
		SizeBytes int    `json:"sizeBytes"`
		Head      string `json:"head,omitempty"`
	}
	variable struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
)

// surroundings returns the description of the sandbox in JSON. The description contains
// no secret values.
func (w *work) surroundings(ctx context.Context) (string, error) {
	r, limits := w.request, w.config.Limits
	all := surroundings{
		Language: string(w.result.Language), File: w.result.Language.File(), Executed: r.Execute,
		TimeoutMs:   cmp.Or(r.Timeout, limits.DefaultTimeout).Milliseconds(),
		MemoryBytes: cmp.Or(r.Limits.MemoryBytes, limits.Default.MemoryBytes),
		Network:     []string{}, Packages: []string{}, Secrets: []secret{}, Files: w.files(),
	}
	for _, host := range r.Network {
		all.Network = append(all.Network, w.hide(host))
	}
	for _, l := range w.config.Languages {
		if l.Name == w.result.Language {
			all.Version = l.Version
		}
	}
	secrets, err := w.secrets(ctx)
	if err != nil {
		return "", err
	}
	all.Secrets = append(all.Secrets, secrets...)
	if w.config.Packages != nil {
		installed, err := w.config.Packages.Installed(ctx, w.user, w.result.Language)
		if err != nil {
			return "", err
		}
		all.Packages = append(all.Packages, installed[:min(len(installed), maxListed)]...)
	}
	if r.Session != "" && w.result.Language == pyth.Python {
		if all.Session, err = w.state(ctx); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(all)
	return string(b), err
}

// secrets returns the names and descriptions of the secrets that the program
// receives.
func (w *work) secrets(ctx context.Context) ([]secret, error) {
	if !w.request.AllSecrets && len(w.request.Secrets) == 0 {
		return nil, nil
	}
	var all []*pyth.Secret
	var err error
	if w.config.Secrets != nil {
		if all, err = w.config.Secrets.Secrets(ctx, w.user); err != nil {
			return nil, err
		}
	}
	if !w.request.AllSecrets {
		if err := pyth.CheckSecretNames(w.request.Secrets, all); err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(slices.Clone(all), func(s *pyth.Secret) bool { return !slices.Contains(w.request.Secrets, s.Name) })
	}
	var told []secret
	for _, s := range all[:min(len(all), maxListed)] {
		told = append(told, secret{w.hide(s.Name), cut(w.hide(s.Description), maxDescription)})
	}
	return told, nil
}

// files returns the paths and sizes of all files. For text files, it also returns the
// beginning of the text.
func (w *work) files() []file {
	files := make([]file, 0, len(w.request.Files))
	room := maxFileHeads
	for _, f := range w.request.Files {
		// Use a stream, because a secret value may begin in the first n bytes and end
		// after them. The stream also redacts such a value.
		stream := w.hiding.Stream()
		n := min(len(f.Content), maxFileHead, room)
		head := append(stream.Write(f.Content[:n]), stream.Close(n < len(f.Content))...)
		if whole := pyth.TrimIncompleteRune(head); utf8.Valid(whole) && !bytes.ContainsRune(whole, 0) {
			head = whole
		} else {
			head = nil
		}
		room -= len(head)
		room = max(room, 0)
		files = append(files, file{w.hide(f.Path), len(f.Content), string(head)})
	}
	return files
}

func cut(text string, most int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), most)])
}
