import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import takenName from '../../scenarios/taken_name.ts';
import { EVENT_WORDS } from '../../sim/explore/event_words.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { diffStates } from '../../sim/explore/state_diff.ts';
import { watchSteps } from '../../sim/explore/step.ts';
import type { KernelStateReport, StepsReport } from '../../sim/explore/step_report.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import type { Names } from '../../sim/user/names.ts';
import type { Action, GenerationProgram } from '../../sim/user/program.ts';
import { inputs } from '../support/inputs.ts';
import { MIB } from '../support/system.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MACHINE = { ramBytes: 16 * MIB, nodes: 1, cpus: 2 };
const EVERYTHING = { from: 0, count: Number.POSITIVE_INFINITY, at: [] };

/** 51 sessions fill a block of v7.3; the 52nd create is refused and leaves an empty one. */
const FULL: RunInput = {
  machine: MACHINE,
  profile: 'icount',
  seed: '1',
  program: takenName({ revisions: ['v7.3'], generations: 2, sessions: 51, pattern: 's%d' }),
};

const stepOf = (report: StepsReport, fn: string, nth = 0): number =>
  report.events.filter((event) => event.fn === fn)[nth]?.step ?? Number.NaN;

describe('watching a run', () => {
  it('changes nothing of it, and numbers every event of every kernel', () => {
    fc.assert(
      fc.property(inputs, fc.array(fc.nat(400), { maxLength: 4 }), (input, at) => {
        const watched = watchSteps(input, { ...EVERYTHING, at });
        expect(watched.result).toEqual(simulate(input));
        expect(watched.events.map(({ step }) => step)).toEqual(
          Array.from({ length: watched.total }, (_, i) => i),
        );
        const events = watched.result.generations.map((generation) => generation.events);
        expect(watched.total).toBe(events.reduce((sum, n) => sum + n, 0));
        expect(watched.broken.map(({ step, ...violation }) => violation)).toEqual(watched.result.violations);
        const wanted = new Set(at.filter((step) => step < watched.total));
        expect(new Set(watched.states.map(({ event }) => event.step))).toEqual(wanted);
      }),
      { numRuns: 20 },
    );
  });

  it('tells calls, decisions, kernels and broken laws between the steps', () => {
    const report = watchSteps(FULL, EVERYTHING);
    const [hook, next] = [stepOf(report, 'kernel_kexec'), stepOf(report, 'start_kernel', 1)];
    expect(next).toBe(hook + 1);
    expect(report.events[stepOf(report, 'luo_session_serialize')]?.notes).toEqual([
      '1 agent-0: create "s0" answers EEXIST',
      '1 agent-0 calls close-device',
      '1 agent-0: close-device answers OK',
      '2 init calls load',
      '2 init: load answers OK',
      '2 init calls reboot',
    ]);
    expect(report.events[next]?.notes).toEqual([
      'law handover is broken: session block 1 is empty: the next kernel refuses the chain',
      'kernel 0 ends: rebooting',
      expect.stringMatching(/^decided at machine_kexec:pattern occurrence 0: \d+$/),
      'kernel 1 starts: v7.3',
    ]);
    expect(report.broken).toMatchObject([{ law: 'handover', step: hook, generation: 0 }]);
    expect(report.rest).toEqual(['kernel 1 ends: panicked']);
    const refused = report.events[stepOf(report, 'luo_session_insert', 51)];
    expect(refused?.words.map(({ name, text }) => [name, text])).toEqual([
      ['session', '"s0"'],
      ['name hash', expect.stringMatching(/^0x[0-9a-f]+$/)],
      ['answer', 'EEXIST'],
    ]);
  });

  it('lists a window, and the notes that belong to it', () => {
    const all = watchSteps(FULL, EVERYTHING);
    const some = watchSteps(FULL, { from: 20, count: 7, at: [] });
    expect(some.events).toEqual(all.events.slice(20, 27));
    expect([some.total, some.rest]).toEqual([all.total, []]);
    expect(watchSteps(FULL, { from: all.total, count: 5, at: [all.total] })).toMatchObject({
      events: [],
      states: [],
    });
  });
});

function stateAt(input: RunInput, step: number): readonly KernelStateReport[] {
  return watchSteps(input, { from: 0, count: 0, at: [step] }).states[0]?.kernels ?? [];
}

