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
import { pagesOf } from '../base/units.ts';
import { boot, type System } from '../boot/boot.ts';
import { Laws } from '../check/laws.ts';
import { SessionModel } from '../check/model.ts';
import { checkIncoming } from '../check/preservation.ts';
import { Violations } from '../check/violation.ts';
import type { BootOptions, Kernel } from '../kernel/kernel.ts';
import { revisionByName } from '../kernel/revisions.ts';
import { Column } from '../machine/column.ts';
import { STEP_KINDS, type VirtualTime } from '../machine/cpu.ts';
import type { BootParams, Machine } from '../machine/machine.ts';
import { Agent, type AgentMemory, agentBody, NO_DEVICE, type Observer, type World } from '../user/agent.ts';
import { KhoTest } from '../user/kho_test.ts';
import { LiveUpdateDevice } from '../user/liveupdate.ts';
import { NameBook } from '../user/names.ts';
import { Process, type Thread } from '../user/process.ts';
import type { Action, GenerationProgram, Program, TaskProgram, Verb } from '../user/program.ts';
import { ActionLog, latest } from './action_log.ts';
import { type OnProgress, type Phase, Progressing } from './progress.ts';
import {
  type GenerationReport,
  type HandoverReport,
  RESULT_SCHEMA_VERSION,
  type RunResult,
} from './result.ts';

const BOOT_OPTIONS: BootOptions = { kho: true, liveupdate: true, khoDebug: true };

/** A jump as seen from outside: which kernel left, what crosses, and the digest of all kernels so far. */
export interface Jump {
  readonly generation: number;
  readonly params: BootParams;
  readonly digest: string;
}

/** Called between a jump and the next boot: what it returns boots. May replace what RAM holds, or keep a copy. */
export type AtJump = (jump: Jump) => BootParams;

export interface RunRequest {
  readonly machine: Machine;
  readonly seed: string;
  readonly decisions: Decisions;
  readonly program: Program;
  readonly atJump?: AtJump;
  readonly onProgress?: OnProgress | undefined;
}

/** Runs a program on a machine that has no kernel yet. Revisions must exist. */
export function run(request: RunRequest): RunResult {
  return new Run(request).result();
}

class Run implements Observer {
  readonly #request: RunRequest;
  readonly #machine: Machine;
  readonly #names = new NameBook();
  readonly #violations = new Violations();
  readonly #model: SessionModel;
  readonly #laws: Laws;
  readonly #openLosses: string[] = [];
  readonly #progress: Progressing;
  #system: System | undefined;
  #actions: ActionLog;
  #opened = false;

