'use strict';
// This module makes an interpreter that has started wait for its program.
//
// The guest agent starts `node main.js`, or main.ts, with this module in NODE_OPTIONS.
// Before Node runs the file, it reads the property Module.runMain. This module has
// replaced the property by a getter, which waits for the job and then returns the
// function that Node expects. When the program runs, no frame of this module is on the
// stack. So Node runs the program as usual: traces, exit codes, 'exit' handlers and
// require.main are unchanged.
//
// Processes that the program starts do not load this module. Worker threads load this
// module, because they inherit the options of the thread that starts them. In a worker,
// the module only removes itself.

const Module = require('module');
const fs = require('fs');
const path = require('path');
const { fileURLToPath, pathToFileURL } = require('url');
const { capture, handOver, warm } = require('./capture.cjs');
const { makeCheckpoint } = require('./checkpoint.cjs');
const errors = require('./errors.cjs');
const { internals } = require('./internals.cjs');
const { HEADER, fieldsOf, frame, frameSize, kinds } = require('./protocol.cjs');
const { placeOf, setBounds, show } = require('./results.cjs');
const types = require('./types.cjs');

const control = 100;

// `own` maps paths to modules. It contains the loaded modules of this directory.
const own = new Map();

/** Removes the directory's modules from Node's caches, and stores them in `own`. */
function forget(directory) {
  for (const cache of [Module._cache, Module._pathCache]) {
    for (const key of Object.keys(cache)) {
      if (!key.startsWith(directory)) continue;
      if (cache === Module._cache) own.set(key, cache[key]);
      delete cache[key];
    }
  }
}

function receive(size) {
  const buffer = Buffer.alloc(size);
  for (let have = 0; have < size;) {
    const n = fs.readSync(control, buffer, have, size - have);
    if (n === 0) process.reallyExit(0); // The agent has ended.
    have += n;
  }
  return buffer;
}

/**
 * Waits for the job. If the interpreter was not restored, first tells the agent that the
 * interpreter is ready.
 */
function wait(restored) {
  if (!restored) fs.writeSync(control, frame(kinds.hello, []));
  const header = receive(HEADER);
  const [mode, program, options, , memory, args, env] = fieldsOf(receive(frameSize(header) - HEADER));
  const list = (field) => fieldsOf(field).map(String);
  const job = { mode: `${mode}`, program: `${program}`, options: `${options}`, memory: `${memory}`, args: list(args), env: list(env) };
  // Keep the socket open for a session, which receives its programs over the socket.
  if (job.mode !== 'session') {
    // Wait until the agent has closed its end of the socket. Before that, programs could
    // see this end in /proc/net/unix.
    fs.readSync(control, new Uint8Array(1));
    fs.closeSync(control);
  }
  // Set the working directory again, because the kernel changes it when the kernel
  // restores the interpreter.
  process.chdir('/work');
  return job;
}

/** Runs code in advance, because its first execution is slow. */
function prepare() {
  // Load these modules in advance, because console.log and reads of standard input
  // need them.
  require('net');
  require('stream');
  require('util').inspect({ warm: ['one', 1, new Map()] });
  const compile = (name, source) => {
    const warm = new Module(`${__dirname}/${name}`);
    warm.filename = warm.id;
    warm._compile(source, warm.filename);
  };
  compile('warm.js', 'exports.f = (x) => [`${x}`]; exports.f(require("fs"));');
  compile('warm-module.js', 'import fs from "node:fs"; export const x = fs;');
  if (process.argv[1].endsWith('.ts')) {
    types.install();
    require('./warm.ts');
  }
  warm();
}

function setEnvironment(variables) {
  const home = process.env.HOME;
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const variable of variables) {
    const i = variable.indexOf('=');
    process.env[variable.slice(0, i)] = variable.slice(i + 1);
  }
  if (process.env.HOME !== home) Module._initPaths();
  // If this variable is set, Node sets the proxy when Node starts. Here the job sets the
  // variable later, so set the proxy now.
  if (process.env.NODE_USE_ENV_PROXY === '1') require('http').setGlobalProxyFromEnv();
}

/**
 * Returns whether Node reads the variable only at its start. Such variables select
 * the locale, for example.
 */
function needsStart(variable) {
  if (variable.startsWith('LANG=')) return variable !== 'LANG=C.UTF-8';
  return ['LC_', 'SSL_', 'OPENSSL_'].some((prefix) => variable.startsWith(prefix));
}

/** Restarts Node for the job. The new process loads this module again. */
function startAnew(job) {
  const env = { NODE_OPTIONS: job.options || process.env.NODE_OPTIONS };
  if (job.mode !== 'plain') Object.assign(env, { PYTH_ON_MODE: job.mode, PYTH_ON_MEMORY: job.memory });
  for (const variable of job.env) {
    const i = variable.indexOf('=');
    env[variable.slice(0, i)] = variable.slice(i + 1);
  }
  process.execve(process.execPath, ['node', path.basename(job.program), ...job.args], env);
}

// `dying` is true while an error is ending the program.
let dying = false;

/**
 * Makes Node end the process, like process.exit(), as soon as nothing is left to do.
 * Otherwise Node would first free its data structures, which takes longer than most
 * programs run. The kernel does this faster.
 *
 * Node reads process.emit just before it calls the listeners of 'exit'. If there are
 * no listeners, the getter ends the process at this moment.
 */
