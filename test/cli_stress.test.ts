/*
 * luosim stress, as a person meets it: the built program in processes of its own.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Phase } from '../sim/explore/progress.ts';
import type { RunResult } from '../sim/explore/result.ts';
import {
  checkBuilt,
  cleanUp,
  digestOf,
  expectFitsTerminal,
  expectRefused,
  linesOf,
  luosim,
  SMALL,
} from './support/cli.ts';
import { some } from './support/seed.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

interface StressJson extends Pick<RunResult, 'schemaVersion' | 'violations'> {
  readonly sessions: number;
  readonly processes: number;
  readonly sessionsPerProcess: number;
  readonly interrupted: boolean;
  readonly interruptedAt?: { readonly generation: number; readonly phase: Phase };
  readonly phases: readonly {
    readonly generation: number;
    readonly phase: Phase;
    readonly sessions?: number;
    readonly wallMs: number;
    readonly perSecond?: number;
    readonly rssBytes: number;
  }[];
  readonly wallMs: number;
  readonly peakBytes: number;
  readonly refused: readonly unknown[];
  readonly digest?: string;
  readonly again: string;
}

/** What is said on standard error where that is no terminal. */
const PHASES = [
  'kernel 0: boot',
  'kernel 0: laws in full',
  'kernel 0: open',
  'kernel 0: laws: every name in order',
  'kernel 0: create, 3 calls',
  'kernel 0: close the device',
  'kernel 0: load the next kernel',
  'kernel 0: reboot hook: serialize',
  'kernel 0: jump',
  'kernel 1: boot',
  'kernel 1: laws in full',
  'kernel 1: first open: deserialize',
  'kernel 1: laws: every name in order',
  'kernel 1: retrieve, 3 calls',
  'kernel 1: finish, 3 calls',
  'kernel 1: close, 3 calls',
  'kernel 1: close the device',
];

it('tells its phases while it runs, and then how long they took; its digest is that of luosim run', async () => {
  const { code, out, err } = await luosim(['stress', ...SMALL]);
  expect({ code, err: linesOf(err) }).toEqual({ code: 0, err: PHASES });
  expectFitsTerminal(out);
  expect(out).toMatch(/^sessions +3 in 1 process$/m);
  const figures = / +3 +[\d.]+ m?s +[\d,]+ +[\d.]+ MiB$/;
  const rows = linesOf(out).filter((line) => figures.test(line));
  expect(rows.map((line) => line.replace(figures, '').trim())).toEqual([
    'create',
    'reboot hook: serialize',
    'first open: deserialize',
    'laws: every name in order',
    'retrieve',
    'finish',
    'close',
  ]);
  expect(out).toMatch(/^wall +[\d.]+ m?s in all; memory peaked at [\d.]+ MiB$/m);
  expect(out).toMatch(/^verdict +all laws held$/m);
  const digest = await digestOf(['run', ...SMALL]);
  expect(out).toMatch(new RegExp(`^digest +${digest}$`, 'm'));
  expect(linesOf(out).at(-1)).toBe('npx luosim stress --sessions 3 --ram 16M --seed 1');
});

