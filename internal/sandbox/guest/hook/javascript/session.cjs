'use strict';
// This module runs programs one after another in one interpreter, like a notebook.
//
// V8's inspector evaluates programs like a console: declarations stay and may be
// repeated, and `await` is allowed at the top level. Node itself calls the
// inspector, so that no frame of this module is below the program's frames.
//
// This module disconnects the inspector as soon as the inspector returns. A connected
// inspector would report each promise that is freed before it settles, and the report
// would crash Node. So this module does not get the program's promise from the inspector,
// but from a promise hook.
//
// When V8 terminates running code, it drops all pending work of promises. So this
// module uses setImmediate for the steps that must follow a termination.

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

// Keep the original objects, because a program may replace them. Between two programs,
// this module uses only objects that programs cannot reach.
const { Atomics, Buffer, Error, Map, Number, Reflect, String, SyntaxError, process, setImmediate } = globalThis;
const { then } = Promise.prototype;
const { promiseHooks } = v8;
const { emit, listenerCount } = require('events').prototype;
const { assign, defineProperty, getOwnPropertyDescriptor } = Object;
const { compareExchange, load, notify, store, wait } = Atomics;
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
// `evaluator` is the first part of a line in a trace. This line belongs to the function
// of Node that runs programs.
const evaluator = '    at Session.post (node:inspector';
// `entering` matches places in Node's code where Node records which callback it enters.
// If the execution is terminated at such a place, the records are wrong and Node aborts.
const entering = /node:(?:internal\/(?:process\/task_queues|timers|async_hooks)|async_hooks|inspector):/;
// `stopping` is a part of the line for the method "stop" in a trace.
const stopping = `Session.stop (${__dirname}/`;
// `called` is the key of a global property. The property holds the function that `caller`
// calls.
const called = Symbol.for('pyth-on.call');
const caller = new vm.Script("globalThis[Symbol.for('pyth-on.call')]()", { filename: `${__dirname}/call` });
const { kill } = process;
const hidden = { configurable: true, enumerable: false, writable: true };

/**
 * One program of the session. While the program runs, `outcome` is undefined. Afterwards,
 * `outcome` is the answer to the agent.
 */
class Run {
  constructor(number, source, wantsResults) {
    this.number = number;
    this.name = `<run-${number}>`;
    this.source = source;
    this.wantsResults = wantsResults;
    // `plain` is the source without the changes for import and export statements.
    // `shifts` describes by how many columns these changes move the text.
    this.plain = source;
    this.shifts = [];
    // `children` contains the child processes that the program has started.
    this.children = [];
    this.outcome = undefined;
    this.failed = false;
    // `interrupts` is the number of interrupts of this run.
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
    // `late` is true after an interrupt has arrived too early: before the program that
    // the agent wants to interrupt.
    this.late = false;
    this.received = Buffer.alloc(0);
    // `stopper` is the inspector session that terminates the code of a run.
    this.stopper = undefined;
    // `state` is memory that is shared with the interrupt thread (watch.cjs).
    this.state = new Int32Array(new SharedArrayBuffer(24));
    this.outputs = [process.stdout, process.stderr];
    // If an interrupt stops Node's code for a stream during a write, the stream becomes
    // unusable. `writes` counts the writes in progress. If `due` is true, this module
    // stops the run after these writes.
    this.writes = 0;
    this.plain = new Map();
    this.due = false;
    // `draining` contains the lines in a trace for the places where Node runs the reactions
    // of promises. V8 may handle an interrupt there, between two reactions. If V8 has
    // optimized an endless loop with `await`, V8 handles nearly all interrupts there.
    this.draining = new Map();
    this.uncaught = process._fatalException;
    // `moved` maps the names of runs to the shifts of their columns.
    this.moved = new Map();
  }

  begin() {
    this.findDraining();
    // Scripts of the inspector use the function import() of their context. Node can set
    // this function only for a new context. At the first use, Node warns that this
    // feature is experimental. So call import() once now, while warnings are disabled.
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
    // Replace Node's own handler of uncaught errors, because it would end the session.
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
    // An interrupt must also reach the child processes of the run, as in a terminal.
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
    // session, and the agent detects this end.
    watch.on('error', () => {});
  }

  /**
   * Finds the two places where Node runs the reactions of promises: after `nextTick`
   * callbacks, and between two immediates. At these places, Node's records contain no
   * callback that is still running, so the execution can be terminated there.
   */
  findDraining() {
    const find = async () => {
      await undefined;
      const { 4: line } = split(withAllFrames(() => new Error('').stack), '\n');
      setIn(this.draining, line, true);
    };
    process.nextTick(find);
    setImmediate(find);
    setImmediate(() => {});
  }

