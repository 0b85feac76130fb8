package workpath

// Match reports whether the pattern matches the path of a file. The path must be
// relative and clean.
func (p *Pattern) Match(name string) bool {
	s := &p.states
	s.next()
	p.enter(p.state(0, atNode), true)
	for _, c := range name {
		if len(s.now) == 0 {
			return false
		}
		s.next()
		for _, from := range s.before {
			if to := p.step(from, c); to >= 0 {
				p.enter(to, c == '/')
			}
		}
	}
	return s.has(p.finalState()) || s.has(p.anyRest())
}

// These constants are the modes of the automaton. A state of the automaton consists of
// the index of a node and a mode. The final state has the index after the last node.
const (
	// atNode means that the node must match the next character.
	atNode = iota
	// inGlob means that the automaton is inside a directory name that ** matches.
	inGlob
	// afterGlob means that ** has matched a directory and the slash after the directory.
	// Therefore a slash after ** in the pattern has already matched.
	afterGlob
	modes
)

func (p *Pattern) state(node, mode int) int { return node*modes + mode }

// finalState returns the state after all nodes of the pattern.
func (p *Pattern) finalState() int { return p.state(len(p.nodes), atNode) }

// anyRest returns the final state for patterns that select everything below a directory.
// In this state, the automaton accepts all remaining characters of the path.
func (p *Pattern) anyRest() int { return p.state(len(p.nodes), inGlob) }

// states holds the possible states of the automaton at one position in a path.
type states struct {
	now, before []int
	// The field "seen" has an element for each state. The element is the number of the
	// last round in which the automaton entered the state.
	seen  []int
	round int
}

func (s *states) init(nodes int) { s.seen = make([]int, (nodes+1)*modes) }

// The method "next" begins a new round for the next character of the path.
func (s *states) next() {
	s.now, s.before = s.before[:0], s.now
	s.round++
}

func (s *states) has(state int) bool { return s.seen[state] == s.round }

// enter adds a state to the possible states. It also adds all states that the automaton
// can reach from this state without reading a character. The parameter "begins" is true
// if a name in the path begins at this position.
func (p *Pattern) enter(state int, begins bool) {
	s := &p.states
	if s.has(state) {
		return
	}
	s.seen[state] = s.round
	if p.follow(state, begins, func(to int) { p.enter(to, begins) }) {
		s.now = append(s.now, state)
	}
}

// follow calls the function "visit" for certain states. The automaton can reach these
// states directly from the given state without reading a character. The result is true
// if the given state can read a character or is final.
func (p *Pattern) follow(state int, begins bool, visit func(int)) (stays bool) {
	i, mode := state/modes, state%modes
	switch {
	case i == len(p.nodes) && mode == afterGlob:
		visit(p.anyRest())
		return false
	case i == len(p.nodes):
		return true
	case mode == inGlob:
		if begins {
			visit(p.state(i+1, afterGlob))
		}
		return true
	}
	n := &p.nodes[i]
	switch {
	case n.op == opOpen || n.op == opJump:
		for _, to := range n.to {
			visit(p.state(to, mode))
		}
		return false
	case mode == afterGlob:
		if n.is('/') {
			visit(p.afterSlash(i))
		}
		return false
	case n.op == opStar || n.op == opGlob:
		visit(p.state(i+1, atNode))
		if n.op == opGlob && begins {
			visit(p.state(i, inGlob))
		}
	case n.skip > 0 && begins:
		if p.afterJumps(n.skip) == len(p.nodes) {
			visit(p.anyRest())
		} else {
			visit(p.state(n.skip, atNode))
		}
	}
	return true
}

// afterSlash returns the state after the automaton has matched a slash of the pattern.
// The parameter "slash" is the index of the node of this slash.
func (p *Pattern) afterSlash(slash int) int {
	if p.nodes[slash].below {
		return p.anyRest()
	}
	return p.state(slash+1, atNode)
}

// step returns the state after the automaton has read the character c in the state
// "from". If c does not match, step returns -1.
func (p *Pattern) step(from int, c rune) int {
	i, mode := from/modes, from%modes
	if mode == inGlob {
		return from
	}
	if i == len(p.nodes) {
		return -1
	}
	switch n := &p.nodes[i]; {
	case n.op == opChar && n.char == c:
		if c == '/' {
			return p.afterSlash(i)
		}
		return p.state(i+1, atNode)
	case c == '/':
		return -1
	case n.op == opStar, n.op == opGlob:
		return from
	case n.op == opAny, n.op == opClass && n.class.has(c):
		return p.state(i+1, atNode)
	default:
		return -1
	}
}

// The method "possible" reports whether the pattern can match a clean path. It searches
// the states of the automaton. In each state, it tries only a few characters.
func (p *Pattern) possible() bool {
	// These constants are the possible beginnings of a name: empty, ".", "..", or other
	// text.
	const (
		nothing = iota
		dot
		dots
		something
	)
	type place struct{ state, name int }
	tried := map[place]bool{}
	var todo []place
	visit := func(to place) {
		if to.state >= 0 && !tried[to] {
			tried[to] = true
			todo = append(todo, to)
		}
	}
	visit(place{p.state(0, atNode), nothing})
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !p.follow(at.state, at.name == nothing, func(to int) { visit(place{to, at.name}) }) {
			continue
		}
		if at.name == something && (at.state == p.finalState() || at.state == p.anyRest()) {
			return true
		}
		for _, c := range p.examples(at.state) {
			switch {
			case c == '.' && at.name < dots:
				visit(place{p.step(at.state, c), at.name + 1})
			case c != '/':
				visit(place{p.step(at.state, c), something})
			case at.name == something:
				visit(place{p.step(at.state, c), nothing})
			}
		}
	}
	return false
}

// examples returns the characters that the search tries in a state. If the state treats
// some kinds of characters differently, the result includes one character of each kind.
func (p *Pattern) examples(state int) []rune {
	examples := []rune{'/', '.', 'a'}
	if i := state / modes; i < len(p.nodes) {
		n := &p.nodes[i]
		if n.op == opChar {
			return []rune{n.char}
		}
		for _, r := range n.class.ranges {
			examples = append(examples, r.first, r.first+1, r.last, r.last+1)
		}
	}
	return examples
}
