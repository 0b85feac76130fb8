'use strict';
// This module compiles TypeScript to JavaScript.
//
// Node removes the types from TypeScript and leaves all other text at its position. It
// refuses syntax that must be compiled, such as enums and decorators. So this module
// replaces the function that Node calls for each TypeScript file. Like Node's function,
// the new function first removes the types. If this fails, the new function runs a
// compiler in a separate process. The compiler returns a source map, which Node uses for
// traces.

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { fileURLToPath } = require('url');
const { internals, scopeOf } = require('./internals.cjs');

const compiler = '/pyth-on/typescript';
const MAX_OUTPUT = 64 << 20;
const { parse, stringify } = JSON;
const { apply } = Reflect;
// Keep the original methods, because a program may replace them.
const uncurry = (method) => (self, ...list) => apply(method, self, list);
const getFrom = uncurry(Map.prototype.get);
const includes = uncurry(String.prototype.includes);
const setIn = uncurry(Map.prototype.set);
const slice = uncurry(String.prototype.slice);
const startsWith = uncurry(String.prototype.startsWith);
const test = uncurry(RegExp.prototype.test);
const bufferToString = uncurry(Buffer.prototype.toString);

// `maps` maps names of a session's runs to their source maps. Only runs that needed
// the compiler have a source map.
const maps = new Map();

let installed = false;
let spawnSync;
/** Gets the compiled code of a file, and returns the code that Node runs. */
let rewrite = (file, code) => code;
// `last` is the latest source and its result. It is a cache, because Node requests each
// file twice.
let last = { source: undefined };

/** Returns the text of the tsconfig.json that applies to a file, or ''. */
function configurationOf(file) {
  for (let directory = path.dirname(file); ; directory = path.dirname(directory)) {
    try {
      return fs.readFileSync(path.join(directory, 'tsconfig.json'), 'utf8');
    } catch {
      if (directory === path.dirname(directory)) return '';
    }
  }
}

/** Runs the compiler. Returns its output, or undefined if it fails. */
function compile(file, source, jsx) {
  const tsconfig = configurationOf(file);
  const input = stringify({ file, source, tsconfig, jsx });
  const { stdout, status, error } = spawnSync(compiler, [], { input, env: { GOMAXPROCS: '1' }, cwd: '/', maxBuffer: MAX_OUTPUT });
  if (error !== undefined || status !== 0) return undefined;
  return parse(bufferToString(stdout));
}

/**
 * Returns whether the JavaScript contains decorators or accessors. V8 does not
 * support them, and Node does not remove them.
 */
function needsCompiler(code) {
  if (!includes(code, '@') && !test(/\baccessor\b/, code)) return false;
  const { acorn } = internals();
  if (acorn === undefined) return false;
  try {
    acorn.parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true, allowReturnOutsideFunction: true });
    return false;
  } catch (error) {
    return error instanceof SyntaxError && (code[error.pos] === '@' || test(/\baccessor\s+$/, slice(code, error.pos > 100 ? error.pos - 100 : 0, error.pos)));
  }
}

/** Returns an error that Node converts to a SyntaxError. */
function refusal(file, text, { line, lineText, column }) {
  const before = Buffer.from(lineText).subarray(0, column).toString().replace(/[^\t]/g, ' ');
  return { code: 'InvalidSyntax', message: text, filename: file, startLine: line, snippet: `${lineText}\n${before}^\n` };
}

/** Makes Node call the compiler for TypeScript that Node itself would refuse. */
function install() {
  if (installed) return;
  installed = true;
  ({ spawnSync } = require('child_process'));
  const { amaro } = internals();
  const strip = amaro === undefined ? undefined : scopeOf(amaro.transformSync).import_wasm?.default;
  if (typeof strip?.transformSync !== 'function') return;
  const { transformSync } = strip;
  strip.transformSync = function (source, options) {
    const name = options.filename;
    const isOurs = options.mode === 'strip-only' && typeof name === 'string' && (test(/\.[cm]?ts$/, name) || startsWith(name, '<run-'));
    if (!isOurs) return apply(transformSync, this, [source, options]);
    if (last.source === source && last.name === name) return last.result;
    const file = startsWith(name, 'file:') ? fileURLToPath(name) : path.resolve('/work', name);
    let result;
    let failure;
    try {
      result = apply(transformSync, this, [source, options]);
    } catch (error) {
      failure = error;
    }
    if (failure === undefined ? needsCompiler(result.code) : failure.code === 'UnsupportedSyntax') {
      const compiled = compile(file, source, false);
      if (compiled?.error !== undefined) throw refusal(name, compiled.error.text, compiled.error);
      if (compiled !== undefined) {
        Module.setSourceMapsSupport?.(true, { nodeModules: true, generatedCode: false });
        if (startsWith(name, '<run-')) setIn(maps, name, compiled.map);
        result = { code: rewrite(file, compiled.code), map: compiled.map };
        failure = undefined;
      }
    } else if (failure?.code === 'InvalidSyntax' && test(/<[\w>]/, source) && compile(file, source, true)?.error === undefined) {
      const { error } = compile(file, source, false) ?? {};
      if (error !== undefined) failure = refusal(name, 'JSX is not supported: the program is TypeScript and not TSX. Compile it ahead, or call the functions that it stands for', error);
    }
    if (failure !== undefined) throw failure;
    last = { source, name, result };
    return result;
  };
}

/**
 * Makes Node run the result of `change` instead of the program's compiled code. If
 * the program needs no compiler, `change` is not called.
 */
function onCompiled(program, change) {
  rewrite = (file, code) => (file === program ? change(code) : code);
}

/**
 * Returns the source with spaces in place of types, or, if needed, the compiled code
 * with a source map. Traces show the given name.
 */
function strip(source, name) {
  install();
  return internals().strip(source, name, name);
}

/** Returns whether the compiler has made this JavaScript. */
function isCompiled(code) {
  return includes(code, '\n//# sourceMappingURL=data:application/json;base64,');
}

/**
 * Converts a position in the JavaScript of a run to the position in its TypeScript.
 * `name` is the name of the run. Returns undefined if the run did not need the
 * compiler.
 */
function originOf(name, line, column) {
  let map = getFrom(maps, name);
  if (map === undefined) return undefined;
  if (typeof map === 'string') {
    map = new Module.SourceMap(parse(map));
    setIn(maps, name, map);
  }
  const { originalLine, originalColumn } = map.findEntry(line - 1, column - 1);
  return originalLine === undefined ? undefined : { line: originalLine + 1, column: originalColumn + 1 };
}

module.exports = { install, isCompiled, onCompiled, originOf, strip };