describe('a state', () => {
  const steps = watchSteps(FULL, EVERYTHING);

  it('has the list, the blocks as they stand in RAM, memory and descriptors at that step', () => {
    const [kernel] = stateAt(FULL, stepOf(steps, 'luo_session_create', 2));
    expect(kernel).toMatchObject({ generation: 0, revision: 'v7.3', state: 'running', problems: [] });
    const names = ['s0', 's1', 's2'];
    expect(kernel?.lists).toEqual([
      { name: 'outgoing', count: 3, sessions: names.map((name) => ({ name, retrieved: false })) },
      { name: 'incoming', count: 0, sessions: [] },
    ]);
    // The header of a block is written when sessions are serialized.
    expect(kernel?.store).toMatchObject({ blocks: 1, pagesPerBlock: 1, listed: [{ count: 0, next: 0 }] });
    expect(kernel?.memory.owners).toContainEqual({ owner: 'luo session block', blocks: 1, pages: 1 });
    expect(kernel?.processes).toEqual([
      {
        name: 'agent-0',
        alive: true,
        open: 7,
        // The last descriptor is installed when the call returns.
        descriptors: [
          { fd: 3, file: '/dev/liveupdate' },
          { fd: 4, file: 'session "s0"' },
          { fd: 5, file: 'session "s1"' },
        ],
      },
    ]);
    expect(kernel?.tasks).toMatchObject([
      { id: 0, name: 'boot', state: 'runnable' },
      { id: 1, name: 'agent-0', state: 'runs', holds: [] },
    ]);
  });

  it('has the locks that the running task holds', () => {
    const [kernel] = stateAt(FULL, stepOf(steps, 'luo_session_insert', 2));
    expect(kernel?.tasks.at(-1)?.holds).toEqual([
      { lock: 'luo_session_serialize_rwsem', mode: 'read' },
      { lock: 'luo_session_header[outgoing].rwsem', mode: 'write' },
    ]);
  });

  it('has the kernel before as it left, and the one that boots', () => {
    const [left, booting] = stateAt(FULL, stepOf(steps, 'kho_preserved_memory_reserve', 2));
    expect(left).toMatchObject({ generation: 0, state: 'rebooting' });
    expect(left?.store?.listed.map(({ count }) => count)).toEqual([51, 0]);
    expect(left?.store?.listed[0]?.next).toBe(left?.store?.listed[1]?.phys);
    expect(left?.tasks.at(-1)).toMatchObject({
      name: 'init',
      state: 'runnable',
      point: 'machine_kexec:jump',
    });
    expect(booting).toMatchObject({
      generation: 1,
      state: 'booting',
      lists: [],
      memory: { stampedPages: 3 },
    });
    expect(booting?.store).toBeUndefined();
  });

  it('has what is left of the incoming store until it is freed', () => {
    const good: RunInput = {
      ...FULL,
      program: takenName({ revisions: ['v7.3'], generations: 2, sessions: 60, pattern: 's%d' }),
    };
    const all = watchSteps(good, EVERYTHING);
    const [, kernel] = stateAt(good, stepOf(all, 'luo_session_insert', 61 + 5));
    expect(kernel?.lists[1]?.sessions.map(({ name }) => name)).toEqual(['s0', 's1', 's2', 's3', 's4', 's5']);
    expect(kernel?.incomingStore?.listed.map(({ count }) => count)).toEqual([51, 9]);
    const [, after] = stateAt(good, stepOf(all, 'luo_session_deserialize'));
    expect(after?.incomingStore).toBeUndefined();
  });

  it('says who waits for which lock, who holds it, and where a preempted task stands', () => {
    const creator = (process: string) => ({
      process: 'p',
      actions: [{ do: 'create' as const, names: { pattern: `${process}%d`, first: 0, count: 3 } }],
    });
    const program: RunInput['program'] = {
      generations: [
        {
          revision: 'v7.1',
          stages: [
            [{ process: 'p', actions: [{ do: 'open' }, ...creator('z').actions] }],
            [creator('a'), creator('b'), { process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] }],
          ],
        },
        { revision: 'v7.1', stages: [[{ process: 'p', actions: [{ do: 'open' }] }]] },
      ],
    };
    let blocked = 0;
    let preempted = 0;
    for (let seed = 0; seed < 10; seed++) {
      const input = { machine: MACHINE, profile: 'icount', seed: String(seed), program };
      const { events } = watchSteps(input, EVERYTHING);
      const waits = events.filter(({ fn }) => /^(down_|mutex_lock)/.test(fn)).map(({ step }) => step);
      for (const { event, kernels } of watchSteps(input, { from: 0, count: 0, at: waits }).states) {
        const { tasks } = kernels.at(-1) as KernelStateReport;
        const waiter = tasks.find(({ id }) => id === event.task);
        expect(waiter).toMatchObject({ state: 'blocked', waitsFor: { lock: event.words[0]?.text } });
        const [holder] = waiter?.waitsFor?.heldBy ?? [];
        const held = tasks.find(({ id, name }) => `${id} ${name}` === holder)?.holds.map(({ lock }) => lock);
        expect(held).toContain(waiter?.waitsFor?.lock);
        blocked++;
        if (tasks.some(({ state, point }) => state === 'runnable' && point !== undefined)) preempted++;
      }
    }
    expect(blocked).toBeGreaterThan(3);
    expect(preempted).toBeGreaterThan(3);
  });
});

