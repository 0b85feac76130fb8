'use strict';
// Runs programs one after another in one interpreter, like a notebook.
//
// V8's inspector evaluates programs like a console: declarations stay and may be
// repeated, and `await` is allowed at the top level. Node itself calls the
// inspector, so that no frame of this module is below the program's frames. The
// inspector is disconnected as soon as it returns. Otherwise, during garbage
// collection, it would report a promise that never settles, and Node would crash. A
// promise hook provides the program's promise instead.
//
// V8 drops all pending work of promises when it terminates running code. Steps that
// must happen afterwards are therefore immediates.

const { executionAsyncResource } = require('async_hooks');
const { subscribe } = require('diagnostics_channel');
const fs = require('fs');
const inspector = require('inspector');
const Module = require('module');
const net = require('net');
const v8 = require('v8');
const vm = require('vm');
const { Worker } = require('worker_threads');
const { inspect, types } = require('util');
const { signal } = require('./children.cjs');
const errors = require('./errors.cjs');
const imports = require('./imports.cjs');
const { internals } = require('./internals.cjs');
const { fits, setBounds, show, toText, weight } = require('./results.cjs');
const { finalExpression } = require('./scan.cjs');
const { fieldsOf, frame, frameSize, kinds, open } = require('./protocol.cjs');
const { hideFrames, withAllFrames } = require('./traces.cjs');
const { isCompiled, originOf, strip } = require('./types.cjs');

// The original objects, since a program may replace them. The code between two
// programs uses only objects that programs cannot reach.
const { Atomics, Buffer, Error, Map, Number, Reflect, String, SyntaxError, process, setImmediate } = globalThis;
const { then } = Promise.prototype;
const { promiseHooks } = v8;
const { emit, listenerCount } = require('events').prototype;
const { assign, defineProperty, getOwnPropertyDescriptor } = Object;
const { compareExchange, load, notify, store } = Atomics;
const { concat } = Buffer;
const uncurry = (method) => (self, ...list) => Reflect.apply(method, self, list);
const indexOf = uncurry(String.prototype.indexOf);
const slice = uncurry(String.prototype.slice);
const sliceArray = uncurry(Array.prototype.slice);
const includes = uncurry(String.prototype.includes);
const endsWith = uncurry(String.prototype.endsWith);
const startsWith = uncurry(String.prototype.startsWith);
const split = uncurry(String.prototype.split);
const bufferToString = uncurry(Buffer.prototype.toString);
const getFrom = uncurry(Map.prototype.get);
const setIn = uncurry(Map.prototype.set);
const replace = uncurry(String.prototype.replace);
const bind = uncurry(Function.prototype.bind);
const test = uncurry(RegExp.prototype.test);
// The start of the line for the function that calls programs, in traces.
const evaluator = '    at Session.post (node:inspector';
// Places where Node records which callback it enters. If code is terminated at such
// a place, Node's records are wrong, and Node aborts.
const entering = /node:(?:internal\/(?:process\/task_queues|timers|async_hooks)|async_hooks|inspector):/;
// The name of the global property for the function that calls code of the program.
const called = Symbol.for('pyth-on.call');
const caller = new vm.Script("globalThis[Symbol.for('pyth-on.call')]()", { filename: `${__dirname}/call` });
const { kill } = process;
const hidden = { configurable: true, enumerable: false, writable: true };

/**
 * One program of the session. `outcome` is the message to the agent, or undefined
 * while the program runs.
 */
class Run {
  constructor(number, source, wantsResults) {
    this.number = number;
    this.name = `<run-${number}>`;
    this.source = source;
    this.wantsResults = wantsResults;
    // plain is the source before the session rewrites its import and export
    // statements. shifts lists how far the rewriting moves columns.
    this.plain = source;
    this.shifts = [];
    // Running processes that the program has started.
    this.children = [];
    this.outcome = undefined;
    this.failed = false;
    // The number of interrupts of this run.
    this.interrupts = 0;
  }
}

