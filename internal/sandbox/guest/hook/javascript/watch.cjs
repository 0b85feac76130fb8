'use strict';
// This module ends a session's run on SIGINT. It runs in a separate thread, because the
// program's thread may be in an endless loop.
//
// Node's vm module can end code on SIGINT, and needs no event loop for this. The separate
// thread uses the vm module to detect the signal. Then it uses the inspector to call a
// function in the program's thread. This works even while the program runs an endless
// loop.

const inspector = require('inspector');
const vm = require('vm');
const { parentPort, workerData } = require('worker_threads');
const { isBlocked, signalAwaited } = require('./children.cjs');

// `state` is memory that is shared with session.cjs. Its elements are:
//
// - 0: the state of an interrupt. 0 = the run has ended, 1 = interrupt the program's
//   thread, 2 = the program's thread could not end its code, 3 = the program's thread is
//   about to end its code, 4 = the program's thread processes the request.
// - 2: the number of the last run that has ended.
// - 3: the value of element 2 at the last SIGINT. The run with the next number is
//   interrupted.
// - 4: 1 while code of the program shows a value, 2 when this code must end.
const state = new Int32Array(workerData.state);
const wait = new vm.Script('watch.wait()');
const watch = new vm.Script('watch.forever()');

// MAX_SHOWING is the maximum time to show a value, in milliseconds.
const MAX_SHOWING = 5000;
const { rss } = process.memoryUsage;

globalThis.watch = {
  wait: () => Atomics.wait(state, 4, 0),
  forever() {
    parentPort.postMessage('ready');
    for (;;) {
      try {
        wait.runInThisContext({ breakOnSigint: true });
        if (Atomics.load(state, 4) === 1) boundShowing();
      } catch {
        interrupt();
      }
    }
  },
};

function interrupt() {
  const session = new inspector.Session();
  const number = Atomics.load(state, 2);
  const expression = `globalThis[Symbol.for('pyth-on.interrupt')](${number})`;
  const signals = ['SIGINT', 'SIGTERM', 'SIGKILL'];
  Atomics.store(state, 3, number);
  session.connectToMainThread();
  do {
    Atomics.store(state, 0, 1);
    session.post('Runtime.evaluate', { expression });
    // The program's thread may be waiting for a child process. Then the thread cannot
    // process the request, so send the signal to the child process.
    while (Atomics.wait(state, 0, 1, signals.length > 0 ? 300 : undefined) === 'timed-out') {
      if (isBlocked()) signalAwaited(signals.shift());
    }
  } while (!ends());
  session.disconnect();
}

/**
 * Ends the code that shows a value if it takes too long or uses too much of the
 * remaining memory.
 */
function boundShowing() {
  const before = rss();
  const most = before + Math.max(workerData.memory - before, 0) * 0.5;
  const end = performance.now() + MAX_SHOWING;
  while (rss() < most && performance.now() < end) {
    if (Atomics.wait(state, 4, 1, 2) !== 'timed-out') return;
  }
  if (Atomics.compareExchange(state, 4, 1, 2) !== 1) return;
  // Both threads have registered for the signal. Only the thread that registered last
  // gets the signal. This is the program's thread.
  process.kill(process.pid, 'SIGINT');
  Atomics.wait(state, 4, 2);
}

/**
 * Waits until the run has ended and returns true. Returns false if the request to
 * the program's thread must be repeated.
 */
function ends() {
  for (let seen; (seen = Atomics.load(state, 0)) !== 0;) {
    // In the states 3 and 4, the program's thread is processing a request. A new request
    // would only interrupt the code that processes the first request. However, this code
    // calls listeners of the program, which may run forever.
    if (Atomics.wait(state, 0, seen, seen === 2 ? 2 : 500) === 'timed-out') return false;
  }
  return true;
}

for (;;) {
  try {
    // Keep a listener at all times. Without a listener, the default action of SIGINT
    // would end the process.
    watch.runInThisContext({ breakOnSigint: true });
  } catch {
    // A signal may arrive during an interrupt, or before the handler in `forever` is
    // active.
    interrupt();
  }
}
