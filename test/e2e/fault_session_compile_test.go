package e2e_test

import "testing"

func TestSessionRunWithSyntaxErrorHasNoEffect(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct {
		code, stderr, raises string
		line                 int
	}{
		"return":            {"print('ran')\nx = 2\nif x:\n    return x", "    return x\n    ^^^^^^^^\nSyntaxError: 'return' outside function\n", "SyntaxError", 4},
		"break":             {"print('ran')\nx = 2\nbreak", "SyntaxError: 'break' outside loop\n", "SyntaxError", 3},
		"continue":          {"x = 2\nwith open('f', 'w'): continue", "SyntaxError: 'continue' not properly in loop\n", "SyntaxError", 2},
		"yield at the end":  {"print('ran')\nx = 2\n[(yield)]", "SyntaxError: 'yield' outside function\n", "SyntaxError", 3},
		"await of nothing":  {"print('ran')\nx = 2\ny = await nothing(x)", "    y = await nothing(x)\n        ^^^^^^^^^^^^^^^^\nSyntaxError: 'await' outside function\n", "SyntaxError", 3},
		"await of a number": {"print('ran')\nx = 2\nawait 5", "SyntaxError: 'await' outside function\n", "SyntaxError", 3},
		"async for":         {"print('ran')\nasync for x in nothing(): pass", "SyntaxError: 'async for' outside async function\n", "SyntaxError", 2},
		"await in a def":    {"x = 2\ndef f():\n    await x\nf()", "SyntaxError: 'await' outside async function\n", "SyntaxError", 3},
		"nonlocal":          {"print('ran')\nx = 2\nnonlocal z", "SyntaxError: nonlocal declaration not allowed at module level\n", "SyntaxError", 3},
		"global":            {"x = 2\ndef f():\n    y = 1\n    global y", "SyntaxError: name 'y' is assigned to before global declaration\n", "SyntaxError", 4},
		"future":            {"x = 2\nfrom __future__ import annotations", "SyntaxError: from __future__ imports must occur at the beginning of the file\n", "SyntaxError", 2},
		"unknown future":    {"from __future__ import nothing\nx = 2", "SyntaxError: future feature nothing is not defined\n", "SyntaxError", 1},
		"indentation":       {"x = 2\n  y = 3", "IndentationError: unexpected indent\n", "IndentationError", 2},
		"a bracket":         {"x = 2\nprint((x)", "SyntaxError: '(' was never closed\n", "SyntaxError", 2},
		"too many blocks":   {"x = 2\n" + nestedLoops(22) + "x", "SyntaxError: too many statically nested blocks\n", "SyntaxError", 23},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t,
				step{code: "x = 1"},
				step{code: c.code, exit: 1, stderr: c.stderr, raises: c.raises, line: c.line},
				step{code: "print(x)", stdout: "1\n"},
			)
		})
	}
}
