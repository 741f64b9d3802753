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
  expect(lines.map((line) => line.length)).toEqual(code.map((line) => line.length));
  expect(lines.map((line) => line.trim())).toEqual([
    ...['class A {', '', '', '$maybe;', 'never;', 'valued = 1;', 'static set;'],
    ...code.slice(7).map((line) => line.trim().replace('#', '$')),
  ]);
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