it('as JSON, has every phase with its figures', async () => {
  const options = ['--revision', 'v7.1,v7.3', '--sessions', '90', '--seed', 'a seed', '--ram', '16M'];
  const { code, out } = await luosim(['stress', ...options, '--json']);
  expect(code).toBe(0);
  const { phases, wallMs, peakBytes, again, digest, ...rest }: StressJson = JSON.parse(out);
  expect(rest).toMatchObject({ schemaVersion: 1, sessions: 90, processes: 1, sessionsPerProcess: 90 });
  expect(rest).toMatchObject({ interrupted: false, violations: [], revisions: ['v7.1', 'v7.3'] });
  expect(again).toBe("npx luosim stress --revision v7.1,v7.3 --sessions 90 --seed 'a seed' --ram 16M");
  expect(digest).toBe(await digestOf(['run', ...options]));
  // The second kernel refuses what the first one hands over: nothing is deserialized, and every retrieve is refused.
  expect(rest.refused).toContainEqual(
    expect.objectContaining({ generation: 1, process: 'agent-0', verb: 'retrieve', calls: 0 }),
  );
  const counted = phases.filter(({ sessions }) => sessions !== undefined);
  expect(counted.map(({ generation, phase, sessions }) => [generation, phase, sessions])).toEqual([
    [0, 'verify', 0],
    [0, 'create', 90],
    [0, 'serialize', 90],
    [1, 'verify', 0],
    [1, 'retrieve', 0],
    [1, 'finish', 0],
    [1, 'close', 0],
  ]);
  for (const phase of counted) {
    expect(phase.perSecond).toBe(Math.round(((phase.sessions ?? 0) * 1000) / phase.wallMs));
  }
  const sum = phases.reduce((ms, phase) => ms + phase.wallMs, 0);
  expect(sum).toBeGreaterThan(0);
  expect(sum).toBeLessThan(wallMs);
  for (const { rssBytes } of phases) expect(rssBytes).toBeLessThanOrEqual(peakBytes);
});

it.each([
  [819, /^verdict +all laws held$/m],
  [820, /^refused +kernel 0: create ENOMEM after 819 calls, in agent-0$/m],
])('of v7.1 takes %i sessions, and says what the one too many gets', async (sessions, said) => {
  // As many as there is room for, unless another number is given.
  const given = sessions === 819 ? [] : ['--sessions', String(sessions)];
  const { code, out } = await luosim(['stress', '--revision', 'v7.1', '--ram', '16M', ...given]);
  expect(code).toBe(0);
  expectFitsTerminal(out);
  expect(out).toMatch(said);
  expect(out.includes('refused')).toBe(sessions === 820);
  expect(out).toMatch(/^ {2}create +819 /m);
});

it('ends with what it has at Ctrl-C, spread over as many processes as descriptors ask for', async () => {
  const args = ['stress', '--revision', 'april-v1-p1'];
  const { code, out, err } = await luosim(args, { interruptAt: { said: /kernel 0: create/ } });
  expect(code).toBe(130);
  const said = [...PHASES.slice(0, 4), 'kernel 0: create, 8,190,000 calls'];
  expect(linesOf(err)).toEqual(said.map((line) => (line === 'kernel 0: open' ? `${line}, 8 calls` : line)));
  expect(out).toMatch(/^sessions +8,190,000 in 8 processes, 1,048,560 each at most: fs.nr_open$/m);
  expect(out).toMatch(/^interrupted in kernel 0: create; what is not over has no digest$/m);
  expect(out).not.toMatch(/digest +[0-9a-f]|verdict|token|kernel 1/);
  expect(linesOf(out).at(-1)).toBe('npx luosim stress --revision april-v1-p1 --sessions 8190000 --seed 1');
});

it('ends in the middle of a long call, too, once Ctrl-C comes again', async () => {
  // Shattering so much memory is one step of the first boot.
  const args = ['stress', '--sessions', '3', '--ram', '64G', '--fragmented', '50', '--json'];
  const { code, out, err } = await luosim(args, { interruptAt: { said: /boot/, times: 2 } });
  expect({ code, err }).toEqual({ code: 130, err: 'kernel 0: boot\n' });
  const { phases, interrupted, interruptedAt, digest }: StressJson = JSON.parse(out);
  expect({ interrupted, interruptedAt, digest }).toEqual({
    interrupted: true,
    interruptedAt: { generation: 0, phase: 'boot' },
    digest: undefined,
  });
  expect(phases).toHaveLength(1);
});

it.each(
  some<[string[], RegExp]>([
    [['--sessions', 'all'], /--sessions "all": give a whole number from 0 to 16777216/],
    [['--sessions', '20000000'], /--sessions "20000000": give a whole number/],
    [['--revision', 'v9'], /--revision "v9" is not known; known: v6.19, /],
    [['--generations', '3'], /unknown option '--generations'/],
    [['--ram', '15M'], /--ram "15M"/],
  ]),
)('refuses %j', (args, complaint) => expectRefused(['stress', ...args], complaint));
