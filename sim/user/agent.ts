/*
 * An agent: a task that carries out its actions, call by call, and tells an observer what each call answered. It is
 * the body of its task, and not a generator: between two calls it stands in user mode, where it may be preempted; in
 * a call the call's own generator runs.
 *
 * A failing call ends its action, not the agent; the next action starts. That is what agents do that handle errors
 * one by one, and it makes every refusal visible to the observer. A killed agent ends its call, and exits.
 */
import type { Answer } from '../base/answer.ts';
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { definePoint, type Op, type Point } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import { Column, type Storage } from '../machine/column.ts';
import type { VirtualTime } from '../machine/cpu.ts';
import { PIECE_MASK } from '../machine/pool.ts';
import type { Scheduler } from '../sched/scheduler.ts';
import type { Task } from '../sched/task.ts';
import { FileCalls } from './file_calls.ts';
import type { KhoTest } from './kho_test.ts';
import type { LiveUpdateDevice } from './liveupdate.ts';
import type { NameBook } from './names.ts';
import { dropFile, exitProcess, type Process, Thread } from './process.ts';
import type { ProcessCalls } from './process_calls.ts';
import { type Action, type FileAction, isFileAction, type SessionVerb, type Verb } from './program.ts';
import type { Syscalls } from './syscalls.ts';
import { UserMemory } from './uaccess.ts';
import {
  FINISH_ARGUMENT,
  LIVEUPDATE_IOCTL_CREATE_SESSION,
  LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
  LIVEUPDATE_SESSION_FINISH,
  SESSION_ARGUMENT,
} from './uapi.ts';

const USER_MODE = definePoint('exit_to_user_mode', 'preempt');

/**
 * Told of calls and what they answered. `name` is the id of the session's name, -1 for calls without one; while a call
 * is under way, it is what the thread is calling about.
 */
export interface Observer {
  /** An action begins: its first call is next. */
  began(thread: Thread, verb: Verb): void;
  called(thread: Thread, verb: Verb, name: number): void;
  answered(thread: Thread, verb: Verb, name: number, result: number): void;
  /** A call of a file action: for name `i` of the action, whose id is `name`. */
  fileCalled(thread: Thread, action: FileAction, name: number, i: number): void;
  /** It answered; `fd` is the descriptor of the name then, -1 for none. */
  fileAnswered(thread: Thread, action: FileAction, name: number, i: number, result: number, fd: number): void;
  /** An action is over: `calls` of it succeeded, the last result is `result`. Times are the task's CPU's. */
  acted(
    thread: Thread,
    action: Action,
    calls: number,
    result: number,
    from: VirtualTime,
    to: VirtualTime,
  ): void;
}

/** What an agent works with: one per booted kernel. */
export interface World {
  readonly system: System;
  readonly device: LiveUpdateDevice;
  readonly calls: Syscalls;
  readonly processCalls: ProcessCalls;
  readonly names: NameBook;
  readonly khoTest: KhoTest;
  readonly observer: Observer;
}

/** No descriptor: what a process that has not opened the device remembers. */
const NO_DEVICE = -ERRNO.EBADF;

/** What a process remembers: its device descriptor, and the descriptor of each session by name. */
export class AgentMemory {
  device = NO_DEVICE;
  /** By name id: the descriptor + 1 that the process got last. */
  readonly sessions: Column;
  /** By such a descriptor: the one + 1 of the same name that it got before; 0 for none. */
  readonly before: Column;
  /** As sessions, for files. */
  readonly files: Column;

  constructor(storage: Storage, process: string) {
    this.sessions = new Column(storage, `${process} sessions`);
    this.before = new Column(storage, `${process} sessions before`);
    this.files = new Column(storage, `${process} named files`);
  }
}

type OtherAction = Exclude<Action, FileAction | { do: SessionVerb }>;

