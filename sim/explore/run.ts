/*
 * One run: a program on a machine under decisions, kernel after kernel, watched by the oracles.
 *
 *   boot -> stages of tasks, each to quiescence -> reboot(KEXEC) succeeded? -> jump -> boot -> ...
 *
 * Laws run by the delta of each call, and in full after boot, after each stage and at the jump.
 */
import { assert } from '../base/assert.ts';
import type { Decisions } from '../base/decisions.ts';
import { Digest } from '../base/digest.ts';
import { errnoName } from '../base/errno.ts';
import { type Booting, boot, type System } from '../boot/boot.ts';
import { FileModel } from '../check/file_model.ts';
import { Laws } from '../check/laws.ts';
import { SessionModel } from '../check/model.ts';
import { checkIncoming } from '../check/preservation.ts';
import { type Violation, Violations } from '../check/violation.ts';
import type { BootOptions, Kernel } from '../kernel/kernel.ts';
import { revisionByName } from '../kernel/revisions.ts';
import { LUO_MAX_BLOCKS, LUO_SESSIONS_PER_BLOCK } from '../luo/abi.ts';
import { Storage } from '../machine/column.ts';
import type { BootParams, Machine } from '../machine/machine.ts';
import { Agent, AgentMemory, agentBody, type Observer, type World } from '../user/agent.ts';
import { KhoTest } from '../user/kho_test.ts';
import { LiveUpdateDevice } from '../user/liveupdate.ts';
import { NameBook } from '../user/names.ts';
import { Process, type Thread } from '../user/process.ts';
import { ProcessCalls } from '../user/process_calls.ts';
import type { Action, FileAction, GenerationProgram, Program, TaskProgram, Verb } from '../user/program.ts';
import { Syscalls } from '../user/syscalls.ts';
import { ActionLog } from './action_log.ts';
import { type OnProgress, type Phase, Progressing } from './progress.ts';
import { type GenerationReport, RESULT_SCHEMA_VERSION, type RunResult } from './result.ts';
import { type Booted, generationReport, handoverReport, indexPages, stepsOf } from './run_report.ts';

const BOOT_OPTIONS: BootOptions = { kho: true, liveupdate: true, khoDebug: true };

/** A jump as seen from outside: which kernel left, what crosses, and the digest of all kernels so far. */
export interface Jump {
  readonly generation: number;
  readonly params: BootParams;
  readonly digest: string;
}

/** Called between a jump and the next boot: what it returns boots. May replace what RAM holds, or keep a copy. */
export type AtJump = (jump: Jump) => BootParams;

/** Looks on, and takes no part. */
export interface Watcher {
  /** A kernel begins. Its parts, and the processes that run in it, appear in what is given here. */
  started(system: Booting, processes: ReadonlyMap<string, ProcessMemory>): void;
  /** It has done its last; memory is as it left it. */
  ended(): void;
  /** A call begins. `name` is what it is about. */
  called(thread: Thread, verb: Verb, name: string | undefined): void;
  /** What it answered: a value, or a negative errno. */
  answered(thread: Thread, verb: Verb, name: string | undefined, result: number): void;
  /** A law is found broken. */
  broken(violation: Violation): void;
}

/** A process, and what its agents remember. */
export type ProcessMemory = readonly [Process, AgentMemory];

export interface RunRequest {
  readonly machine: Machine;
  readonly seed: string;
  readonly decisions: Decisions;
  readonly program: Program;
  readonly atJump?: AtJump;
  readonly onProgress?: OnProgress | undefined;
  readonly watcher?: Partial<Watcher>;
}

/** Runs a program on a machine that has no kernel yet. Revisions must exist. */
export function run(request: RunRequest): RunResult {
  return new Run(request).result();
}

class Run implements Observer {
  readonly #request: RunRequest;
  readonly #watcher: Partial<Watcher> | undefined;
  readonly #machine: Machine;
  readonly #names = new NameBook();
  readonly #violations = new Violations();
  readonly #model: SessionModel;
  readonly #files: FileModel;
  readonly #laws: Laws;
  readonly #openLosses: string[] = [];
  readonly #progress: Progressing;
  #system: System | undefined;
  /** Of the kernel that runs. */
  #processes = new Map<string, ProcessMemory>();
  #actions: ActionLog;
  /** Whose calls the phase is of, while it is of their action. */
  #caller: Thread | undefined;
  #opened = false;
  /** Sessions of this kernel, and of the one before, were acknowledged in the order in which they were created. */
  #ordered = true;
  #incomingOrdered = true;
  #nameIndexPages = 0;

