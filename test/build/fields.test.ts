/*
 * What the bundler does to fields of classes (build/fields.mjs): in its place, and only where it means the same.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../support/cli.ts';

const { fields } = (await import(join(ROOT, 'build/fields.mjs'))) as {
  fields: { renderChunk(code: string): { code: string } };
};
const rendered = (code: string): string => fields.renderChunk(code).code;

it('makes #name a $name, and moves nothing', () => {
  const code = 'const a = "é😀#x"; class A { #x = 1; #m() { return this.#x; } static #s = 2; }';
  expect(rendered(code)).toBe(
    'const a = "é😀#x"; class A { $x = 1; $m() { return this.$x; } static $s = 2; }',
  );
});

it('blanks a declaration of what the constructor sets in any case, and no other', () => {
  const code = [
    'class A {',
    '\t#set;',
    '\tset;',
    '\t#maybe;',
    '\tnever;',
    '\tvalued = 1;',
    '\tstatic set;',
    '\tconstructor(x) {',
    '\t\tthis.#set = x;',
    '\t\tthis.set = x;',
    '\t\tif (x) this.#maybe = x;',
    '\t\tthis.valued = x;',
    '\t}',
    '}',
  ];
  const lines = rendered(code.join('\n')).split('\n');
  // In front of #maybe, which another statement sets, stands its other value.
  const added = lines.map((line, i) => line.length - (code[i] as string).length);
  expect(added).toEqual(code.map((_, i) => (i === 2 ? ' $maybe = null;'.length : 0)));
  expect(lines.map((line) => line.trim())).toEqual([
    ...['class A {', '', '$maybe = null;', '$maybe;', 'never;', 'valued = 1;', 'static set;'],
    ...code.slice(7).map((line) => line.trim().replace('#', '$')),
  ]);
});

it('lets what changes begin with another value that is kept in the same way, on the line before', () => {
  const code = [
    'class A {',
    '\t#small = 0;',
    '\t#two = 2;',
    '\t#wide = -0;',
    '\t#far = 4294967296;',
    '\t#address = wide(0);',
    '\t#is = false;',
    '\ttext = "";',
    '\t#nothing = void 0;',
    '\t#no = null;',
    '\t#map = new Map();',
    '\t#list = new List([]);',
    '\tm(x) {',
    '\t\tthis.#small++;',
    '\t\tthis.#two -= 1;',
    '\t\t[this.#wide, this.#far, this.#address] = x;',
    '\t\tx.text = this.#is = this.#nothing = this.#no = this.#map = this.#list = x;',
    '\t}',
    '}',
  ].join('\n');
  expect(rendered(code).split('\n').slice(0, 12)).toEqual([
    'class A { $small = 1;',
    '\t$small = 0; $two = 0;',
    '\t$two = 2; $wide = 0.5;',
    '\t$wide = -0; $far = 0.5;',
    '\t$far = 4294967296; $address = 0.5;',
    '\t$address = wide(0); $is = true;',
    "\t$is = false; text = '-';",
    '\ttext = ""; $nothing = null;',
    '\t$nothing = void 0; $no = void 0;',
    '\t$no = null; $map = new Map();',
    '\t$map = new Map(); $list = new List([]);',
    '\t$list = new List([]);',
  ]);
});

it('lets alone what is never set, or cannot be given twice', () => {
  const code = [
    'class A {',
    '\tkept = 0;',
    '\tfirst = 0;',
    '\tmade = new List(x);',
    '\tminus = -x;',
    '\t#own = 0;',
    '\tstatic shared = 0;',
    '\tconstructor(x) {',
    '\t\tthis.first = x;',
    '\t}',
    '\tm() { this.made = this.kept + this.#own; this.shared = 1; this.minus++; }',
    '}',
    'class B {',
    '\t#own; one = 0; m() { this.#own = this.one++; }',
    '}',
  ].join('\n');
  // Where a line has more than one declaration, none is moved to make room.
  const [end, own] = ['class B {', 'class B { $own = null;'];
  expect(rendered(code)).toBe(code.replaceAll('#', '$').replace(end, own));
});

it.each([
  ['class A { #x; has(o) { return #x in o; } }', /#name in an object/],
  ['class A { #x; } class B extends A { #x; }', /#x is inherited/],
  [
    'const A = class { #x; }; const B = class extends A {}; const C = class extends B { #x; };',
    /#x is inherited/,
  ],
  ['class A { $x; }', /\$x may be a field/],
])('gives up where that could mean something else: %s', (code, message) => {
  expect(() => rendered(code)).toThrow(message);
});

it('leaves classes apart that have a name in common and nothing else', () => {
  expect(rendered('class A { #x; } class B { #x; }')).toBe('class A { $x; } class B { $x; }');
});
