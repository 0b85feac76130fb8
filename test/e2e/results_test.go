package e2e_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type richResults = []map[string]any

// pyplot is a Python module that displays figures in the same way as matplotlib.pyplot.
const pyplot = `
class Figure:
    def __init__(self, number):
        self.number = number
    def savefig(self, file, format, bbox_inches):
        file.write(b"PNG %d" % self.number)
    def __repr__(self):
        return f"<Figure {self.number}>"

Figure.__module__ = "matplotlib.figure"
figures = {}

def get_fignums():
    return sorted(figures)

def figure(number=None):
    number = number or len(figures) + 1
    return figures.setdefault(number, Figure(number))

def plot(*values):
    figure()
    return ["line"]

import atexit
atexit.register(figures.clear)  # As matplotlib does.
`

func TestExecuteReturnsRichResults(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct {
		code   string
		files  []object
		want   richResults
		stdout string
	}{
		"value of the final expression":  {code: "x = 20\nx + 1", want: richResults{{"text/plain": "21"}}},
		"an expression over many lines":  {code: "[\n 1,\n 2,\n]\n\n# end\n", want: richResults{{"text/plain": "[1, 2]"}}},
		"none for None":                  {code: "None"},
		"none for a call of print":       {code: "print(1)", stdout: "1\n"},
		"none after a semicolon":         {code: "1 + 1;"},
		"none for a statement":           {code: "x = 1"},
		"none for a syntax error":        {code: "1 +"},
		"none when the expression fails": {code: "1 / 0"},
		"the value after a docstring":    {code: "'''doc'''\nfrom __future__ import annotations\n__doc__", want: richResults{{"text/plain": "'doc'"}}},
		"values given to display, in order": {
			code: "for i in range(2):\n    display(i, str(i))\n'end'",
			want: richResults{{"text/plain": "0"}, {"text/plain": "'0'"}, {"text/plain": "1"}, {"text/plain": "'1'"}, {"text/plain": "'end'"}},
		},
		"all forms that a value has": {
			code: `
class Rich:
    def _repr_html_(self): return "<b>é</b>"
    def _repr_png_(self): return b"\x89PNG"
    def _repr_svg_(self): return "<svg/>"
    def _repr_markdown_(self): return "**x**"
    def _repr_latex_(self): return "$x$"
    def _repr_json_(self): return {"a": [1, None]}
    def _repr_jpeg_(self): raise ValueError
    def _repr_pdf_(self): return None
    def __repr__(self): return "Rich()"
Rich()`,
			want: richResults{{
				"text/html": "<b>é</b>", "image/png": "iVBORw==", "image/svg+xml": "<svg/>", "text/markdown": "**x**",
				"text/latex": "$x$", "application/json": map[string]any{"a": []any{1.0, nil}}, "text/plain": "Rich()",
			}},
		},
		"a bundle of forms": {
			code: `
class Bundle:
    def _repr_mimebundle_(self, include, exclude): return {"application/vnd.x+json": {"k": 1}, "text/plain": "bundle"}, {}
Bundle()`,
			want: richResults{{"application/vnd.x+json": map[string]any{"k": 1.0}, "text/plain": "bundle"}},
		},
		"the class itself, not as its instances": {
			code: "class C:\n    def _repr_html_(self): return 'x'\n    __module__ = 'm'\nC",
			want: richResults{{"text/plain": "<class 'm.C'>"}},
		},
		"other forms if repr fails": {
			code: "class C:\n    def _repr_html_(self): return 'x'\n    def __repr__(self): raise ValueError\nC()",
			want: richResults{{"text/html": "x"}},
		},
		"helpers that need no IPython": {
			code: "from pyth_on.display import HTML, JSON, Markdown\ndisplay(HTML('<i>'), JSON([1]))\nMarkdown('# x')",
			want: richResults{
				{"text/html": "<i>", "text/plain": "<HTML object>"},
				{"application/json": []any{1.0}, "text/plain": "<JSON object>"},
				{"text/markdown": "# x", "text/plain": "<Markdown object>"},
			},
		},
		"figures open at the end, except displayed ones": {
			code:  "from matplotlib import pyplot as plt\nplt.figure(1)\nf = plt.figure(2)\ndisplay(f)\nplt.plot([1])",
			files: []object{{"path": "matplotlib/pyplot.py", "content": pyplot}, {"path": "matplotlib/__init__.py", "content": ""}},
			want: richResults{
				{"image/png": "UE5HIDI=", "text/plain": "<Figure 2>"},
				{"text/plain": "['line']"},
				{"image/png": "UE5HIDE=", "text/plain": "<Figure 1>"},
				{"image/png": "UE5HIDM=", "text/plain": "<Figure 3>"},
			},
		},
		"values of threads and children": {
			code: `
import os, threading
t = threading.Thread(target=lambda: display("thread")); t.start(); t.join()
pid = os.fork()
if pid == 0:
    display("child")
    os._exit(0)
os.waitpid(pid, 0)
display("x" * 200_000)
"parent"`,
			want: richResults{{"text/plain": "'thread'"}, {"text/plain": "'child'"}, {"text/plain": "'" + strings.Repeat("x", 99_999) + "…"}, {"text/plain": "'parent'"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := object{"code": c.code}
			if c.files != nil {
				request["files"] = c.files
			}
			x := a.execute(t, request)
			want := c.want
			if want == nil {
				want = richResults{}
			}
			if diff := cmp.Diff(want, x.Results); diff != "" || x.Stdout != c.stdout {
				t.Errorf("%s\n(-want +got)\n%s", x, diff)
			}
		})
	}
}

func TestExecuteResultsCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	x := a.execute(t, object{"code": "import builtins\nprint(hasattr(builtins, 'display'))\n1 + 1", "results": false})
	if x.prints(t, "False\n"); len(x.Results) != 0 {
		t.Errorf("got %v", x.Results)
	}
}