  constructor(request: RunRequest) {
    this.#request = request;
    this.#watcher = request.watcher;
    this.#machine = request.machine;
    this.#machine.decisions = request.decisions;
    this.#progress = new Progressing(request.onProgress);
    const { pool, journal, columns } = request.machine;
    const storage = new Storage(pool, journal, columns);
    this.#model = new SessionModel(storage, this.#violations, (name) => this.#names.text(name));
    this.#files = new FileModel(
      this.#violations,
      (name) => this.#names.text(name),
      (action) => ('session' in action ? this.#names.base(action.session) : -1),
      () => this.#system as System,
    );
    request.machine.journal.enlist(this.#files);
    this.#model.files = this.#files;
    this.#actions = new ActionLog(this.#machine.cpus);
    this.#violations.onFound = (violation) => this.#watcher?.broken?.(violation);
    this.#laws = new Laws({ model: this.#model, names: this.#names, violations: this.#violations });
  }

  result(): RunResult {
    const { machine, seed, program } = this.#request;
    const generations: GenerationReport[] = [];
    const digest = new Digest();
    let params: BootParams | undefined;
    for (const [generation, kernelProgram] of program.generations.entries()) {
      this.#violations.generation = generation;
      this.#progress.boot(generation);
      const system = this.#boot(kernelProgram, generation, params);
      const booted: Booted = { at: machine.cpus.current.now(), steps: stepsOf(machine.cpus) };
      this.#runStages(system, kernelProgram);
      const jumps = system.kernel.state === 'rebooting';
      if (jumps) this.#left(system, kernelProgram);
      const handover = jumps ? handoverReport(system) : undefined;
      const { reports } = this.#actions;
      const report = generationReport({
        system,
        booted,
        handover,
        actions: reports,
        indexPages: this.#nameIndexPages,
      });
      generations.push(report);
      digest.mixText(report.digest);
      if (!jumps) {
        this.#laws.checkFinished(system, kernelProgram, this.#actions.reports);
        this.#watcher?.ended?.();
        system.kernel.dispose();
        break;
      }
      this.#enter('jump');
      params = this.#jump(system, digest.toString());
    }
    this.#enter('end');
    return {
      schemaVersion: RESULT_SCHEMA_VERSION,
      machine: machine.params,
      profile: machine.cpus.profile.name,
      seed,
      program,
      generations,
      openLosses: this.#openLosses,
      violations: this.#violations.all,
      departures: machine.decisions.departures,
      misfits: machine.decisions.misfits(),
      digest: digest.toString(),
    };
  }

  began(thread: Thread, verb: Verb): void {
    this.#caller = undefined;
    this.#model.began(thread);
    this.#actions.began(thread, verb);
  }

  called(thread: Thread, verb: Verb, name: number): void {
    // Nothing else ends the phase of an action's calls: another action, another thread, a phase entered meanwhile.
    if (thread !== this.#caller) this.#turnTo(thread, verb);
    this.#progress.call();
    if (this.#watcher !== undefined) this.#watcher.called?.(thread, verb, this.#nameText(name));
  }

  answered(thread: Thread, verb: Verb, name: number, result: number): void {
    this.#model.answered(thread, verb, name, result);
    if (name === -1) {
      if (verb === 'open') this.#deviceOpened(result);
      if (verb === 'exit') this.#files.exited(thread.process.name);
    }
    if (this.#watcher !== undefined) this.#watcher.answered?.(thread, verb, this.#nameText(name), result);
  }

  fileCalled(thread: Thread, action: FileAction, name: number, i: number): void {
    this.#files.called(thread, action, name, i);
  }

  fileAnswered(
    thread: Thread,
    action: FileAction,
    name: number,
    i: number,
    result: number,
    fd: number,
  ): void {
    this.#files.answered(thread, action, name, i, result, fd);
  }

  acted(thread: Thread, action: Action, calls: number, result: number): void {
    const names = 'names' in action ? this.names(action.names) : [];
    this.#actions.acted(thread, action, names, calls, result);
  }

  /** First and last name of a set, as a person would say it. */
  readonly names = (set: Extract<Action, { names: unknown }>['names']): string[] => {
    if (set.count === 0) return [];
    const first = this.#names.base(set);
    const ends = set.count === 1 ? [first] : [first, first + set.count - 1];
    return ends.map((name) => this.#names.text(name));
  };

  #nameText(name: number): string | undefined {
    return name === -1 ? undefined : this.#names.text(name);
  }

  #boot(program: GenerationProgram, generation: number, params: BootParams | undefined): System {
    const revision = revisionByName(program.revision);
    assert(revision !== undefined, `no revision ${program.revision}`);
    this.#processes = new Map();
    const system = boot(this.#machine, {
      revision,
      options: BOOT_OPTIONS,
      ...(program.boot === undefined ? {} : { commandLine: program.boot }),
      generation,
      ...(params === undefined ? {} : { params }),
      onStart: (booting) => this.#watcher?.started?.(booting, this.#processes),
    });
    this.#system = system;
    this.#actions = new ActionLog(this.#machine.cpus);
    this.#opened = false;
    this.#incomingOrdered = this.#ordered;
    this.#ordered = true;
    this.#nameIndexPages = 0;
    const { kernel } = system;
    this.#laws.watch(system);
    if (generation > 0 && kernel.bootKind !== 'handover') {
      this.#loseOpenly(`generation ${generation} booted cold: ${whyCold(kernel)}`);
    }
    this.#enter('laws');
    if (kernel.state === 'panicked') this.#loseOpenly(`generation ${generation} panicked`);
    else this.#laws.checkBooted(system);
    return system;
  }

  #runStages(system: System, program: GenerationProgram): void {
    const { kernel } = system;
    if (kernel.state !== 'running') return;
    const world = this.#world(system);
    const created = program.stages.flat().reduce((sum, task) => sum + createdBy(task), 0);
    system.luo.sessions.outgoing.expect(Math.min(created, LUO_MAX_BLOCKS * LUO_SESSIONS_PER_BLOCK));
    for (const [i, stage] of program.stages.entries()) {
      for (const task of stage) this.#spawn(world, task);
      if (stage.filter((task) => createdBy(task) > 0).length > 1) this.#ordered = false;
      const end = kernel.sched.run();
      if (end.reason === 'blocked') {
        const waits = end.waits.map(({ task, lock, holders }) => {
          return `${task.name} waits for ${lock}, held by ${holders.map((holder) => holder.name).join(', ')}`;
        });
        this.#violations.add('no-hang', waits.join('; '));
        return;
      }
      if (kernel.state !== 'running') return;
      if (!isLastOf(program.stages, i) && !this.#laws.isDue(system)) continue;
      this.#enter('laws');
      const live = [...this.#processes.values()].map(([process]) => process);
      this.#laws.checkQuiescence(system, live, this.#ordered);
    }
  }

  #world(system: System): World {
    const find = (name: string): Process | undefined => this.#processes.get(name)?.[0];
    return {
      system,
      device: new LiveUpdateDevice(system),
      calls: new Syscalls(system),
      processCalls: new ProcessCalls(system, find),
      names: this.#names,
      khoTest: new KhoTest(system, this.#request.seed),
      observer: this,
    };
  }

  #spawn(world: World, program: TaskProgram): void {
    const { system } = world;
    let known = this.#processes.get(program.process);
    if (known === undefined) {
      const memory = new AgentMemory(system.kernel.storage, program.process);
      known = [new Process(system, program.process), memory];
      this.#processes.set(program.process, known);
    }
    const [process, memory] = known;
    system.kernel.sched.spawn(program.process, (task) => {
      return agentBody(new Agent(world, task, process, memory, program.actions));
    });
  }

  #deviceOpened(result: number): void {
    const system = this.#system as System;
    if (result === -5 || result === -2) {
      this.#loseOpenly(`generation ${system.kernel.generation}: open answered ${errnoName(result)}`);
    } else if (result >= 0 && !this.#opened) {
      this.#opened = true;
      this.#enter('verify');
      const parts = { model: this.#model, names: this.#names, violations: this.#violations };
      const { sessions } = system.luo;
      checkIncoming(parts, sessions.table, sessions.incoming, this.#incomingOrdered);
      this.#nameIndexPages = indexPages(system);
    }
  }

  #turnTo(thread: Thread, verb: Verb): void {
    this.#progress.calls(this.#phaseOf(verb));
    this.#caller = thread;
  }

  #enter(phase: Phase): void {
    this.#caller = undefined;
    this.#progress.enter(phase);
  }

  #phaseOf(verb: Verb): Phase {
    if (verb === 'reboot') return 'serialize';
    return verb === 'open' && !this.#opened && this.#model.expected > 0 ? 'deserialize' : verb;
  }

