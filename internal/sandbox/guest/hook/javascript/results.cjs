'use strict';
// This module shows values: it converts them to text and to other forms, and sends
// these forms to the agent.
//
// Reading a value can run any code, but must not change how the program continues. So
// this module calls no function that a program may have replaced. It calls code of
// the program only if this code is meant to show values. Such code cannot end the
// process. The amount of output for a value is limited.

const { Buffer } = require('buffer');
const fs = require('fs');
const { inspect, types } = require('util');
const { isStringOneByteRepresentation: isOneByte } = require('v8');
const { internals } = require('./internals.cjs');
const { frame, kinds } = require('./protocol.cjs');
const { hideFrames } = require('./traces.cjs');

const { Error, RangeError, TypeError, process } = globalThis;
const { openSync, writeSync, closeSync, constants: { O_WRONLY } } = fs;
const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
const { create, defineProperty, keys } = Object;
const { isArray } = Array;
const { rss } = process.memoryUsage;
const { isFinite } = Number;
const { stringify } = JSON;
const { isProxy, isUint8Array, isDate, isBoxedPrimitive, isMap, isSet, isNativeError, isStringObject } = types;
const { isView } = ArrayBuffer;
const { from: bufferFrom } = Buffer;
const objectPrototype = Object.prototype;
const uncurry = (method) => (self, ...list) => apply(method, self, list);
const slice = uncurry(String.prototype.slice);
const descriptionOf = uncurry(getOwnPropertyDescriptor(Symbol.prototype, 'description').get);
const toISOString = uncurry(Date.prototype.toISOString);
const getTime = uncurry(Date.prototype.getTime);
const dateToJSON = Date.prototype.toJSON;
const bufferToJSON = Buffer.prototype.toJSON;
const bufferToString = uncurry(Buffer.prototype.toString);
const mapSize = uncurry(getOwnPropertyDescriptor(Map.prototype, 'size').get);
const setSize = uncurry(getOwnPropertyDescriptor(Set.prototype, 'size').get);
const mapEntries = uncurry(Map.prototype.entries);
const mapNext = uncurry(getPrototypeOf(new Map().entries()).next);
const setValues = uncurry(Set.prototype.values);
const setNext = uncurry(getPrototypeOf(new Set().values()).next);

const display = Symbol.for('Jupyter.display');
const MAX_MESSAGE = 8 << 20;
const MAX_TEXT = 100_000;
// MAX_LIGHT is a length in characters. Before this module shows a string of at least this
// length, it checks whether enough memory is free.
const MAX_LIGHT = 10_000;
// INTERPRETER is the memory in bytes that a new interpreter needs. RESERVE is the memory
// in bytes that must stay free while strings are shown.
const INTERPRETER = 48 << 20;
const RESERVE = 12 << 20;
// MAX_ENTRIES is the maximum number of entries that are shown of one value, over all
// levels.
const MAX_ENTRIES = 10_000;
// MAX_DEPTH is the maximum depth of JSON. The server accepts a lower depth, and
// reports the deeper values that it leaves out.
const MAX_DEPTH = 1000;
const largest = 10n ** 100_000n;

// `memory` limits the resident memory (RSS) of the process, in bytes. This memory
// includes the pages of Node's executable. Strings may use the fraction `share` of the
// free memory. The function `call` calls code of the program that converts a value to
// text.
const bounds = { memory: Infinity, share: 1, call: (code) => code() };

/**
 * Sets the bounds just before a program begins. Returns the limit of resident memory
 * in bytes.
 */
function setBounds(given) {
  bounds.memory = given.memory > 0 ? given.memory - INTERPRETER + rss() : Infinity;
  bounds.share = given.share ?? bounds.share;
  bounds.call = given.call ?? bounds.call;
  return bounds.memory;
}

/**
 * Returns how many bytes V8 needs to read a string. V8 first joins the string's
 * parts into one. Short strings count as 0.
 */
function weight(text) {
  return text.length < MAX_LIGHT ? 0 : text.length * (isOneByte(text) ? 1 : 2);
}

/** Returns whether the memory suffices for strings with this total weight. */
function fits(weighed) {
  return weighed === 0 || weighed < (bounds.memory - rss() - RESERVE) * bounds.share;
}

/**
 * Returns the value of a property. Returns undefined if there is no such property,
 * or if it has a getter.
 */
function lookUp(object, name) {
  for (let at = object, n = 0; at !== null && n < 1000 && !isProxy(at); at = getPrototypeOf(at), n++) {
    const property = getOwnPropertyDescriptor(at, name);
    if (property !== undefined) return property.value;
  }
  return undefined;
}

/**
 * Calls code of the program. During the call, the code can neither end the process
 * nor print.
 */
