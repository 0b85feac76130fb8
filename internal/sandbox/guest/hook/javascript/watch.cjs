'use strict';
// Ends the run of a session on SIGINT. This is a separate thread, since the
// program's thread may be in an endless loop.
//
// To detect the signal, it uses a feature of Node's vm module that ends code on
// SIGINT and needs no event loop. Then the inspector makes the program's thread
// call a function, whatever that thread is doing.

const inspector = require('inspector');
const vm = require('vm');
const { parentPort, workerData } = require('worker_threads');
const { isBlocked, signalAwaited } = require('./children.cjs');

// Element 0 is the state of an interrupt: 1 = interrupt the program's thread, 2 =
// the thread was asked to end its code, 3 = the thread is about to end its code, 0 =
// the run has ended. Element 2 is the number of the last run that has ended. Element
// 3 is the number of the run whose successor must be interrupted. Element 4 is 1
// while code of the program shows a value, and 2 when that code is about to be
// ended.
const state = new Int32Array(workerData.state);
const wait = new vm.Script('watch.wait()');
const watch = new vm.Script('watch.forever()');

// Maximum time to show a value, in milliseconds.
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
    // A program's thread that waits for a child process cannot handle the request.
    // Signal the child.
    while (Atomics.wait(state, 0, 1, signals.length > 0 ? 300 : undefined) === 'timed-out') {
      if (isBlocked()) signalAwaited(signals.shift());
    }
  } while (!ends());
  session.disconnect();
}

/**
 * Ends the code that shows a value if it takes long or uses much of the remaining
 * memory.
 */
function boundShowing() {
  const before = rss();
  const most = before + Math.max(workerData.memory - before, 0) * 0.5;
  const end = performance.now() + MAX_SHOWING;
  while (rss() < most && performance.now() < end) {
    if (Atomics.wait(state, 4, 1, 2) !== 'timed-out') return;
  }
  if (Atomics.compareExchange(state, 4, 1, 2) !== 1) return;
  // The program's thread gets the signal first, since it listened last.
  process.kill(process.pid, 'SIGINT');
  Atomics.wait(state, 4, 2);
}

/**
 * Waits until the run has ended and returns true. Returns false if the program's
 * thread must be asked again.
 */
function ends() {
  for (let seen; (seen = Atomics.load(state, 0)) !== 0;) {
    // If the thread is about to end its code, a new request would only end the
    // old request.
    if (Atomics.wait(state, 0, seen, seen === 2 ? 2 : 500) === 'timed-out') return false;
  }
  return true;
}

for (;;) {
  try {
    // Keep listening, so that the signal never has its default action.
    watch.runInThisContext({ breakOnSigint: true });
  } catch {
    // Handle a signal that arrived during the last one, or before the handler was
    // set.
    interrupt();
  }
}
