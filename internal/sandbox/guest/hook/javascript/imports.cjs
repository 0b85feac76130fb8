'use strict';
// This module makes import and export statements work in a session. The programs of a
// session are scripts, and V8 does not accept these statements in scripts.
//
// V8 reports the first statement that it does not accept. After such a report, this
// module parses the program and rewrites all import and export statements. If the parser
// fails, the module uses regular expressions to rewrite only the reported statement. V8
// then reports the next statement of this kind.

const { linkStatements } = require('./scan.cjs');

const identifier = '[\\p{ID_Start}$_][\\p{ID_Continue}$\\u200c\\u200d]*';
const importing = new RegExp(
  `import\\s*(?:(?<own>${identifier})?\\s*,?\\s*(?:\\*\\s*as\\s+(?<all>${identifier})|\\{(?<names>[^}]*)\\})?\\s*from\\s*)?` +
    `(?<from>'[^'\\n]*'|"[^"\\n]*")(?:\\s*with\\s*(?<how>\\{[^}]*\\}))?[^\\S\\n]*;?`,
  'uy',
);
const reexporting = /export\s*(?:\*(?:\s*as\s+[^\s;]+)?|\{[^}]*\})\s*from\s*(?<from>'[^'\n]*'|"[^"\n]*")(?:\s*with\s*(?<how>\{[^}]*\}))?[^\S\n]*;?/y;
const naming = /export\s*\{[^}]*\}[^\S\n]*;?/y;
const exporting = /export\s+(?:default\s+)?(?=[^\s{*])/y;

/**
 * Returns an expression that imports a module. `from` is the name of the module in
 * quotes. `how` is the text of the import attributes.
 */
function imported(from, how) {
  return how === undefined ? `await import(${from})` : `await import(${from}, { with: ${how} })`;
}

/** Returns a declaration in place of an import statement with these parts. */
function declaration({ own, all, names, from, how }) {
  const value = imported(from, how);
  const found = [];
  if (own !== undefined) found.push(`default: ${own}`);
  if (names !== undefined) found.push(names);
  if (all !== undefined) return `const ${all} = ${value}${own === undefined ? '' : `, { default: ${own} } = ${all}`};`;
  return found.length === 0 ? `${value};` : `const { ${found.join(', ')} } = ${value};`;
}

/**
 * Returns a destructuring pattern for the names in the braces of an import
 * statement.
 */
function namesOf(text) {
  return text?.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '').trim().replace(/\s+as\s+/g, ': ').replace(/\s+/g, ' ');
}

/**
 * Returns the parts of a parsed import statement, in the form that `declaration`
 * expects.
 */
function partsOf(source, { specifiers, source: from, attributes }) {
  const text = (node) => source.slice(node.start, node.end);
  const parts = { from: text(from), how: attributesOf(source, attributes) };
  const names = [];
  for (const specifier of specifiers) {
    if (specifier.type === 'ImportDefaultSpecifier') parts.own = text(specifier.local);
    else if (specifier.type === 'ImportNamespaceSpecifier') parts.all = text(specifier.local);
    else names.push(`${text(specifier.imported)}: ${text(specifier.local)}`);
  }
  if (names.length > 0) parts.names = names.join(', ');
  return parts;
}

function attributesOf(source, attributes) {
  if (attributes === undefined || attributes.length === 0) return undefined;
  return `{ ${attributes.map((attribute) => source.slice(attribute.start, attribute.end)).join(', ')} }`;
}

/**
 * Returns the text with a space in place of each character that is not white space.
 */
function blank(text) {
  return text.replace(/[^\s]/g, ' ');
}

/**
 * Returns an edit that replaces a range with `text`. The edit pads `text` with spaces to
 * the length of the range.
 */
function inPlace(source, start, end, text = '') {
  return { start, end, text: text + blank(source.slice(start + text.length, end)), isInPlace: true };
}

/**
 * Returns the edit for a parsed export statement. `isLast` says whether it is the
 * program's last statement.
 */
function withoutExport(source, node, isLast) {
  const { start, end, type, declaration: declared } = node;
  if (type === 'ExportDefaultDeclaration') {
    const isDeclaration = /^(?:Function|Class)Declaration$/.test(declared.type) && declared.id !== null;
    // After `;0,` V8 reads the rest as an expression, even if it begins with a brace
    // or with a keyword such as `function`.
    return inPlace(source, start, declared.start, isDeclaration ? '' : ';0,');
  }
  if (declared) return inPlace(source, start, declared.start);
  if (node.source) return { start, end, text: `${imported(source.slice(node.source.start, node.source.end), attributesOf(source, node.attributes))};${isLast ? '{}' : ''}` };
  // Replace the export statement by an empty block. Like the export statement, an empty
  // block has no value.
  return inPlace(source, start, end, '{}');
}