/** What an action is about, as a number: it is asked at every call. Those about sessions come first. */
const CREATE = 0;
const RETRIEVE = 1;
const FINISH = 2;
const DUP = 3;
const CLOSE = 4;
const FILES = 5;
const OTHER = 6;

const SESSION_KINDS: ReadonlyMap<Verb, number> = new Map([
  ['create', CREATE],
  ['retrieve', RETRIEVE],
  ['finish', FINISH],
  ['dup', DUP],
  ['close', CLOSE],
] satisfies [SessionVerb, number][]);

const kindOf = (action: Action): number =>
  isFileAction(action) ? FILES : (SESSION_KINDS.get(action.do) ?? OTHER);

/** What takes CAP_SYS_BOOT, CAP_SYS_MODULE, or a file that is root's. */
const isForRoot = ({ do: verb }: OtherAction): boolean =>
  ['load', 'kexec-load', 'reboot', 'restart', 'kho-test', 'reclaim'].includes(verb);

export class Agent implements Iterator<Point, number, void> {
  readonly #world: World;
  readonly #observer: Observer;
  readonly #book: NameBook;
  readonly #sched: Scheduler;
  readonly #device: LiveUpdateDevice;
  readonly #calls: Syscalls;
  readonly #thread: Thread;
  readonly #process: Process;
  /** The thread's. */
  readonly #dropped: FileHandle[];
  readonly #memory: AgentMemory;
  readonly #actions: readonly Action[];
  readonly #argument = new UserMemory(SESSION_ARGUMENT.size);
  readonly #fileCalls: FileCalls;
  /** Actions that have ended. */
  #ended = 0;
  /** The action under way or next; undefined after the last. */
  #action: Action | undefined;
  /** Of the action under way: what it is about, its names (-1 where it is about none), the calls that it has made. */
  #verb: Verb = 'open';
  #kind = OTHER;
  #names = -1;
  #done = 0;
  /** Id of the name that its call is about, a session's or a file's; -1 where it is about none. */
  #name = -1;
  #call: Op<number> | undefined;
  /** What the call answered while its files are still dropped. */
  #answer = 0;
  #dropping = false;
  /** It was killed: what runs is its exit. */
  #dying = false;
  #inUserMode = true;
  #from: VirtualTime = { seconds: 0, ns: 0 };

  constructor(world: World, task: Task, process: Process, memory: AgentMemory, actions: readonly Action[]) {
    this.#world = world;
    this.#observer = world.observer;
    this.#book = world.names;
    this.#sched = world.system.kernel.sched;
    this.#device = world.device;
    this.#calls = world.calls;
    this.#thread = new Thread(task, process);
    this.#process = process;
    this.#dropped = this.#thread.dropped;
    process.threads++;
    task.cred = process;
    this.#memory = memory;
    this.#actions = actions;
    this.#action = actions[0];
    this.#fileCalls = new FileCalls(world.calls, world.device);
  }

  next(): IteratorResult<Point, number> {
    const process = this.#process;
    for (;;) {
      if (this.#call !== undefined) {
        const step = this.#call.next();
        if (step.done !== true) return step;
        this.#call = undefined;
        this.#returned(step.value);
      } else if (process.killed && !this.#dying) {
        this.#die();
      } else if (this.#action === undefined) {
        if (!this.#dying) process.threads--;
        return { done: true, value: 0 };
      } else if (this.#inUserMode || !this.#sched.contended) {
        this.#inUserMode = false;
        const call = this.#next(this.#action);
        if (typeof call === 'number') this.#returned(call);
        else this.#call = call;
      } else {
        this.#inUserMode = true;
        return { done: false, value: USER_MODE };
      }
    }
  }

  /** SIGKILL has come: the last thread of the process closes what is open. */
  #die(): void {
    this.#dying = true;
    this.#action = undefined;
    const { task, process } = this.#thread;
    if (--process.threads === 0 && process.alive) this.#call = exitProcess(this.#world.system, task, process);
  }