function guarded(call) {
  const stop = () => {
    throw new Error('A value that is shown cannot do this');
  };
  const undo = [];
  const replace = (object, name, value) => {
    const before = getOwnPropertyDescriptor(object, name);
    try {
      defineProperty(object, name, { configurable: true, enumerable: before?.enumerable ?? true, writable: true, value });
    } catch {
      return; // The program has frozen the object.
    }
    undo[undo.length] = () => {
      if (before === undefined) delete object[name];
      else defineProperty(object, name, before);
    };
  };
  const code = process.exitCode;
  const names = ['exit', 'reallyExit', 'abort', 'kill', '_kill'];
  for (let i = 0; i < names.length; i++) replace(process, names[i], stop);
  const streams = ['stdout', 'stderr'];
  for (let i = 0; i < streams.length; i++) attempt(() => replace(process[streams[i]], 'write', () => true));
  hideFrames();
  try {
    return bounds.call(call);
  } finally {
    for (let i = undo.length - 1; i >= 0; i--) undo[i]();
    if (process.exitCode !== code) process.exitCode = code;
  }
}

// `seen` maps errors to their first frame. It contains an error only if this module
// was the first to read the error's trace.
const seen = new WeakMap();
const seenGet = uncurry(WeakMap.prototype.get);
const seenSet = uncurry(WeakMap.prototype.set);
const toMessage = uncurry(Error.prototype.toString);

const hook = 'prepareStackTrace';
const plain = getOwnPropertyDescriptor(Error, hook);

/** Returns whether the program has set a function that writes traces. */
function writesTraces() {
  return getOwnPropertyDescriptor(Error, hook)?.value !== plain?.value;
}

/** Writes a trace as Node does, and stores the error's first frame. */
function writeTrace(error, sites) {
  if (sites.length > 0) seenSet(seen, error, sites[0]);
  if (process.sourceMapsEnabled) return internals().prepareStackTrace(error, sites);
  if (typeof plain?.value === 'function') return apply(plain.value, Error, [error, sites]);
  let text = `${toMessage(error)}`;
  for (let i = 0; i < sites.length; i++) text += `\n    at ${sites[i]}`;
  return text;
}

/**
 * Calls the function. During the call, the first frame of each error is stored,
 * because V8 forgets it as soon as the trace is written.
 */
function keepPlaces(call) {
  if (writesTraces()) return call();
  try {
    defineProperty(Error, hook, { configurable: true, enumerable: false, writable: true, value: writeTrace });
  } catch {
    return call();
  }
  try {
    return call();
  } finally {
    if (plain === undefined) delete Error[hook];
    else defineProperty(Error, hook, plain);
  }
}

/**
 * Returns the first frame of an error, if this module was the first to read its
 * trace.
 */
function placeOf(error) {
  return typeof error === 'object' && error !== null ? seenGet(seen, error) : undefined;
}

/** Returns the result of the function, or undefined if it throws. */
function attempt(call) {
  try {
    return call();
  } catch {
    return undefined;
  }
}

/**
 * Counts what inspect would show of a value down to the given depth. It stops at
 * MAX_ENTRIES. Returns how many entries are left, the weight of all strings, and
 * the number of their characters that inspect would show.
 */
function count(value, depth) {
  let left = MAX_ENTRIES;
  let weighed = 0;
  let letters = 0;
  const visit = (at, deep) => {
    if (typeof at === 'string') {
      weighed += weight(at);
      letters += at.length < MAX_TEXT ? at.length : MAX_TEXT;
    }
    if (typeof at === 'symbol') weighed += weight(descriptionOf(at) ?? '');
    if (left <= 0 || at === null || (typeof at !== 'object' && typeof at !== 'function') || isProxy(at)) return;
    left--;
    if (deep < 0) return;
    if (isArray(at)) {
      for (let i = 0; i < at.length && i < 100 && left > 0; i++) {
        left--;
        visit(getOwnPropertyDescriptor(at, i)?.value, deep - 1);
      }
      return;
    }
    if (isMap(at)) {
      const entries = mapEntries(at);
      left -= mapSize(at) > 100 ? 100 : mapSize(at);
      for (let i = 0; i < 100 && left > 0; i++) {
        const { done, value: entry } = mapNext(entries);
        if (done) break;
        visit(entry[0], deep - 1);
        visit(entry[1], deep - 1);
      }
    } else if (isSet(at)) {
      const values = setValues(at);
      left -= setSize(at) > 100 ? 100 : setSize(at);
      for (let i = 0; i < 100 && left > 0; i++) {
        const { done, value: element } = setNext(values);
        if (done) break;
        visit(element, deep - 1);
      }
    } else if (isView(at)) {
      return;
    } else if (isNativeError(at) || typeof at === 'function') {
      visitText(at, 'message');
      visitText(at, 'name');
    }
    const names = keys(at);
    left -= names.length;
    for (let i = 0; i < names.length && left > 0; i++) visit(getOwnPropertyDescriptor(at, names[i])?.value, deep - 1);
  };
  // An error's trace contains the message and the name of the error. V8 makes several
  // copies of the trace, so count the message and the name several times.
  const visitText = (at, name) => {
    const text = lookUp(at, name);
    if (typeof text === 'string') weighed += 4 * weight(text);
  };
  visit(value, depth);
  return { left, weighed, letters };
}

