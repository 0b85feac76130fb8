'use strict';
// Runs one program after the other in an interpreter that stays, as a notebook
// does.
//
// V8's inspector evaluates a program as it does for a console: what is declared
// stays and may be declared again, and `await` may be used. Node itself calls it,
// so that no frame of this module is below the program's. It is used no longer
// than until it returns: what it would say of a promise that is never settled it
// says while garbage is collected, which Node does not survive. The promise of
// the program is had from a hook instead.
//
// All that V8 has to do for promises is lost when it ends what it runs. So what
// must happen after that is done by immediates.

const { executionAsyncResource } = require('async_hooks');
const fs = require('fs');
const inspector = require('inspector');
const Module = require('module');
const net = require('net');
const v8 = require('v8');
const vm = require('vm');
const { Worker } = require('worker_threads');
const { inspect, types } = require('util');
const errors = require('./errors.cjs');
const imports = require('./imports.cjs');
const results = require('./results.cjs');

// What a program may put something else in the place of.
const { Error } = globalThis;
const { then } = Promise.prototype;
const { promiseHooks } = v8;
// What calls programs, in traces.
const evaluator = '\n    at Session.post (node:inspector';
// Where Node notes which callback it enters. Of what is ended just then it would
// find its notes wrong, and abort.
const entering = /node:(?:internal\/(?:process\/task_queues|timers|async_hooks)|async_hooks|inspector):/;
const hidden = { configurable: true, enumerable: false, writable: true };

/** One program. Its outcome is what the agent is told, once that is known. */
class Run {
  constructor(number, source, wantsResults) {
    this.number = number;
    this.name = `<run-${number}>`;
    this.source = source;
    this.wantsResults = wantsResults;
    this.outcome = undefined;
    this.failed = false;
    // How often it was to be interrupted.
    this.interrupts = 0;
  }
}

class Session {
  constructor(control, program) {
    this.control = control;
    this.program = program;
    this.number = 0;
    this.run = undefined;
    // Whether the program whose message is about to come has been interrupted.
    this.late = false;
    this.received = Buffer.alloc(0);
    // What has ended a run.
    this.stopper = undefined;
    // Shared with the thread that interrupts; see there.
    this.state = new Int32Array(new SharedArrayBuffer(16));
    this.outputs = [process.stdout, process.stderr];
    // How many writes to these are under way, and whether the run is to be stopped
    // after them: streams do not survive to be stopped in one.
    this.writes = 0;
    this.plain = new Map();
    this.due = false;
    this.uncaught = process._fatalException;
  }

  begin() {
    // Scripts of the inspector have no importer of their own: they have that of
    // the context, which can be given only to one that is made. Node says at the
    // first import that this is experimental.
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
    process._fatalException = (error, fromPromise) => this.failed(error, fromPromise);
    const file = `${__dirname}/watch.cjs`;
    const watch = new Worker(file, { argv: [], env: {}, execArgv: [], workerData: this.state.buffer });
    const early = () => { this.late = true; };
    process.on('SIGINT', early);
    keepSignal();
    watch.once('message', () => {
      process.removeListener('SIGINT', early);
      watch.unref();
      this.listen();
    });
    // Without it an interrupt ends the session, which the agent sees.
    watch.on('error', () => {});
  }

  /** Has what is written to a stream be written at once, and as a whole. */
  guard(output) {
    // Or what is printed faster than it is taken would be kept in memory.
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
    Object.defineProperty(output, 'write', { ...hidden, value: whole });
  }

  setGlobals() {
    const main = new Module(this.program);
    process.mainModule = main;
    main.filename = this.program;
    main.paths = Module._nodeModulePaths('/work');
    main._compile('module.exports = require', this.program);
    const require = main.exports;
    main.exports = {};
    // Names of files are relative to where the program has gone.
    main.id = '<session>';
    main.filename = null;
    const display = (...values) => {
      if (this.run?.wantsResults) results.display(...values);
    };
    for (const [name, value] of Object.entries({ require, module: main, exports: main.exports, display })) {
      Object.defineProperty(globalThis, name, { ...hidden, value });
    }
    Object.defineProperty(globalThis, Symbol.for('pyth-on.interrupt'), { ...hidden, value: (number) => this.interrupt(number) });
  }

