package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"golang.org/x/net/html"
)

const (
	simpleJSON = "application/vnd.pypi.simple.v1+json"
	// acceptSimple are the forms of PEP 691, the better first.
	acceptSimple = simpleJSON + ", application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
	// maxMetadata bounds a wheel's METADATA.
	maxMetadata = 16 << 20
	// maxPages is how many projects one change may look at.
	maxPages = 2000
)

// wheelName is the name of a wheel's file (PEP 427), as strict as tags are: name,
// version, build, Python, ABI and platform.
var wheelName = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)-([A-Za-z0-9_.!+]+)(?:-([0-9][A-Za-z0-9_.]*))?-([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)\.whl$`)

// wheelFile is a wheel that an index has.
type wheelFile struct {
	filename, project, version string

	url *url.URL
	// hash is "" if the index does not tell one.
	hash string
	// metadata is the hash of its METADATA beside it, "" if that is not known;
	// hasMetadata tells whether the index has it.
	metadata       string
	hasMetadata    bool
	requiresPython string
	yanked         any
}

// pythonIndex answers pip with the pages of an index, of which it keeps what
// wheels there are. Each change has one of its own.
type pythonIndex struct {
	source *source
	disk   *disk

	mu    sync.Mutex
	pages int
	files []*wheelFile
}

// handle answers one request: for a page, a wheel, or its metadata.
func (x *pythonIndex) handle(r *route, w http.ResponseWriter, q *http.Request) {
	switch parts := strings.Split(strings.Trim(q.URL.Path, "/"), "/"); {
	case len(parts) == 2 && parts[0] == "simple" && pythonName.MatchString(parts[1]):
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

// find is the wheel of a URL of ours.
func (x *pythonIndex) find(address string) *wheelFile {
	u, err := url.Parse(address)
	if err != nil || u.Host != gatewayHost {
		return nil
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "files" {
		return nil
	}
	return x.file(parts[1])
}

func (x *pythonIndex) file(number string) *wheelFile {
	n, err := strconv.Atoi(number)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil || n < 0 || n >= len(x.files) {
		return nil
	}
	return x.files[n]
}

// page passes the list of a project's wheels on, with our own addresses.
func (x *pythonIndex) page(ctx context.Context, r *route, w http.ResponseWriter, project string) {
	x.mu.Lock()
	x.pages++
	many := x.pages > maxPages
	x.mu.Unlock()
	if many {
		http.Error(w, "too many projects", http.StatusForbidden)
		return
	}
	body, media, at, err := x.source.page(ctx, x.source.base.JoinPath(project, "/"), acceptSimple)
	if err != nil {
		r.answer(w, err)
		return
	}
	files, err := parsePage(x.source, project, body, media, at)
	if err != nil {
		r.answer(w, err)
		return
	}
	w.Header().Set("Content-Type", simpleJSON)
	_ = json.MarshalWrite(w, x.own(project, files)) // Who asked has gone if it fails.
}

// own is the page that a sandbox sees.
func (x *pythonIndex) own(project string, files []*wheelFile) map[string]any {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]map[string]any, 0, len(files))
	for _, f := range files {
		entry := map[string]any{
			"filename": f.filename, "url": fmt.Sprintf("http://%s/files/%d/%s", gatewayHost, len(x.files), f.filename),
			// The archive is verified here, and pip would not take all kinds.
			"hashes": map[string]string{},
		}
		x.files = append(x.files, f)
		if f.requiresPython != "" {
			entry["requires-python"] = f.requiresPython
		}
		if f.yanked != nil {
			entry["yanked"] = f.yanked
		}
		if f.hasMetadata || f.hash != "" && exists(x.disk.metadataPath(f.hash)) {
			entry["core-metadata"] = true
		}
		list = append(list, entry)
	}
	return map[string]any{"meta": map[string]string{"api-version": "1.0"}, "name": project, "files": list}
}

// metadataPath is where the METADATA of a wheel is kept.
func (d *disk) metadataPath(hash string) string { return d.downloadPath(hash) + ".metadata" }

// metadata passes a wheel's METADATA on, which spares pip the wheel.
func (x *pythonIndex) metadata(ctx context.Context, r *route, w http.ResponseWriter, f *wheelFile) {
	if f.hash != "" {
		kept := x.disk.metadataPath(f.hash)
		if b, err := os.ReadFile(kept); err == nil {
			used(kept)
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
	response, err := x.source.open(ctx, &at, "")
	if err != nil {
		r.answer(w, err)
		return
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxMetadata+1))
	if err == nil && len(b) > maxMetadata {
		err = errLarge
	}
	if err == nil && f.metadata != "" {
		h, _ := hashOf(f.metadata)
		_, _ = h.Write(b) // Never fails.
		if sri("sha256", h.Sum(nil)) != f.metadata {
			err = errHash
		}
	}
	if err != nil {
		r.answer(w, err)
		return
	}
	_, _ = w.Write(b)
}

// wheel passes a wheel on, which is then here for its image as well.
func (x *pythonIndex) wheel(ctx context.Context, r *route, w http.ResponseWriter, f *wheelFile) {
	at, err := x.fetch(ctx, f)
	if err != nil {
		r.answer(w, err)
		return
	}
	opened, err := os.Open(at)
	if err != nil {
		r.answer(w, err)
		return
	}
	defer opened.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.Copy(w, opened)
}

// fetch has the wheel on disk, and its metadata beside it for the next time. The
// hash is known then.
func (x *pythonIndex) fetch(ctx context.Context, f *wheelFile) (string, error) {
	x.mu.Lock()
	want := f.hash
	x.mu.Unlock()
	at, hash, err := x.disk.download(ctx, x.source, f.url, want)
	if err != nil {
		return "", err
	}
	x.mu.Lock()
	f.hash = hash
	x.mu.Unlock()
	x.disk.keepMetadata(at, hash)
	return at, nil
}

// parsePage reads the wheels of a project off a page (PEP 691, PEP 503). What is
// not a wheel of the project is left out.
func parsePage(s *source, project string, body []byte, media string, at *url.URL) ([]*wheelFile, error) {
	kind, _, err := mime.ParseMediaType(media)
	if err != nil && media != "" {
		return nil, errors.New("packages: the index answers in no known form")
	}
	parse := parseHTML
	if kind == simpleJSON || kind == "application/json" {
		parse = parseJSON
	}
	links, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("packages: the index has a page that is not one: %w", err)
	}
	var files []*wheelFile
	for _, l := range links {
		u, err := s.resolve(at, l.href)
		if err != nil {
			continue
		}
		f := &wheelFile{
			filename: path.Base(u.Path), project: project, url: u, hash: l.hash,
			metadata: l.metadata, hasMetadata: l.hasMetadata, requiresPython: l.requiresPython, yanked: l.yanked,
		}
		if f.hash == "" {
			f.hash = fragmentHash(u.Fragment)
		}
		u.Fragment = ""
		parts := wheelName.FindStringSubmatch(f.filename)
		if parts == nil || len(f.filename) > 255 || normalize(parts[1]) != project {
			continue
		}
		// A hyphen is an underscore in names of files.
		if f.version = strings.ReplaceAll(parts[2], "_", "-"); pythonVersion.MatchString(f.version) {
			files = append(files, f)
		}
	}
	return files, nil
}

// anchor is a file as a page has it.
type anchor struct {
	href, hash, metadata string
	hasMetadata          bool
	requiresPython       string
	yanked               any
}

// fragmentHash is the hash in a URL's fragment (PEP 503).
func fragmentHash(fragment string) string {
	algorithm, digits, _ := strings.Cut(fragment, "=")
	return sriOfHex(algorithm, digits)
}

// hashOfMap is the best that an index tells of a file.
func hashOfMap(hashes map[string]string) string {
	for _, algorithm := range []string{"sha256", "sha512", "sha384"} {
		if h := sriOfHex(algorithm, hashes[algorithm]); h != "" {
			return h
		}
	}
	return ""
}

func parseJSON(body []byte) ([]anchor, error) {
	var page struct {
		Files []struct {
			URL            string            `json:"url"`
			Hashes         map[string]string `json:"hashes"`
			RequiresPython string            `json:"requires-python"`
			Yanked         any               `json:"yanked"`
			CoreMetadata   any               `json:"core-metadata"`
			DistInfo       any               `json:"dist-info-metadata"`
		} `json:"files"`
	}
	if err := unmarshalLoosely(body, &page); err != nil {
		return nil, err
	}
	links := make([]anchor, 0, len(page.Files))
	for _, f := range page.Files {
		l := anchor{href: f.URL, hash: hashOfMap(f.Hashes), requiresPython: f.RequiresPython}
		if y, ok := f.Yanked.(bool); ok && y {
			l.yanked = true
		} else if reason, ok := f.Yanked.(string); ok {
			l.yanked = reason
		}
		for _, metadata := range []any{f.CoreMetadata, f.DistInfo} {
			switch m := metadata.(type) {
			case bool:
				l.hasMetadata = l.hasMetadata || m
			case map[string]any:
				l.hasMetadata = true
				if digits, ok := m["sha256"].(string); ok {
					l.metadata = sriOfHex("sha256", digits)
				}
			}
		}
		links = append(links, l)
	}
	return links, nil
}

func parseHTML(body []byte) ([]anchor, error) {
	var links []anchor
	tokens := html.NewTokenizer(bytes.NewReader(body))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				return nil, err
			}
			return links, nil
		case html.StartTagToken:
			t := tokens.Token()
			if t.Data != "a" {
				continue
			}
			var l anchor
			for _, a := range t.Attr {
				switch a.Key {
				case "href":
					l.href = a.Val
				case "data-requires-python":
					l.requiresPython = a.Val
				case "data-yanked":
					l.yanked = a.Val
					if a.Val == "" {
						l.yanked = true
					}
				case "data-core-metadata", "data-dist-info-metadata":
					l.hasMetadata = true
					l.metadata = fragmentHash(a.Val)
				}
			}
			if l.href != "" {
				links = append(links, l)
			}
		}
	}
}
