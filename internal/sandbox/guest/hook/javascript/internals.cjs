'use strict';
// This module gives access to internal parts of Node's loader.
//
// Node has no public function that compiles its main module with a code cache, and
// does not export its parser. But V8's inspector shows the variables that a function
// of Node's loader uses. Two of these variables, internalBinding and the loader's
// require, give access to the other internal parts.

const inspector = require('inspector');
const Module = require('module');

const hidden = { configurable: true, enumerable: false, writable: true };

/**
 * Returns an object with the variables that a function closes over. The object is empty
 * if this release of Node does not show the variables.
 */
function scopeOf(closure) {
  const key = Symbol('take');
  const name = Symbol.for('pyth-on.scope');
  const found = { __proto__: null };
  let value = closure;
  const session = new inspector.Session();
  session.connect();
  const post = (method, params) => {
    let result;
    session.post(method, params, (error, said) => { result = error ? undefined : said; });
    return result;
  };
  try {
    Object.defineProperty(globalThis, name, { ...hidden, value: { key, closure: () => value, take: (scope) => Object.assign(found, scope) } });
    const { result } = post('Runtime.evaluate', { expression: "globalThis[Symbol.for('pyth-on.scope')].closure()" });
    const { internalProperties } = post('Runtime.getProperties', { objectId: result.objectId, ownProperties: true });
    const scopes = internalProperties.find((property) => property.name === '[[Scopes]]');
    for (const { value: scope } of post('Runtime.getProperties', { objectId: scopes.value.objectId, ownProperties: true }).result) {
      if (scope?.objectId === undefined || !/^(?:Closure|Object)/.test(scope.description)) continue;
      post('Runtime.callFunctionOn', {
        objectId: scope.objectId,
        functionDeclaration: "function () { globalThis[Symbol.for('pyth-on.scope')].take(this.object ?? this); }",
      });
    }
  } catch {
    // Ignore errors. In this case, the caller gets undefined instead of the variable.
  } finally {
    delete globalThis[name];
    session.disconnect();
  }
  return found;
}

let loaded;

/**
 * Returns the parts of Node's loader that the hook uses. A part that this release
 * does not have is undefined. The parts are:
 *
 * - the symbol that gives CommonJS modules import()
 * - the function that sets the source line above an uncaught error
 * - the compiler of ES modules, the parser and the type stripper
 * - the writer of traces, and the function that replaces it
 * - the function that describes the reason of a rejection
 * - pipes and OpenSSL
 */
function internals() {
  if (loaded !== undefined) return loaded;
  const scope = scopeOf(Module.prototype._compile);
  const load = (name) => {
    try {
      return scope.require(name);
    } catch {
      return undefined;
    }
  };
  loaded = {
    __proto__: null,
    dynamicImport: scope.vm_dynamic_import_default_internal,
    setArrowMessage: scope.setArrowMessage,
    acorn: load('internal/deps/acorn/acorn/dist/acorn'),
    modules: load('internal/modules/esm/utils'),
    prepareTrace: load('internal/errors')?.prepareStackTraceCallback,
    get prepareStackTrace() {
      return load('internal/source_map/prepare_stack_trace')?.prepareStackTraceWithSourceMaps;
    },
    strip: load('internal/modules/typescript')?.stripTypeScriptModuleTypes ?? ((source, name) => Module.stripTypeScriptTypes(source, { sourceUrl: name })),
    get amaro() {
      return load('internal/deps/amaro/dist/index');
    },
  };
  const bind = (name) => {
    try {
      return scope.internalBinding(name);
    } catch {
      return undefined;
    }
  };
  loaded.ModuleWrap = bind('module_wrap')?.ModuleWrap;
  loaded.describeReason = bind('errors')?.noSideEffectsToString;
  loaded.setPrepareTrace = bind('errors')?.setPrepareStackTraceCallback;
  loaded.pipes = bind('pipe_wrap');
  Object.defineProperty(loaded, 'crypto', { get: () => bind('crypto') });
  return loaded;
}

module.exports = { internals, scopeOf };