/**
 * Returns the edits for all import and export statements of the program. Returns
 * undefined if the program has none, or cannot be parsed.
 */
function rewriteAll(source) {
  const { linked, start, end } = linkStatements(source) ?? {};
  if (linked === undefined || linked.length === 0) return undefined;
  const edits = [];
  let ahead = '';
  let at = start;
  for (const node of linked) {
    if (node.type !== 'ImportDeclaration') {
      edits.push(withoutExport(source, node, node.end === end));
      continue;
    }
    const text = declaration(partsOf(source, node));
    // A module runs its imports first. So move imports that come after other
    // statements to the beginning.
    if (/^(?:\s|\/\/[^\n]*|\/\*[^]*?\*\/|(['"])use strict\1;?)*$/.test(source.slice(at, node.start))) {
      edits.push({ start: node.start, end: node.end, text });
      at = node.end;
    } else {
      ahead += text;
      edits.push(inPlace(source, node.start, node.end));
    }
  }
  if (ahead !== '') {
    const first = edits.findIndex((edit) => edit.start >= at);
    const moved = at === start ? ahead : ` ${ahead}`;
    edits.splice(first, 0, { start: at, end: at, text: moved });
  }
  return edits;
}

/**
 * Uses regular expressions to find the statement at the offset. Returns a list with the
 * edit for this statement. Returns undefined if it finds no such statement.
 */
function editAt(source, at) {
  for (const pattern of [importing, reexporting, naming, exporting]) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match === null) continue;
    const [text] = match;
    const { groups } = match;
    const [start, end] = [at, at + text.length];
    if (pattern === importing) return [{ start, end, text: declaration({ ...groups, names: namesOf(groups.names) }) }];
    if (pattern === reexporting) return [{ start, end, text: `${imported(groups.from, groups.how)};` }];
    if (pattern === naming) return [inPlace(source, start, end, '{}')];
    const isDeclaration = /^(?:(?:async\s+)?function\s*\*?|class)\s+(?!extends\b)[\p{ID_Start}$_]/u.test(source.slice(end, end + 200));
    return [inPlace(source, start, end, text.includes('default') && !isDeclaration ? ';0,' : '')];
  }
  return undefined;
}

/** Applies the edits to the source. The number of lines stays the same. */
function apply(source, edits) {
  let text = '';
  let from = 0;
  for (const edit of edits) {
    const breaks = source.slice(edit.start, edit.end).split('\n').length - edit.text.split('\n').length;
    edit.text += '\n'.repeat(breaks);
    text += source.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return text + source.slice(from);
}

/**
 * Returns the positions at which the columns of the edited source begin to differ
 * from those of the original. Lines and columns count from 0.
 */
function shiftsOf(source, edits) {
  const shifts = [];
  let line = 0;
  let lineStart = 0;
  let from = 0;
  let moved = 0;
  const advance = (to) => {
    for (let at = source.indexOf('\n', from); at >= 0 && at < to; at = source.indexOf('\n', at + 1)) {
      line++;
      lineStart = at + 1;
      moved = 0;
    }
    from = to;
  };
  for (const { start, end, text, isInPlace } of edits) {
    if (isInPlace) continue;
    advance(start);
    const [old, column] = [line, start - lineStart];
    const added = text.split('\n');
    shifts.push({ line, column: column + moved, end: column + moved + added[0].length, original: column });
    const before = moved;
    advance(end);
    moved = old === line ? before + text.length - (end - start) : added.at(-1).length - (end - lineStart);
    shifts.push({ line, column: end - lineStart + moved, original: end - lineStart });
  }
  return shifts;
}

/**
 * Rewrites import and export statements after V8 has rejected one of them at the given
 * line and column. Returns the new program and the shifts of its columns. Returns
 * undefined if no such statement is at this position.
 */
function rewrite(source, line, column) {
  let at = column;
  for (let i = 0, from = 0; i < line; i++) {
    from = source.indexOf('\n', from) + 1;
    at = from + column;
  }
  if (!/^(?:import|export)\b/.test(source.slice(at, at + 7))) return undefined;
  const edits = rewriteAll(source) ?? editAt(source, at);
  return edits && { source: apply(source, edits), shifts: shiftsOf(source, edits) };
}

/**
 * Returns the original column for a position in the edited source. Lines and columns
 * count from 0.
 */
function columnOf(shifts, line, column) {
  let found;
  for (const shift of shifts) {
    if (shift.line === line && shift.column <= column) found = shift;
  }
  if (found === undefined) return column;
  return found.end !== undefined ? found.original : column - found.column + found.original;
}

module.exports = { columnOf, rewrite };
