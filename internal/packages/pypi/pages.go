package pypi

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// maxMetadata is the maximum size of a METADATA file in bytes.
const maxMetadata = 16 << 20

// The type "pages" answers pip's requests with pages of the index, and collects the
// wheels on these pages. Each call of Resolve uses a new instance.
type pages struct {
	index  *index.Client
	images *imagestore.Store

	mu       sync.Mutex
	requests int
	files    []*wheelFile
}

// The method "handle" answers a request of pip for a project's page, a wheel, or the
// metadata of a wheel.
func (x *pages) handle(r *gateway.Route, w http.ResponseWriter, q *http.Request) {
	switch parts := strings.Split(strings.Trim(q.URL.Path, "/"), "/"); {
	case len(parts) == 2 && parts[0] == "simple" && namePattern.MatchString(parts[1]):
		x.page(q.Context(), r, w, normalize(parts[1]))
	case len(parts) == 3 && parts[0] == "files":
		switch f := x.file(parts[1]); {
		case f == nil:
			http.NotFound(w, q)
		case parts[2] == f.filename+".metadata":
			x.metadata(q.Context(), r, w, f)
		default:
			x.wheel(q.Context(), r, w, f)
		}
	default:
		http.NotFound(w, q)
	}
}

// find returns the wheel for a URL. The URL comes from a page that the method "rewritten"
// has returned. If there is no such wheel, find returns nil.
func (x *pages) find(address string) *wheelFile {
	u, err := url.Parse(address)
	if err != nil || u.Host != gateway.Host {
		return nil
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "files" {
		return nil
	}
	return x.file(parts[1])
}

func (x *pages) file(number string) *wheelFile {
	n, err := strconv.Atoi(number)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil || n < 0 || n >= len(x.files) {
		return nil
	}
	return x.files[n]
}

// page sends the page of a project. The URLs on the page lead to the gateway.
func (x *pages) page(ctx context.Context, r *gateway.Route, w http.ResponseWriter, project string) {
	x.mu.Lock()
	x.requests++
	tooMany := x.requests > resolve.MaxPages
	x.mu.Unlock()
	if tooMany {
		http.Error(w, "too many projects", http.StatusForbidden)
		return
	}
	body, media, at, err := x.index.Page(ctx, x.index.Base().JoinPath(project, "/"), acceptSimple)
	if err != nil {
		r.Reply(w, err)
		return
	}
	files, err := parsePage(x.index, project, body, media, at)
	if err != nil {
		r.Reply(w, err)
		return
	}
	w.Header().Set("Content-Type", simpleJSON)
	// Ignore the error: the write fails only if the job has ended.
	_ = json.MarshalWrite(w, x.rewritten(project, files))
}

// The method "rewritten" returns the page of a project for the sandbox. It appends the
// wheels of the project to x.files. The URLs on the page contain the positions of the
// wheels in x.files.
func (x *pages) rewritten(project string, files []*wheelFile) map[string]any {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]map[string]any, 0, len(files))
	for _, f := range files {
		entry := map[string]any{
			"filename": f.filename, "url": fmt.Sprintf("http://%s/files/%d/%s", gateway.Host, len(x.files), f.filename),
			// Pass no hashes to pip. The host verifies the hashes, and pip does not
			// support all algorithms.
			"hashes": map[string]string{},
		}
		x.files = append(x.files, f)
		if f.requiresPython != "" {
			entry["requires-python"] = f.requiresPython
		}
		if f.yanked != nil {
			entry["yanked"] = f.yanked
		}
		if f.hasMetadata || f.hash != "" && x.images.HasMetadata(f.hash) {
			entry["core-metadata"] = true
		}
		list = append(list, entry)
	}
	return map[string]any{"meta": map[string]string{"api-version": "1.0"}, "name": project, "files": list}
}

// metadata sends the METADATA file of a wheel. With this file, pip can resolve the
// dependencies and does not have to download the wheel.
func (x *pages) metadata(ctx context.Context, r *gateway.Route, w http.ResponseWriter, f *wheelFile) {
	if f.hash != "" {
		if b := x.images.Metadata(f.hash); b != nil {
			_, _ = w.Write(b)
			return
		}
	}
	if !f.hasMetadata {
		http.NotFound(w, nil)
		return
	}
	at := *f.url
	at.Path += ".metadata"
	at.RawPath = ""
	response, err := x.index.Open(ctx, &at, "")
	if err != nil {
		r.Reply(w, err)
		return
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxMetadata+1))
	if err == nil && len(b) > maxMetadata {
		err = imagestore.ErrArchiveTooLarge
	}
	if err == nil && f.metadata != "" && !imagestore.HasHash(b, f.metadata) {
		err = imagestore.ErrHash
	}
	if err != nil {
		r.Reply(w, err)
		return
	}
	_, _ = w.Write(b)
}

// wheel sends a wheel. It also stores the wheel, so that the server can make the image of
// the wheel without a second download.
func (x *pages) wheel(ctx context.Context, r *gateway.Route, w http.ResponseWriter, f *wheelFile) {
	path, err := x.download(ctx, f)
	if err != nil {
		r.Reply(w, err)
		return
	}
	wheel, err := os.Open(path)
	if err != nil {
		r.Reply(w, err)
		return
	}
	defer wheel.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.Copy(w, wheel)
}

// download returns the path of the wheel in the store, and sets f.hash. If the store
// does not have the wheel, the method downloads it. It also stores the wheel's METADATA
// for later requests.
func (x *pages) download(ctx context.Context, f *wheelFile) (string, error) {
	x.mu.Lock()
	want := f.hash
	x.mu.Unlock()
	path, hash, err := x.images.Download(ctx, x.index, f.url, want)
	if err != nil {
		return "", err
	}
	x.mu.Lock()
	f.hash = hash
	x.mu.Unlock()
	x.storeMetadata(path, hash)
	return path, nil
}

// storeMetadata stores the METADATA of a wheel. It ignores errors. The only effect of
// missing METADATA is that a later request downloads the wheel again.
func (x *pages) storeMetadata(wheel, hash string) {
	if x.images.HasMetadata(hash) {
		return
	}
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return
	}
	defer func() { _ = z.Close() }()
	names, err := fs.Glob(z, "*.dist-info/METADATA")
	if err != nil || len(names) != 1 {
		return
	}
	if b, err := readZipped(&z.Reader, names[0]); err == nil {
		_ = x.images.PutMetadata(hash, b)
	}
}

func readZipped(z *zip.Reader, name string) ([]byte, error) {
	f, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	if len(b) > maxMetadata {
		return nil, imagestore.ErrArchiveTooLarge
	}
	return b, err
}
