/*
 * What a program must keep to from line to line, followed as it is read: what the floors below take for granted, and
 * no single action shows.
 *
 *   A process that exits does nothing more in its generation, in no task; one that is killed, in no later stage.
 *   Patterns with a number in them are few: names have 31-bit ids.
 */
import { type Names, PATTERNS_MAX } from '../user/names.ts';
import type { Action } from '../user/program.ts';
import { said } from './program_words.ts';

export class ProgramRules {
  readonly #patterns = new Set<string>();
  /** Processes of this generation that do nothing more, and why. */
  readonly #gone = new Map<string, string>();
  /** Processes that somebody wants to kill in this stage. */
  readonly #killed = new Set<string>();
  /** How many tasks each process has in this stage. */
  readonly #tasks = new Map<string, number>();
  #process = '';

  kernel(): void {
    this.stage();
    this.#gone.clear();
  }

  stage(): void {
    this.#tasks.clear();
    for (const process of this.#killed) this.#gone.set(process, 'is killed');
    this.#killed.clear();
  }

  /** A task of a process begins; what is wrong with that. */
  task(process: string): string | undefined {
    this.#process = process;
    this.#tasks.set(process, (this.#tasks.get(process) ?? 0) + 1);
    const how = this.#gone.get(process);
    return how === undefined ? undefined : `process ${said(process)} ${how} before`;
  }

  /** The task does this next; what is wrong with that. */
  act(action: Action): string | undefined {
    const process = this.#process;
    if (this.#gone.has(process)) return `process ${said(process)} acts after its exit`;
    if (action.do === 'exit') {
      if (this.#tasks.get(process) !== 1) return `process ${said(process)} exits beside another task of it`;
      this.#gone.set(process, 'has exited');
    }
    if (action.do === 'kill') this.#killed.add(action.process);
    if ('names' in action) this.#name(action.names);
    if ('session' in action) this.#name(action.session);
    const { size } = this.#patterns;
    return size > PATTERNS_MAX ? `${size} name patterns with a %d are more than ${PATTERNS_MAX}` : undefined;
  }

  #name({ pattern }: Names): void {
    if (pattern.includes('%d')) this.#patterns.add(pattern);
  }
}
