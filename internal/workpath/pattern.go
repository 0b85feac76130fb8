package workpath

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxPatternBytes is the maximum length of a pattern in bytes.
const MaxPatternBytes = 1024

// Pattern selects files in the working directory by path:
//
//	?           one character of a name
//	*           any number of characters of a name, including none
//	**          as a whole name: any number of directories, including none
//	[a-z] [!a]  one character in a class, or not in it
//	{a,b}       one of several patterns, which may contain / and braces
//	\x          the character x
//
// A pattern matches only valid paths, as the function Fault defines them. The text of a
// pattern may contain ./ and //. A pattern that ends in / selects all files below the
// directory. The time of a match is at most proportional to the length of the pattern
// multiplied by the length of the path. A Pattern is not safe for concurrent use.
type Pattern struct {
	nodes []node
	// literal is the path that the pattern matches, if the pattern can match only one
	// path. Otherwise literal is "".
	literal string
	states  states
}

// op is the kind of a node. It determines which characters the node matches, or
// where the match continues.
type op byte

const (
	opChar  op = iota // the character in node.char
	opAny             // ?
	opClass           // […]
	opStar            // *
	opGlob            // **
	opOpen            // {: the match continues at one of the alternatives
	opJump            // , or }: the match continues after the braces
)

// node is an element of a pattern. The match normally continues at the next node in the
// list. The fields "to" and "skip" can change this.
type node struct {
	op    op
	char  rune
	class class
	// After a node with opOpen or opJump, the match continues at the nodes whose indices
	// are in the field "to".
	to []int
	// The field "skip" is set for the name "." and for the second slash of "//", because
	// a clean path does not contain them. If a name begins at this node, the match may
	// also continue at the node with the index "skip". Then the nodes from this node to
	// the node before the index "skip" match no characters. For all other nodes, the
	// field is 0.
	skip int
	// The field "below" is true for a slash at the end of the pattern. This slash
	// matches everything below a directory.
	below bool
}

// class is a character class, such as [a-z].
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
	errPattern  = errors.New(`must be a glob pattern, for example "*.csv" or "plots/**/*.png"`)
	errAbsolute = errors.New(`must be relative to the working directory, for example "*.csv"`)
	errParent   = errors.New("must not contain ..: only files below the working directory are returned")
	errNever    = errors.New("can never match a file below the working directory")
)

// ParsePattern parses a pattern. It returns an error if the pattern is invalid or
// can never match a path. The error is a message for the user, such as "must not
// contain ..".
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

// Literal returns the path that the pattern matches, if the pattern can match only one
// path. Otherwise it returns "".
func (p *Pattern) Literal() string { return p.literal }

// parser converts the text of a pattern into nodes.
type parser struct {
	rest  string
	nodes []node
	// The field "open" contains the indices of the nodes with opOpen for braces that are
	// still open. For each of these braces, the field "jumps" contains the indices of
	// the nodes with opJump.
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

// The method "alternative" ends an alternative at the character r. This character is a
// comma or a closing brace. A closing brace also ends the list of alternatives.
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

// class parses a character class. The opening bracket of the class was already read.
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

// mark sets the fields "skip" and "below" of nodes. These nodes belong to parts that a
// clean path does not have: "./", "//" and a slash at the end. It also sets the field
// "literal" of the pattern.
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
			n.below = p.afterJumps(i+1) == len(p.nodes)
			if i > 0 && p.nodes[i-1].is('/') {
				n.skip = i + 1
			}
		case n.is('.') && (i == 0 || p.nodes[i-1].is('/') || p.nodes[i-1].op == opOpen || p.nodes[i-1].op == opJump):
			switch next := p.afterJumps(i + 1); {
			case i+1 < len(p.nodes) && p.nodes[i+1].is('/'):
				n.skip = i + 2
			case next == len(p.nodes):
				n.skip = next
			}
		}
	}
}

func (n *node) is(r rune) bool { return n.op == opChar && n.char == r }

// afterJumps returns the index of the node that the match reaches from the index i. From
// the end of an alternative, it jumps to the end of the braces.
func (p *Pattern) afterJumps(i int) int {
	for i < len(p.nodes) && p.nodes[i].op == opJump {
		i = p.nodes[i].to[0]
	}
	return i
}