/** Returns an object of the same class with only the value's first 1,000 properties. */
function shortened(value) {
  const names = keys(value);
  const copy = create(getPrototypeOf(value));
  for (let i = 0; i < 1000; i++) defineProperty(copy, names[i], getOwnPropertyDescriptor(value, names[i]));
  return copy;
}

/**
 * Returns a value that inspect shows in the same way, except for one case: If the value's
 * own inspect method returns a long text, the text is cut.
 */
function withShortText(value) {
  const own = attempt(() => lookUp(value, inspect.custom));
  if (typeof own !== 'function') return value;
  return {
    [inspect.custom](...args) {
      const text = apply(own, value, args);
      if (typeof text !== 'string' || text.length <= MAX_TEXT) return text;
      return fits(weight(text)) ? slice(text, 0, MAX_TEXT + 1) : `[String with ${text.length} characters]`;
    },
  };
}

/** Returns the value as text of at most 100,000 characters. */
function toText(value) {
  if (typeof value === 'string' && !fits(weight(value))) return `[String with ${value.length} characters]`;
  if (typeof value === 'symbol' && !fits(weight(descriptionOf(value) ?? ''))) return '[Symbol with a long description]';
  if (typeof value === 'string') return cut(inspect(value.length > MAX_TEXT ? slice(value, 0, MAX_TEXT) : value, { maxStringLength: MAX_TEXT }), value.length > MAX_TEXT);
  // Converting a very large number to digits takes long.
  if (typeof value === 'bigint' && (value > largest || value < -largest)) return '[BigInt with more than 100,000 digits]';
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return cut(inspect(value));
  let maxStringLength = MAX_TEXT;
  let shown = withShortText(value);
  const show = (options) => attempt(() => guarded(() => keepPlaces(() => inspect(options.customInspect === false ? value : shown, { maxStringLength, ...options }))));
  const last = typeof value === 'function' ? '[Function]' : '[object]';
  if (isProxy(value)) return cut(show({ customInspect: false }) ?? last);
  if (isStringObject(value) && value.length > MAX_TEXT) return '[String with more than 100,000 characters]';
  if (isNativeError(value) && writesTraces()) {
    // A program can define a function that writes traces. This module must not read the
    // trace, because the read would call this function. The function must be called only
    // when the program itself reads a trace.
    return cut(`[${lookUp(value, 'name')}: ${lookUp(value, 'message')}]`);
  }
  let depth = 2;
  let counted;
  for (; ; depth--) {
    counted = attempt(() => count(value, depth));
    if (depth === 0 || counted === undefined || (counted.left > 0 && fits(counted.weighed))) break;
  }
  if (counted?.letters > 40 * MAX_TEXT) maxStringLength = 1000;
  if (counted !== undefined && !fits(counted.weighed)) return `${isArray(value) ? '[Array]' : last}: too large to be shown`;
  let more = '';
  if (depth === 0 && !isArray(value)) {
    const left = (attempt(() => keys(value).length) ?? 0) - 1000;
    const short = left > 0 ? attempt(() => shortened(value)) : undefined;
    if (short !== undefined) {
      value = shown = short;
      more = `\n… ${left} more properties`;
    }
  }
  return cut((show({ depth }) ?? show({ depth, customInspect: false }) ?? show({ depth: 0, customInspect: false, showProxy: true }) ?? attempt(() => toJSON(value)) ?? last) + more);
}

function cut(text, isCut = false) {
  return text.length > MAX_TEXT || isCut ? `${slice(text, 0, MAX_TEXT)}…` : text;
}

/**
 * Returns the JSON that JSON.stringify would return. Returns undefined if the value
 * has no JSON, or if the JSON is too long. Also returns undefined if a getter would
 * have to be called.
 */
