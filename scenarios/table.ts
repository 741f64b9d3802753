/*
 * The scenarios that `luosim run --scenario` knows by name.
 */
import type { Program } from '../sim/index.ts';
import khoTest from './kho_test.ts';
import liveUpdateDaemon, { daemonBytes } from './live_update_daemon.ts';
import manySessions, { type ManySessionsParams } from './many_sessions.ts';
import systemdFdstore, { fdstoreBytes } from './systemd_fdstore.ts';
import takenName from './taken_name.ts';
import vmm, { guestBytes } from './vmm.ts';

export interface Scenario {
  readonly name: string;
  /** For the help. */
  readonly text: string;
  /** Options of the command that mean nothing to it. */
  readonly without: readonly ('sessions' | 'name')[];
  /** Sessions unless the person says how many; else as many as the command has by default. */
  readonly sessions?: number;
  /** RAM that so many sessions need with what is in them; else as sessions alone do. */
  readonly bytes?: (sessions: number) => number;
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
  {
    name: 'live-update-daemon',
    text: 'luod, which lists its sessions in one of them',
    without: ['name'],
    sessions: 100,
    bytes: daemonBytes,
    program: liveUpdateDaemon,
  },
  {
    name: 'systemd-fdstore',
    text: 'a session of three files for each unit',
    without: ['name'],
    bytes: fdstoreBytes,
    program: systemdFdstore,
  },
  {
    name: 'vmm',
    text: 'guests that run on while their RAM is kept',
    without: ['name'],
    sessions: 4,
    bytes: guestBytes,
    program: vmm,
  },
];
