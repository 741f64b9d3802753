/*
 * All laws together, over runs of random programs: what the modelled kernel does breaks none, and what is planted in
 * memory between two kernels breaks the one that watches it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import { Decisions, type Fault } from '../../sim/base/decisions.ts';
import { order, type Phys, pfn, pfnOf } from '../../sim/base/units.ts';
import { Laws } from '../../sim/check/laws.ts';
import { SessionModel } from '../../sim/check/model.ts';
import type { Law, Violations } from '../../sim/check/violation.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { type AtJump, type Jump, run } from '../../sim/explore/run.ts';
import { ICOUNT } from '../../sim/kernel/cost.ts';
import { REVISIONS, revisionByName } from '../../sim/kernel/revisions.ts';
import { LUO_SESSION_BLOCK_SER } from '../../sim/luo/abi.ts';
import { Machine } from '../../sim/machine/machine.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { NameBook } from '../../sim/user/names.ts';
import type { Action, GenerationProgram, Program, TaskProgram } from '../../sim/user/program.ts';
import { runs } from '../support/seed.ts';
import { atJump, coldBoot, create, nextKernel, reported } from './life.ts';

const MIB = 2 ** 20;
const HEADER = LUO_SESSION_BLOCK_SER;
const pool = new PiecePool();

interface Trial {
  readonly program: Program;
  readonly mib: number;
  readonly nodes: number;
  readonly seed: string;
  readonly faults?: readonly Fault[];
  readonly between?: AtJump;
}

function attempt({ program, mib, nodes, seed, faults = [], between }: Trial): RunResult {
  const machine = new Machine({ ramBytes: mib * MIB, nodes, cpus: 2 }, ICOUNT, pool, Decisions.none());
  try {
    const decisions = Decisions.seeded(seed, faults);
    return run({ machine, seed, decisions, program, ...(between === undefined ? {} : { atJump: between }) });
  } finally {
    machine.dispose();
  }
}

const broken = (result: RunResult): string[] => result.violations.map(({ law, text }) => `${law}: ${text}`);

const anyNames = fc
  .record({ first: fc.nat({ max: 5 }), count: fc.integer({ min: 1, max: 3 }) })
  .map((names) => ({ pattern: 's%d', ...names }));

const anyAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('create' as const), names: anyNames }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('retrieve' as const), names: anyNames }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('finish' as const), names: anyNames }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('dup' as const), names: anyNames }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('close' as const), names: anyNames }) },
  { weight: 1, arbitrary: fc.constantFrom<Action>({ do: 'close-device' }, { do: 'open' }) },
);

/** A task that opens the device, does this and that, and perhaps dies. */
const anyTask = fc
  .tuple(
    fc.array(anyAction, { maxLength: 10 }),
    fc.constantFrom<Action>({ do: 'close-device' }, { do: 'exit' }),
  )
  .map(([actions, last]) => [{ do: 'open' } as Action, ...actions, last]);

const REBOOT: TaskProgram = { process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] };

/** Stages of one task each, or of as many as `tasks`; every kernel but the last reboots when all are done. */
function anyProgram(tasks: number, together = false): fc.Arbitrary<Program> {
  const stage = fc.array(anyTask, { minLength: 1, maxLength: tasks });
  const generation = fc.array(stage, { maxLength: 3 });
  const revisions = fc.constantFrom(...REVISIONS.map(({ name }) => name));
  return fc
    .tuple(fc.array(generation, { minLength: 1, maxLength: 3 }), revisions)
    .map(([generations, revision]) => ({
      generations: generations.map((stages, g): GenerationProgram => {
        const all: TaskProgram[][] = stages.map((list, s) =>
          list.map((actions, t) => ({ process: `p${s}-${t}`, actions })),
        );
        const last = g === generations.length - 1;
        if (!last && together && all.length > 0) all.at(-1)?.push(REBOOT);
        else if (!last) all.push([REBOOT]);
        return { revision, stages: all };
      }),
    }));
}

const trial = (program: fc.Arbitrary<Program>) =>
  fc
    .record({
      program,
      machine: fc.constantFrom([16, 1], [32, 2], [64, 2]),
      seed: fc.string({ maxLength: 4 }),
    })
    .map(({ program: p, machine: [mib = 16, nodes = 1], seed }): Trial => ({ program: p, mib, nodes, seed }));

const cycle = (sessions: number, generations: number): Program =>
  manySessions({ revisions: ['april-v1-p1'], generations, sessions, pattern: 's%d' });