class Session {
  constructor(control, program, memory) {
    this.control = control;
    this.program = program;
    this.memory = memory;
    this.number = 0;
    this.run = undefined;
    // True if an interrupt is for a program whose message has not arrived yet.
    this.late = false;
    this.received = Buffer.alloc(0);
    // The inspector session that terminates the code of a run.
    this.stopper = undefined;
    // Memory shared with the thread that interrupts runs; see watch.cjs.
    this.state = new Int32Array(new SharedArrayBuffer(24));
    this.outputs = [process.stdout, process.stderr];
    // `writes` is the number of pending writes to these streams. If `due` is true,
    // the run is stopped after them. A stream becomes unusable if its code is
    // stopped during a write.
    this.writes = 0;
    this.plain = new Map();
    this.due = false;
    this.uncaught = process._fatalException;
    // Maps the names of earlier runs to the shifts of their columns.
    this.moved = new Map();
  }

  begin() {
    // Scripts of the inspector use the importer of their context, and only a new
    // context can get an importer. At the first import, Node warns that this is
    // experimental.
    vm.createContext(globalThis, { importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER });
    const { emitWarning } = process;
    process.emitWarning = () => {};
    const session = connect();
    session.post('Runtime.evaluate', { expression: 'import("node:module")' });
    session.disconnect();
    process.emitWarning = emitWarning;
    this.setGlobals();
    for (const output of this.outputs) this.guard(output);
    process.exit = (...code) => this.exit(...code);
    // Node's own handler would end the session at the next uncaught error.
    defineProperty(process, '_fatalException', { configurable: false, enumerable: true, writable: false, value: (error, fromPromise) => this.failed(error, fromPromise) });
    const file = `${__dirname}/watch.cjs`;
    const memory = setBounds({ memory: this.memory, share: 0.75, call: (code) => this.call(code) });
    const watch = new Worker(file, { argv: [], env: {}, execArgv: [], workerData: { state: this.state.buffer, memory } });
    hideFrames((trace) => this.places(trace));
    let waitsFor = 2;
    const ready = () => {
      if (--waitsFor === 0) this.listen();
    };
    receiveSocket(this.control, (handle) => {
      this.pipe = handle;
      this.control = handle.fd;
      ready();
    });
    const early = () => { this.late = true; };
    process.on('SIGINT', early);
    // Store the child processes that the run starts. An interrupt must also reach
    // them, as in a terminal.
    subscribe('child_process', ({ process: child }) => {
      const children = this.run?.children;
      if (children !== undefined) children[children.length] = child;
    });
    keepSignal();
    watch.once('message', () => {
      process.removeListener('SIGINT', early);
      watch.unref();
      ready();
    });
    // Ignore errors of the thread. Without the thread, an interrupt ends the
    // session, and the agent detects that.
    watch.on('error', () => {});
  }

  /** Makes writes to a stream immediate and complete. */
  guard(output) {
    // Otherwise Node would store output that is printed faster than it is read, and
    // would use much memory.
    output._handle?.setBlocking?.(true);
    const { write } = output;
    this.plain.set(output, write.bind(output));
    const whole = (...args) => {
      this.writes++;
      try {
        return Reflect.apply(write, output, args);
      } finally {
        this.writes--;
        if (this.due && this.writes === 0) this.stop();
      }
    };
    defineProperty(output, 'write', { ...hidden, value: whole });
  }

  setGlobals() {
    const main = new Module(this.program);
    process.mainModule = main;
    main.filename = this.program;
    main.paths = Module._nodeModulePaths('/work');
    main._compile('module.exports = require', this.program);
    const require = main.exports;
    main.exports = {};
    // Make paths of files relative to the program's current directory.
    main.filename = null;
    const display = (...values) => {
      if (this.run?.wantsResults) show(...values);
    };
    for (const [name, value] of Object.entries({ require, module: main, exports: main.exports, display })) {
      defineProperty(globalThis, name, { ...hidden, value });
    }
    defineProperty(globalThis, Symbol.for('pyth-on.interrupt'), { ...hidden, value: (number) => this.interrupt(number) });
  }

