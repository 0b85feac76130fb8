'use strict';
// This module describes an uncaught error. The error may be any value, and the
// program may have changed built-in objects.

const { inspect, types } = require('util');

const { Number, String } = globalThis;
const { apply } = Reflect;
const { isNativeError, isProxy } = types;
const uncurry = (method) => (self, ...list) => apply(method, self, list);
const indexOf = uncurry(String.prototype.indexOf);
const slice = uncurry(String.prototype.slice);
const startsWith = uncurry(String.prototype.startsWith);
const { parseInt } = Number;

/** Returns the result of the function, or `other` if it throws. */
function or(other, call) {
  try {
    return call();
  } catch {
    return other;
  }
}

/** Returns the line number of the file's first frame in the trace, or 0. */
function lineOf(stack, file) {
  for (let from = 0; from <= stack.length;) {
    const end = indexOf(stack, '\n', from);
    const line = slice(stack, from, end < 0 ? stack.length : end);
    const at = indexOf(line, `${file}:`);
    // The trace of a syntax error begins with the position of the error.
    if (at >= 0 && (startsWith(line, '    at ') || startsWith(line, file) || startsWith(line, `file://${file}`))) {
      return parseInt(slice(line, at + file.length + 1), 10) || 0;
    }
    if (end < 0) break;
    from = end + 1;
  }
  return 0;
}

/** Returns the name, message and trace of the error, and its line in the file. */
function describe(error, file) {
  if (or(false, () => isNativeError(error)) && !isProxy(error)) {
    const message = or('', () => String(error.message));
    const name = or('Error', () => String(error.name));
    const stack = or(`${name}: ${message}`, () => String(error.stack));
    return [name, message, stack, String(lineOf(stack, file))];
  }
  const plain = () => (isProxy(error) || typeof error === 'object' || typeof error === 'function' ? `[${typeof error}]` : String(error));
  const shown = typeof error === 'string' ? error : or(undefined, () => inspect(error)) ?? or(plain(), () => inspect(error, { customInspect: false }));
  return [error === null ? 'null' : typeof error, shown, shown, '0'];
}

/** Returns the fields, cut to the lengths that the agent accepts. */
function shortened(fields) {
  return [slice(fields[0], 0, 1024), slice(fields[1], 0, 16384), slice(fields[2], -65536), fields[3]];
}

module.exports = { describe, shortened };
