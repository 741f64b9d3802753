/*
 * The state of one kernel as data, at any moment between two steps of its code: tasks and locks, session lists, the
 * session store as it stands in RAM, who owns memory, what is preserved, what processes have open.
 *
 * It is read while the kernel runs, maybe in the middle of an operation, and may be as broken as what is looked for: a
 * walk has a limit, and what cannot be read is a problem to be told.
 */
import { type Point, pointName } from '../base/point.ts';
import { pagesOf } from '../base/units.ts';
import type { Booting, System } from '../boot/boot.ts';
import { freePages, takeCensus } from '../check/census.ts';
import { type StoreShape, shapeOf } from '../check/store_shape.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import type { SessionList } from '../luo/session_list.ts';
import { NO_SESSION } from '../luo/session_table.ts';
import type { Owner } from '../machine/frames.ts';
import type { LockId } from '../sched/lock.ts';
import type { RwSemaphore } from '../sched/rwsem.ts';
import type { Task } from '../sched/task.ts';
import type { Process } from '../user/process.ts';
import { fileText, ifSound, rowText, sessionName } from './kernel_words.ts';
import {
  type BlockReport,
  type KernelStateReport,
  LISTED_MAX,
  type ListReport,
  type LockReport,
  type MemoryReport,
  type ProcessReport,
  type SessionReport,
  type StoreReport,
  type TaskReport,
  type TrackerReport,
} from './step_report.ts';

/** The state of a kernel now; what comes later in its boot is absent. */
export function kernelState(system: Booting, processes: Iterable<Process>): KernelStateReport {
  const { kernel } = system;
  const problems: string[] = [];
  const parts = isWhole(system) ? sessionParts(system, problems) : { lists: [] };
  return {
    generation: kernel.generation,
    revision: kernel.revision.name,
    state: kernel.state,
    clocks: kernel.machine.cpus.all.map((cpu) => cpu.now()),
    tasks: kernel.sched.tasks.map((task) => taskState(system, task)),
    ...parts,
    memory: memoryState(kernel, problems),
    ...ifSound<{ tracker?: TrackerReport }>(
      () => trackerState(system),
      (why) => {
        problems.push(`the tracker cannot be walked: ${why}`);
        return {};
      },
    ),
    processes: Array.from(processes, (process) => processState(system, process)),
    problems,
  };
}

const isWhole = (system: Booting): system is System => system.kexec !== undefined;

function taskState(system: Booting, task: Task): TaskReport {
  const { sched } = system.kernel;
  const runs = task === sched.current && task.state === 'runnable';
  const waits = task.state === 'blocked';
  const stands = !runs && (waits || task.state === 'runnable') && task.point !== undefined;
  const holds: LockReport[] = [];
  for (let i = 0; i < task.held.length; i += 2) {
    holds.push(lockState(system, task, task.held[i] as LockId, task.held[i + 1] as number));
  }
  return {
    id: task.id,
    name: task.name,
    cpu: task.cpu,
    state: runs ? 'runs' : task.state,
    ...(stands ? { point: pointName(task.point as Point) } : {}),
    holds,
    ...(waits ? { waitsFor: waitState(system, task) } : {}),
  };
}

function waitState(system: Booting, task: Task): NonNullable<TaskReport['waitsFor']> {
  const { sched } = system.kernel;
  const { waitsFor, waitsRow, waitsMode } = task;
  return {
    ...namedLock(system, waitsFor, waitsRow),
    ...(waitsMode === 'lock' ? {} : { mode: waitsMode }),
    heldBy: sched.holders(waitsFor, waitsRow).map(({ name, id }) => `${id} ${name}`),
  };
}

function lockState(system: Booting, task: Task, lock: LockId, row: number): LockReport {
  const rwsem = rwsemsOf(system).find(({ id }) => id === lock);
  const named = namedLock(system, lock, row);
  if (rwsem === undefined) return named;
  return { ...named, mode: rwsem.isWriteHeldBy(task) ? 'write' : 'read' };
}

function namedLock(system: Booting, lock: LockId, row: number): LockReport {
  const name = system.kernel.sched.locks.name(lock);
  return row === 0 ? { lock: name } : { lock: name, row: rowText(system, name, row) };
}