  /** Makes each write to a stream complete before the call returns. */
  guard(output) {
    // Use blocking writes. With non-blocking writes, Node would keep output in memory if
    // the program prints faster than the agent reads.
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
    // Without a file name, require resolves paths from the current directory.
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
    // When the agent has ended, end this process too.
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
   * Begins one program. Its message has these fields: whether values are wanted, the
   * time-out, the source, the input, the arguments, and the environment.
   */
  begins(fields) {
    // Do not use an array pattern, which would call the iterator of arrays. A program
    // may have replaced this iterator.
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
    // Remove the source map, which only traces need.
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
      // Do not start a run that was interrupted before its start.
      if (run === this.run && run.outcome === undefined && run.interrupts === 0) this.start(run);
    });
  }

  start(run) {
    let session = connect();
    let promise;
    let failure;
    let unhook;
    // The function leave disconnects the inspector. Call leave before the inspector
    // converts the value to text, because the text may be long.
    const leave = () => {
      if (session === undefined) return;
      session.post('Runtime.discardConsoleEntries');
      session.disconnect();
      session = undefined;
    };
    const program = {
      // Set the promise hook in toJSON, because Node calls toJSON just before it calls
      // V8. An earlier hook would also catch promises of other code.
      toJSON() {
        unhook = promiseHooks.onInit((first) => {
          unhook();
          promise = first;
          follow();
        });
        setImmediate(after);
        // RegExp's static properties contain the last match. Match an empty string here,
        // so that the program cannot read the last match that this module made.
        /^/.exec('');
        return { expression: `${run.source}\n//# sourceURL=${run.name}`, replMode: true };
      },
    };
    // Handle the promise immediately. If the promise were rejected while it has no
    // handler, Node would print a warning.
    const follow = () => this.follow(run, promise, leave);
    const heard = (error, said) => {
      failure = said?.exceptionDetails;
    };
    // To pass arguments of setImmediate, Node calls a method of arrays. A program may
    // have replaced this method, so bind the arguments instead.
    setImmediate(bind(session.post, session, 'Runtime.evaluate', program, heard));
    const after = () => {
      unhook();
      const error = failure && promise === undefined ? take(session, failure.exception) : undefined;
      leave();
      if (promise === undefined) this.complain(run, error, failure);
    };
  }

  /** Handles a program that V8 did not compile. */
  complain(run, error, failure) {
    if (run !== this.run || run.outcome !== undefined || run.interrupts > 0) return;
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
   * Waits for the program's value and ends the run with it. If the value is itself a
   * promise, also waits for that promise.
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

  /** Handles the rejection of a promise that is the value of the run. */
  reject(run, error, promise) {
    if (run === this.run && hears('unhandledRejection')) this.handle(run, () => Reflect.apply(emit, process, ['unhandledRejection', error, promise]));
    else this.raise(run, rejection(error), true);
  }

  /**
   * Handles an error of the run. If the program handles uncaught errors itself, its
   * handlers get the error.
   */
  raise(run, error, fromPromise) {
    if (run !== this.run || run.failed) return;
    const isTaken = hears('uncaughtException') || attempt(() => process.hasUncaughtExceptionCaptureCallback());
    if (isTaken) this.handle(run, () => this.uncaught(error, fromPromise));
    else this.fail(run, error, fromPromise);
  }

  /**
   * Calls the program's own handler of an error, which may throw, and ends the run.
   */
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
    // The run has this outcome if an interrupt ends one of the program's listeners below,
    // or if the error cannot be described.
    run.outcome = ['1', typeof error, '', '', '0'];
    if (hears('uncaughtExceptionMonitor')) {
      attempt(() => Reflect.apply(emit, process, ['uncaughtExceptionMonitor', error, fromPromise ? 'unhandledRejection' : 'uncaughtException']));
    }
    if (typeof error === 'string' && !fits(weight(error))) error = toText(error);
    this.show(error);
    // The program may have made this object unreadable. Then the run keeps its outcome.
    const said = attempt(() => errors.describe(error, run.name));
    this.end(run, said === undefined ? run.outcome : ['1', said[0], said[1], said[2], said[3]]);
  }

  show(error) {
    const isError = types.isNativeError(error) && !types.isProxy(error);
    let shown;
    try {
      // Print the value in the same way as Node prints an error that ends a program.
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
      // Ignore the error: the program has closed standard error.
    }
  }

  /** Replaces Node's handler of uncaught errors. */
  failed(error, fromPromise) {
    if (hears('uncaughtException') || attempt(() => process.hasUncaughtExceptionCaptureCallback())) {
      return this.uncaught(error, fromPromise);
    }
    this.unwind(error);
    if (this.run === undefined) this.show(error);
    else this.fail(this.run, error, fromPromise);
    return true;
  }

  /** Resets Node's records of entered callbacks. Node does this after any error. */
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

  /** Stores how the run's columns are shifted, for traces. */
  shift(run, shifts) {
    run.shifts = shifts;
    if (shifts.length > 0) setIn(this.moved, run.name, shifts);
  }

  /** Returns the trace with positions in the source that the user wrote. */
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
   * Calls code of the program that shows a value. The interrupt thread watches
   * the code, and ends it by SIGINT at a limit of time or memory. A SIGINT from
   * the agent ends the code and then the run.
   */
  call(code) {
    const { state } = this;
    let result;
    defineProperty(globalThis, called, {
      ...hidden,
      value: () => {
        result = code();
        // Wait here for the signal, which will arrive soon. If the signal arrived later,
        // it would end other code.
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

  /**
   * Ends the current code. V8 does this at the next function call or loop iteration.
   */
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
   * Ends a run because the agent requests it. `number` is the number of the last
   * run that had ended before the request. So the request is for the next run.
   *
   * The interrupt thread calls this function while other code runs. It repeats
   * the call until the run has ended.
   */
  interrupt(number) {
    if (number !== load(this.state, 2)) {
      // Ignore the interrupt, because the run that the agent wanted to end has already
      // ended.
      if (number === load(this.state, 3)) this.tell(0);
      return;
    }
    this.tell(4);
    const frames = callers();
    const busy = frames.length > 0;
    const { run } = this;
    if (run === undefined) {
      this.late = this.unread();
      this.tell(0);
      if (this.late && busy) this.stop();
      return;
    }
    if (isStopping(frames)) {
      // On a busy machine, this request can arrive before the previous one has ended the
      // code. Let the previous one continue.
      this.tell(3);
      return;
    }
    if (run.interrupts++ === 0) {
      interruptChildren(run);
      const error = interruption(isTheirs(frames) ? this.places(withoutOurs(frames)) : '');
      // Report the error later, because the program may have a listener for it. A
      // listener that ran here would be a part of the inspector's call of this method. So
      // it could not be ended without ending this call too.
      setImmediate(() => this.fail(run, error));
    }
    else setImmediate(() => this.finish(run));
    // If a program waits for promises in an endless loop, `busy` is never true. Stop
    // such a program after many interrupts.
    if (this.writes > 0) this.due = true;
    else if (busy ? this.mayEnd(run, frames) : run.interrupts > 60) {
      this.stop();
      return;
    }
    this.tell(2);
  }

  /**
   * Returns whether the program can be terminated at its current place. After many
   * interrupts, returns true for any place in the program: the agent would end the
   * session soon anyway, so the session loses nothing if Node aborts.
   */
  mayEnd(run, frames) {
    if (getFrom(this.draining, frames[0])) return true;
    return isTheirs(frames) && (!test(entering, frames[0]) || run.interrupts > 300);
  }

  /**
   * Reads the agent's next message, whose run has not begun yet. Returns whether
   * there is such a message.
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

  /** Sends the state of the interrupt to the interrupt thread. */
  tell(state) {
    store(this.state, 0, state);
    notify(this.state, 0);
  }

  /** Ends the run with this outcome, after the pending work of promises. */
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
      // Ignore errors, because the answer must be sent in any case.
    }
    this.stopper = undefined;
    const { outcome } = run;
    const { 0: name, 1: message, 2: trace, 3: line } = errors.shortened(sliceArray(outcome, 1));
    const reply = frame(kinds.ended, [outcome[0], name, message, trace, line]);
    flush(this.outputs, () => this.socket.write(reply));
  }
}

/**
 * Returns a trace of these frames, without the frames of this directory's modules
 * and of the code that calls a run.
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
      // Add parentheses. Without them, TypeScript would parse an object literal at the
      // start as a block.
      return slice(strip(`(${source}\n)`, name), 1, source.length + 1);
    } catch {
      throw error;
    }
  }
}

/**
 * Returns whether a console reads the program as an object literal, not as a block.
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
 * Receives a socket over the descriptor and closes the descriptor. Child processes
 * of the program do not inherit this socket.
 */
function receiveSocket(descriptor, done) {
  const { Pipe, constants } = internals().pipes;
  const pipe = new Pipe(constants.IPC);
  pipe.open(descriptor);
  pipe.onread = () => {
    const { pendingHandle } = pipe;
    pipe.close();
    // When the agent has ended, end this process too.
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

/** Interrupts the child processes of the run that are still running. */
function interruptChildren({ children }) {
  const pids = [];
  for (let i = 0; i < children.length; i++) {
    const { pid, exitCode, signalCode } = children[i];
    if (pid !== undefined && exitCode === null && signalCode === null) pids[pids.length] = pid;
  }
  if (pids.length > 0) attempt(() => signal(pids, 'SIGINT'));
}

/** Returns the object that has this object ID in the inspector. */
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
 * Returns the text that Node shows above a trace: the position, the source line, and
 * a mark. lineNumber and columnNumber count from 0.
 */
function where({ name, plain, shifts }, { lineNumber, columnNumber }) {
  const lines = split(plain, '\n');
  // If the source ends too early, V8 reports a line after the last line.
  const at = Math.min(lineNumber, lines.length - 1);
  const before = at === lineNumber ? slice(lines[at], 0, imports.columnOf(shifts, at, columnNumber)) : lines[at];
  return `${name}:${at + 1}\n${lines[at]}\n${replace(before, /[^\t]/g, ' ')}^`;
}

/**
 * Returns the frames of the interrupted code. Omits the frames of the inspector and
 * of the functions that handle the interrupt.
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
 *
 * Node marks an immediate as done in a `finally`, which does not run after a
 * termination. So Node would run this immediate again and again. This function turns
 * it into one that does nothing. Node then counts it twice as done, so the function
 * adds another immediate that is counted but never run.
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

/**
 * Returns whether the current code belongs to the program, and not to this module.
 */
function isTheirs(frames) {
  let first = 0;
  while (first < frames.length && (includes(frames[first], 'node:') || endsWith(frames[first], '(<anonymous>)'))) first++;
  return first === frames.length || !includes(frames[first], __dirname);
}

/** Returns whether these frames are part of the method "stop". */
function isStopping(frames) {
  for (let i = 0; i < frames.length; i++) {
    if (includes(frames[i], stopping)) return true;
  }
  return false;
}

function interruption(trace) {
  const error = new Error('Script execution was interrupted by `SIGINT`');
  error.code = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
  error.stack = `Error: ${error.message}${trace}`;
  return error;
}

/**
 * Returns the error that Node would report for a rejection with this reason. If the
 * reason is an error, returns it unchanged.
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

/** Returns whether the program has a listener for this event of the process. */
function hears(event) {
  return attempt(() => Reflect.apply(listenerCount, process, [event])) > 0;
}

/** Returns the text that inspect adds to an error with a code. */
function codeOf({ code }) {
  return typeof code === 'string' ? ` {\n  code: '${code}'\n}` : '';
}

/**
 * Prevents Node from changing the handler of SIGINT when the program adds or
 * removes a listener for SIGINT. The interrupt thread needs the handler.
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

/**
 * Returns the result of the function, or undefined if it throws. For example, the
 * program may have frozen an object.
 */
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
 * Sets environment variables. Returns a function that restores their old values,
 * except where the run has changed them.
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
  // If this variable is set, Node sets the proxy when Node starts. Here the job sets the
  // variable later, so set the proxy now.
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

// inputDescriptor is the descriptor of the standard input.
let inputDescriptor = 0;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Opens the file as descriptor 0, the lowest free number, and returns the
 * descriptor.
 *
 * Node has no dup2, so the old descriptor 0 is closed first. Another thread may open
 * a file in between and get 0. Usually that thread closes its file soon, so try again
 * for some time. If the file stays open, the result is another number.
 */
function openInput(name) {
  for (let tries = inputDescriptor === 0 ? 200 : 0; ; tries--) {
    const fd = fs.openSync(name, 'r');
    if (fd === 0 || tries === 0) return fd;
    fs.closeSync(fd);
    wait(pause, 0, 0, 1);
  }
}

/** Makes the bytes the standard input of this process and of its children. */
function setInput(bytes) {
  let name = '/dev/null';
  if (bytes.length > 0) {
    name = `/tmp/.stdin-${process.pid}`;
    fs.writeFileSync(name, bytes, { flag: 'wx', mode: 0o600 });
  }
  try {
    fs.closeSync(inputDescriptor);
  } catch {
    // Ignore the error: the program has closed the descriptor.
  }
  inputDescriptor = openInput(name);
  if (bytes.length > 0) fs.unlinkSync(name);
  let stream;
  attempt(() => {
    defineProperty(process, 'stdin', {
      configurable: true,
      enumerable: true,
      get: () => (stream ??= new fs.ReadStream(null, { fd: inputDescriptor, autoClose: false })),
    });
  });
}

/**
 * Calls `done` when the streams, starting with index `from`, have written their
 * data.
 */
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

function begin(control, program, memory) {
  new Session(control, program, memory).begin();
}

module.exports = { begin };