  listen() {
    this.socket = new net.Socket({ handle: this.pipe });
    defineProperty(this.socket, 'emit', { ...hidden, value: emit });
    this.socket.on('data', (chunk) => this.receive(chunk));
    // The agent has ended, so end this process too.
    this.socket.on('error', () => {});
    this.socket.on('close', () => process.reallyExit(0));
  }

  receive(chunk) {
    this.received = concat([this.received, chunk]);
    const { received } = this;
    if (received.length < frameSize(received)) return;
    this.received = Buffer.alloc(0);
    this.begins(open(received));
  }

  /**
   * Begins one program. The fields of its message are: whether values are wanted,
   * the time-out, the source, the input, the arguments, and the environment.
   */
  begins(fields) {
    // Do not use an array pattern: it calls the iterator of arrays, which a program
    // may have replaced.
    const { 0: results, 2: source, 3: input, 4: args, 5: variables } = fields;
    const run = new Run(++this.number, bufferToString(source), bufferToString(results) === '1');
    const argv = [process.execPath, this.program];
    const env = [];
    const decode = (field, list) => {
      const fields = fieldsOf(field);
      for (let i = 0; i < fields.length; i++) list[list.length] = bufferToString(fields[i]);
    };
    decode(args, argv);
    decode(variables, env);
    this.run = run;
    this.restore = () => {};
    if (this.late) {
      this.late = false;
      this.fail(run, interruption(''));
      return;
    }
    try {
      attempt(() => { process.exitCode = undefined; });
      attempt(() => { process.argv = argv; });
      this.restore = setEnvironment(env);
      setInput(input);
      if (endsWith(this.program, '.ts')) run.source = withoutTypes(run);
    } catch (error) {
      attempt(() => {
        const end = indexOf(error.stack, '\n    at ');
        if (end >= 0) error.stack = slice(error.stack, 0, end);
      });
      this.fail(run, error);
      return;
    }
    // The source map is for traces, and V8 does not need it.
    if (isCompiled(run.source)) run.source = slice(run.source, 0, indexOf(run.source, '\n//# sourceMappingURL='));
    run.plain = run.source;
    if (isObject(run.source)) {
      run.source = `(${run.source}\n)`;
      this.shift(run, [{ line: 0, column: 0, end: 1, original: 0 }, { line: 0, column: 1, original: 0 }]);
    }
    this.evaluate(run);
  }

  evaluate(run) {
    setImmediate(() => {
      // Skip a run that was interrupted before it began.
      if (run === this.run && run.outcome === undefined) this.start(run);
    });
  }

  start(run) {
    let session = connect();
    let promise;
    let failure;
    let unhook;
    // Call this before the inspector converts the value to text, which may be long.
    const leave = () => {
      if (session === undefined) return;
      session.post('Runtime.discardConsoleEntries');
      session.disconnect();
      session = undefined;
    };
    const program = {
      // Node calls this just before it calls V8. Start recording only now, since
      // other code makes promises too.
      toJSON() {
        unhook = promiseHooks.onInit((first) => {
          unhook();
          promise = first;
          follow();
        });
        setImmediate(after);
        // Clear the match, so that the program does not find it in RegExp's
        // static properties.
        /^/.exec('');
        return { expression: `${run.source}\n//# sourceURL=${run.name}`, replMode: true };
      },
    };
    // The promise must have a handler before it is rejected, or Node warns.
    const follow = () => this.follow(run, promise, leave);
    const heard = (error, said) => {
      failure = said?.exceptionDetails;
    };
    // Bind the arguments: Node would pass them with a method of arrays, which
    // programs can replace.
    setImmediate(bind(session.post, session, 'Runtime.evaluate', program, heard));
    const after = () => {
      unhook();
      const error = failure && promise === undefined ? take(session, failure.exception) : undefined;
      leave();
      if (promise === undefined) this.complain(run, error, failure);
    };
  }

