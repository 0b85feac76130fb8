'use strict';
// Finds the final expression of a program.

const { internals } = require('./internals.cjs');

/** Operators that bind at least as tightly as instanceof. */
const tight = new Set(['+', '-', '*', '/', '%', '**', '<<', '>>', '>>>', '<', '>', '<=', '>=', 'in', 'instanceof']);
/** Expressions after which an instanceof takes the whole expression. */
const closed = new Set([
  'ArrayExpression', 'AwaitExpression', 'CallExpression', 'ChainExpression', 'ClassExpression', 'FunctionExpression', 'Identifier',
  'ImportExpression', 'Literal', 'MemberExpression', 'MetaProperty', 'NewExpression', 'ObjectExpression', 'TaggedTemplateExpression',
  'TemplateLiteral', 'ThisExpression', 'UnaryExpression', 'UpdateExpression',
]);

let Statements;

/** Returns a parser that keeps no statement but the last two. */
function parser(acorn) {
  Statements ??= class extends acorn.Parser {
    parseTopLevel(node) {
      const exports = Object.create(null);
      let previous;
      let last;
      let directives = true;
      while (this.type !== acorn.tokTypes.eof) {
        const statement = this.parseStatement(null, true, exports);
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
      // What is exported and nowhere declared V8 does not compile.
      return Object.keys(this.undefinedExports).length > 0 ? {} : { previous, last };
    }
  };
  return Statements;
}

/** Whether the statement's last token is the bracket of a block or a body. */
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

/** Whether `instanceof` after the expression takes its value. */
function isTight(node) {
  return closed.has(node.type) || (node.type === 'BinaryExpression' && tight.has(node.operator));
}

/** Whether there is a function, which V8 may compile later from what it shows. */
function hasFunction(node) {
  if (Array.isArray(node)) return node.some(hasFunction);
  if (typeof node !== 'object' || node === null || node instanceof RegExp) return false;
  return /Function|Class/.test(node.type) || Object.values(node).some(hasFunction);
}

/** The name that the expression reads first, undefined if it is none. */
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
 * Returns where the final expression of a program is, or undefined if its last
 * statement is none, or prints. The program is a 'commonjs' or 'module' one, or
 * one for a 'console'. `from` is the end of the statement before, and
 * `terminated` whether that needs no semicolon.
 */
function finalExpression(source, kind) {
  const { acorn } = internals();
  if (acorn === undefined) return undefined;
  let found;
  try {
    found = parser(acorn).parse(source, {
      ecmaVersion: 'latest',
      sourceType: kind === 'console' ? 'script' : kind,
      ...(kind === 'console' && { allowAwaitOutsideFunction: true }),
      allowHashBang: true,
    });
  } catch {
    return undefined; // V8 says what is wrong with it, or knows better.
  }
  const { previous, last } = found;
  if (last === undefined || last.type !== 'ExpressionStatement' || last.isDirective || isLog(last.expression)) return undefined;
  const { start } = last;
  // Of `(a, b)` the brackets are the statement's.
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

module.exports = { finalExpression };