describe('all laws hold', () => {
  it('over random programs, one task at a time', () => {
    fc.assert(
      fc.property(trial(anyProgram(1)), (t) => {
        expect(broken(attempt(t))).toEqual([]);
      }),
      { numRuns: runs(25) },
    );
  });

  it('over random programs whose tasks run together', () => {
    fc.assert(
      fc.property(trial(anyProgram(3)), (t) => {
        expect(broken(attempt(t))).toEqual([]);
      }),
      { numRuns: runs(20) },
    );
  });

  it('of memory, chain and stamps, wherever a reboot falls; all of them where it excludes other calls', () => {
    // Without that, sessions may still change between the reboot hook and the jump: these laws tell what is lost then,
    // and what comes of it.
    const open: readonly Law[] = [
      'handover',
      'preservation',
      'no-invention',
      'list-matches-acknowledged',
      'leak',
    ];
    fc.assert(
      fc.property(trial(anyProgram(2, true)), (t) => {
        const { violations } = attempt(t);
        const revision = revisionByName(t.program.generations[0]?.revision ?? '');
        const excludes = revision?.parts.rebootExclusion === 'global-rwsem';
        expect(violations.filter(({ law }) => excludes || !open.includes(law))).toEqual([]);
      }),
      { numRuns: runs(20) },
    );
  });

  it('whichever allocation fails, but that the kernel may warn of it', () => {
    const points = [
      'kho_radix_add_page:node',
      'luo_session_insert:block',
      'kmem_cache_alloc:pages',
      'alloc_file:filp',
      'kho_init:radix root',
      'kho_init:fdt',
      'kho_kexec_metadata_init:page',
      'luo_fdt_setup:fdt',
      'luo_session_setup_outgoing:block',
      'luo_flb_setup_outgoing:page',
      'luo_session_freeze_one:freeze',
    ];
    const fault = fc.record({ point: fc.constantFrom(...points), nth: fc.nat({ max: 15 }) });
    fc.assert(
      fc.property(trial(anyProgram(1)), fc.array(fault, { minLength: 1, maxLength: 3 }), (t, faults) => {
        const { violations } = attempt({ ...t, faults });
        expect(violations.filter(({ law }) => law !== 'no-warning')).toEqual([]);
      }),
      { numRuns: runs(25) },
    );
  });

  it('where a session gets the descriptor that the device had', () => {
    const s0 = { pattern: 's%d', first: 0, count: 1 };
    const task = (...actions: Action[]): TaskProgram[] => [{ process: 'agent', actions }];
    const made: Action[] = [{ do: 'open' }, { do: 'create', names: s0 }, { do: 'close-device' }];
    const asked: Action[] = [
      { do: 'dup', names: s0 },
      { do: 'retrieve', names: s0 },
    ];
    const program: Program = {
      generations: [
        { revision: 'v6.19', stages: [task(...made), [REBOOT]] },
        { revision: 'v6.19', stages: [task(...made, ...asked)] },
      ],
    };
    expect(broken(attempt({ program, mib: 16, nodes: 1, seed: '' }))).toEqual([]);
  });

  it.each([
    [820, 16, 1],
    [100, 64, 2],
    [1, 48, 3],
  ])('over five kernels with %i sessions on %i MiB with %i nodes', (sessions, mib, nodes) => {
    const result = attempt({ program: cycle(sessions, 5), mib, nodes, seed: 'cycle' });
    expect(broken(result)).toEqual([]);
    expect(result.generations.map(({ state }) => state)).toEqual([...Array(4).fill('rebooting'), 'running']);
    // Kernels 1 to 3 did the same.
    const [, ...same] = result.generations.slice(0, 4).map(({ freePages }) => freePages);
    expect(new Set(same).size).toBe(1);
  });

  it('with the test module', () => {
    const module = (phase: 'save' | 'restore'): TaskProgram[] => [
      { process: 'module', actions: [{ do: 'kho-test', phase }] },
    ];
    const program: Program = {
      generations: [
        { revision: 'april-v1-p1', stages: [module('save'), [REBOOT]] },
        { revision: 'april-v1-p1', stages: [module('restore')] },
      ],
    };
    const result = attempt({ program, mib: 32, nodes: 2, seed: 'module' });
    expect(broken(result)).toEqual([]);
    expect(result.generations[1]?.actions.map(({ result: answer }) => answer)).toEqual(['OK']);
  });
});

describe('what happens to memory between two kernels', () => {
  /** Address of the block whose first session is s0. */
  const blockIn = ({ params: { ram } }: Jump): number => {
    const page = [...ram.dirtyPages()].find((at) => ram.load32(at * 4096 + HEADER.size) === 0x3073);
    expect(page).toBeDefined();
    return (page as number) * 4096;
  };
  it.each<[string, readonly Law[], (jump: Jump) => void]>([
    ['nothing', [], () => {}],
    ['another name', ['preservation'], (jump) => jump.params.ram.store8(blockIn(jump) + HEADER.size, 0x78)],
    [
      'a lower count',
      ['preservation'],
      (jump) => jump.params.ram.store64(blockIn(jump) + HEADER.at.count, 2),
    ],
    [
      'a higher count',
      ['preservation', 'no-invention'],
      (jump) => jump.params.ram.store64(blockIn(jump) + HEADER.at.count, 4),
    ],
  ])('is told: %s', (_what, laws, between) => {
    const result = attempt({
      program: cycle(3, 3),
      mib: 16,
      nodes: 1,
      seed: 'x',
      between: (jump) => {
        if (jump.generation === 0) between(jump);
        return jump.params;
      },
    });
    const found = result.violations.filter(({ generation }) => generation === 1).map(({ law }) => law);
    expect(found).toEqual(expect.arrayContaining([...laws]));
    if (laws.length === 0) expect(found).toEqual([]);
  });
});