  #loseOpenly(why: string): void {
    if (this.#model.expected > 0) this.#openLosses.push(why);
    this.#model.lostOpenly(why);
    this.#files.lostOpenly();
  }

  #left(system: System, program: GenerationProgram): void {
    this.#actions.left();
    this.#enter('laws');
    this.#laws.checkAtJump(system, program, this.#actions.reports);
  }

  #jump({ kernel, kexec }: System, digest: string): BootParams {
    this.#watcher?.ended?.();
    const params = this.#machine.jump(kexec.plan());
    this.#model.jumped();
    this.#files.jumped();
    kernel.leave();
    return this.#request.atJump?.({ generation: kernel.generation, params, digest }) ?? params;
  }
}

/** Whether the kernel ends in the next stage, or there is none. */
const isLastOf = (stages: GenerationProgram['stages'], i: number): boolean => {
  const verbs = (stages[i + 1] ?? []).flatMap(({ actions }) => actions.map((action) => action.do));
  return verbs.length === 0 || verbs.some((verb) => verb === 'reboot' || verb === 'restart');
};

/** Sessions that a task is to create. */
const createdBy = ({ actions }: TaskProgram): number =>
  actions.reduce((sum, action) => sum + (action.do === 'create' ? action.names.count : 0), 0);

/** What the kernel said before it gave the handover up, or last. */
function whyCold({ bootKind, log: { lines } }: Kernel): string {
  if (bootKind === 'cold') return 'nothing was handed over';
  const givenUp = lines.findIndex(({ text }) => text.includes('disabling KHO revival'));
  return (lines[givenUp - 1] ?? lines.at(-1))?.text ?? '';
}
