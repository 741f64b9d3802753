/*
 * A scenario of a person's own: a module whose default export is a function like those in scenarios/.
 *
 *   export default ({ revisions, generations, sessions, pattern }) => ({ generations: [ ... ] });
 *
 * It is loaded only where its path was typed; a token carries what it made, never its name. What it does wrong is said
 * in one line, with the line of the module where that is known.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ManySessionsParams } from '../scenarios/many_sessions.ts';
import type { Scenario } from '../scenarios/table.ts';
import { type Program, programError, readText } from '../sim/index.ts';
import { BadInput, complain, EXIT, hostFile } from './command.ts';

/** Whether this is the path of a module, rather than that of a text. */
export const isModule = (typed: string): boolean => /\.[cm]?[jt]s$/.test(typed);

/** The scenario in a module; `what` says how the person named it. */
export async function scenarioModule(path: string, what: string): Promise<Scenario> {
  hostFile(what, 'give a module of JavaScript', () => readText(resolve(path)));
  if (/\.[cm]?ts$/.test(path) && !('typescript' in process.features && process.features.typescript)) {
    throw new BadInput(
      `${what}: TypeScript is loaded by Node 22.18 or newer, this is ${process.version}; give it as .mjs`,
    );
  }
  const url = pathToFileURL(resolve(path)).href;
  const make = await defaultExport(url, what);
  if (typeof make !== 'function') {
    throw new BadInput(
      `${what} has no function for its default export; begin it with export default (params) =>`,
    );
  }
  const program = (params: ManySessionsParams): Program => {
    const made = guarded(() => make(params), what, url);
    if (guarded(() => typeof Object(made).then === 'function', what, url)) {
      Promise.resolve(made).catch(() => {});
      throw new BadInput(`${what} gives a promise; its default export must give the program itself`);
    }
    const error = guarded(() => programError(made), what, url);
    if (error === undefined) return made as Program;
    throw new BadInput(`${what} gives no program that can be run: ${error}`);
  };
  return { name: path, text: '', without: [], program };
}

async function defaultExport(url: string, what: string): Promise<unknown> {
  // A module that waits for what never comes leaves nothing to do, and the process would end without a word.
  const never = (): void => {
    complain(`${what} is never loaded: it waits for something that does not come`);
    process.exitCode = EXIT.badInput;
  };
  process.once('beforeExit', never);
  try {
    return (await import(url)).default;
  } catch (error) {
    const mend = error instanceof SyntaxError ? '; node --check says where' : '';
    throw new BadInput(`${what} cannot be loaded: ${saidBy(error, url)}${mend}`);
  } finally {
    process.off('beforeExit', never);
  }
}

function guarded<T>(call: () => T, what: string, url: string): T {
  try {
    return call();
  } catch (error) {
    throw new BadInput(`${what} throws: ${saidBy(error, url)}`);
  }
}

const SAID_MAX = 300;

/** What was thrown, in one line; with the line of the module where it tells. */
function saidBy(error: unknown, url: string): string {
  let said = 'something that cannot be said';
  let stack = '';
  try {
    said = String(error instanceof Error ? error.message : error) || 'something without a message';
    if (error instanceof Error) stack = String(error.stack);
  } catch {
    // Left at what stands above.
  }
  const line = (said.split('\n')[0] ?? '').slice(0, SAID_MAX);
  const [, at] = stack.split(url)[1]?.match(/^:(\d+)/) ?? [];
  return at === undefined ? line : `${line}, in line ${at}`;
}