  /** Handles a program that V8 does not compile. */
  complain(run, error, failure) {
    if (run !== this.run || run.outcome !== undefined) return;
    if (failure === undefined) {
      this.fail(run, new Error('V8 did not take the program'));
      return;
    }
    const edited = attempt(() => imports.rewrite(run.source, failure.lineNumber, failure.columnNumber));
    if (edited !== undefined) {
      run.source = edited.source;
      this.shift(run, edited.shifts);
      this.evaluate(run);
      return;
    }
    error.stack = `${where(run, failure)}\n\n${error.name}: ${error.message}`;
    this.fail(run, error);
  }

  /**
   * Ends the run with its value. If the value is a promise, waits for the promise's
   * value.
   */
  follow(run, promise, leave) {
    const succeed = (value) => this.succeed(run, value);
    Reflect.apply(then, promise, [
      ({ '.repl_result': value }) => {
        leave();
        if (types.isPromise(value)) Reflect.apply(then, value, [succeed, (error) => this.reject(run, error, value)]);
        else succeed(value);
      },
      (error) => {
        leave();
        this.raise(run, error, false);
      },
    ]);
  }

  succeed(run, value) {
    if (run !== this.run || run.outcome !== undefined) return;
    if (value !== undefined && run.wantsResults && finalExpression(run.source, 'console') !== undefined) show(value);
    this.end(run, [exitCode(), '', '', '', '0']);
  }

  /** Handles a rejection of the promise that is the run's value. */
  reject(run, error, promise) {
    if (run === this.run && hears('unhandledRejection')) this.handle(run, () => Reflect.apply(emit, process, ['unhandledRejection', error, promise]));
    else this.raise(run, rejection(error), true);
  }

  /**
   * Handles an error of the run. If the program has listeners for uncaught errors,
   * they get the error.
   */
  raise(run, error, fromPromise) {
    if (run !== this.run || run.failed) return;
    const isTaken = hears('uncaughtException') || attempt(() => process.hasUncaughtExceptionCaptureCallback());
    if (isTaken) this.handle(run, () => this.uncaught(error, fromPromise));
    else this.fail(run, error, fromPromise);
  }

  /** Ends the run after the program's own handler of an error, which may throw. */
  handle(run, call) {
    try {
      call();
    } catch (error) {
      this.fail(run, error);
      return;
    }
    if (run.outcome === undefined) this.end(run, [exitCode(), '', '', '', '0']);
  }

  fail(run, error, fromPromise = false) {
    if (run !== this.run || run.failed) return;
    run.failed = true;
    if (hears('uncaughtExceptionMonitor')) {
      attempt(() => Reflect.apply(emit, process, ['uncaughtExceptionMonitor', error, fromPromise ? 'unhandledRejection' : 'uncaughtException']));
    }
    if (typeof error === 'string' && !fits(weight(error))) error = toText(error);
    this.show(error);
    let said;
    try {
      said = errors.describe(error, run.name);
    } catch {
      said = [typeof error, '', '', '0']; // The program controls this object.
    }
    this.end(run, ['1', said[0], said[1], said[2], said[3]]);
  }

  /** Prints an uncaught error. */
  show(error) {
    const isError = types.isNativeError(error) && !types.isProxy(error);
    let shown;
    try {
      // Print the value as Node prints an error that ends a program.
      const options = isError ? { customInspect: false, depth: Math.max(inspect.defaultOptions.depth, 5) } : {};
      shown = isError && startsWith(error.stack, '<run-') ? error.stack + codeOf(error) : `Uncaught ${inspect(error, options)}`;
    } catch {
      try {
        shown = `Uncaught ${inspect(error, { customInspect: false, showProxy: true, depth: 0 })}`;
      } catch {
        shown = `Uncaught [${typeof error}]`;
      }
    }
    try {
      getFrom(this.plain, this.outputs[1])(`${shown}\n`);
    } catch {
      // Standard error is closed.
    }
  }

