package pypi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path"
	"regexp"
	"strings"

	"golang.org/x/net/html"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
)

const (
	simpleJSON = "application/vnd.pypi.simple.v1+json"
	// acceptSimple is the Accept header for index pages. It lists the formats of PEP 691.
	// The preferred format is the first in the list.
	acceptSimple = simpleJSON + ", application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)

// wheelName matches the file name of a wheel (PEP 427): name, version, build,
// Python, ABI and platform.
var wheelName = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)-([A-Za-z0-9_.!+]+)(?:-([0-9][A-Za-z0-9_.]*))?-([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)\.whl$`)

// wheelFile is a wheel on a page of the index.
type wheelFile struct {
	filename, project, version string

	url *url.URL
	// The field "hash" is the hash of the wheel in the format of Subresource Integrity
	// (SRI). It is "" if the index page contains no hash.
	hash string
	// The field "metadata" is the SRI hash of the METADATA file. It is "" if the index
	// page contains no such hash.
	metadata string
	// hasMetadata is true if the index serves the METADATA file of the wheel as a
	// separate file.
	hasMetadata    bool
	requiresPython string
	yanked         any
}

// parsePage returns the wheels of a project on an index page (PEP 691, PEP 503). It skips
// all other files, such as source archives. The parameter "media" is the media type of
// the page. The parameter "at" is the URL of the page.
func parsePage(from *index.Client, project string, body []byte, media string, at *url.URL) ([]*wheelFile, error) {
	kind, _, err := mime.ParseMediaType(media)
	if err != nil && media != "" {
		return nil, errors.New("packages: the response of the index has an unknown media type")
	}
	parse := parseHTML
	if kind == simpleJSON || kind == "application/json" {
		parse = parseJSON
	}
	links, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("packages: parse a page of the index: %w", err)
	}
	var files []*wheelFile
	for _, l := range links {
		u, err := from.Resolve(at, l.href)
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
		// In the file name of a wheel, underscores replace the hyphens in the version.
		if f.version = strings.ReplaceAll(parts[2], "_", "-"); versionPattern.MatchString(f.version) {
			files = append(files, f)
		}
	}
	return files, nil
}

// anchor describes a link on an index page to a file. It contains the address and the
// attributes of the link.
type anchor struct {
	href, hash, metadata string
	hasMetadata          bool
	requiresPython       string
	yanked               any
}

// fragmentHash returns the hash in the fragment of a link (PEP 503) in SRI form. It
// returns "" if the fragment contains no hash.
func fragmentHash(fragment string) string {
	algorithm, digits, _ := strings.Cut(fragment, "=")
	return imagestore.SRIFromHex(algorithm, digits)
}

// hashOfMap returns one of the hashes in SRI form. It prefers SHA-256. It returns "" if
// no hash has a known algorithm.
func hashOfMap(hashes map[string]string) string {
	for _, algorithm := range []string{"sha256", "sha512", "sha384"} {
		if h := imagestore.SRIFromHex(algorithm, hashes[algorithm]); h != "" {
			return h
		}
	}
	return ""
}

// parseJSON returns the links of a page in JSON format (PEP 691).
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
	if err := index.Unmarshal(body, &page); err != nil {
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
					l.metadata = imagestore.SRIFromHex("sha256", digits)
				}
			}
		}
		links = append(links, l)
	}
	return links, nil
}

// parseHTML returns the links of a page in HTML format (PEP 503).
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
