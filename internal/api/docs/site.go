// Package docs renders the documentation as HTML pages and searches these pages.
package docs

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// Index is the path of the page that links to all other pages.
const Index = "README.md"

//go:embed page.html.tmpl
var pageTemplate string

// Site contains the documentation as HTML. It is safe for concurrent use.
type Site struct {
	files map[string]File
	index index
	view  view
}

// File is an HTML page, or another file to which pages link.
type File struct {
	MediaType string
	Content   []byte
}

// view contains the data that is the same on all pages.
type view struct {
	Style    template.CSS
	Contents []link
	template *template.Template
}

type link struct{ Path, Title string }

// document is a parsed page before it is rendered.
type document struct {
	path, title string
	source      []byte
	root        ast.Node
}

// New renders every Markdown file of a file system. Links between pages stay relative, so
// all pages must have the same URL prefix. Links to files outside the file system become
// plain text. New removes raw HTML. The parameter "style" is the style sheet of all
// pages.
func New(files fs.FS, style string) (*Site, error) {
	t, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	s := &Site{files: make(map[string]File), view: view{Style: template.CSS(style), template: t}}
	markdown := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	documents := make(map[string]*document)
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if path.Ext(name) != ".md" {
			s.files[name] = File{MediaType: "application/json", Content: content}
			return nil
		}
		d := &document{path: name, source: withoutComments(content)}
		d.root = markdown.Parser().Parse(text.NewReader(d.source), parser.WithContext(parser.NewContext(parser.WithIDs(make(headingIDs)))))
		d.title = titleOf(d)
		documents[name] = d
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the documentation: %w", err)
	}
	known := func(name string) bool { return documents[name] != nil || s.files[name].Content != nil }
	for _, d := range documents {
		dropForeignLinks(d, known)
	}
	s.view.Contents = contents(documents)
	s.index = newIndex(documents)
	for name, d := range documents {
		var body bytes.Buffer
		if err := markdown.Renderer().Render(&body, d.source, d.root); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		page, err := s.view.page(pageData{
			// The result is safe HTML, because the renderer escapes text and removes raw
			// HTML and dangerous links.
			Title: d.title, Prefix: strings.Repeat("../", strings.Count(name, "/")), Body: template.HTML(body.String()), //nolint:gosec // see above
		})
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		s.files[name] = File{MediaType: "text/html; charset=utf-8", Content: page}
	}
	return s, nil
}

// File returns the page or file at a path such as "api.md". It returns false if there
// is no file at this path.
func (s *Site) File(name string) (File, bool) {
	f, ok := s.files[name]
	return f, ok
}

// Search returns an HTML page that lists the sections that match all words of the
// query.
func (s *Site) Search(query string) ([]byte, error) {
	return s.view.page(pageData{Title: "Search", Searched: true, Query: query, Hits: s.index.find(query)})
}

type pageData struct {
	view
	Title, Prefix, Query string
	Body                 template.HTML
	Searched             bool
	Hits                 []hit
}

func (v view) page(data pageData) ([]byte, error) {
	data.view = v
	var out bytes.Buffer
	if err := v.template.Execute(&out, data); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// contents returns links to the pages, in the same order as on the index page.
func contents(documents map[string]*document) []link {
	index := documents[Index]
	if index == nil {
		return nil
	}
	links := []link{{Index, "Overview"}}
	seen := make(map[string]bool)
	_ = ast.Walk(index.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := node.(*ast.Link); ok && entering {
			if target := documents[string(l.Destination)]; target != nil && !seen[target.path] {
				seen[target.path] = true
				links = append(links, link{target.path, target.title})
			}
		}
		return ast.WalkContinue, nil
	})
	return links
}

// dropForeignLinks replaces each link to a file outside the site with the text of the
// link.
func dropForeignLinks(d *document, known func(string) bool) {
	var foreign []*ast.Link
	_ = ast.Walk(d.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := node.(*ast.Link); ok && entering {
			target, _, _ := strings.Cut(string(l.Destination), "#")
			if target != "" && !strings.Contains(target, "://") && !known(path.Join(path.Dir(d.path), target)) {
				foreign = append(foreign, l)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, l := range foreign {
		parent := l.Parent()
		for child := l.FirstChild(); child != nil; child = l.FirstChild() {
			parent.InsertBefore(parent, l, child)
		}
		parent.RemoveChild(parent, l)
	}
}

func titleOf(d *document) string {
	if heading, ok := d.root.FirstChild().(*ast.Heading); ok {
		return plainText(heading, d.source)
	}
	return d.path
}

var commentLine = regexp.MustCompile(`(?m)^<!--.*-->\n`)

// withoutComments removes HTML comments from a page. Tests read these comments, but
// readers of the page do not need them.
func withoutComments(source []byte) []byte { return commentLine.ReplaceAll(source, nil) }

var notInID = regexp.MustCompile(`[^\pL\pN _-]`)

// headingIDs generates the anchors of headings in the same way as GitHub. So links to
// sections work on these pages and on GitHub. The keys of the map are the anchors that a
// page already uses.
type headingIDs map[string]bool

// Generate returns an unused anchor for a heading.
func (ids headingIDs) Generate(value []byte, _ ast.NodeKind) []byte {
	base := strings.ReplaceAll(notInID.ReplaceAllString(strings.ToLower(strings.TrimSpace(string(value))), ""), " ", "-")
	id := base
	for n := 1; ids[id]; n++ {
		id = fmt.Sprintf("%s-%d", base, n)
	}
	ids[id] = true
	return []byte(id)
}

// Put marks an anchor as used.
func (ids headingIDs) Put(value []byte) { ids[string(value)] = true }
