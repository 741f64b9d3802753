/*
 * The built program in processes of its own, as a person or a CI job starts it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const CLI = join(ROOT, 'dist', 'cli.js');
/** A run that takes little. */
export const SMALL = ['--sessions', '3', '--ram', '16M'];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly node?: readonly string[];
  readonly killAfterMs?: number;
  /** Ctrl-C, as often as `times` says (once), when standard error has this. */
  readonly interruptAt?: { readonly said: RegExp; readonly times?: number };
}

/** Where the processes of a test file run: made anew for each, `cleanUp` removes it. */
export const directory = mkdtempSync(join(tmpdir(), 'luosim-cli-'));

/** A file of that directory. */
export const at = (name: string): string => join(directory, name);

/** Runs a program to its end. */
export function start(
  file: string,
  args: readonly string[],
  { env = {}, killAfterMs, interruptAt }: Surroundings = {},
): Promise<Ended> {
  const quiet = { ...process.env, CI: '', FORCE_COLOR: '', NO_COLOR: '', ...env };
  const child = spawn(file, args, { cwd: directory, env: quiet, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (texts.out += text));
  let interrupts = 0;
  const interrupt = (): void => {
    if (interrupts++ < (interruptAt?.times ?? 1) && child.kill('SIGINT')) setTimeout(interrupt, 50);
  };
  child.stderr.setEncoding('utf8').on('data', (text) => {
    texts.err += text;
    if (interrupts === 0 && interruptAt?.said.test(texts.err) === true) interrupt();
  });
  if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGINT'), killAfterMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...texts }));
  });
}

export const luosim = (args: readonly string[], surroundings: Surroundings = {}): Promise<Ended> =>
  start(process.execPath, [...(surroundings.node ?? []), CLI, ...args], surroundings);

export const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);

/** The digest of a run that goes well and says nothing else. */
export async function digestOf(args: readonly string[]): Promise<string> {
  const { code, out, err } = await luosim(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return /^digest +([0-9a-f]{16})$/m.exec(out)?.[1] ?? `no digest in ${out}`;
}

/** Exit 2, nothing on standard output, one line on standard error. */
export async function expectRefused(args: readonly string[], complaint: RegExp): Promise<void> {
  const { code, out, err } = await luosim(args);
  expect(linesOf(err)).toHaveLength(1);
  expect(err).toMatch(/^luosim: [^\n]+\n$/);
  expect(err).toMatch(complaint);
  expect(err).not.toMatch(/ at .*:\d+:\d+|Error/);
  expect({ code, out }).toEqual({ code: 2, out: '' });
}

/** At most 40 lines of 80 columns, but for what is there to be copied: a token, and the command at the end. */
export function expectFitsTerminal(out: string): void {
  const lines = linesOf(out);
  expect(lines.length).toBeLessThanOrEqual(40);
  for (const line of lines.slice(0, -1)) {
    if (!/^token +luo1[a-z0-9]+$/.test(line)) expect([...line].length, line).toBeLessThanOrEqual(80);
  }
  expect(lines.at(-1)).toMatch(/^npx luosim (run|stress|replay) /);
}

/** Every file that runs the program begins with this. */
export function checkBuilt(): void {
  const sources = ['commands', 'sim', 'reports', 'scenarios'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  );
  const newest = Math.max(...['cli.ts', ...sources].map((path) => statSync(join(ROOT, path)).mtimeMs));
  if (statSync(CLI).mtimeMs < newest) throw new Error('dist/cli.js is older than the sources: npm run build');
  mkdirSync(directory, { recursive: true });
}

export const cleanUp = (): void => rmSync(directory, { recursive: true, force: true });