  listen() {
    this.socket = new net.Socket({ fd: this.control });
    this.socket.on('data', (chunk) => this.receive(chunk));
    // The agent is gone: so is the sandbox.
    this.socket.on('error', () => {});
    this.socket.on('close', () => process.reallyExit(0));
  }

  receive(chunk) {
    this.received = Buffer.concat([this.received, chunk]);
    if (this.received.length < 4 || this.received.length - 4 < this.received.readUInt32BE()) return;
    const parts = [];
    for (let at = 4; at < this.received.length;) {
      const size = this.received.readUInt32BE(at);
      parts.push(this.received.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    this.received = Buffer.alloc(0);
    this.begins(...parts);
  }

  /** Begins one program. */
  begins(wantsResults, code, stdin, count, ...fields) {
    const run = new Run(++this.number, code.toString(), wantsResults.toString() === '1');
    const list = fields.map(String);
    this.run = run;
    process.exitCode = undefined;
    process.argv = [process.execPath, this.program, ...list.slice(0, Number(count))];
    this.restore = setEnvironment(list.slice(Number(count)));
    if (this.late) {
      this.late = false;
      this.fail(run, interruption([]));
      return;
    }
    try {
      setInput(stdin);
      if (this.program.endsWith('.ts')) run.source = results.strip(run.source, run.name);
    } catch (error) {
      [error.stack] = error.stack.split('\n    at ');
      this.fail(run, error);
      return;
    }
    this.evaluate(run);
  }

  evaluate(run) {
    setImmediate(() => {
      // Unless it was interrupted before it began.
      if (run === this.run && run.outcome === undefined) this.start(run);
    });
  }

  start(run) {
    const session = connect();
    let promise;
    let failure;
    let unhook;
    const program = {
      // Called just before V8 is: others make promises, too.
      toJSON() {
        unhook = promiseHooks.onInit((first) => {
          unhook();
          promise = first;
        });
        setImmediate(after);
        return { expression: `${run.source}\n//# sourceURL=${run.name}`, replMode: true };
      },
    };
    setImmediate(session.post.bind(session), 'Runtime.evaluate', program, (error, said) => {
      failure = said?.exceptionDetails;
    });
    const after = () => {
      unhook();
      const error = failure && promise === undefined ? take(session, failure.exception) : undefined;
      session.post('Runtime.discardConsoleEntries');
      session.disconnect();
      if (promise === undefined) this.complain(run, error, failure);
      else this.follow(run, promise);
    };
  }

  /** Deals with what V8 does not compile. */
  complain(run, error, failure) {
    if (run !== this.run || run.outcome !== undefined) return;
    if (failure === undefined) {
      this.fail(run, new Error('V8 did not take the program'));
      return;
    }
    const source = imports.rewrite(run.source, failure.lineNumber, failure.columnNumber);
    if (source !== undefined) {
      run.source = source;
      this.evaluate(run);
      return;
    }
    error.stack = `${where(run, failure)}\n\n${error.name}: ${error.message}`;
    this.fail(run, error);
  }

  /** Ends the run with its value, or with that of its promise. */
  follow(run, promise) {
    const fail = (error) => this.fail(run, error);
    const succeed = (value) => this.succeed(run, value);
    Reflect.apply(then, promise, [
      ({ '.repl_result': value }) => {
        if (types.isPromise(value)) Reflect.apply(then, value, [succeed, fail]);
        else succeed(value);
      },
      fail,
    ]);
  }

  succeed(run, value) {
    if (run !== this.run || run.outcome !== undefined) return;
    if (value !== undefined && run.wantsResults && results.wrap(run.source) !== undefined) results.display(value);
    this.end(run, [exitCode(), '', '', '', '0']);
  }

  fail(run, error) {
    if (run !== this.run || run.failed) return;
    run.failed = true;
    this.show(error);
    let said;
    try {
      said = errors.describe(error, run.name);
    } catch {
      said = [typeof error, '', '', '0']; // It is an object of the program's own.
    }
    this.end(run, ['1', ...said]);
  }

  /** Prints an uncaught error. */
  show(error) {
    try {
      if (types.isNativeError(error) && !types.isProxy(error) && typeof error.stack === 'string') {
        const [stack] = error.stack.split(evaluator);
        const theirs = stack.split('\n').filter((line) => !line.includes(`(${__dirname}/`)).join('\n');
        if (theirs !== error.stack) error.stack = theirs;
      }
      const shown = error instanceof SyntaxError && error.stack.startsWith('<run-') ? error.stack : `Uncaught ${inspect(error)}`;
      this.plain.get(this.outputs[1])(`${shown}\n`);
    } catch {
      // It does not want to be seen.
    }
  }

  /** Deals with an error that nothing has caught. */
  failed(error, fromPromise) {
    if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) {
      return this.uncaught(error, fromPromise);
    }
    this.unwind(error);
    if (this.run === undefined) this.show(error);
    else this.fail(this.run, error);
    return true;
  }

  /** Has Node forget in which callbacks it is, as it does after any error. */
  unwind(error) {
    const own = Object.getOwnPropertyDescriptor(process, 'emit');
    Object.defineProperty(process, 'emit', { ...hidden, value: () => true });
    try {
      this.uncaught(error, false);
    } finally {
      if (own === undefined) delete process.emit;
      else Object.defineProperty(process, 'emit', own);
    }
  }

  /** Ends what runs now. V8 does so at the next call or turn of a loop. */
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
    if (code.length > 0) [process.exitCode] = code;
    if (this.run?.failed === false) this.end(this.run, [exitCode(), '', '', '', '0']);
    this.stop();
    for (;;);
  }

