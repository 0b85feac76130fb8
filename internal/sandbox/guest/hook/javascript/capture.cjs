'use strict';
// This module makes V8 report the value of a program's final expression.
//
// V8 accepts a code cache for any source that has the same length as the cached source.
// So this module compiles a modified program. The modified program passes its final value
// to an object of this module, by a call or by `instanceof`.
//
// V8 then loads the compiled code with the original program as its source. So traces,
// the source lines above traces, and toString() show the original program. The
// modified program has all other text at the same positions, so the positions in
// traces are right.

const fs = require('fs');
const Module = require('module');
const { pathToFileURL } = require('url');
const vm = require('vm');
const { internals } = require('./internals.cjs');
const { finalExpression } = require('./scan.cjs');
const { hideFrames, withEvalLines } = require('./traces.cjs');

const head = '(function (exports, require, module, __filename, __dirname) {\n';
const tail = '\n})';

// `names` contains possible names for the object that receives the value. The module uses
// a name that does not occur in the program.
const names = ['ª', 'º', 'µ', 'ß', 'þ', 'ÿ'];
let declared = false;
let receive;

/**
 * Declares the object that receives the value. The object is a constant, so that the
 * program does not find it as a property of the global object.
 */
function declare() {
  if (declared) return;
  declared = true;
  // `take` gets the value in a call or through `instanceof`.
  const take = (...values) => {
    const receiver = receive;
    receive = undefined;
    receiver?.(values[values.length - 1]);
    return true;
  };
  Object.defineProperty(take, Symbol.hasInstance, { value: take });
  const symbol = Symbol.for('pyth-on.take');
  Object.defineProperty(globalThis, symbol, { configurable: true, value: Object.freeze(take) });
  const list = names.map((name) => `${name} = globalThis[Symbol.for('pyth-on.take')]`).join(', ');
  new vm.Script(`const ${list};`, { filename: 'evalmachine.<anonymous>' }).runInThisContext();
  delete globalThis[symbol];
}

/** Returns a name that does not occur in the source, or undefined. */
function nameFor(source) {
  return names.find((name) => !source.includes(name));
}

const shortHead = '(function (exports,require,module,__filename,__dirname){';

/**
 * Returns two sources of the same length: `work` passes the value to the receiver,
 * and `shown` is what V8 shows. Both begin with `before` and end with `after`. Each
 * part of the program has the same position in both. Returns undefined if positions
 * could be wrong.
 *
 * A call around the expression needs space before the expression. V8 assigns the
 * position of the statement to the first operation in the statement, which must
 * be the lookup of the called function. Parentheses need less space, but then the
 * first operation is the lookup of a name of the program.
 */
function sources(source, found, before, after) {
  const { from, start, end, terminated, isTight } = found;
  const name = nameFor(source);
  if (name === undefined) return undefined;
  const expression = source.slice(start, end);
  const head = source.slice(0, from);
  const gap = start - from;
  const call = `${name}(`;
  const called = `${expression})`;
  const asked = `${expression}) instanceof ${name}`;
  const semicolon = terminated ? '' : ';';
  const work = (opening, size, rest) => `${before}${head}${semicolon}${opening.padStart(size - semicolon.length)}${rest}`;
  if (isTight) return finish(before, `${before}${source.slice(0, start)}${expression} instanceof ${name}`, source, after);
  if (from === 0 && before !== '') {
    // No space precedes an expression at the beginning of the program. Write Node's
    // wrapper function without spaces, and put the call into the space that this saves.
    return finish(before, shortHead + call.padStart(before.length + start - shortHead.length) + called, source, after);
  }
  const isBreak = gap === 1 && (source[from] === '\n' || source[from] === '\r');
  // V8 shows `\r\n` like one line break, so the string `shown` can have one character
  // more.
  const shown = isBreak ? `${head}\r\n${source.slice(start)}` : source;
  const size = isBreak ? 2 : gap;
  if (semicolon.length + call.length <= size) return finish(before, work(call, size, called), shown, after);
  if (!isKnown(found, head)) return undefined;
  if (semicolon.length + 1 <= size) return finish(before, work('(', size, asked), shown, after);
  // If the program has no space before the expression, V8 reports columns in the
  // expression that are one too high.
  if (!terminated || found.hasFunction()) return undefined;
  return finish(before, `${before}${source.slice(0, start)}(${asked}`, source, after);
}

/**
 * Returns whether the first name that the expression reads is global, or occurs
 * earlier in the program.
 */
function isKnown({ firstName }, head) {
  return firstName === undefined || firstName in globalThis || head.includes(firstName);
}