it('words of events are told for the kernel functions that there are, and for all of them', () => {
  const sources = readdirSync(join(ROOT, 'sim'), { recursive: true, encoding: 'utf8' });
  const functions = sources
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => [
      ...readFileSync(join(ROOT, 'sim', path), 'utf8').matchAll(/kernelFunction\('(\w+)'\)/g),
    ])
    .map(([, name]) => name);
  expect(new Set(functions)).toEqual(new Set(Object.keys(EVENT_WORDS)));
});

describe('events of files', () => {
  const one = (name: string): Names => ({ pattern: name, first: 0, count: 1 });
  const fds: Names = { pattern: 'f%d', first: 0, count: 2 };
  const token = '18446744073709551615';
  const before: Action[] = [
    { do: 'open' },
    { do: 'create', names: one('kept') },
    { do: 'create', names: one('dropped') },
    { do: 'memfd', names: { ...fds, count: 3 }, bytes: 4096 },
    { do: 'preserve', names: fds, session: one('kept'), token },
    { do: 'preserve', names: { ...fds, count: 1 }, session: one('dropped'), token: 7 },
    { do: 'preserve', names: { ...fds, first: 2, count: 1 }, session: one('dropped'), token: 7 },
    { do: 'close', names: one('dropped') },
  ];
  const after: Action[] = [
    { do: 'open' },
    { do: 'retrieve', names: one('kept') },
    { do: 'retrieve-fd', names: fds, session: one('kept'), token },
    { do: 'finish', names: one('kept') },
  ];

  it.each(['v7.1', 'april-v1', 'v7.3'])('of %s are told in words, each word with a name', (revision) => {
    const generation = (...actions: Action[][]): GenerationProgram => ({
      revision,
      stages: actions.map((of, i) => [{ process: `p${i}`, actions: of }]),
    });
    const generations = [generation(before, [{ do: 'load' }, { do: 'reboot' }]), generation(after)];
    const input = { machine: MACHINE, profile: 'icount', seed: '1', program: { generations } };
    const { events, result } = watchSteps(input, EVERYTHING);
    expect(result.violations).toEqual([]);
    const wordless = events.filter(({ words }) => words.some(({ name }) => /^[abc]$/.test(name)));
    expect(new Set(wordless.map(({ fn }) => fn))).toEqual(new Set());
    const said = (fn: string): string[] =>
      events
        .filter((event) => event.fn === fn)
        .map(({ words }) => words.map(({ name, text }) => `${name} ${text}`).join(', '));
    expect(said('luo_preserve_file')).toEqual([
      'session "kept", token low 4294967295, answer OK',
      'session "kept", token low 0, answer OK',
      'session "dropped", token low 7, answer EBUSY',
      'session "dropped", token low 7, answer OK',
    ]);
    expect(said('luo_file_unpreserve_files')).toEqual(['session "dropped", token low 7, token high 0']);
    expect(said('luo_file_freeze')).toEqual(['session "kept", files 2']);
    expect(said('luo_file_deserialize')).toEqual(['session "kept", files 2, answer OK']);
    expect(said('luo_retrieve_file')).toEqual([
      expect.stringMatching(/^session "kept", token low 4294967295, file \d+$/),
      expect.stringMatching(/^session "kept", token low 0, file \d+$/),
    ]);
    expect(said('luo_file_finish')).toEqual([
      'session "kept", token low 0, token high 0',
      'session "kept", token low 4294967295, token high 4294967295',
    ]);
    expect(said('luo_session_finish_one')).toContain('session "kept", answer OK');
  });
});

describe('a difference of two states', () => {
  const at = [10, 17, 60, 126, 128, 131, 136];
  const { states } = watchSteps(FULL, { from: 0, count: 0, at });

  it('is nothing for one state, and the other way round for states exchanged', () => {
    expect(states).toHaveLength(at.length);
    for (const a of states) {
      expect(diffStates(a, a)).toEqual([]);
      for (const b of states) {
        const there = diffStates(a, b).map(({ generation, what, from, to }) => [generation, what, to, from]);
        const back = diffStates(b, a).map(({ generation, what, from, to }) => [generation, what, from, to]);
        expect(new Set(there.map(String))).toEqual(new Set(back.map(String)));
      }
    }
  });

  it('names what came, went and changed', () => {
    const [before, after] = watchSteps(FULL, { from: 0, count: 0, at: [22, 24] }).states;
    if (before === undefined || after === undefined) throw new Error('no states');
    expect(diffStates(before, after)).toEqual([
      { generation: 0, what: 'sessions on the outgoing list', from: '4', to: '5' },
      { generation: 0, what: 'session "s4", outgoing', to: 'listed' },
      { generation: 0, what: 'descriptor 7 of agent-0', to: 'session "s3"' },
    ]);
  });
});