  /** Drops what the call let go, waiting where a file has to wait; the call may be the exit of a killed agent. */
  #settle(value: number): void {
    const dropped = this.#dropped;
    if (!this.#dropping) this.#answer = value;
    this.#dropping = true;
    while (dropped.length > 0) {
      const dropping = dropFile(this.#world.system, this.#thread.task, dropped.pop() as FileHandle);
      if (typeof dropping === 'number') continue;
      this.#call = dropping;
      return;
    }
    this.#dropping = false;
    if (this.#dying) this.#observer.answered(this.#thread, 'exit', -1, this.#answer);
    else this.#returned(this.#answer);
  }

  #begin(action: Action): void {
    this.#verb = action.do;
    this.#kind = kindOf(action);
    this.#from = this.#world.system.kernel.machine.cpus.current.now();
    this.#names = 'names' in action ? action.names.count : -1;
    this.#name = 'names' in action && this.#names > 0 ? this.#book.base(action.names) : -1;
    this.#observer.began(this.#thread, action.do);
  }

  #next(action: Action): Answer {
    if (this.#done === 0) this.#begin(action);
    const kind = this.#kind;
    const thread = this.#thread;
    assert(kind === OTHER || this.#process.alive, 'an agent acts after its exit');
    thread.calling = kind === FILES ? -1 : this.#name;
    this.#observer.called(thread, this.#verb, thread.calling);
    if (kind === OTHER) return this.#other(action as OtherAction);
    if (this.#names === 0) return 0;
    return kind === FILES ? this.#file(action as FileAction) : this.#session(kind);
  }

  /** What has to do neither with sessions nor with files. */
  #other(action: OtherAction): Answer {
    if (!this.#process.capable && isForRoot(action)) return this.#refused(action);
    const { system, device, calls, khoTest, observer, processCalls } = this.#world;
    const thread = this.#thread;
    switch (action.do) {
      case 'open':
        return device.open(thread);
      case 'close-device':
        return calls.close(thread, this.#memory.device);
      case 'exit':
        return exitProcess(system, thread.task, thread.process);
      case 'limit-files':
        return processCalls.setLimit(thread, action.files);
      case 'file-max':
        return processCalls.setFileMax(thread, action.files);
      case 'overcommit-memory':
        return processCalls.setOvercommitMemory(thread, action.policy);
      case 'overcommit-ratio':
        return processCalls.setOvercommitRatio(thread, action.percent);
      case 'overcommit-kbytes':
        return processCalls.setOvercommitKbytes(thread, action.kbytes);
      case 'memory-max':
        return processCalls.setMemoryMax(thread, action.bytes);
      case 'drop-privileges':
        return processCalls.dropPrivileges(thread);
      case 'slow-pages':
        return processCalls.slowPages(thread, action.slow === 'on');
      case 'kill':
        return processCalls.kill(thread, action.process, (gone) => observer.answered(gone, 'exit', -1, 0));
      case 'kho-test':
        return action.phase === 'save' ? khoTest.save(thread.task) : khoTest.restore();
    }
    system.kernel.enterSyscall();
    switch (action.do) {
      case 'load':
        return system.kexec.fileLoad();
      case 'kexec-load':
        return system.kexec.load();
      case 'reboot':
        return system.kexec.reboot(thread.task);
      case 'restart':
        return system.kexec.restart(thread.task);
      case 'reclaim':
        return system.files.shmem.reclaim();
    }
  }

  /** -EPERM without CAP_SYS_BOOT or CAP_SYS_MODULE; -EACCES for a file of root's. */
  #refused(action: OtherAction): number {
    this.#world.system.kernel.enterSyscall();
    return action.do === 'reclaim' ? -ERRNO.EACCES : -ERRNO.EPERM;
  }

  #file(action: FileAction): Answer {
    this.#observer.fileCalled(this.#thread, action, this.#name, this.#done);
    const session = 'session' in action ? this.#book.base(action.session) : -1;
    return this.#fileCalls.call(this.#thread, action, this.#memory, this.#name, this.#done, session);
  }

  #session(kind: number): Answer {
    const name = this.#name;
    const argument = this.#argument;
    const memory = this.#memory;
    if (kind <= RETRIEVE) {
      this.#book.write(name, argument);
      const number = kind === CREATE ? LIVEUPDATE_IOCTL_CREATE_SESSION : LIVEUPDATE_IOCTL_RETRIEVE_SESSION;
      return this.#device.ioctl(this.#thread, memory.device, number, argument);
    }
    const fd = memory.sessions.get(name) - 1;
    if (kind === CLOSE) return this.#calls.close(this.#thread, fd);
    if (kind === DUP) return this.#calls.dup(this.#thread, fd);
    argument.set(0, FINISH_ARGUMENT.size);
    argument.set(1, 0);
    return this.#device.ioctl(this.#thread, fd, LIVEUPDATE_SESSION_FINISH, argument);
  }

  /** The kernel part of a call is over; files it let go are dropped before user mode sees the answer. */
  #returned(result: number): void {
    if (this.#dropping || this.#dying || this.#dropped.length > 0) {
      this.#settle(result);
      return;
    }
    const thread = this.#thread;
    const kind = this.#kind;
    const name = thread.calling;
    thread.calling = -1;
    if (kind > CLOSE) this.#otherAnswered(this.#action as Action, result);
    else if (result >= 0 && kind !== FINISH && name !== -1) this.#remember(kind, name, result);
    this.#observer.answered(thread, this.#verb, name, result);
    if (result >= 0 && this.#names !== 0 && ++this.#done < this.#names) this.#name++;
    else this.#acted(result);
  }

  /** The action is over. */
  #acted(result: number): void {
    const action = this.#action as Action;
    const to = this.#world.system.kernel.machine.cpus.current.now();
    this.#observer.acted(this.#thread, action, this.#done, result, this.#from, to);
    this.#done = 0;
    this.#action = this.#actions[++this.#ended];
  }

