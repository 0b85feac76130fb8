package workpath

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxPatternBytes bounds a pattern.
const MaxPatternBytes = 1024

// Pattern selects files of the working directory by their path:
//
//   - matches any characters of one name
//     **          as a whole name: any directories, also none
//     ?           one character of a name
//     [a-z] [!a]  one character out of a class, or not
//     {a,b}       one of several patterns, which may have / and braces
//     \x          the character x
//
// A path is written as in Fault, but ./ and // are no fault in a pattern, and
// one that ends in / selects all files below that directory. To match takes
// time proportional to the lengths of pattern and path. A Pattern may be used
// by one goroutine at a time.
type Pattern struct {
	nodes []node
	// literal is the path if the pattern can only match one.
	literal string
	states  states
}

// op is what a node of a pattern matches.
type op byte

const (
	opChar  op = iota // the character
	opAny             // ?
	opClass           // […]
	opStar            // *
	opGlob            // **
	opOpen            // {: goes on at any of the alternatives
	opJump            // , or }: goes on after the braces
)

// node is an element of a pattern. What matches after it is the next node.
type node struct {
	op    op
	char  rune
	class class
	// to is where opOpen and opJump go on.
	to []int
	// skip is where to go on instead at the beginning of a name: past a "./" or
	// the second slash of "//". It is 0 for none.
	skip int
	// below is whether the pattern ends with this slash.
	below bool
}

// class is what is between [ and ].
type class struct {
	negated bool
	ranges  []runeRange
}

type runeRange struct{ first, last rune }

func (c *class) has(r rune) bool {
	for _, within := range c.ranges {
		if within.first <= r && r <= within.last {
			return !c.negated
		}
	}
	return c.negated
}

var (
	errPattern  = errors.New(`must be a glob pattern such as "*.csv" or "plots/**/*.png"`)
	errAbsolute = errors.New(`must be relative to the working directory, such as "*.csv"`)
	errParent   = errors.New("must not contain ..: only files below the working directory are returned")
	errNever    = errors.New("can never match a file below the working directory")
)

// ParsePattern reads a pattern. The error says what is wrong, as in "must not
// contain ..". A pattern that no path can match is an error.
func ParsePattern(s string) (*Pattern, error) {
	switch {
	case s == "" || len(s) > MaxPatternBytes:
		return nil, fmt.Errorf("must have 1 to %d bytes", MaxPatternBytes)
	case strings.ContainsRune(s, 0) || !utf8.ValidString(s):
		return nil, errPattern
	case strings.HasPrefix(s, "/"):
		return nil, errAbsolute
	}
	p := &parser{rest: s}
	if err := p.parse(); err != nil {
		return nil, err
	}
	pattern := &Pattern{nodes: p.nodes}
	pattern.mark()
	pattern.states.init(len(p.nodes))
	if !pattern.possible() {
		if slices.Contains(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("/{,}", r) }), "..") {
			return nil, errParent
		}
		return nil, errNever
	}
	return pattern, nil
}

// Literal returns the one path that the pattern can match, "" if it can match
// several.
func (p *Pattern) Literal() string { return p.literal }

// parser makes nodes of a pattern.
type parser struct {
	rest  string
	nodes []node
	// open are the nodes of the braces that are not closed, and their jumps.
	open  []int
	jumps [][]int
}

func (p *parser) parse() error {
	for p.rest != "" {
		r, size := utf8.DecodeRuneInString(p.rest)
		p.rest = p.rest[size:]
		switch {
		case r == '*' && strings.HasPrefix(p.rest, "*"):
			p.rest = p.rest[1:]
			p.add(node{op: opGlob})
		case r == '*':
			p.add(node{op: opStar})
		case r == '?':
			p.add(node{op: opAny})
		case r == '[':
			if err := p.class(); err != nil {
				return err
			}
		case r == '{':
			p.open = append(p.open, len(p.nodes))
			p.jumps = append(p.jumps, nil)
			p.add(node{op: opOpen, to: []int{len(p.nodes) + 1}})
		case (r == ',' && len(p.open) > 0) || r == '}':
			if err := p.alternative(r); err != nil {
				return err
			}
		case r == '\\':
			if p.rest == "" {
				return errPattern
			}
			r, size = utf8.DecodeRuneInString(p.rest)
			p.rest = p.rest[size:]
			p.add(node{op: opChar, char: r})
		default:
			p.add(node{op: opChar, char: r})
		}
	}
	if len(p.open) > 0 {
		return errPattern
	}
	return nil
}

func (p *parser) add(n node) { p.nodes = append(p.nodes, n) }

// alternative ends one, and with } the braces.
func (p *parser) alternative(r rune) error {
	last := len(p.open) - 1
	if last < 0 {
		return errPattern
	}
	p.jumps[last] = append(p.jumps[last], len(p.nodes))
	p.add(node{op: opJump})
	if r == ',' {
		open := &p.nodes[p.open[last]]
		open.to = append(open.to, len(p.nodes))
		return nil
	}
	for _, jump := range p.jumps[last] {
		p.nodes[jump].to = []int{len(p.nodes)}
	}
	p.open, p.jumps = p.open[:last], p.jumps[:last]
	return nil
}

// class reads what comes after [.
func (p *parser) class() error {
	n := node{op: opClass}
	if p.rest != "" && (p.rest[0] == '!' || p.rest[0] == '^') {
		n.class.negated = true
		p.rest = p.rest[1:]
	}
	for p.rest == "" || p.rest[0] != ']' {
		first, err := p.classChar()
		if err != nil {
			return err
		}
		last := first
		if len(p.rest) > 1 && p.rest[0] == '-' && p.rest[1] != ']' {
			p.rest = p.rest[1:]
			if last, err = p.classChar(); err != nil {
				return err
			}
		}
		n.class.ranges = append(n.class.ranges, runeRange{first, last})
	}
	if len(n.class.ranges) == 0 {
		return errPattern
	}
	p.rest = p.rest[1:]
	p.add(n)
	return nil
}

func (p *parser) classChar() (rune, error) {
	p.rest = strings.TrimPrefix(p.rest, `\`)
	if p.rest == "" {
		return 0, errPattern
	}
	r, size := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[size:]
	return r, nil
}

// mark finds what is written in another way than a clean path: "./", "//" and a
// final slash; and whether the pattern is one path.
func (p *Pattern) mark() {
	var text strings.Builder
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.op != opChar {
			text.Reset()
			break
		}
		text.WriteRune(n.char)
	}
	if p.literal = path.Clean(text.String()); p.literal == "." || strings.HasSuffix(text.String(), "/") {
		p.literal = ""
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		switch {
		case n.is('/'):
			n.below = p.after(i+1) == len(p.nodes)
			if i > 0 && p.nodes[i-1].is('/') {
				n.skip = i + 1
			}
		case n.is('.') && (i == 0 || p.nodes[i-1].is('/') || p.nodes[i-1].op == opOpen || p.nodes[i-1].op == opJump):
			switch next := p.after(i + 1); {
			case i+1 < len(p.nodes) && p.nodes[i+1].is('/'):
				n.skip = i + 2
			case next == len(p.nodes):
				n.skip = next
			}
		}
	}
}

func (n *node) is(r rune) bool { return n.op == opChar && n.char == r }

// after is where a pattern goes on from the end of an alternative.
func (p *Pattern) after(i int) int {
	for i < len(p.nodes) && p.nodes[i].op == opJump {
		i = p.nodes[i].to[0]
	}
	return i
}