function endFast() {
  const prototype = Object.getPrototypeOf(process);
  const { apply } = Reflect;
  const { reallyExit, moduleLoadList } = process;
  const needsNode = () =>
    dying || process._events.exit !== undefined || process.reallyExit !== reallyExit ||
    // An ES module may wait for a promise that never settles. Node reports such a
    // promise at the end of the process.
    process.mainModule === undefined ||
    // When Node closes a database at the end, it may write to the database.
    moduleLoadList.includes('NativeModule sqlite') ||
    Object.keys(Module._cache).some((name) => name.endsWith('.node'));
  Object.defineProperty(prototype, 'emit', {
    configurable: true,
    enumerable: true,
    get() {
      if (process._exiting && !needsNode()) apply(reallyExit, process, [process.exitCode || 0]);
      return Object.getPrototypeOf(prototype).emit;
    },
    set(value) {
      Object.defineProperty(this, 'emit', { configurable: true, enumerable: true, writable: true, value });
    },
  });
}

/**
 * Makes Node print the source line of the frame that threw a rejected error. V8 no
 * longer knows this line if the error has been shown as a value.
 */
function showPlace(error) {
  const site = placeOf(error);
  let file = site?.getFileName();
  if (typeof file !== 'string') return;
  let [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  const origin = Module.findSourceMap(file)?.findEntry(line - 1, column - 1);
  if (origin?.originalSource !== undefined) {
    file = fileURLToPath(new URL(origin.originalSource, 'file:'));
    [line, column] = [origin.originalLine + 1, origin.originalColumn + 1];
  }
  const text = fs.readFileSync(file.startsWith('file:') ? fileURLToPath(file) : file, 'utf8');
  const source = file.endsWith('.ts') && origin === undefined ? types.strip(text, file) : text;
  const shown = source.split(/\r\n|[\n\r\u2028\u2029]/)[line - 1];
  const before = shown.slice(0, column - 1).replace(/[^\t]/g, ' ');
  internals().setArrowMessage?.(error, `${file}:${line}\n${shown}\n${before}^\n`);
}

/** Reports uncaught errors to the agent. The program's own handlers run first. */
function reportErrors() {
  const { openSync, writeSync, closeSync } = fs;
  const { describe, shortened } = errors;
  const uncaught = process._fatalException;

  const report = (error) => {
    const data = frame(kinds.report, shortened(describe(error, process.argv[1])));
    const fd = openSync('/run/report', 'r+');
    writeSync(fd, data);
    closeSync(fd);
  };
  process._fatalException = (error, fromPromise) => {
    dying = true;
    const handled = uncaught(error, fromPromise);
    if (handled) {
      dying = false;
    } else {
      try {
        if (fromPromise) showPlace(error);
        report(error);
      } catch {
        // Ignore errors of the report, because the program's output must not change.
      }
    }
    return handled;
  };
}

function waits() {
  try {
    fs.fstatSync(control);
    return true;
  } catch {
    return false;
  }
}

function main() {
  forget(__dirname);
  const none = { configurable: true, enumerable: true, writable: false, value: [] };
  Object.defineProperty(process, '_preload_modules', none);
  // Do nothing in a worker thread. process.chdir is disabled only in worker threads.
  if (process.chdir.disabled) return;
  reportErrors();
  endFast();
  const { PYTH_ON_MODE: mode, PYTH_ON_MEMORY: memory } = process.env;
  if (mode !== undefined || !waits()) {
    // The function startAnew has set these variables. Delete them, because the program
    // must not see them.
    delete process.env.NODE_OPTIONS;
    delete process.env.PYTH_ON_MODE;
    delete process.env.PYTH_ON_MEMORY;
    if (process.argv[1].endsWith('.ts')) types.install();
    if (mode === 'results') showResults(process.argv[1], memory);
    if (mode === 'session') replaceMain(() => session(process.argv[1], memory));
    return;
  }
  replaceMain((runMain) => {
    prepare();
    forget(__dirname);
    const job = wait(makeCheckpoint(control));
    if (job.options !== '' || job.env.some(needsStart)) startAnew(job);
    setEnvironment(job.env);
    if (job.program.endsWith('.ts')) types.install();
    if (job.mode === 'session') return session(job.program, job.memory);
    if (job.mode === 'results') showResults(job.program, job.memory);
    // Clear the last RegExp match, because modules of the hook use regular expressions.
    // Node does the same just before it reads Module.runMain.
    /^/.exec('');
    process.argv.splice(1, 1, job.program, ...job.args);
    // Return a bound function, because a bound function has no frame in traces.
    return runMain.bind(Module, job.program);
  });
}

/**
 * Makes Node send the values that the program displays, and the value of its final
 * expression, to the agent.
 */
function showResults(program, memory) {
  setBounds({ memory: Number(memory) });
  const display = (...values) => show(...values);
  Object.defineProperty(globalThis, 'display', { configurable: true, enumerable: false, writable: true, value: display });
  const isTypeScript = program.endsWith('.ts');
  const toJavaScript = (source) => {
    if (!isTypeScript) return source;
    const code = types.strip(source, pathToFileURL(program).href);
    // If the TypeScript compiler was used, its code already contains the changes of the
    // function handOver.
    return types.isCompiled(code) ? '' : code;
  };
  capture(program, toJavaScript, (value) => {
    if (value !== undefined) show(value);
  });
  if (isTypeScript) types.onCompiled(program, handOver);
}

/**
 * Makes Node call `choose` when it reads Module.runMain. Node then calls the
 * function that `choose` has returned.
 */
function replaceMain(choose) {
  const { runMain } = Module;
  const property = { configurable: true, enumerable: true, writable: true, value: runMain };
  Object.defineProperty(Module, 'runMain', {
    configurable: true,
    enumerable: true,
    get() {
      Object.defineProperty(Module, 'runMain', property);
      return choose(runMain);
    },
  });
}

/** Returns a function that begins a session. */
function session(program, memory) {
  for (const [name, module] of own) Module._cache[name] = module;
  const { begin } = require('./session.cjs');
  forget(__dirname);
  return begin.bind(undefined, control, program, Number(memory));
}

main();
