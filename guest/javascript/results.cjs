'use strict';
// Has the value of a program's final expression, and what it displays, returned
// with the run.
//
// Where the final expression begins is found with V8 itself: it is the last
// place before which the source is a program and after which it is an
// expression. A call is put around it as Node loads the file, so that the file
// stays as it is; positions stay, too, where the expression begins a line other
// than the first.

const fs = require('fs');
const Module = require('module');
const vm = require('vm');
const { inspect } = require('util');

const MAX_SOURCE = 128 << 10;
const MAX_TRIES = 60;
const MAX_MESSAGE = 8 << 20;
const MAX_TEXT = 100_000;
const name = '__pyth_on_result__';
const { openSync, writeSync, closeSync } = fs;

/** Whether the source compiles as what Node would make of it. */
function compiles(source, isModule) {
  try {
    // Imports are no part of a function; they matter here only in that they are
    // whole.
    const body = isModule
      ? source.replace(/^[ \t]*import\b[^'"`;]*['"][^'"\n]*['"][^\n;]*;?/gm, '').replace(/^[ \t]*export\s+(?:default\s+)?(?=[^{*])/gm, '')
      : source;
    new vm.Script(`(${isModule ? 'async ' : ''}function () {${body}\n})`, { filename: 'evalmachine.<anonymous>' });
    return true;
  } catch {
    return false;
  }
}

/** What begins so may go on with what is before it. */
const goesOn = /^(?:[([`/+\-*%,.<>=&|^?:)\]}]|in\b|instanceof\b|else\b|catch\b|finally\b|while\b)/;
/** What begins so is a statement, or has no value that is to be shown. */
const showsNothing = /^(?:console\s*\.|import\b(?!\s*[.(])|export\b|class\b|function\b|async\s+function\b|\{|"use strict"|'use strict')/;

/**
 * Returns the source with a call around its final expression, if it has one, and
 * whether it is a module.
 */
function wrap(source) {
  if (source.length > MAX_SOURCE) return undefined;
  const isModule = !compiles(source, false);
  if (isModule && !compiles(source, true)) return undefined;
  const end = source.replace(/[\s;]+$/, '').length;
  let tries = 0;
  for (let at = end - 1; at >= 0 && tries < MAX_TRIES; at--) {
    if (at > 0 && source[at - 1] !== '\n' && source[at - 1] !== ';') continue;
    const space = /^\s*/.exec(source.slice(at, end))[0].length;
    const start = at + space;
    const expression = source.slice(start, end);
    if (expression === '' || expression.startsWith('//')) continue;
    if (goesOn.test(expression) && source.slice(0, start).trim() !== '') continue;
    tries++;
    if (!compiles(source.slice(0, start), isModule)) continue;
    if (!compiles(`(${expression}\n)`, isModule)) {
      // The last statement begins here, and is no expression.
      if (compiles(expression, isModule)) return undefined;
      continue;
    }
    if (showsNothing.test(expression)) return undefined;
    for (const into of [source.lastIndexOf('\n', start - 1), start]) {
      // At the end of the line before, unless there is a comment.
      if (into < 0) continue;
      const wrapped = `${source.slice(0, into)};${name}(${source.slice(into, end)}\n)${source.slice(end)}`;
      if (compiles(wrapped, isModule) && !compiles(wrapped.slice(0, -(source.length - end) - 2 || undefined), isModule)) {
        return { source: wrapped, isModule };
      }
    }
    return undefined;
  }
  return undefined;
}

function bundle(value) {
  const data = {};
  const own = value !== null && typeof value === 'object' ? value[Symbol.for('Jupyter.display')] : undefined;
  if (typeof own === 'function') {
    try {
      Object.assign(data, own.call(value));
    } catch {
      // Like one that the value does not have.
    }
  }
  if (value instanceof Uint8Array) {
    const head = Buffer.from(value.buffer, value.byteOffset, Math.min(4, value.byteLength)).toString('hex');
    if (head === '89504e47') data['image/png'] ??= value;
    if (head.startsWith('ffd8ff')) data['image/jpeg'] ??= value;
  } else if (Array.isArray(value) || (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype)) {
    try {
      const json = JSON.stringify(value);
      if (typeof own !== 'function' && json.length < MAX_TEXT) data['application/json'] ??= json;
    } catch {
      // It refers to itself, or has what JSON lacks.
    }
  }
  if (data['text/plain'] === undefined) {
    const text = typeof value === 'string' ? inspect(value) : inspect(value, { maxStringLength: MAX_TEXT });
    data['text/plain'] = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  }
  return data;
}

function encode(media, data) {
  if (data instanceof Uint8Array) return Buffer.from(Buffer.from(data).toString('base64'));
  if (typeof data === 'string') return Buffer.from(data);
  return Buffer.from(JSON.stringify(data));
}

function send(data) {
  const parts = [];
  for (const [media, value] of Object.entries(data)) {
    let encoded;
    try {
      encoded = encode(media, value);
    } catch {
      continue;
    }
    for (const part of [Buffer.from(media), encoded]) {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(part.length);
      parts.push(size, part);
    }
  }
  const body = Buffer.concat(parts);
  if (body.length > MAX_MESSAGE) return;
  const size = Buffer.alloc(4);
  size.writeUInt32BE(body.length);
  const message = Buffer.concat([size, body]);
  try {
    const fd = openSync('/run/results', fs.constants.O_WRONLY);
    try {
      for (let sent = 0; sent < message.length; ) sent += writeSync(fd, message, sent);
    } finally {
      closeSync(fd);
    }
  } catch {
    // There is nobody who takes more.
  }
}

function display(...values) {
  for (const value of values) send(bundle(value));
}

/** Has the results of the program at the path returned. */
function capture(program) {
  const property = { configurable: true, enumerable: false, writable: true };
  Object.defineProperty(globalThis, 'display', { ...property, value: display });
  const typescript = program.endsWith('.ts');
  const source = fs.readFileSync(program, 'utf8');
  let plain = source;
  if (typescript) {
    try {
      plain = strip(source);
    } catch {
      return; // Node itself says what is wrong with it.
    }
  }
  const wrapped = wrap(plain);
  if (wrapped === undefined) return;
  Object.defineProperty(globalThis, name, {
    ...property,
    value(value) {
      delete globalThis[name];
      if (value !== undefined) display(value);
      return value;
    },
  });
  const url = require('url').pathToFileURL(program).href;
  // Node loads a module twice, once it knows that it is one.
  let times = wrapped.isModule ? 2 : 1;
  const hooks = Module.registerHooks({
    load(at, context, next) {
      const loaded = next(at, context);
      if (at === url && loaded.source !== null && loaded.source !== undefined) {
        loaded.source = wrapped.source;
        if (--times === 0) hooks.deregister();
      }
      return loaded;
    },
  });
}

/** Takes types out; spaces come in their place. */
function strip(source, sourceUrl) {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return Module.stripTypeScriptTypes(source, { sourceUrl });
  } finally {
    process.emitWarning = emitWarning;
  }
}

module.exports = { capture, display, strip, wrap };