describe('Laws', () => {
  function laws(violations: Violations, few?: number): Laws {
    const system = coldBoot();
    const names = new NameBook();
    const model = new SessionModel(system.kernel.storage, violations, String);
    return new Laws({ model, names, violations }, few);
  }

  it('compare what was preserved with what the next kernel stamped', () => {
    const violations = reported((v) => {
      const all = laws(v);
      const system = coldBoot();
      create(system, 2);
      all.checkBooted(system);
      all.checkAtJump(atJump(system), { revision: 'april-v1-p1', stages: [] }, []);
      const { flbPhys } = system.luo;
      all.checkBooted(
        nextKernel(system, () => system.kho.out.tracker?.del(pfnOf(flbPhys as Phys), order(0))),
      );
    });
    expect(violations.map(({ law }) => law)).toEqual(['stamp']);
  });

  it('know early allocations that lie outside of scratch', () => {
    const violations = reported((v) => {
      const system = nextKernel(coldBoot());
      (system.memblock.allocations as unknown[]).push({
        range: { start: 0x600000, end: 0x601000 },
        scratchOnly: false,
      });
      laws(v).checkBooted(system);
    });
    expect(violations).toEqual([
      expect.objectContaining({
        law: 'early-allocation',
        text: '[0x600000, 0x601000) was allocated outside of scratch',
      }),
    ]);
  });

  it('report a list that leads to freed memory, and go on', () => {
    const violations = reported((v) => {
      const system = coldBoot();
      create(system, 3);
      atJump(system);
      system.luo.sessions.table.free(system.luo.sessions.outgoing.head);
      laws(v).checkQuiescence(system, [], true);
      laws(v).checkAtJump(system, { revision: 'april-v1-p1', stages: [] }, []);
    });
    expect(violations.map(({ law }) => law)).toEqual(['list-matches-acknowledged', 'leak', 'handover']);
    expect(violations.at(-1)?.text).toMatch(/leads nowhere: use after free of luo_session/);
  });

  it('leave out a quiescence where there is very much and little was done since the last', () => {
    reported((v) => {
      const system = coldBoot();
      const little = laws(v, 0);
      const call = (n: number): void => {
        for (; n > 0; n--) system.kernel.enterSyscall();
      };
      little.checkBooted(system);
      create(system, 40);
      const objects = system.kernel.slabs.reduce((sum, { live }) => sum + live, 0);
      call(objects);
      expect(objects).toBeGreaterThanOrEqual(120);
      expect(little.isDue(system)).toBe(true);
      little.checkQuiescence(system, [], true);
      expect([little.isDue(system), laws(v).isDue(system), laws(v, objects).isDue(system)]).toEqual([
        false,
        true,
        true,
      ]);
      call(objects - 1);
      expect(little.isDue(system)).toBe(false);
      call(1);
      expect(little.isDue(system)).toBe(true);
    });
  });

  it('judge the end of the last kernel only if everything was finished and closed', () => {
    const program: GenerationProgram = { revision: 'april-v1-p1', stages: [] };
    for (const sessions of [0, 1]) {
      const violations = reported((v) => {
        const system = coldBoot();
        create(system, sessions);
        inOwner(system, 'luo fdt');
        laws(v).checkFinished(system, program, []);
      });
      const found = violations.map(({ law }) => law);
      expect(found).toEqual(sessions === 0 ? ['ownership', 'leak'] : ['ownership']);
    }
  });

  it('count memory again at the end where anything was done since the last quiescence', () => {
    const program: GenerationProgram = { revision: 'april-v1-p1', stages: [] };
    const violations = reported((v) => {
      const system = coldBoot();
      const all = laws(v);
      all.checkQuiescence(system, [], true);
      inOwner(system, 'luo fdt');
      all.checkFinished(system, program, []);
    });
    expect(violations.map(({ law }) => law)).toEqual(['ownership', 'leak']);
  });
});

function inOwner({ kernel }: ReturnType<typeof coldBoot>, owner: string): void {
  const slab = kernel.slab('test', 4096);
  const frame = pfnOf(slab.physOf(slab.alloc()));
  kernel.frames.setOwner(pfn(frame), kernel.frames.owner(owner));
}
