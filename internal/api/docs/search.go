package docs

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
)

// Limits of one search. The constant excerptBytes is the maximum length of the excerpt in
// one result.
const (
	maxQueryWords = 10
	maxHits       = 20
	excerptBytes  = 240
)

// Weights of words in titles and in headings. A word in the text has the weight 1.
const (
	titleWeight   = 20
	headingWeight = 10
)

// index finds the sections of the documentation that contain the words of a query.
type index struct {
	sections []section
	// The field "words" contains all words in sorted order. The field "postings" maps
	// each word to the sections that contain the word. The inner map maps the index of
	// each section to the weight of the word in this section.
	words    []string
	postings map[string]map[int]int
}

// section is a part of a page: a heading and the text below it.
type section struct {
	path, title, heading, anchor, text string
}

type hit struct{ Path, Title, Heading, Excerpt string }

func newIndex(documents map[string]*document) index {
	x := index{postings: make(map[string]map[int]int)}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		for _, s := range sectionsOf(documents[name]) {
			n := len(x.sections)
			x.sections = append(x.sections, s)
			x.count(n, s.text, 1)
			x.count(n, s.heading, headingWeight)
			if s.anchor == "" {
				x.count(n, s.title, titleWeight)
			}
		}
	}
	x.words = slices.Sorted(maps.Keys(x.postings))
	return x
}

func (x index) count(section int, text string, weight int) {
	for _, word := range wordsOf(text) {
		if x.postings[word] == nil {
			x.postings[word] = make(map[int]int)
		}
		x.postings[word][section] += weight
	}
}

// find returns the sections that match all words of the query, best match first. A
// section matches a query word if it contains a word that begins with the query word.
func (x index) find(query string) []hit {
	words := wordsOf(query)
	if len(words) == 0 {
		return nil
	}
	var scores map[int]int
	for _, word := range words[:min(len(words), maxQueryWords)] {
		found := x.beginning(word)
		if scores == nil {
			scores = found
			continue
		}
		for n := range scores {
			if found[n] == 0 {
				delete(scores, n)
			} else {
				scores[n] += found[n]
			}
		}
	}
	order := slices.SortedFunc(maps.Keys(scores), func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	var hits []hit
	for _, n := range order[:min(len(order), maxHits)] {
		s := x.sections[n]
		target := s.path
		if s.anchor != "" {
			target += "#" + s.anchor
		}
		hits = append(hits, hit{Path: target, Title: s.title, Heading: s.heading, Excerpt: excerpt(s.text, words)})
	}
	return hits
}

// beginning returns the sections that contain words with the given prefix. For each
// section, it returns the total weight of these words. If a word is equal to the prefix,
// its weight counts twice.
func (x index) beginning(prefix string) map[int]int {
	weights := make(map[int]int)
	first, _ := slices.BinarySearch(x.words, prefix)
	for _, word := range x.words[first:] {
		if !strings.HasPrefix(word, prefix) {
			break
		}
		for n, weight := range x.postings[word] {
			weights[n] += weight
			if word == prefix {
				weights[n] += weight
			}
		}
	}
	return weights
}

// excerpt returns the part of the text around the first occurrence of any of the
// words.
func excerpt(text string, words []string) string {
	lower := strings.ToLower(text)
	at := len(lower)
	for _, word := range words {
		if i := strings.Index(lower, word); i >= 0 {
			at = min(at, i)
		}
	}
	// The offset may be outside the text, because ToLower may change the length of the
	// text.
	if at >= len(text) {
		at = 0
	}
	start := max(0, at-excerptBytes/4)
	end := min(len(text), start+excerptBytes)
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	out := text[start:end]
	if start > 0 {
		out = "…" + out
	}
	if end < len(text) {
		out += "…"
	}
	return out
}

// wordsOf splits a text into words in lower case. It also splits a name such as
// max-queued into several words.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
}

// sectionsOf splits a page at its headings.
func sectionsOf(d *document) []section {
	sections := []section{{path: d.path, title: d.title}}
	for node := d.root.FirstChild(); node != nil; node = node.NextSibling() {
		heading, ok := node.(*ast.Heading)
		if ok && heading.Level > 1 {
			id, _ := heading.AttributeString("id")
			anchor, _ := id.([]byte)
			sections = append(sections, section{
				path: d.path, title: d.title, heading: plainText(heading, d.source), anchor: string(anchor),
			})
			continue
		}
		if !ok {
			last := &sections[len(sections)-1]
			last.text = strings.TrimSpace(last.text + " " + plainText(node, d.source))
		}
	}
	return sections
}

// plainText returns the text of a node and its descendants, on one line.
func plainText(node ast.Node, source []byte) string {
	var out bytes.Buffer
	_ = ast.Walk(node, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch {
		case !entering:
			if n.Type() == ast.TypeBlock {
				out.WriteByte(' ')
			}
		case n.Kind() == ast.KindText:
			text := n.(*ast.Text) //nolint:forcetypeassert // its kind says so
			out.Write(text.Value(source))
			if text.SoftLineBreak() {
				out.WriteByte(' ')
			}
		case n.Kind() == ast.KindFencedCodeBlock:
			out.Write(n.Lines().Value(source))
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(out.String()), " ")
}
