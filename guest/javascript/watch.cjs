'use strict';
// Ends the run of a session on SIGINT, from a thread of its own: that of the
// program may be in a loop that never ends.
//
// Node's way to end code of vm on SIGINT serves to hear of it, since it needs no
// event loop. The inspector then has the program's thread call a function, in
// the midst of whatever it does.

const inspector = require('inspector');
const vm = require('vm');
const { parentPort, workerData } = require('worker_threads');

// The first is 1 while the program's thread is to be interrupted.
const state = new Int32Array(workerData);
const wait = new vm.Script('watch.wait()');
const watch = new vm.Script('watch.forever()');

globalThis.watch = {
  wait: () => Atomics.wait(state, 1, 0),
  forever() {
    for (;;) {
      try {
        wait.runInThisContext({ breakOnSigint: true });
      } catch {
        interrupt();
      }
    }
  },
};

function interrupt() {
  const session = new inspector.Session();
  Atomics.store(state, 0, 1);
  session.connectToMainThread();
  do {
    session.post('Runtime.evaluate', { expression: "globalThis[Symbol.for('pyth-on.interrupt')]()" });
    // Between two promises nothing is on the stack, and yet the thread is busy.
  } while (Atomics.wait(state, 0, 1, 50) === 'timed-out');
  session.disconnect();
}

parentPort.postMessage('ready');
for (;;) {
  try {
    // So that the signal never has its default action.
    watch.runInThisContext({ breakOnSigint: true });
  } catch {
    // Another signal while the last was dealt with.
  }
}
