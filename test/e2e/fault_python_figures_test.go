package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeMatplotlib returns the files of a fake matplotlib. Instead of images, it creates
// texts that list the drawn values. Like the real matplotlib, it closes all figures in
// an atexit handler.
func fakeMatplotlib() []object {
	return []object{
		{"path": "matplotlib/__init__.py", "content": ""},
		{"path": "matplotlib/pyplot.py", "content": `
import atexit

class Figure:
    def __init__(self, number):
        self.number, self.drawn = number, []
    def savefig(self, file, format="png", **more):
        file.write(f"{self.number}: {self.drawn}".encode())
    def __repr__(self):
        return f"<Figure {self.number}>"

Figure.__module__ = "matplotlib.figure"
figures, current = {}, None
atexit.register(figures.clear)

def figure(number=None):
    global current
    number = number or max(figures, default=0) + 1
    current = figures.setdefault(number, Figure(number))
    return current

def gcf():
    return current if current in figures.values() else figure()

def get_fignums():
    return sorted(figures)

def plot(*values):
    gcf().drawn.extend(values)

def savefig(file):
    gcf().savefig(file)

def show(*args, **kwargs):
    assert not args

def close(which=None):
    if which == "all":
        figures.clear()
    else:
        figures.pop((which or gcf()).number, None)
`},
		{"path": "charts.py", "content": "from matplotlib import pyplot\n\ndef bars(*values):\n    pyplot.plot(*values)\n"},
	}
}

// figureResults returns the expected results of a run that draws the given figures with
// the fake matplotlib.
func figureResults(drawn ...string) richResults {
	shown := richResults{}
	for _, d := range drawn {
		number, _, _ := strings.Cut(d, ":")
		shown = append(shown, map[string]any{"image/png": base64.StdEncoding.EncodeToString([]byte(d)), "text/plain": fmt.Sprintf("<Figure %s>", number)})
	}
	return shown
}

// figurePrograms contains programs that draw figures. For each program, it lists the
// figures that the results must contain.
var figurePrograms = map[string]struct {
	code, status string
	want         []string
}{
	"drawn by a helper":         {"import charts\ncharts.bars(1, 2)", "succeeded", []string{"1: [1, 2]"}},
	"found by a built name":     {"p = __import__('matplotlib.py' + 'plot', fromlist=['x'])\np.plot(3)", "succeeded", []string{"1: [3]"}},
	"after a compiler warning":  {"import matplotlib.pyplot as p\np.plot('\\alpha' is 1)", "succeeded", []string{"1: [False]"}},
	"before an exit":            {"import charts, sys\ncharts.bars(1)\nsys.exit()", "succeeded", []string{"1: [1]"}},
	"before an exit in a call":  {"import charts\ndef main():\n    charts.bars(2)\n    exit(4)\nmain()", "failed", []string{"1: [2]"}},
	"before an error":           {"import charts\ncharts.bars(1)\n[].pop()", "failed", []string{"1: [1]"}},
	"before an error in a call": {"import charts\ndef f():\n    with open('/dev/null'):\n        charts.bars(5)\n        raise OSError\nf()", "failed", []string{"1: [5]"}},
	"closed after show":         {"import matplotlib.pyplot as p\np.plot(1)\np.show()\np.close()", "succeeded", []string{"1: [1]"}},
	"of two shows":              {"from matplotlib import pyplot\npyplot.plot(1)\npyplot.show(block=False)\npyplot.plot(2)\npyplot.show()", "succeeded", []string{"1: [1]", "2: [2]"}},
	"changed after show":        {"import matplotlib.pyplot as p\nf = p.figure()\nf.drawn.append(1)\np.show()\nf.drawn.append(2)", "succeeded", []string{"1: [1]", "1: [1, 2]"}},
	"shown and left open":       {"import matplotlib.pyplot as p\np.plot(1)\np.show()\np.show()", "succeeded", []string{"1: [1]"}},
	"shown in a loop":           {"import matplotlib.pyplot as p\nfor i in range(3):\n    p.figure(i + 1)\n    p.plot(i)\n    p.show()\n    p.close('all')", "succeeded", []string{"1: [0]", "2: [1]", "3: [2]"}},
	"closed and not shown":      {"import matplotlib.pyplot as p\np.plot(1)\np.close()", "succeeded", nil},
}

func TestExecuteReturnsFiguresAtEnd(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range figurePrograms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.execute(t, object{"code": c.code, "files": fakeMatplotlib()}).ends(t, c.status)
			if diff := cmp.Diff(figureResults(c.want...), x.Results); diff != "" {
				t.Errorf("%s\n(-want +got)\n%s", x, diff)
			}
		})
	}
	// After a figure was shown, a program can still save it as the current figure. So
	// showing a figure must not close or change the figure.
	x := a.execute(t, object{
		"code":  "import matplotlib.pyplot as p\np.plot(1)\np.show()\np.savefig(open('f.png', 'wb'))",
		"files": fakeMatplotlib(), "outputFiles": []string{"f.png"},
	})
	if got := string(x.fileContent(t, "f.png")); got != "1: [1]" {
		t.Errorf("the file contains %q: %s", got, x)
	}
	// If the request disables results, Pyth-On must not draw the figure.
	x = a.execute(t, object{"code": "import charts\ncharts.bars(1)", "files": fakeMatplotlib(), "results": false})
	if x.prints(t, ""); len(x.Results) != 0 {
		t.Errorf("got %v", x.Results)
	}
}

func TestSessionReturnsFiguresAtEnd(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range figurePrograms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{})
			defer s.closeSession(t)
			x := s.runCode(t, c.code, object{"files": fakeMatplotlib()}).ends(t, c.status)
			if diff := cmp.Diff(figureResults(c.want...), x.Results); diff != "" {
				t.Errorf("%s\n(-want +got)\n%s", x, diff)
			}
			if x := s.runCode(t, "print('next')"); len(x.Results) != 0 {
				t.Errorf("the session showed the figures again: %v", x.Results)
			}
		})
	}
}

func TestExecuteHidesFigureHooks(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	x := a.execute(t, object{"files": fakeMatplotlib(), "code": `
import atexit, inspect, sys, traceback
print(atexit._ncallbacks(), sys.displayhook is sys.__displayhook__, sys.gettrace(), sys.getprofile())
import matplotlib.pyplot as p
print(p.show.__name__, p.show.__module__, inspect.getsource(p.show).splitlines()[0], inspect.signature(p.gcf))
p.plot(1)
try:
    p.show(1)
except AssertionError:
    traceback.print_exc(file=sys.stdout)
names = []
sys.setprofile(lambda frame, event, arg: names.append(frame.f_code.co_name))
p.show()
p.plot(2)
p.show()
sys.setprofile(None)
print([n for n in names if n not in ("show", "plot", "gcf", "figure", "__init__", "<module>", "<genexpr>")])
seen = []
@atexit.register
def last():
    sys.setprofile(None)
    print([n for n in seen if n not in ("<module>", "last")])
sys.setprofile(lambda frame, event, arg: seen.append(frame.f_code.co_name))
`}).ends(t, "succeeded")
	const want = `0 True None None
show matplotlib.pyplot def show(*args, **kwargs): ()
Traceback (most recent call last):
  File "/work/main.py", line 8, in <module>
    p.show(1)
    ~~~~~~^^^
  File "/work/matplotlib/pyplot.py", line 35, in show
    assert not args
           ^^^^^^^^
AssertionError
[]
[]
`
	if diff := cmp.Diff(want, x.Stdout); diff != "" || x.Stderr != "" {
		t.Errorf("%s\n(-want +got)\n%s", x, diff)
	}
}