  /** Handles an uncaught error. */
  failed(error, fromPromise) {
    if (hears('uncaughtException') || attempt(() => process.hasUncaughtExceptionCaptureCallback())) {
      return this.uncaught(error, fromPromise);
    }
    this.unwind(error);
    if (this.run === undefined) this.show(error);
    else this.fail(this.run, error, fromPromise);
    return true;
  }

  /**
   * Resets Node's records of the callbacks that it is in, as Node does after any
   * error.
   */
  unwind(error) {
    const own = getOwnPropertyDescriptor(process, 'emit');
    attempt(() => {
      defineProperty(process, 'emit', { ...hidden, value: () => true });
      try {
        this.uncaught(error, false);
      } finally {
        if (own === undefined) delete process.emit;
        else defineProperty(process, 'emit', own);
      }
    });
  }

  /** Stores the shifts of the run's columns for traces. */
  shift(run, shifts) {
    run.shifts = shifts;
    if (shifts.length > 0) setIn(this.moved, run.name, shifts);
  }

  /** Returns a trace with positions of runs mapped to the source that the user wrote. */
  places(trace) {
    if (!includes(trace, '<run-')) return trace;
    const lines = split(trace, '\n');
    let text = '';
    for (let i = 0; i < lines.length; i++) text += (i === 0 ? '' : '\n') + this.place(lines[i]);
    return text;
  }

  place(line) {
    const at = indexOf(line, '<run-');
    const end = indexOf(line, '>:', at);
    if (at < 0 || end < 0 || !startsWith(line, '    at ')) return line;
    const name = slice(line, at, end + 1);
    const second = indexOf(line, ':', end + 2);
    const row = Number.parseInt(slice(line, end + 2), 10);
    const column = Number.parseInt(slice(line, second + 1), 10);
    const shifts = getFrom(this.moved, name);
    const plain = shifts === undefined ? column : imports.columnOf(shifts, row - 1, column - 1) + 1;
    const { line: originalRow, column: originalColumn } = originOf(name, row, plain) ?? { line: row, column: plain };
    return `${slice(line, 0, end + 2)}${originalRow}:${originalColumn}${slice(line, second + 1 + String(column).length)}`;
  }

