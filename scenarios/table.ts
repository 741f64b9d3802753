/*
 * The scenarios that `luosim run --scenario` knows by name.
 */
import type { Program } from '../sim/index.ts';
import khoTest from './kho_test.ts';
import manySessions, { type ManySessionsParams } from './many_sessions.ts';
import takenName from './taken_name.ts';

export interface Scenario {
  readonly name: string;
  /** For the help. */
  readonly text: string;
  /** Options of the command that mean nothing to it. */
  readonly without: readonly ('sessions' | 'name')[];
  readonly program: (params: ManySessionsParams) => Program;
}

/** The first is the one that runs unless another is asked for. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'many-sessions',
    text: 'create, hand over, retrieve, finish, close (default)',
    without: [],
    program: manySessions,
  },
  {
    name: 'taken-name',
    text: 'the same, with one create refused before each update',
    without: [],
    program: takenName,
  },
  {
    name: 'kho-test',
    text: 'folios of all orders, no session',
    without: ['sessions', 'name'],
    program: khoTest,
  },
];