function toJSON(value) {
  let text = '';
  const write = (part) => {
    text += part;
    if (text.length > MAX_TEXT) throw new RangeError('It is too long');
  };
  /**
   * Writes `before` and the value. If JSON cannot express the value, writes nothing
   * and returns false.
   */
  const visit = (at, before, depth) => {
    if (depth > MAX_DEPTH) throw new RangeError('It is too deep');
    switch (typeof at) {
      case 'string':
        if (at.length > MAX_TEXT) throw new RangeError('It is too long');
        write(before + stringify(at));
        return true;
      case 'number':
        write(before + (isFinite(at) ? `${at}` : 'null'));
        return true;
      case 'boolean':
        write(before + at);
        return true;
      case 'bigint':
        throw new TypeError('JSON has no such numbers');
      case 'object':
        break;
      default:
        return false;
    }
    if (at === null) {
      write(`${before}null`);
      return true;
    }
    if (isProxy(at)) throw new TypeError('It is not a plain value');
    if (isBoxedPrimitive(at)) throw new TypeError('It is not a plain value');
    const own = method(at, 'toJSON');
    if (own === dateToJSON && isDate(at)) {
      write(before + (isFinite(getTime(at)) ? stringify(toISOString(at)) : 'null'));
      return true;
    }
    if (own !== undefined) {
      if (own === bufferToJSON) throw new TypeError('It is not a plain value');
      return visit(guarded(() => apply(own, at, [''])), before, depth + 1);
    }
    if (isArray(at)) {
      write(`${before}[`);
      for (let i = 0; i < at.length; i++) {
        const element = data(at, i);
        if (!visit(element, i === 0 ? '' : ',', depth + 1)) write(i === 0 ? 'null' : ',null');
      }
      write(']');
      return true;
    }
    write(`${before}{`);
    let any = false;
    const names = keys(at);
    for (let i = 0; i < names.length; i++) {
      if (visit(data(at, names[i]), `${any ? ',' : ''}${stringify(names[i])}:`, depth + 1)) any = true;
    }
    write('}');
    return true;
  };
  return visit(value, '', 0) ? text : undefined;
}

/**
 * Returns the value of an object's own property. Throws if the property has a
 * getter.
 */
function data(object, name) {
  const property = getOwnPropertyDescriptor(object, name);
  if (property !== undefined && property.get !== undefined) throw new TypeError('It is computed');
  return property?.value;
}

/** Returns the method with this name, or undefined. */
function method(object, name) {
  const found = lookUp(object, name);
  return typeof found === 'function' ? found : undefined;
}

/** Returns whether the value is an array, or an object without a class. */
function isPlain(value) {
  return isArray(value) || getPrototypeOf(value) === objectPrototype;
}

/** Returns the forms of the value, by their media types. */
function bundle(value) {
  const forms = create(null);
  if (typeof value === 'object' && value !== null && !isProxy(value)) {
    const own = attempt(() => method(value, display));
    if (own !== undefined) {
      attempt(() => {
        const given = guarded(() => apply(own, value, []));
        const names = keys(given);
        for (let i = 0; i < names.length && i < 100; i++) forms[names[i]] = given[names[i]];
      });
    }
    if (isUint8Array(value)) {
      if (value[0] === 0x89 && value[1] === 0x50 && value[2] === 0x4e && value[3] === 0x47) forms['image/png'] ??= value;
      if (value[0] === 0xff && value[1] === 0xd8 && value[2] === 0xff) forms['image/jpeg'] ??= value;
    } else if (own === undefined && attempt(() => isPlain(value))) {
      const json = attempt(() => toJSON(value));
      if (json !== undefined) forms['application/json'] ??= json;
    }
  }
  forms['text/plain'] ??= toText(value);
  return forms;
}

function encode(form) {
  if (typeof form === 'string') return form.length > MAX_MESSAGE ? undefined : bufferFrom(form);
  const isBytes = typeof form === 'object' && form !== null && !isProxy(form) && isUint8Array(form);
  if (isBytes && form.length > MAX_MESSAGE) return undefined;
  if (isBytes) return bufferFrom(bufferToString(bufferFrom(form), 'base64'));
  return bufferFrom(toJSON(form) ?? '');
}

function send(forms) {
  const fields = [];
  const names = keys(forms);
  let size = 0;
  for (let i = 0; i < names.length; i++) {
    const bytes = attempt(() => encode(forms[names[i]]));
    if (bytes === undefined) continue;
    const name = bufferFrom(names[i]);
    size += 8 + name.length + bytes.length;
    if (size > MAX_MESSAGE) return;
    fields[fields.length] = name;
    fields[fields.length] = bytes;
  }
  const message = frame(kinds.result, fields);
  const fd = openSync('/run/results', O_WRONLY);
  try {
    for (let sent = 0; sent < message.length;) sent += writeSync(fd, message, sent);
  } finally {
    closeSync(fd);
  }
}

/** Sends values to the agent. It never throws. */
function show(...values) {
  for (let i = 0; i < values.length; i++) {
    // Ignore errors, because the agent may have stopped reading values.
    attempt(() => send(bundle(values[i])));
  }
}

module.exports = { bundle, fits, placeOf, setBounds, show, toText, weight };
