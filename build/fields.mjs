/*
 * Fields as the engine likes them, in a bundle: each has, from its first value on, the class that it will have.
 *
 *   readonly journal: Journal;         is undefined first, and then a Journal: whoever uses it looks at its class again
 *   this.journal = journal             alone: the engine knows the class, and does not look
 *
 * So declarations of what the constructor sets in any case are blanked. A private field cannot do without one, so #name
 * becomes $name. Neither moves anything: positions in the file, and its source map, stay what they were.
 */
import { parseAst } from 'rolldown/parseAst';

export const fields = {
  name: 'fields',
  renderChunk(code) {
    const text = code.split('');
    const classes = new Map();
    const blanks = [];
    each(parseAst(code), (node) => {
      if (node.type === 'PrivateIdentifier') text[node.start] = '$';
      if (node.type === 'Identifier' && node.name.startsWith('$'))
        throw new Error(`${node.name} may be a field`);
      if (node.type === 'BinaryExpression' && node.left.type === 'PrivateIdentifier')
        throw new Error('#name in an object means nothing once names are not private');
      if (node.type === 'VariableDeclarator' && node.init?.type === 'ClassExpression')
        classes.set(node.id.name, node.init);
      if (node.type === 'ClassDeclaration') classes.set(node.id.name, node);
      if (node.type === 'ClassBody') blanks.push(...setAnyway(node));
    });
    for (const { start, end } of blanks) text.fill(' ', start, end);
    for (const node of classes.values()) checkNames(node, classes);
    return { code: text.join(''), map: null };
  },
};

/** Declarations without a value of what a statement of the constructor sets. */
function setAnyway({ body }) {
  const maker = body.find(({ kind }) => kind === 'constructor');
  const set = new Set();
  for (const { expression } of maker?.value.body.body ?? []) {
    if (expression?.type !== 'AssignmentExpression' || expression.operator !== '=') continue;
    const { type, object, property, computed } = expression.left;
    if (type === 'MemberExpression' && object.type === 'ThisExpression' && !computed)
      set.add(nameOf(property));
  }
  return body.filter(
    (node) =>
      node.type === 'PropertyDefinition' &&
      node.value === null &&
      !node.static &&
      !node.computed &&
      set.has(nameOf(node.key)),
  );
}

/** A class and one that it extends cannot have a private name in common any more. */
function checkNames(node, classes) {
  const names = new Set(privateNames(node));
  for (
    let base = classes.get(node.superClass?.name);
    base !== undefined;
    base = classes.get(base.superClass?.name)
  ) {
    for (const name of privateNames(base)) if (names.has(name)) throw new Error(`${name} is inherited`);
  }
}

const nameOf = (key) => (key.type === 'PrivateIdentifier' ? `#${key.name}` : key.name);

const privateNames = ({ body }) =>
  body.body.filter(({ key }) => key?.type === 'PrivateIdentifier').map(({ key }) => nameOf(key));

/** Calls back for each node of a tree. */
function each(node, visit) {
  if (Array.isArray(node)) for (const one of node) each(one, visit);
  else if (node !== null && typeof node === 'object') {
    if (typeof node.type === 'string') visit(node);
    for (const key in node) each(node[key], visit);
  }
}
