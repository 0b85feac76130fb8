'use strict';
// This module finds the final expression of a program, and its import and export
// statements.

const { internals } = require('./internals.cjs');

/** Binary operators with at least the precedence of instanceof. */
const tight = new Set(['+', '-', '*', '/', '%', '**', '<<', '>>', '>>>', '<', '>', '<=', '>=', 'in', 'instanceof']);
/** Kinds of expressions. An instanceof after such an expression applies to all of it. */
const closed = new Set([
  'ArrayExpression', 'AwaitExpression', 'CallExpression', 'ChainExpression', 'ClassExpression', 'FunctionExpression', 'Identifier',
  'ImportExpression', 'Literal', 'MemberExpression', 'MetaProperty', 'NewExpression', 'ObjectExpression', 'TaggedTemplateExpression',
  'TemplateLiteral', 'ThisExpression', 'UnaryExpression', 'UpdateExpression',
]);

let Statements;

/**
 * Returns a parser that keeps only the last two statements, and all import and export
 * statements. It does not detect names that are declared twice. V8 detects such names
 * anyway, and acorn would compare each name with all earlier names.
 */
function parser(acorn) {
  Statements ??= class extends acorn.Parser {
    constructor(...args) {
      super(...args);
      this.declared = new Set();
      this.exported = [];
    }

    declareName(name) {
      this.declared.add(name);
    }

    checkExport() {}

    checkLocalExport({ name }) {
      this.exported.push(name);
    }

    parseTopLevel() {
      const linked = [];
      let first;
      let previous;
      let last;
      let directives = true;
      while (this.type !== acorn.tokTypes.eof) {
        const statement = this.parseStatement(null, true, undefined);
        first ??= statement;
        if (/^(?:Im|Ex)port/.test(statement.type)) linked.push(statement);
        if (directives) {
          directives = statement.type === 'ExpressionStatement' && statement.expression.type === 'Literal' && typeof statement.expression.value === 'string';
          if (directives && /^(['"])use strict\1$/.test(this.input.slice(statement.expression.start, statement.expression.end))) {
            this.strict = true;
            statement.isDirective = true;
          }
        }
        if (statement.type === 'EmptyStatement') {
          if (last !== undefined) last.end = statement.end;
          continue;
        }
        previous = last;
        last = statement;
      }
      return { first, previous, last, linked, isComplete: this.exported.every((name) => this.declared.has(name)) };
    }
  };
  return Statements;
}

/**
 * Returns whether the statement ends with the closing brace of a block or a body.
 */
function endsInBlock(node) {
  switch (node.type) {
    case 'BlockStatement':
    case 'ClassDeclaration':
    case 'FunctionDeclaration':
    case 'SwitchStatement':
    case 'TryStatement':
      return true;
    case 'IfStatement':
      return endsInBlock(node.alternate ?? node.consequent);
    case 'ForStatement':
    case 'ForInStatement':
    case 'ForOfStatement':
    case 'LabeledStatement':
    case 'WhileStatement':
    case 'WithStatement':
      return endsInBlock(node.body);
    default:
      return false;
  }
}

/**
 * Returns whether `instanceof` after the expression applies to the expression as a
 * whole.
 */
function isTight(node) {
  return closed.has(node.type) || (node.type === 'BinaryExpression' && tight.has(node.operator));
}

/**
 * Returns whether the expression contains a function or a class. V8 may compile such
 * a function later, and then uses the source that it shows.
 */
function hasFunction(node) {
  if (Array.isArray(node)) return node.some(hasFunction);
  if (typeof node !== 'object' || node === null || node instanceof RegExp) return false;
  return /Function|Class/.test(node.type) || Object.values(node).some(hasFunction);
}

/** Returns the first name that the expression reads, or undefined. */
function firstName(node) {
  for (;;) {
    switch (node.type) {
      case 'Identifier':
        return node.name;
      case 'ConditionalExpression':
        node = node.test;
        break;
      case 'AssignmentExpression':
        node = node.operator === '=' && node.left.type === 'Identifier' ? node.right : node.left;
        break;
      case 'BinaryExpression':
      case 'LogicalExpression':
        node = node.left;
        break;
      case 'MemberExpression':
        node = node.object;
        break;
      case 'CallExpression':
        node = node.callee;
        break;
      case 'SequenceExpression':
        [node] = node.expressions;
        break;
      case 'ChainExpression':
        node = node.expression;
        break;
      default:
        return undefined;
    }
  }
}

function isLog(node) {
  const callee = node.type === 'CallExpression' ? node.callee : undefined;
  return callee?.type === 'MemberExpression' && callee.object.type === 'Identifier' && callee.object.name === 'console';
}

/**
 * Parses a source of the given kind (see finalExpression). Returns undefined if the
 * parser fails. In this case V8 reports the error, or accepts the source
 * nevertheless.
 */
function parse(source, kind) {
  const { acorn } = internals();
  try {
    return parser(acorn).parse(source, {
      ecmaVersion: 'latest',
      sourceType: kind === 'console' ? 'script' : kind,
      ...(kind === 'console' && { allowAwaitOutsideFunction: true }),
      allowHashBang: true,
    });
  } catch {
    return undefined;
  }
}

/**
 * Returns the import and export statements of a module, with the start of its first
 * statement and the end of its last. Returns undefined if the module cannot be
 * parsed.
 */
function linkStatements(source) {
  const { first, last, linked } = parse(source, 'module') ?? {};
  return first && { linked, start: first.start, end: last.end };
}

/**
 * Finds the final expression of a program. `kind` is 'commonjs', 'module' or
 * 'console'. Returns undefined if the last statement is not an expression, or calls
 * a method of console.
 *
 * In the result, `from` is the end of the previous statement. `terminated` is true
 * if that statement needs no semicolon at its end.
 */
function finalExpression(source, kind) {
  const { previous, last, isComplete } = parse(source, kind) ?? {};
  // V8 does not compile a program that exports an undeclared name.
  if (last === undefined || !isComplete || last.type !== 'ExpressionStatement' || last.isDirective || isLog(last.expression)) return undefined;
  const { start } = last;
  // In `(a, b)` the statement includes the parentheses, but the expression does not
  // include them.
  let end = last.expression.end;
  const bracketed = start !== last.expression.start;
  if (bracketed) {
    const tail = source.slice(end, last.end);
    const brackets = /^(?:\s|\/\*[^]*?\*\/|\/\/[^\n\r\u2028\u2029]*|\))*\)/.exec(tail);
    if (brackets === null) return undefined;
    end += brackets[0].length;
  }
  const from = previous?.end ?? 0;
  const terminated = previous === undefined || source[from - 1] === ';' || endsInBlock(previous);
  return {
    from, start, end, terminated,
    isTight: bracketed || isTight(last.expression),
    firstName: firstName(last.expression),
    hasFunction: () => hasFunction(last.expression),
  };
}

module.exports = { finalExpression, linkStatements };