  /**
   * Ends the run after that of the number because the agent wants it. This is
   * called in the midst of what runs, again and again until the run has ended.
   */
  interrupt(number) {
    if (number !== Atomics.load(this.state, 2)) {
      // It was meant for what has ended.
      if (number === Atomics.load(this.state, 3)) this.tell(0);
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
    if (run.interrupts++ === 0) this.fail(run, interruption(frames));
    else setImmediate(() => this.finish(run));
    // Between two promises nothing is on the stack, and yet it goes on and on.
    if (this.writes > 0) this.due = true;
    else if ((busy && mayEnd(frames)) || run.interrupts > 60) this.stop();
  }

  /** Whether the agent has asked for a run which has not begun. */
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

  /** Tells the thread that interrupts where it is. */
  tell(state) {
    Atomics.store(this.state, 0, state);
    Atomics.notify(this.state, 0);
  }

  /** Has the run end with the outcome once Node has dealt with what is due. */
  end(run, outcome) {
    run.outcome = outcome;
    setImmediate(() => this.finish(run));
  }

  finish(run) {
    if (run !== this.run) return;
    this.run = undefined;
    Atomics.store(this.state, 2, run.number);
    this.tell(0);
    this.due = false;
    this.restore();
    this.stopper?.disconnect();
    this.stopper = undefined;
    const [code, ...said] = run.outcome;
    const reply = Buffer.from(`    ${code}\0${errors.join(said)}`);
    reply.writeUInt32BE(reply.length - 4);
    flush(this.outputs, () => this.socket.write(reply));
  }
}

function connect() {
  const session = new inspector.Session();
  session.connect();
  return session;
}

/** Returns the object that the inspector tells of. */
function take(session, { objectId }) {
  const key = Symbol.for('pyth-on.take');
  let taken;
  Object.defineProperty(globalThis, key, { ...hidden, value: (object) => { taken = object; } });
  const functionDeclaration = "function () { globalThis[Symbol.for('pyth-on.take')](this); }";
  session.post('Runtime.callFunctionOn', { objectId, functionDeclaration });
  delete globalThis[key];
  return taken;
}

/** The place in the program, as Node shows it above a trace. */
function where(run, { lineNumber, columnNumber }) {
  const lines = run.source.split('\n');
  // What ends too early does so after the last line.
  const at = Math.min(lineNumber, lines.length - 1);
  const before = at === lineNumber ? lines[at].slice(0, columnNumber) : lines[at];
  return `${run.name}:${at + 1}\n${lines[at]}\n${before.replace(/[^\t]/g, ' ')}^`;
}

/** The frames below the function that calls this and the inspector's two. */
function callers() {
  const { stackTraceLimit } = Error;
  const prepare = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  try {
    Error.stackTraceLimit = 20;
    delete Error.prepareStackTrace;
    return new Error('').stack.split('\n').slice(5);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    if (prepare !== undefined) Object.defineProperty(Error, 'prepareStackTrace', prepare);
  }
}

/**
 * Has Node go on with its list of immediates after the one that is to be ended.
 * It expects that one to be marked as done by a `finally`, which is not run, and
 * would otherwise run into it again and again. So it finds it to be done anew,
 * and to do nothing. That is counted twice, so one more is made that is counted
 * and never found.
 */
function keepImmediates() {
  const current = executionAsyncResource();
  if (current?.constructor?.name !== 'Immediate') return;
  const nothing = () => {};
  Object.assign(current, { _destroyed: false, _onImmediate: nothing, _argv: undefined });
  const before = setImmediate(nothing);
  setImmediate(nothing).unref();
  const after = setImmediate(nothing);
  before._idleNext = after;
  after._idlePrev = before;
}

/** Whether it is the program that runs, and not what runs the program. */
function mayEnd(frames) {
  const first = frames.find((frame) => !frame.includes('node:') && !frame.endsWith('(<anonymous>)'));
  return !entering.test(frames[0]) && !first?.includes(__dirname);
}

function interruption(frames) {
  const error = new Error('Script execution was interrupted by `SIGINT`');
  error.code = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
  error.stack = [`Error: ${error.message}`, ...frames].join('\n');
  return error;
}

/**
 * Has what the program does with SIGINT leave the process's handler alone, which
 * is that of the thread that interrupts.
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

function exitCode() {
  return String(Number(process.exitCode ?? 0) & 0xff);
}

/** Returns what undoes it, but for what the run has set itself. */
function setEnvironment(variables) {
  const before = new Map();
  for (const variable of variables) {
    const i = variable.indexOf('=');
    const name = variable.slice(0, i);
    if (!before.has(name)) before.set(name, [process.env[name]]);
    process.env[name] = variable.slice(i + 1);
    before.get(name)[1] = process.env[name];
  }
  // What Node itself does with this variable when it starts.
  const proxied = before.get('NODE_USE_ENV_PROXY')?.[1] === '1';
  const unproxy = proxied ? require('http').setGlobalProxyFromEnv() : undefined;
  return () => {
    unproxy?.();
    for (const [name, [old, given]] of before) {
      if (process.env[name] !== given) continue;
      if (old === undefined) delete process.env[name];
      else process.env[name] = old;
    }
  };
}

/** Makes the bytes the standard input, of the process and of its children. */
function setInput(bytes) {
  let name = '/dev/null';
  if (bytes.length > 0) {
    name = `/tmp/.stdin-${process.pid}`;
    fs.writeFileSync(name, bytes, { flag: 'wx', mode: 0o600 });
  }
  try {
    fs.closeSync(0);
  } catch {
    // The program has closed it.
  }
  fs.openSync(name, 'r'); // It gets the lowest number.
  if (bytes.length > 0) fs.unlinkSync(name);
  let stream;
  Object.defineProperty(process, 'stdin', {
    configurable: true,
    enumerable: true,
    get: () => (stream ??= new fs.ReadStream(null, { fd: 0, autoClose: false })),
  });
}

/** Calls back when the streams have written what they were given. */
function flush([stream, ...others], done) {
  if (stream === undefined) done();
  else if (stream.writableLength === 0 || stream.destroyed) flush(others, done);
  else stream.write('', () => flush(others, done));
}

/** Begins a session in this interpreter. */
function begin(control, program) {
  new Session(control, program).begin();
}

module.exports = { begin };
