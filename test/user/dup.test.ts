/*
 * Several descriptors of one session: it goes with the last of them, and a name means the one that was got last.
 */
import { expect, it } from 'vitest';
import { parseProgram } from '../../sim/input/program_text.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { ran } from '../support/play.ts';

const UPDATE = 'stage\ntask init\nload\nreboot\n';

/** What each action of each kernel answered; actions of one kernel stand with bars between. */
function answers(revision: string, ...kernels: readonly string[]): string[][] {
  const parts = kernels.map((actions, i) => {
    const lines = actions.split(' | ').join('\n');
    return `kernel ${revision}\nstage\ntask p\nopen\n${lines}\n${i < kernels.length - 1 ? UPDATE : ''}`;
  });
  const result = ran(parseProgram(`luosim 1\nmachine ram 16M\n${parts.join('')}`) as RunInput);
  expect(result.violations).toEqual([]);
  return result.generations.map(({ actions }) =>
    actions
      .filter(({ process, verb }) => process === 'p' && verb !== 'open')
      .map(({ verb, calls, result: said }) => (said === 'OK' ? `${verb} ${calls}` : `${verb} ${said}`)),
  );
}

it.each<[string, string[], string[][]]>([
  [
    'lives as long as one of its descriptors',
    ['create a | dup a | dup a | close a | close a', 'retrieve a'],
    [['create 1', 'dup 1', 'dup 1', 'close 1', 'close 1'], ['retrieve 1']],
  ],
  [
    'goes with the last',
    ['create a | dup a | close a | close a | close a', 'retrieve a'],
    [['create 1', 'dup 1', 'close 1', 'close 1', 'close EBADF'], ['retrieve ENOENT']],
  ],
  [
    'that comes again under its name has no copies',
    ['create a | dup a | close a | close a | create a | close a', 'retrieve a'],
    [['create 1', 'dup 1', 'close 1', 'close 1', 'create 1', 'close 1'], ['retrieve ENOENT']],
  ],
  ['that is not there has no copy', ['dup a'], [['dup EBADF']]],
  [
    'has copies by the number',
    ['create s%d 0..4 | dup s%d 1..9 | close s%d 0..4 | close s%d 1..3', 'retrieve s%d 4 | retrieve s%d 3'],
    [
      ['create 5', 'dup EBADF', 'close 5', 'close 3'],
      ['retrieve 1', 'retrieve ENOENT'],
    ],
  ],
  [
    'is finished through a copy as through itself',
    ['create a', 'retrieve a | dup a | finish a | close a | close a | close a'],
    [['create 1'], ['retrieve 1', 'dup 1', 'finish 1', 'close 1', 'close 1', 'close EBADF']],
  ],
  [
    'of the last kernel stands behind one of this kernel with its name, and comes back after it',
    ['create a', 'retrieve a | create a | finish a | close a | finish a | close a | close a'],
    [
      ['create 1'],
      ['retrieve 1', 'create 1', 'finish EINVAL', 'close 1', 'finish 1', 'close 1', 'close EBADF'],
    ],
  ],
])('a session %s', (_what, kernels, expected) => {
  expect(answers('v7.3', ...kernels)).toEqual(expected);
});

it('a process that exits closes all copies', () => {
  expect(answers('v7.1', 'create a | dup a | exit', 'retrieve a')[1]).toEqual(['retrieve ENOENT']);
});