function finish(before, work, shown, after) {
  const missing = work.length - before.length - shown.length;
  if (missing > 0) shown += `\n${' '.repeat(missing - 1)}`;
  else work += ' '.repeat(-missing);
  return { work: work + after, shown: before + shown + after };
}

/**
 * Returns the name that V8 shows for a source: the name in its sourceURL comment, or
 * else the file name.
 */
function nameOf(source, filename) {
  let name = filename;
  if (source.includes('sourceURL=')) {
    for (const [, given] of source.matchAll(/^[ \t]*\/\/[#@][ \t]sourceURL=[ \t]*([^\s'"]+)[ \t]*$/gm)) name = given;
  }
  return name;
}

/**
 * Compiles the program to a function, as Node does with a CommonJS module. Returns
 * undefined if that is not possible.
 */
function compileFunction(source, filename, found) {
  const both = sources(source.replace(/^#!/, '//'), found, head, tail);
  if (both === undefined) return undefined;
  const { work, shown } = both;
  const options = {
    filename: nameOf(source, filename),
    lineOffset: -1,
    importModuleDynamically: internals().dynamicImport ?? vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  };
  const cachedData = new vm.Script(work, options).createCachedData();
  const visible = source.startsWith('#!') ? shown.replace(`${head}//`, `${head}#!`) : shown;
  const script = new vm.Script(visible, { ...options, cachedData });
  return script.cachedDataRejected ? undefined : script.runInThisContext();
}

/** Compiles the program to an ES module, as Node's compileSourceTextModule does. */
function compileModule(url, source, loader, isMain, found) {
  const { ModuleWrap, modules } = internals();
  const { work, shown } = sources(source, found, '', '');
  const cachedData = new ModuleWrap(url, undefined, work, 0, 0, Symbol(url)).createCachedData();
  const module = new ModuleWrap(url, undefined, shown, 0, 0, cachedData);
  if (isMain) module.isMain = true;
  modules.registerModule(module, {
    __proto__: null,
    callbackReferrer: url,
    initializeImportMeta: (meta) => loader.importMetaInitialize(meta, { url, isMain }),
    importModuleDynamically: loader.import.bind(loader),
  });
  return module;
}

/**
 * Returns the source with added code that passes the value of the final expression
 * to the receiver. V8 shows such a source through a source map, so only its lines
 * must stay the same, not its columns.
 */
function handOver(source) {
  const found = finalExpression(source, isCommonJS(source) ? 'commonjs' : 'module');
  const name = nameFor(source);
  if (found === undefined || name === undefined) return source;
  const { from, end, terminated, isTight } = found;
  const [open, close] = isTight ? ['', ''] : [`${terminated ? '' : ';'}(`, ')'];
  return `${source.slice(0, from)}${open}${source.slice(from, end)}${close} instanceof ${name}${source.slice(end)}`;
}

/**
 * Returns whether Node would run the source as CommonJS. Node decides this in the
 * same way: it tries to compile the source.
 */
function isCommonJS(source) {
  try {
    vm.compileFunction(source, ['exports', 'require', 'module', '__filename', '__dirname'], { filename: 'evalmachine.<anonymous>' });
    return true;
  } catch {
    return false;
  }
}

// `place` is the position (line and column) in Node's code at which Node calls CommonJS
// modules. It is [] if the position is unknown.
let place;

/**
 * Sets `place` to the position at which Module.prototype._compile calls a module.
 */
function findPlace() {
  if (place !== undefined) return;
  const probe = new Module(`${__dirname}/place.js`);
  probe.filename = probe.id;
  probe._compile('module.exports = new Error().stack', probe.filename);
  const found = /\n.*?\n {4}at Module\._compile \(node:internal\/modules\/cjs\/loader:(\d+):(\d+)\)/.exec(probe.exports);
  place = found === null ? [] : [Number(found[1]), Number(found[2])];
}

/**
 * Returns a function that replaces Module.prototype._compile for one program. It
 * calls `program`, which is already compiled. The function's name and the position
 * of the call are the same as in Node, so traces do not change.
 */
function caller(compile, program) {
  const [line, column] = place;
  const start = '(compile, program, ReflectApply) => { const Module = { prototype: {} }; Module.prototype._compile = function (content, filename, format) {' +
    ' const [thisValue, list, done] = compile(this, filename); let r;';
  const source = `${start}\n${' '.repeat(Math.max(column - 5, 0))}r = ReflectApply(program, thisValue, list);\n done(); return r; }; return Module.prototype._compile; }`;
  const script = new vm.Script(`'use strict';${source}`, { filename: 'node:internal/modules/cjs/loader', lineOffset: line - 2 });
  return script.runInThisContext()(compile, program, Reflect.apply);
}

/** Runs code in advance, because its first execution is slow. */
function warm() {
  declare();
  findPlace();
  const source = `'use strict'; const x = 1, { a, ...b } = require('y'), f = async (y) => { for (const z of y) await console.log(\`\${z}\`, [1, ...z], /r/g, { k: z.m?.n }); };
let s = 'text'; s += x; function g(h = 2) { try { return new h(!x && h + 1); } catch (e) { while (x) if (x) break; else throw e; } }
class C extends g { #p = 1; m() { return super.m(); } } for (let i = 0; i < 2; i++) { f(i); }
`;
  finalExpression(`${source}console.log(x);`, 'commonjs');
  compileFunction(`${source}x ? [] : {}`, __filename, finalExpression(`${source}x ? [] : {}`, 'commonjs'));
  isCommonJS(source);
}

/**
 * Makes Node call `take` once with the value of the final expression. `program` is
 * the path of the program. `toJavaScript` converts its source. Node loads the
 * program as usual.
 */
function capture(program, toJavaScript, take) {
  declare();
  findPlace();
  receive = take;
  let source;
  const read = () => (source ??= toJavaScript(fs.readFileSync(program, 'utf8').replace(/^\ufeff/, '')));
  const undo = [
    replaceOnce(Module.prototype, '_compile', (genuine, module) => {
      if (module?.filename !== program) return undefined;
      return functionOf(program, read(), genuine) ?? genuine;
    }),
    replaceOnce(internals().modules ?? {}, 'compileSourceTextModule', (genuine) => {
      for (const restore of undo) restore();
      return moduleOf(program, read(), genuine) ?? genuine;
    }),
  ];
}

/**
 * Replaces a property by a getter, which calls `choose` with the property's value
 * and the object. When `choose` returns a value, the getter returns this value and
 * restores the property. Returns a function that restores the property earlier.
 */
function replaceOnce(object, name, choose) {
  const { value: genuine } = Object.getOwnPropertyDescriptor(object, name) ?? {};
  const property = { configurable: true, enumerable: true, writable: true, value: genuine };
  const restore = () => Object.defineProperty(object, name, property);
  if (genuine === undefined) return () => {};
  Object.defineProperty(object, name, {
    configurable: true,
    enumerable: true,
    get() {
      let chosen;
      try {
        chosen = choose(genuine, this);
      } catch {
        chosen = genuine; // Node will report the error.
      }
      if (chosen === undefined) return genuine;
      restore();
      // RegExp's static properties contain the last match. Make an empty match, so
      // that the program cannot find a match of this module.
      /^/.exec('');
      return chosen;
    },
    set(value) {
      property.value = value;
      restore();
    },
  });
  return restore;
}

/**
 * Returns the function to call instead of _compile, or undefined to call _compile.
 */
function functionOf(program, source, genuine) {
  const named = nameOf(source, program);
  if ((named !== program && named !== pathToFileURL(program).href) || !isCommonJS(source)) return undefined;
  const found = finalExpression(source, 'commonjs');
  if (found === undefined || place.length === 0) return undefined;
  const compiled = compileFunction(source, program, found);
  if (compiled === undefined) return undefined;
  if (source.includes('eval') || source.includes('Function')) hideFrames((trace) => withEvalLines(trace, program));
  const begin = (own, filename) => {
    const list = Reflect.apply(genuine, own, ['return [exports, require, module, __filename, __dirname]', filename, 'commonjs']);
    const executing = Object.getOwnPropertySymbols(own).find((symbol) => symbol.description === 'kIsExecuting');
    const set = (value) => { if (executing !== undefined) own[executing] = value; };
    set(true);
    return [list[0], list, () => set(false)];
  };
  return caller(begin, compiled);
}

/**
 * Returns the function to call instead of compileSourceTextModule, or undefined to
 * call compileSourceTextModule.
 */
function moduleOf(program, source, genuine) {
  const main = pathToFileURL(program).href;
  const found = finalExpression(source, 'module');
  if (found === undefined || nameOf(source, main) !== main || sources(source, found, '', '') === undefined) return undefined;
  return function compileSourceTextModule(url, given, loader, context) {
    if (url === main && loader !== undefined && given.startsWith(source)) {
      try {
        const module = compileModule(url, given, loader, context?.isMain === true, found);
        /^/.exec('');
        return module;
      } catch {
        // After an error, let Node compile the code, because V8 decides whether the code
        // is valid.
      }
    }
    return genuine(url, given, loader, context);
  };
}

module.exports = { capture, handOver, warm };