// TestAttack060ForgedResultsHaveNoEffect runs programs that forge results. Printed text
// must never become a rich value, and a forged result must have no other effect.
func TestAttack060ForgedResultsHaveNoEffect(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"an impossible length":  `open("/run/results", "wb").write(b"\xff\xff\xff\xff" + b"x" * 100_000)`,
		"an invalid media type": `open("/run/results", "wb").write(b"\0\0\0\x10" b"\0\0\0\x04a/\nb" b"\0\0\0\x04data")`,
		"invalid JSON":          `open("/run/results", "wb").write(b"\0\0\0\x1d" b"\0\0\0\x10application/json" b"\0\0\0\x05{\"a\":")`,
		"half a value":          `open("/run/results", "wb").write(b"\0\0\0\x20" b"\0\0\0\x04")`,
		"the FIFO is removed":   `__import__("os").chmod("/run/results", 0)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.run(t, "try:\n    "+code+"\nexcept OSError:\n    pass\nprint(42)")
			if x.prints(t, "42\n"); len(x.Results) != 0 {
				t.Errorf("got %v", x.Results)
			}
		})
	}
	x := a.run(t, "for i in range(300): display(i)\nfor i in range(3): display('x' * 90_000)")
	if x.ends(t, "succeeded"); len(x.Results) != 100 || !x.ResultsTruncated {
		t.Errorf("%d results, truncated: %v", len(x.Results), x.ResultsTruncated)
	}
}

func TestExecuteReturnsJavaScriptResults(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct {
		code     string
		language string
		want     richResults
		stdout   string
	}{
		"the value of the final expression":         {code: "const x = 20;\nx + 1;\n", want: richResults{{"text/plain": "21"}}},
		"of a single line":                          {code: "let n = 6; n * 7", want: richResults{{"text/plain": "42"}}},
		"over many lines":                           {code: "const s = 'a;b'\ns\n  .split(';')\n  .length // end", want: richResults{{"text/plain": "2"}}},
		"JSON if possible":                          {code: "({ a: [1, null] })", want: richResults{{"text/plain": "{ a: [ 1, null ] }", "application/json": map[string]any{"a": []any{1.0, nil}}}}},
		"of a module":                               {code: "import path from 'node:path';\nconst x = await Promise.resolve('/a/b');\npath.basename(x)", want: richResults{{"text/plain": "'b'"}}},
		"of a module in TypeScript":                 {code: "const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));\nawait wait(1);\nMath.hypot(3, 4)", language: "typescript", want: richResults{{"text/plain": "5"}}},
		"of TypeScript":                             {code: "interface P { x: number }\nconst p: P = { x: 2 };\np.x as number", language: "typescript", want: richResults{{"text/plain": "2"}}},
		"none for undefined":                        {code: "void 0"},
		"none for a call of console.log":            {code: "console.log(1)", stdout: "1\n"},
		"none for a statement":                      {code: "const x = 1"},
		"none for an expression over several lines": {code: "const f = (x) => x\nconst a = f\n(1)"},
		"none for a syntax error":                   {code: "1 +"},
		"values given to display":                   {code: "display(1, 'a');\nfor (const x of [2]) display(x);", want: richResults{{"text/plain": "1"}, {"text/plain": "'a'"}, {"text/plain": "2"}}},
		"pictures by their first bytes":             {code: "Buffer.from('89504e470d0a', 'hex')", want: richResults{{"image/png": "iVBORw0K", "text/plain": "<Buffer 89 50 4e 47 0d 0a>"}}},
		"forms that a value defines":                {code: "({ [Symbol.for('Jupyter.display')]() { return { 'text/html': '<b>', 'text/plain': 'b' } } })", want: richResults{{"text/html": "<b>", "text/plain": "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			language := "javascript"
			if c.language != "" {
				language = c.language
			}
			x := a.execute(t, object{"language": language, "code": c.code})
			want := c.want
			if want == nil {
				want = richResults{}
			}
			if diff := cmp.Diff(want, x.Results); diff != "" || x.Stdout != c.stdout {
				t.Errorf("%s\n(-want +got)\n%s", x, diff)
			}
		})
	}
	x := a.execute(t, object{"language": "javascript", "code": "console.log(typeof display); 1", "results": false})
	if x.prints(t, "undefined\n"); len(x.Results) != 0 {
		t.Errorf("got %v", x.Results)
	}
}