  /**
   * Calls code of the program that shows a value, with limits on time and memory.
   * The thread that interrupts runs watches this code. At a limit, it ends the code
   * by a signal. A signal of the agent also ends this code, and then the run.
   */
  call(code) {
    const { state } = this;
    let result;
    defineProperty(globalThis, called, {
      ...hidden,
      value: () => {
        result = code();
        // Wait for the signal, which will arrive soon and must not end other code.
        if (compareExchange(state, 4, 1, 0) === 2) for (;;);
      },
    });
    store(state, 4, 1);
    notify(state, 4);
    try {
      caller.runInThisContext({ breakOnSigint: true });
      return result;
    } catch (error) {
      const isOurs = compareExchange(state, 4, 1, 0) === 2;
      if (!isOurs && error?.code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') Reflect.apply(kill, process, [process.pid, 'SIGINT']);
      throw error;
    } finally {
      store(state, 4, 0);
      notify(state, 4);
      delete globalThis[called];
    }
  }

  /** Ends the code that runs now. V8 does so at the next call or loop iteration. */
  stop() {
    this.due = false;
    this.tell(3);
    keepImmediates();
    this.unwind(undefined);
    this.stopper?.disconnect();
    this.stopper = connect();
    this.stopper.post('Runtime.terminateExecution');
  }

  exit(...code) {
    if (code.length > 0) process.exitCode = code[0];
    if (this.run?.failed === false) this.end(this.run, [exitCode(), '', '', '', '0']);
    this.stop();
    for (;;);
  }

  /**
   * Ends the run that follows the run with this number, because the agent requests it.
   * The thread that interrupts runs calls this function while other code runs. The
   * thread repeats the call until the run has ended.
   */
  interrupt(number) {
    if (number !== load(this.state, 2)) {
      // The interrupt was for a run that has ended.
      if (number === load(this.state, 3)) this.tell(0);
      return;
    }
    const frames = callers();
    const busy = frames.length > 0;
    const { run } = this;
    if (run === undefined) {
      this.late = this.unread();
      this.tell(0);
      if (this.late && busy) this.stop();
      return;
    }
    this.tell(2);
    if (run.interrupts++ === 0) {
      interruptChildren(run);
      this.fail(run, interruption(isTheirs(frames) ? this.places(withoutOurs(frames)) : ''));
    }
    else setImmediate(() => this.finish(run));
    // A program that waits for promises in an endless loop is never busy. Stop it
    // after many interrupts.
    if (this.writes > 0) this.due = true;
    else if ((busy && mayEnd(frames)) || run.interrupts > 60) this.stop();
  }

  /**
   * Returns whether the agent has sent a run that has not begun. Reads the message
   * of that run.
   */
  unread() {
    try {
      const buffer = Buffer.alloc(65536);
      const size = fs.readSync(this.control, buffer);
      setImmediate(() => this.receive(buffer.subarray(0, size)));
      return true;
    } catch {
      return this.received.length > 0;
    }
  }

  /** Sends a new state of the interrupt to the thread that interrupts runs. */
  tell(state) {
    store(this.state, 0, state);
    notify(this.state, 0);
  }

  /** Ends the run with the outcome once Node has completed the pending work. */
  end(run, outcome) {
    run.outcome = outcome;
    setImmediate(() => this.finish(run));
  }

  finish(run) {
    if (run !== this.run) return;
    this.run = undefined;
    store(this.state, 2, run.number);
    this.tell(0);
    this.due = false;
    try {
      this.restore();
      this.stopper?.disconnect();
    } catch {
      // Ignore the error, since the answer is more important.
    }
    this.stopper = undefined;
    const { outcome } = run;
    const { 0: name, 1: message, 2: trace, 3: line } = errors.shortened(sliceArray(outcome, 1));
    const reply = frame(kinds.ended, [outcome[0], name, message, trace, line]);
    flush(this.outputs, () => this.socket.write(reply));
  }
}

/**
 * Returns the frames as a trace, without the frames of the hook's modules and of the
 * code that calls a run.
 */
function withoutOurs(frames) {
  let text = '';
  for (let i = 0; i < frames.length && !startsWith(frames[i], evaluator); i++) {
    if (!includes(frames[i], `${__dirname}/`)) text += `\n${frames[i]}`;
  }
  return text;
}

/** Returns the TypeScript program as JavaScript. */
function withoutTypes({ source, name }) {
  try {
    return strip(source, name);
  } catch (error) {
    if (!test(/^\s*\{/, source)) throw error;
    try {
      // The source may be an object, which TypeScript would read as a block.
      return slice(strip(`(${source}\n)`, name), 1, source.length + 1);
    } catch {
      throw error;
    }
  }
}

/**
 * Returns whether a console reads the program as an object rather than as a block.
 */
function isObject(source) {
  if (!test(/^\s*\{/, source) || test(/;\s*$/, source)) return false;
  try {
    new vm.Script(`(async function () { return (${source}\n) })`, { filename: 'evalmachine.<anonymous>' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Receives a socket over the descriptor, and then closes the descriptor. Processes
 * that the program starts do not inherit the socket.
 */
function receiveSocket(descriptor, done) {
  const { Pipe, constants } = internals().pipes;
  const pipe = new Pipe(constants.IPC);
  pipe.open(descriptor);
  pipe.onread = () => {
    const { pendingHandle } = pipe;
    pipe.close();
    // The agent has ended, so end this process too.
    if (!pendingHandle) process.reallyExit(0);
    done(pendingHandle);
  };
  pipe.readStart();
}

function connect() {
  const session = new inspector.Session();
  session.connect();
  return session;
}

/** Interrupts the child processes of the run that are still alive. */
function interruptChildren({ children }) {
  const pids = [];
  for (let i = 0; i < children.length; i++) {
    const { pid, exitCode, signalCode } = children[i];
    if (pid !== undefined && exitCode === null && signalCode === null) pids[pids.length] = pid;
  }
  if (pids.length > 0) attempt(() => signal(pids, 'SIGINT'));
}

/** Returns the object for the inspector's object ID. */
function take(session, { objectId }) {
  const key = Symbol.for('pyth-on.take');
  let taken;
  defineProperty(globalThis, key, { ...hidden, value: (object) => { taken = object; } });
  const functionDeclaration = "function () { globalThis[Symbol.for('pyth-on.take')](this); }";
  session.post('Runtime.callFunctionOn', { objectId, functionDeclaration });
  delete globalThis[key];
  return taken;
}

/**
 * Returns the position in the program, as Node shows it above a trace. Line and
 * column count from 0.
 */
function where({ name, plain, shifts }, { lineNumber, columnNumber }) {
  const lines = split(plain, '\n');
  // If the source ends too early, the error is after the last line.
  const at = Math.min(lineNumber, lines.length - 1);
  const before = at === lineNumber ? slice(lines[at], 0, imports.columnOf(shifts, at, columnNumber)) : lines[at];
  return `${name}:${at + 1}\n${lines[at]}\n${replace(before, /[^\t]/g, ' ')}^`;
}

/**
 * Returns the frames of the interrupted code, without the frames of the inspector
 * and of the functions that handle the interrupt.
 */
function callers() {
  const { stackTraceLimit } = Error;
  const prepare = getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  try {
    Error.stackTraceLimit = 20;
    delete Error.prepareStackTrace;
    return sliceArray(split(withAllFrames(() => new Error('').stack), '\n'), 7);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    if (prepare !== undefined) defineProperty(Error, 'prepareStackTrace', prepare);
  }
}

/**
 * Makes Node continue with the next immediate after the current one is terminated.
 * Node expects a `finally` to mark the current immediate as done. The `finally` does
 * not run after a termination, so Node would find this immediate again and again. So
 * this function turns it into one that does nothing when Node finds it again. Node
 * counts it twice. So the function adds another immediate, which Node counts but
 * never finds.
 */
function keepImmediates() {
  const current = executionAsyncResource();
  if (current?.constructor?.name !== 'Immediate') return;
  const nothing = () => {};
  assign(current, { _destroyed: false, _onImmediate: nothing, _argv: undefined });
  const before = setImmediate(nothing);
  setImmediate(nothing).unref();
  const after = setImmediate(nothing);
  before._idleNext = after;
  after._idlePrev = before;
}

/** Returns whether the program runs, and not the code that calls the program. */
function isTheirs(frames) {
  let first = 0;
  while (first < frames.length && (includes(frames[first], 'node:') || endsWith(frames[first], '(<anonymous>)'))) first++;
  return first === frames.length || !includes(frames[first], __dirname);
}

/** Returns whether the program can be terminated at its current place. */
function mayEnd(frames) {
  return !test(entering, frames[0]) && isTheirs(frames);
}

function interruption(trace) {
  const error = new Error('Script execution was interrupted by `SIGINT`');
  error.code = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
  error.stack = `Error: ${error.message}${trace}`;
  return error;
}

/**
 * Returns the error that Node makes of a rejection's reason. If the reason is an
 * error, returns the reason.
 */
function rejection(reason) {
  if (typeof reason === 'object' && reason !== null && attempt(() => getOwnPropertyDescriptor(reason, 'stack')) !== undefined) return reason;
  const { describeReason } = internals();
  if (describeReason === undefined) return reason;
  const message = 'This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not ' +
    `handled with .catch(). The promise rejected with the reason "${describeReason(reason)}".`;
  const error = new Error(message);
  error.code = 'ERR_UNHANDLED_REJECTION';
  defineProperty(error, 'name', { ...hidden, value: 'UnhandledPromiseRejection' });
  error.stack = `UnhandledPromiseRejection: ${message}`;
  return error;
}

/** Returns whether the program listens to the event of the process. */
function hears(event) {
  return attempt(() => Reflect.apply(listenerCount, process, [event])) > 0;
}

/** Returns the text that inspect would add to an error with a code. */
function codeOf({ code }) {
  return typeof code === 'string' ? ` {\n  code: '${code}'\n}` : '';
}

/**
 * Keeps the program's use of SIGINT away from the process's handler, which belongs
 * to the thread that interrupts.
 */
function keepSignal() {
  for (const event of ['newListener', 'removeListener']) {
    for (const listener of process.rawListeners(event)) {
      process.removeListener(event, listener);
      process.on(event, (type, ...rest) => {
        if (type !== 'SIGINT') listener(type, ...rest);
      });
    }
  }
}

/** Calls the function. Returns undefined if it throws: the program may have frozen an object. */
function attempt(call) {
  try {
    return call();
  } catch {
    return undefined;
  }
}

function exitCode() {
  return String(Number(process.exitCode ?? 0) & 0xff);
}

/**
 * Sets the variables. Returns a function that restores the old ones, except those
 * that the run has changed.
 */
function setEnvironment(variables) {
  const { env } = process;
  const before = [];
  let proxied = false;
  for (let i = 0; i < variables.length; i++) {
    const at = indexOf(variables[i], '=');
    const name = slice(variables[i], 0, at);
    const old = env[name];
    env[name] = slice(variables[i], at + 1);
    before[before.length] = { name, old, given: env[name] };
    if (name === 'NODE_USE_ENV_PROXY') proxied = env[name] === '1';
  }
  // Node does the same with this variable when it starts.
  const unproxy = proxied ? require('http').setGlobalProxyFromEnv() : undefined;
  return () => {
    unproxy?.();
    for (let i = before.length - 1; i >= 0; i--) {
      const { name, old, given } = before[i];
      if (env[name] !== given) continue;
      if (old === undefined) delete env[name];
      else env[name] = old;
    }
  };
}

/** Makes the bytes the standard input of the process and of its children. */
function setInput(bytes) {
  let name = '/dev/null';
  if (bytes.length > 0) {
    name = `/tmp/.stdin-${process.pid}`;
    fs.writeFileSync(name, bytes, { flag: 'wx', mode: 0o600 });
  }
  try {
    fs.closeSync(0);
  } catch {
    // The program has closed the descriptor.
  }
  fs.openSync(name, 'r'); // The file gets the lowest free number.
  if (bytes.length > 0) fs.unlinkSync(name);
  let stream;
  attempt(() => {
    defineProperty(process, 'stdin', {
      configurable: true,
      enumerable: true,
      get: () => (stream ??= new fs.ReadStream(null, { fd: 0, autoClose: false })),
    });
  });
}

/** Calls `done` when the streams from index `from` on have written their data. */
function flush(streams, done, from = 0) {
  if (from === streams.length) {
    done();
    return;
  }
  const stream = streams[from];
  const next = () => flush(streams, done, from + 1);
  try {
    if (stream.writableLength === 0 || stream.destroyed) next();
    else stream.write('', next);
  } catch {
    next();
  }
}

/** Begins a session in this interpreter. */
function begin(control, program, memory) {
  new Session(control, program, memory).begin();
}

module.exports = { begin };
