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
 * called eval: V8 does not apply the offset of the script there.
 */
function withEvalLines(trace, file) {
  const place = `(${file}:`;
  let text = '';
  let from = 0;
  for (let at = indexOf(trace, 'eval at '); at >= 0; at = indexOf(trace, 'eval at ', at + 1)) {
    const end = indexOf(trace, '\n', at);
    const found = indexOf(trace, place, at);
    if (found < from || (end >= 0 && found > end)) continue;
    const digits = found + place.length;
    const line = parseInt(slice(trace, digits), 10);
    text += slice(trace, from, digits) + (line - 1);
    from = digits + `${line}`.length;
  }
  return text + slice(trace, from);
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