function rwsemsOf({ luo }: Booting): RwSemaphore[] {
  if (luo === undefined) return [];
  const { outgoing, incoming, serializeRwsem } = luo.sessions;
  return [outgoing.rwsem, incoming.rwsem, ...(serializeRwsem === undefined ? [] : [serializeRwsem])];
}

type SessionParts = Pick<KernelStateReport, 'lists' | 'store' | 'incomingStore'>;

function sessionParts(system: System, problems: string[]): SessionParts {
  const { kernel, luo } = system;
  const { outgoing, incoming, store, incomingHead } = luo.sessions;
  const shape = shapeOf(kernel.revision.parts.sessionStore);
  const regions = store.regions().map(({ address }) => address);
  const lists = [outgoing, incoming].map((list) => listState(system, list));
  const left = incomingHead === 0 ? [] : chainFrom(kernel, incomingHead, shape, problems);
  return {
    lists,
    store: storeState(kernel, regions, shape),
    ...(left.length === 0 ? {} : { incomingStore: storeState(kernel, left, shape) }),
  };
}

function listState(system: System, list: SessionList): ListReport {
  const { table } = system.luo.sessions;
  const sessions: SessionReport[] = [];
  let session = list.head;
  const broken = ifSound<string | undefined>(
    () => {
      for (; session !== NO_SESSION && sessions.length < LISTED_MAX; session = table.next(session)) {
        sessions.push({ name: sessionName(table, session), retrieved: table.retrieved(session) });
      }
      return undefined;
    },
    (why) => why,
  );
  return { name: list.name, count: list.count, sessions, ...(broken === undefined ? {} : { broken }) };
}

function storeState(kernel: Kernel, blocks: readonly number[], shape: StoreShape): StoreReport {
  const { ram } = kernel.machine;
  const listed = blocks.slice(0, LISTED_MAX).map((phys): BlockReport => {
    const count = ram.load64(phys + shape.countAt);
    return { phys, count, ...(shape.nextAt === undefined ? {} : { next: ram.load64(phys + shape.nextAt) }) };
  });
  return { blocks: blocks.length, pagesPerBlock: pagesOf(shape.order), listed };
}

/** Blocks of a chain as far as it leads through memory. */
function chainFrom(kernel: Kernel, head: number, shape: StoreShape, problems: string[]): number[] {
  const { ram } = kernel.machine;
  const blocks: number[] = [];
  for (let at = head; at !== 0; ) {
    if (!ram.has(at, shape.headerBytes)) {
      problems.push(`the incoming store leads to 0x${at.toString(16)}, outside of memory`);
      break;
    }
    if (blocks.length === LISTED_MAX) {
      problems.push(`the incoming store has more than ${LISTED_MAX} blocks, or no end`);
      break;
    }
    blocks.push(at);
    at = shape.nextAt === undefined ? 0 : ram.load64(at + shape.nextAt);
  }
  return blocks;
}

function memoryState(kernel: Kernel, problems: string[]): MemoryReport {
  const census = takeCensus(kernel);
  problems.push(...census.faults);
  const owners = census.owners.flatMap((tally, owner) => {
    if (tally === undefined) return [];
    return [{ owner: kernel.frames.ownerName(owner as Owner), blocks: tally.blocks, pages: tally.pages }];
  });
  owners.sort((x, y) => (x.owner < y.owner ? -1 : 1));
  return { freePages: freePages(census), owners, stampedPages: census.stamped.pages };
}

function trackerState({ kho }: Booting): { tracker?: TrackerReport } {
  const { tracker } = kho.out;
  if (tracker === undefined) return {};
  const blocksByOrder: number[] = [];
  let preservedPages = 0;
  tracker.walk((_address, order) => {
    while (blocksByOrder.length <= order) blocksByOrder.push(0);
    blocksByOrder[order] = (blocksByOrder[order] ?? 0) + 1;
    preservedPages += pagesOf(order);
    return 0;
  });
  return { tracker: { blocksByOrder, preservedPages, nodes: tracker.nodes().length } };
}

function processState(system: Booting, process: Process): ProcessReport {
  const descriptors: { fd: number; file: string }[] = [];
  let fd = process.nextOpen(0);
  for (; fd !== -1 && descriptors.length < LISTED_MAX; fd = process.nextOpen(fd + 1)) {
    descriptors.push({ fd, file: fileText(system, process.file(fd) as FileHandle) });
  }
  return { name: process.name, alive: process.alive, open: process.open, descriptors };
}
