package e2e_test

import "testing"

func TestSessionMultiprocessingMatchesFile(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	slow := object{"timeoutMs": 60_000}
	for name, steps := range map[string][]step{
		"a pool of an earlier function": {
			{code: "offset = 1\ndef f(x):\n    return x * x + offset"},
			{code: "from multiprocessing import Pool\nwith Pool(2) as p:\n    print(p.map(f, range(4)))", request: slow, stdout: "[1, 2, 5, 10]\n"},
		},
		"executors": {
			{code: "from concurrent.futures import ProcessPoolExecutor\ndef g(x): return -x\nif __name__ == '__main__':\n    with ProcessPoolExecutor(2) as p:\n        print(list(p.map(g, [1, 2])))", request: slow, stdout: "[-1, -2]\n"},
		},
		"a process and a queue": {
			{code: "import multiprocessing as mp\ndef work(q):\n    q.put(mp.current_process().name)\n    print('in the child', flush=True)\nq = mp.Queue()\np = mp.Process(target=work, args=(q,), name='worker')\np.start()\nname = q.get()\np.join()\nprint(name, p.exitcode)", request: slow, stdout: "in the child\nworker 0\n"},
		},
		"a child that fails": {
			{code: "from multiprocessing import Process\ndef work(): 1 / 0\np = Process(target=work)\np.start()\np.join()\nprint(p.exitcode)", request: slow, stdout: "1\n", stderr: "ZeroDivisionError"},
		},
		"a manager": {
			{code: "from multiprocessing import Manager, Process\ndef work(d): d['k'] = 1\nwith Manager() as m:\n    d = m.dict()\n    p = Process(target=work, args=(d,))\n    p.start()\n    p.join()\n    print(dict(d))", request: slow, stdout: "{'k': 1}\n"},
		},
		"shared memory": {
			{code: "from multiprocessing import Process, shared_memory\ndef work(name):\n    m = shared_memory.SharedMemory(name)\n    m.buf[0] = 7\n    m.close()\nm = shared_memory.SharedMemory(create=True, size=10)\np = Process(target=work, args=(m.name,))\np.start()\np.join()\nprint(m.buf[0])\nm.close()\nm.unlink()", request: slow, stdout: "7\n"},
		},
		"spawn": {
			{code: "import dataclasses, math\nBASE = 10\n@dataclasses.dataclass\nclass Point:\n    x: int = 0\ndef f(p):\n    return math.floor(p.x) + BASE\nprint('once')", stdout: "once\n"},
			{code: "import multiprocessing\nwith multiprocessing.get_context('spawn').Pool(1) as p:\n    print(p.map(f, [Point(1), Point(2)]))", request: slow, stdout: "[11, 12]\n"},
			{code: "def g(x): return f(Point(x))\nwith multiprocessing.get_context('forkserver').Pool(1) as p:\n    print(p.map(g, [3]))", request: slow, stdout: "[13]\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t, steps...)
		})
	}
}
