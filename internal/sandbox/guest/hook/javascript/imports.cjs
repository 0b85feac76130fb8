'use strict';
// Has import and export statements run in a session, whose programs are scripts
// and not modules.
//
// V8 itself tells where the first statement is that a script may not have. It is
// rewritten in its place, and V8 is asked again.

const identifier = '[\\p{ID_Start}$_][\\p{ID_Continue}$\\u200c\\u200d]*';
const statement = new RegExp(
  `import\\s*(?:(?<own>${identifier})?\\s*,?\\s*(?:\\*\\s*as\\s+(?<all>${identifier})|\\{(?<names>[^}]*)\\})?\\s*from\\s*)?` +
    `(?<from>'[^'\\n]*'|"[^"\\n]*")(?:\\s*with\\s*(?<how>\\{[^}]*\\}))?[^\\S\\n]*;?`,
  'uy',
);
const exported = /export\s+(?:default\s+)?(?=[^\s{*])/y;

/** The statement as one that a script may have, with its line breaks. */
function dynamic({ own, all, names, from, how }) {
  const imported = how === undefined ? `await import(${from})` : `await import(${from}, { with: ${how} })`;
  const found = [];
  if (own !== undefined) found.push(`default: ${own}`);
  if (names !== undefined) {
    const plain = names.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '').trim().replace(/\s+as\s+/g, ': ').replace(/\s+/g, ' ');
    found.push(plain);
  }
  if (all !== undefined) return `const ${all} = ${imported}${own === undefined ? '' : `, { default: ${own} } = ${all}`};`;
  return found.length === 0 ? `${imported};` : `const { ${found.join(', ')} } = ${imported};`;
}

/**
 * Returns the source with the statement rewritten which V8 has said that it
 * cannot have at the line and column, or undefined if it is none of these.
 */
function rewrite(source, line, column) {
  let at = column;
  for (let i = 0, from = 0; i < line; i++) {
    from = source.indexOf('\n', from) + 1;
    at = from + column;
  }
  for (const kind of [statement, exported]) {
    kind.lastIndex = at;
    const match = kind.exec(source);
    if (match === null) continue;
    const [text] = match;
    const breaks = '\n'.repeat(text.split('\n').length - 1);
    const instead = kind === statement ? dynamic(match.groups) + breaks : text.replace(/\S/g, ' ');
    return source.slice(0, at) + instead + source.slice(at + text.length);
  }
  return undefined;
}

module.exports = { rewrite };
