package e2e_test

import "testing"

func TestSessionSetsFileLikeProgram(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	slow := object{"timeoutMs": 60_000}
	const beside = "from pathlib import Path\nimport os\np = Path(__file__).parent / 'data.csv'\np.write_text('a,b')\nprint(p, os.path.relpath(__file__), __cached__, __loader__.path, open('data.csv').read())"
	const besides = "/work/data.csv main.py None /work/main.py a,b\n"
	t.Run("a single run", func(t *testing.T) {
		t.Parallel()
		a.run(t, beside).prints(t, besides)
	})
	for name, steps := range map[string][]step{
		"another file": {
			{code: beside, stdout: besides},
			{code: "os.mkdir('d')\nos.chdir('d')\nprint(os.path.relpath(__file__), os.path.exists(__file__), os.listdir('..'))", stdout: "../main.py False ['data.csv', 'd']\n"},
		},
		"the user's main.py": {
			{code: "class First:\n    one = 1"},
			{code: "open('main.py', 'w').write('# mine\\ndef g():\\n    return 1 / 0  # mine\\n')\nimport inspect, main\nmain.g()", exit: 1, raises: "ZeroDivisionError", line: 3, stderr: "  File \"/work/main.py\", line 3, in g\n    return 1 / 0  # mine\n"},
			{code: "print(inspect.getsource(main.g), open(__file__).read())", stdout: "def g():\n    return 1 / 0  # mine\n # mine\ndef g():\n    return 1 / 0  # mine\n\n"},
			{code: "import os\nos.remove('main.py')"},
			{code: "print(inspect.getsource(First))", stdout: "class First:\n    one = 1\n\n"},
		},
		"sources": {
			{code: "import inspect\nclass Page:\n    a = 1\x0c\ndef f():\n    return 2"},
			{code: "class Next:\n    b = 2\nprint(inspect.getsource(Next) + inspect.getsource(f), inspect.getsourcefile(Page))", stdout: "class Next:\n    b = 2\ndef f():\n    return 2\n /work/main.py\n"},
			{code: "import linecache\nlinecache.checkcache()\nprint(inspect.getsource(Page), end='')", stdout: "class Page:\n    a = 1\x0c\n"},
		},
		"a test in a docstring": {
			{code: "import doctest\ndef double(x):\n    \"\"\"\n    >>> double(2)\n    5\n    \"\"\"\n    return 2 * x"},
			{code: "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out): print(doctest.testmod())\nprint(out.getvalue().splitlines()[1])", stdout: "File \"/work/main.py\", line 4, in __main__.double\n"},
		},
		"runpy": {
			{code: "import runpy\nopen('part.py', 'w').write('x = __file__')\nprint(runpy.run_path('part.py')['x'], runpy.run_module('part')['x'])", stdout: "part.py /work/part.py\n"},
		},
		"a spawned process": {
			{code: "import multiprocessing, os\n\ndef where(x): return __file__, os.path.relpath(__file__)\ndef fails(x): return 1 / x"},
			{code: "with multiprocessing.get_context('spawn').Pool(1) as p:\n    print(p.map(where, [1]))\n    p.map(fails, [0])", request: slow, stdout: "[('/work/main.py', 'main.py')]\n", exit: 1, raises: "ZeroDivisionError", stderr: "  File \"/work/main.py\", line 4, in fails\n    def fails(x): return 1 / x\n"},
			{code: "with multiprocessing.get_context('forkserver').Pool(1) as p: print(p.map(where, [1]))", request: slow, stdout: "[('/work/main.py', 'main.py')]\n"},
			{code: "def later(x): return -x\nwith multiprocessing.get_context('forkserver').Pool(1) as p: print(p.map(later, [1]))", request: slow, stdout: "[-1]\n"},
		},
		"a spawned process that spawns": {
			{code: "import multiprocessing\nspawn = 'spawn'\ndef inner(q): q.put(__name__)\ndef outer(q):\n    p = multiprocessing.get_context(spawn).Process(target=inner, args=(q,))\n    p.start()\n    p.join()"},
			{code: "q = multiprocessing.get_context(spawn).Queue()\np = multiprocessing.get_context(spawn).Process(target=outer, args=(q,))\np.start()\nprint(q.get())\np.join()", request: slow, stdout: "__mp_main__\n"},
		},
		"a process that a module spawns, with a main.py": {
			{code: "open('main.py', 'w').write('raise SystemError')\nopen('helper.py', 'w').write('''from concurrent.futures import ProcessPoolExecutor as Pool\nimport multiprocessing\ndef f(x): return x + 1\ndef go():\n    with Pool(1, multiprocessing.get_context('spawn')) as p: return list(p.map(f, [1]))\n''')"},
			{code: "import helper\nprint(helper.go())", request: slow, stdout: "[2]\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t, steps...)
		})
	}
}