  /** An action that is not about sessions. */
  #otherAnswered(action: Action, result: number): void {
    if (this.#kind === FILES) this.#fileAnswered(action as FileAction, result);
    else if (action.do === 'open') this.#memory.device = result;
    // Its number may be a session's next: what is asked of that is not asked of the device.
    else if (action.do === 'close-device' && result >= 0) this.#memory.device = NO_DEVICE;
  }

  #fileAnswered(action: FileAction, result: number): void {
    if (action.names.count === 0) return;
    const name = this.#name;
    const { files } = this.#memory;
    if (result >= 0) {
      if (action.do === 'memfd' || action.do === 'open-file') files.set(name, result + 1);
      else if (action.do === 'retrieve-fd') files.set(name, this.#fileCalls.answeredFd + 1);
      else if (action.do === 'close-file') files.set(name, 0);
    }
    this.#observer.fileAnswered(this.#thread, action, name, this.#done, result, files.get(name) - 1);
  }

  /** A descriptor of the name came, or the last one went. */
  #remember(kind: number, name: number, result: number): void {
    const { sessions, before } = this.#memory;
    const piece = sessions.open(name, 1);
    const at = name & PIECE_MASK;
    const last = piece[at] as number;
    if (kind === CLOSE) {
      const older = before.get(last - 1);
      piece[at] = older;
      if (older !== 0) before.set(last - 1, 0);
      return;
    }
    const fd = kind === DUP ? result : this.#argument.get(SESSION_ARGUMENT.at.fd / 4);
    if (last !== 0) before.set(fd, last);
    piece[at] = fd + 1;
  }
}

/** An agent as the body of a task. */
export const agentBody = (agent: Agent): Op<number> => agent as unknown as Op<number>;
