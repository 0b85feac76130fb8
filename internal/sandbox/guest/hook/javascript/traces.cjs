'use strict';
// Keeps frames of these modules, and those by which a session calls its runs, out
// of the traces that programs see.
//
// V8 has Node write each trace when it is first asked for, and hands it the
// frames. A function of this module gets them first.

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
/** Called with the text of a trace; what it returns is the trace. */
let rewrite = (text) => text;

function fileOf(site) {
  try {
    return fileName(site);
  } catch {
    return undefined;
  }
}

/** The frames without those of these modules, and without what is below a run. */
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

/** Has Node write traces without these frames, and then the function change them. */
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
 * Returns a trace with the lines of the file one less where it tells what has
 * called eval: V8 does not apply the offset of the script there. It uses the name
 * that the source gives itself, which is the URL for TypeScript, and Node the path.
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

/** Where the trace has the name of the file in brackets next, as its path or its URL. */
function placeIn(trace, file, from) {
  let found;
  const names = [`(${file}:`, `(file://${file}:`];
  for (let i = 0; i < names.length; i++) {
    const start = indexOf(trace, names[i], from);
    if (start >= 0 && (found === undefined || start < found.start)) found = { start, end: start + names[i].length };
  }
  return found;
}

/** Calls the function, which asks for a trace with all frames. */
function withAllFrames(call) {
  isRaw = true;
  try {
    return call();
  } finally {
    isRaw = false;
  }
}

module.exports = { hideFrames, withAllFrames, withEvalLines };