  constructor(request: RunRequest) {
    this.#request = request;
    this.#machine = request.machine;
    this.#machine.decisions = request.decisions;
    this.#progress = new Progressing(request.onProgress);
    const storage = { pool: request.machine.pool, journal: request.machine.journal };
    this.#model = new SessionModel(storage, this.#violations, (name) => this.#names.text(name));
    this.#actions = new ActionLog(this.#machine.cpus);
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
      const bootedAt = machine.cpus.current.now();
      this.#runStages(system, kernelProgram);
      const jumps = system.kernel.state === 'rebooting';
      const handover = jumps ? this.#handover(system, kernelProgram) : undefined;
      const report = this.#report(system, bootedAt, handover);
      generations.push(report);
      digest.mixText(report.digest);
      if (!jumps) {
        this.#laws.checkFinished(system, kernelProgram, this.#actions.reports);
        system.kernel.dispose();
        break;
      }
      this.#progress.enter('jump');
      params = this.#jump(system, digest.toString());
    }
    this.#progress.enter('end');
    return {
      schemaVersion: RESULT_SCHEMA_VERSION,
      machine: machine.params,
      profile: machine.cpus.profile.name,
      seed,
      program,
      generations,
      openLosses: this.#openLosses,
      violations: this.#violations.all,
      digest: digest.toString(),
    };
  }

  called(thread: Thread, verb: Verb, name: number): void {
    this.#progress.call(this.#phaseOf(verb));
    this.#model.called(thread, verb, name);
    this.#actions.called(thread, verb);
  }

  answered(thread: Thread, verb: Verb, name: number, result: number): void {
    this.#model.answered(thread, verb, name, result);
    if (verb === 'open') this.#deviceOpened(result);
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

  #boot(program: GenerationProgram, generation: number, params: BootParams | undefined): System {
    const revision = revisionByName(program.revision);
    assert(revision !== undefined, `no revision ${program.revision}`);
    const system = boot(this.#machine, {
      revision,
      options: BOOT_OPTIONS,
      generation,
      ...(params === undefined ? {} : { params }),
    });
    this.#system = system;
    this.#actions = new ActionLog(this.#machine.cpus);
    this.#opened = false;
    const { kernel } = system;
    this.#machine.ram.onWildWrite = ({ pfn }) =>
      this.#violations.add('wild-write', `frame 0x${pfn.toString(16)} was written before it was restored`);
    kernel.buddy.onBadFree = (what, pfn) => {
      kernel.warn(`Bad page state: ${what} of frame 0x${pfn.toString(16)}`);
    };
    if (generation > 0 && kernel.bootKind !== 'handover') {
      this.#loseOpenly(`generation ${generation} booted cold: ${whyCold(kernel)}`);
    }
    this.#progress.enter('laws');
    if (kernel.state === 'panicked') this.#loseOpenly(`generation ${generation} panicked`);
    else this.#laws.checkBooted(system);
    return system;
  }

  #runStages(system: System, program: GenerationProgram): void {
    const { kernel } = system;
    if (kernel.state !== 'running') return;
    const world = this.#world(system);
    const processes = new Map<string, [Process, AgentMemory]>();
    for (const stage of program.stages) {
      for (const task of stage) this.#spawn(world, processes, task);
      const end = kernel.sched.run();
      if (end.reason === 'blocked') {
        const waits = end.waits.map(({ task, lock, holders }) => {
          return `${task.name} waits for ${lock}, held by ${holders.map((holder) => holder.name).join(', ')}`;
        });
        this.#violations.add('no-hang', waits.join('; '));
        return;
      }
      if (kernel.state !== 'running') return;
      this.#progress.enter('laws');
      const live = [...processes.values()].map(([process]) => process);
      this.#laws.checkQuiescence(system, live, stage.length === 1);
    }
  }

  #world(system: System): World {
    return {
      system,
      device: new LiveUpdateDevice(system),
      names: this.#names,
      khoTest: new KhoTest(system, this.#request.seed),
      observer: this,
    };
  }

  #spawn(world: World, processes: Map<string, [Process, AgentMemory]>, program: TaskProgram): void {
    const { system } = world;
    let known = processes.get(program.process);
    if (known === undefined) {
      const sessions = new Column(system.kernel.storage, `${program.process} sessions`);
      known = [new Process(system, program.process), { device: NO_DEVICE, sessions }];
      processes.set(program.process, known);
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
      this.#progress.enter('verify');
      const parts = { model: this.#model, names: this.#names, violations: this.#violations };
      const { sessions } = system.luo;
      checkIncoming(parts, sessions.table, sessions.incoming, true);
    }
  }

  #phaseOf(verb: Verb): Phase {
    if (verb === 'reboot') return 'serialize';
    return verb === 'open' && !this.#opened && this.#model.expected > 0 ? 'deserialize' : verb;
  }

  #loseOpenly(why: string): void {
    if (this.#model.expected > 0) this.#openLosses.push(why);
    this.#model.lostOpenly(why);
  }

  #handover(system: System, program: GenerationProgram): HandoverReport {
    this.#actions.left();
    this.#progress.enter('laws');
    this.#laws.checkAtJump(system, program, this.#actions.reports);
    const plan = system.kexec.plan();
    const blocksByOrder: number[] = [];
    let preservedPages = 0;
    system.kho.out.tracker?.walk((_address, order) => {
      blocksByOrder[order] = (blocksByOrder[order] ?? 0) + 1;
      preservedPages += pagesOf(order);
      return 0;
    });
    return {
      fdtPhys: plan.fdtPhys,
      scratchPhys: plan.scratchPhys,
      storeRegions: system.luo.sessions.store.regions().map(({ address, order }) => ({
        phys: address,
        pages: pagesOf(order),
      })),
      blocksByOrder: Array.from(blocksByOrder, (blocks) => blocks ?? 0),
      preservedPages,
      trackerPages: system.kho.out.tracker?.nodes().length ?? 0,
    };
  }

  #jump({ kernel, kexec }: System, digest: string): BootParams {
    const params = this.#machine.jump(kexec.plan());
    this.#model.jumped();
    kernel.leave();
    return this.#request.atJump?.({ generation: kernel.generation, params, digest }) ?? params;
  }

  #report(system: System, bootedAt: Time, handover: HandoverReport | undefined): GenerationReport {
    const { kernel, kho, luo } = system;
    const { cpus } = this.#machine;
    return {
      revision: kernel.revision.name,
      release: kernel.revision.release,
      bootKind: kernel.bootKind,
      state: kernel.state,
      bootedAt,
      endedAt: latest(cpus),
      scratchBytes: kho.scratch.reduce((sum, { bytes }) => sum + bytes, 0),
      freePages: kernel.buddy.nrFree,
      liveupdateNum: luo.liveupdateNum,
      actions: this.#actions.reports,
      incomingSessions: luo.sessions.incoming.count,
      outgoingSessions: luo.sessions.outgoing.count,
      handover,
      steps: Object.fromEntries(STEP_KINDS.map((kind, i) => [kind, cpus.steps[i] as number])),
      warnings: kernel.log.warnings,
      oopses: kernel.log.oopses,
      dmesg: kernel.log.lines.map(
        ({ time, text }) => `[${String(time.seconds).padStart(5)}.${dmesgMicros(time.ns)}] ${text}`,
      ),
      events: kernel.trace.events,
      digest: kernel.digest(),
    };
  }
}

/** What the kernel said before it gave the handover up, or last. */
function whyCold({ log: { lines } }: Kernel): string {
  const givenUp = lines.findIndex(({ text }) => text.includes('disabling KHO revival'));
  return (lines[givenUp - 1] ?? lines.at(-1))?.text ?? '';
}

type Time = VirtualTime;

const dmesgMicros = (ns: number): string => String(Math.floor(ns / 1000)).padStart(6, '0');
