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
const { isBlocked, signalAwaited } = require('./children.cjs');

// The first is 1 when the program's thread is to be interrupted, 2 when it has
// been asked to end what it does, 3 when it is about to, and 0 when it has. The
// second never changes. The third is the number of the run that has ended last,
// and the fourth that after which the run is to be interrupted.
const state = new Int32Array(workerData);
const wait = new vm.Script('watch.wait()');
const watch = new vm.Script('watch.forever()');

globalThis.watch = {
  wait: () => Atomics.wait(state, 1, 0),
  forever() {
    parentPort.postMessage('ready');
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
  const number = Atomics.load(state, 2);
  const expression = `globalThis[Symbol.for('pyth-on.interrupt')](${number})`;
  const signals = ['SIGINT', 'SIGTERM', 'SIGKILL'];
  Atomics.store(state, 3, number);
  session.connectToMainThread();
  do {
    Atomics.store(state, 0, 1);
    session.post('Runtime.evaluate', { expression });
    // While Node waits for a child it does nothing else.
    while (Atomics.wait(state, 0, 1, signals.length > 0 ? 300 : undefined) === 'timed-out') {
      if (isBlocked()) signalAwaited(signals.shift());
    }
  } while (!ends());
  session.disconnect();
}

/** Whether the run ends, or the thread has to be asked again. */
function ends() {
  for (let seen; (seen = Atomics.load(state, 0)) !== 0;) {
    // To ask a thread that is about to end what it does would end only that.
    if (Atomics.wait(state, 0, seen, seen === 2 ? 2 : 500) === 'timed-out') return false;
  }
  return true;
}

for (;;) {
  try {
    // So that the signal never has its default action.
    watch.runInThisContext({ breakOnSigint: true });
  } catch {
    // A signal while the last was dealt with, or before there was any.
    interrupt();
  }
}
