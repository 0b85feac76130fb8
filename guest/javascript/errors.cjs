'use strict';
// Tells what an uncaught error is.

const { inspect, types } = require('util');

/** The line of the file that the trace shows first, 0 if none is. */
function lineOf(stack, file) {
  for (const line of stack.split('\n')) {
    const at = line.indexOf(`${file}:`);
    // What does not compile has the place at the top of its trace.
    if (at >= 0 && (line.startsWith('    at ') || line.startsWith(file) || line.startsWith(`file://${file}`))) {
      return Number.parseInt(line.slice(at + file.length + 1), 10);
    }
  }
  return 0;
}

/** The name of the error, its message, its trace, and its line in the file. */
function describe(error, file) {
  if (types.isNativeError(error) && !types.isProxy(error)) {
    const stack = String(error.stack);
    return [String(error.name), String(error.message), stack, String(lineOf(stack, file))];
  }
  const shown = typeof error === 'string' ? error : inspect(error);
  return [error === null ? 'null' : typeof error, shown, shown, '0'];
}

/** Makes of the fields what the agent reads. */
function join([name, message, stack, line]) {
  const fields = [name.slice(0, 1024), message.slice(0, 16384), stack.slice(-65536), line];
  return fields.map((f) => f.replaceAll('\0', '\ufffd')).join('\0');
}

module.exports = { describe, join };
