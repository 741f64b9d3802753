/*
 * Fields as the engine likes them, in a bundle: each has, from its first value on, the class that it will have.
 *
 *   readonly journal: Journal;         is undefined first, and then a Journal: whoever uses it looks at its class again
 *   this.journal = journal             alone: the engine knows the class, and does not look
 *
 * So declarations of what the constructor sets in any case are blanked. A private field cannot do without one, so #name
 * becomes $name.
 *
 *   count = 0;                         is a constant until somebody counts, a minute after code was made of it perhaps:
 *                                      all that the engine made is thrown away, and made again
 *   count = 1; count = 0;              is none from the start
 *
 * So what begins with a literal, or with a new object that is made of nothing, and is set elsewhere, begins with
 * another of its kind, at the end of the line before; in front of wide(0), with a number that is no small integer.
 * Nothing moves: positions in the file, and its source map, stay what they were.
 */
import { parseAst } from 'rolldown/parseAst';

export const fields = {
  name: 'fields',
  renderChunk(code) {
    const text = code.split('');
    const classes = new Map();
    const blanks = [];
    const begun = [];
    const program = parseAst(code);
    const changed = changedIn(program);
    each(program, (node) => {
      if (node.type === 'PrivateIdentifier') text[node.start] = '$';
      if (node.type === 'Identifier' && node.name.startsWith('$'))
        throw new Error(`${node.name} may be a field`);
      if (node.type === 'BinaryExpression' && node.left.type === 'PrivateIdentifier')
        throw new Error('#name in an object means nothing once names are not private');
      if (node.type === 'VariableDeclarator' && node.init?.type === 'ClassExpression')
        classes.set(node.id.name, node.init);
      if (node.type === 'ClassDeclaration') classes.set(node.id.name, node);
      if (node.type !== 'ClassBody') return;
      const blank = setAnyway(node);
      blanks.push(...blank);
      const own = changedIn(node);
      for (const field of node.body.filter(isBegun)) {
        const among = field.key.type === 'PrivateIdentifier' ? own : changed;
        if (among.has(nameOf(field.key)) && !blank.includes(field)) begun.push(field);
      }
    });
    for (const { start, end } of blanks) text.fill(' ', start, end);
    for (const { start, key, value } of begun) {
      const line = code.lastIndexOf('\n', start);
      const isFirst = line !== -1 && code.slice(line, start).trim() === '';
      if (isFirst) text[line] = ` ${nameOf(key).replace('#', '$')} = ${anotherThan(value, code)};\n`;
    }
    for (const node of classes.values()) checkNames(node, classes);
    return { code: text.join(''), map: null };
  },
};

/** What statements of the constructor set. */
function firstSet({ body }) {
  const maker = body.find(({ kind }) => kind === 'constructor');
  const expressions = (maker?.value.body.body ?? []).map(({ expression }) => expression);
  return expressions.filter((expression) => {
    if (expression?.type !== 'AssignmentExpression' || expression.operator !== '=') return false;
    const { type, object, computed } = expression.left;
    return type === 'MemberExpression' && object.type === 'ThisExpression' && !computed;
  });
}

/** Declarations without a value of what a statement of the constructor sets. */
function setAnyway(classBody) {
  const set = new Set(firstSet(classBody).map(({ left }) => nameOf(left.property)));
  return classBody.body.filter(
    (node) =>
      node.type === 'PropertyDefinition' &&
      node.value === null &&
      !node.static &&
      !node.computed &&
      set.has(nameOf(node.key)),
  );
}

/** Fields of objects whose first value can be given twice; null is nothing. */
const isBegun = ({ type, static: isStatic, computed, value }) =>
  type === 'PropertyDefinition' &&
  !isStatic &&
  !computed &&
  (value === null || literal(value) !== undefined || isNew(value) || isWide(value));

/** new Map(), new List([]). */
const isNew = (node) => node.type === 'NewExpression' && node.arguments.every(isEmptyArray);
const isEmptyArray = ({ type, elements }) => type === 'ArrayExpression' && elements.length === 0;

/** Value of a literal, a negative number among them; undefined of what is none. */
function literal(node) {
  if (node.type === 'UnaryExpression' && node.operator === '-') {
    const value = literal(node.argument);
    return typeof value === 'number' ? -value : undefined;
  }
  if (node.type === 'UnaryExpression' && node.operator === 'void') return null;
  const isPlain = /^(number|string|boolean)$/.test(typeof node.value) || node.raw === 'null';
  return node.type === 'Literal' && isPlain ? node.value : undefined;
}

/** wide() of sim/base/units.ts; a bundler may have to call it wide$1. */
const isWide = ({ type, callee }) => type === 'CallExpression' && /^wide(\$\d+)?$/.test(callee.name);

/** Another value that the engine keeps in the same way: -0 is no small integer. */
function anotherThan(node, code) {
  if (node !== null && isWide(node)) return '0.5';
  if (node !== null && isNew(node)) return code.slice(node.start, node.end);
  const value = node === null ? null : literal(node);
  if (value === null) return node?.type === 'Literal' ? 'void 0' : 'null';
  if (typeof value === 'string') return value === '' ? "'-'" : "''";
  if (typeof value === 'boolean') return `${!value}`;
  if (Object.is(value, -0) || value !== (value | 0)) return '0.5';
  return value === 0 ? '1' : '0';
}

/** Names of fields that are set, whosever they are, but for what constructors set first. */
function changedIn(tree) {
  const names = new Set();
  const first = new Set();
  each(tree, (node) => {
    if (node.type === 'ClassBody') for (const assignment of firstSet(node)) first.add(assignment);
    const target = node.type === 'UpdateExpression' ? node.argument : node.left;
    if (!/^(Update|Assignment)Expression$/.test(node.type) || first.has(node)) return;
    for (const name of fieldsIn(target)) names.add(name);
  });
  return names;
}

function* fieldsIn(target) {
  if (target?.type === 'MemberExpression' && !target.computed) yield nameOf(target.property);
  for (const element of target?.elements ?? []) yield* fieldsIn(element);
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
