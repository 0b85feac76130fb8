'use strict';
// This module removes two kinds of frames from the traces that programs see: frames
// of this directory's modules, and frames of the code that calls a session's runs.
//
// When code reads a trace for the first time, V8 passes the frames to a function of Node.
// This function writes the trace. A function of this module gets the frames before Node's
// function and removes some frames.

const { internals } = require('./internals.cjs');

const { Error } = globalThis;
const { apply, getPrototypeOf } = Reflect;
const uncurry = (method) => (self, ...list) => apply(method, self, list);
const indexOf = uncurry(String.prototype.indexOf);
const slice = uncurry(String.prototype.slice);
const { parseInt } = Number;
const startsWith = uncurry(String.prototype.startsWith);

const siteOf = () => {
  const before = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  Error.prepareStackTrace = (error, sites) => sites;
  try {
    return new Error().stack[0];
  } finally {
    if (before === undefined) delete Error.prepareStackTrace;
    else Object.defineProperty(Error, 'prepareStackTrace', before);
  }
};
const fileName = uncurry(getPrototypeOf(siteOf()).getFileName);

let installed = false;
let isRaw = false;
/** Gets the text of each trace that Node writes, and returns the text to show. */
let rewrite = (text) => text;

function fileOf(site) {
  try {
    return fileName(site);
  } catch {
    return undefined;
  }
}

/**
 * Returns the frames of the program. Omits the frames of this directory's modules
 * and the frames below a run.
 */
function theirs(sites) {
  let end = sites.length;
  const called = end > 1 && fileOf(sites[end - 1]) === 'node:internal/timers' ? end - 1 : end;
  if (called > 0 && fileOf(sites[called - 1]) === 'node:inspector') end = called - 1;
  const left = [];
  for (let i = 0; i < end; i++) {
    const file = fileOf(sites[i]);
    if (typeof file !== 'string' || !startsWith(file, `${__dirname}/`)) left[left.length] = sites[i];
  }
  return left;
}

/**
 * Hides the hook's frames in traces. `change`, if given, gets the text of each trace
 * and returns the text to show.
 */
function hideFrames(change) {
  if (change !== undefined) rewrite = change;
  if (installed) return;
  installed = true;
  const { prepareTrace, setPrepareTrace } = internals();
  if (typeof prepareTrace !== 'function' || typeof setPrepareTrace !== 'function') return;
  setPrepareTrace((global, error, sites) => {
    if (isRaw) return prepareTrace(global, error, sites);
    const trace = prepareTrace(global, error, theirs(sites));
    return typeof trace === 'string' ? rewrite(trace) : trace;
  });
}

/**
 * Corrects the positions where a trace names the file as the caller of eval. At these
 * positions, line numbers are one too high, because V8 ignores the offset of the script.
 * V8 also shows the name in the sourceURL comment of the file. For TypeScript, this name
 * is a URL. The result has the path instead, as in Node.
 */
function withEvalLines(trace, file) {
  let text = '';
  let from = 0;
  for (let at = indexOf(trace, 'eval at '); at >= 0; at = indexOf(trace, 'eval at ', at + 1)) {
    const lineEnd = indexOf(trace, '\n', at);
    const found = placeIn(trace, file, at);
    if (found === undefined || found.start < from || (lineEnd >= 0 && found.start > lineEnd)) continue;
    const line = parseInt(slice(trace, found.end), 10);
    text += `${slice(trace, from, found.start)}(${file}:${line - 1}`;
    from = found.end + `${line}`.length;
  }
  return text + slice(trace, from);
}

/**
 * Returns the next place in the trace with an opening parenthesis and the file's
 * path or URL.
 */
function placeIn(trace, file, from) {
  let found;
  const names = [`(${file}:`, `(file://${file}:`];
  for (let i = 0; i < names.length; i++) {
    const start = indexOf(trace, names[i], from);
    if (start >= 0 && (found === undefined || start < found.start)) found = { start, end: start + names[i].length };
  }
  return found;
}

/**
 * Calls the function. Traces that are first read during the call contain all frames.
 */
function withAllFrames(call) {
  isRaw = true;
  try {
    return call();
  } finally {
    isRaw = false;
  }
}

module.exports = { hideFrames, withAllFrames, withEvalLines };
