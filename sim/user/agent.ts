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
import type { Column } from '../machine/column.ts';
import type { VirtualTime } from '../machine/cpu.ts';
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

/** Told of calls and what they answered. `name` is the id of the session's name, -1 for calls without one. */
export interface Observer {
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

/** What a process remembers: its device descriptor, and the descriptor of each session by name. */
export interface AgentMemory {
  device: number;
  /** By name id: the descriptor + 1 that the process got last. */
  readonly sessions: Column;
  /** By such a descriptor: the one + 1 of the same name that it got before; 0 for none. */
  readonly before: Column;
  /** As sessions, for files. */
  readonly files: Column;
}

type OtherAction = Exclude<
  Action,
  FileAction | { do: SessionVerb } | { do: 'open' } | { do: 'close-device' } | { do: 'exit' }
>;

/** What takes CAP_SYS_BOOT, CAP_SYS_MODULE, or a file that is root's. */
const isForRoot = ({ do: verb }: OtherAction): boolean =>
  ['load', 'kexec-load', 'reboot', 'restart', 'kho-test', 'reclaim'].includes(verb);

export class Agent implements Iterator<Point, number, void> {
  readonly #world: World;
  readonly #thread: Thread;
  readonly #memory: AgentMemory;
  readonly #actions: readonly Action[];
  readonly #argument = new UserMemory(SESSION_ARGUMENT.size);
  readonly #fileCalls: FileCalls;
  /** Action under way, the calls it has made, the id of its first name. */
  #action = 0;
  #done = 0;
  #base = -1;
  /** Names of the action under way; -1 where it is about none. */
  #names = -1;
  /** The action under way where it is about files. */
  #fileAction: FileAction | undefined;
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
    this.#thread = new Thread(task, process);
    process.threads++;
    this.#memory = memory;
    this.#actions = actions;
    this.#fileCalls = new FileCalls(world.calls, world.device);
  }

  next(): IteratorResult<Point, number> {
    const { sched } = this.#world.system.kernel;
    for (;;) {
      if (this.#call !== undefined) {
        const step = this.#call.next();
        if (step.done !== true) return step;
        this.#call = undefined;
        this.#returned(step.value);
      } else if (this.#thread.process.killed && !this.#dying) {
        this.#die();
      } else if (this.#dying || this.#action >= this.#actions.length) {
        if (!this.#dying) this.#thread.process.threads--;
        return { done: true, value: 0 };
      } else if (this.#inUserMode || !sched.contended) {
        this.#inUserMode = false;
        const call = this.#next(this.#actions[this.#action] as Action);
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
    const { task, process } = this.#thread;
    if (--process.threads === 0 && process.alive) this.#call = exitProcess(this.#world.system, task, process);
  }

  /** The kernel part of a call is over; files it let go are dropped before user mode sees the answer. */
  #returned(value: number): void {
    if (!this.#dropping) this.#answer = value;
    const { dropped } = this.#thread;
    while (dropped.length > 0) {
      const dropping = dropFile(this.#world.system, this.#thread.task, dropped.pop() as FileHandle);
      this.#dropping = typeof dropping !== 'number';
      if (typeof dropping === 'number') continue;
      this.#call = dropping;
      return;
    }
    this.#dropping = false;
    if (this.#dying) this.#world.observer.answered(this.#thread, 'exit', -1, this.#answer);
    else this.#answered(this.#answer);
  }

  #next(action: Action): Answer {
    const { system, device, observer } = this.#world;
    if (this.#done === 0) {
      this.#fileAction = isFileAction(action) ? action : undefined;
      this.#from = system.kernel.machine.cpus.current.now();
      this.#names = 'names' in action ? action.names.count : -1;
      this.#base = 'names' in action && this.#names > 0 ? this.#world.names.base(action.names) : -1;
    }
    observer.called(this.#thread, action.do, this.#sessionName());
    const { task, process } = this.#thread;
    if (this.#fileAction !== undefined) return this.#file(this.#fileAction);
    switch (action.do) {
      case 'open':
        return device.open(this.#thread);
      case 'close-device':
        return this.#world.calls.close(this.#thread, this.#memory.device);
      case 'exit':
        return exitProcess(system, task, process);
      case 'create':
      case 'retrieve':
      case 'finish':
      case 'dup':
      case 'close':
        assert(process.alive, 'an agent acts after its exit');
        return this.#names === 0 ? 0 : this.#session(action.do as SessionVerb, this.#base + this.#done);
      default:
        return this.#other(action as OtherAction);
    }
  }

  /** What has to do neither with sessions nor with files. */
  #other(action: OtherAction): Answer {
    if (!this.#thread.process.capable && isForRoot(action)) return this.#refused(action);
    const { system, khoTest, observer, processCalls } = this.#world;
    const thread = this.#thread;
    switch (action.do) {
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

  /** Id of the session's name that a call is about; -1 for calls about none. */
  #sessionName(): number {
    return this.#base === -1 || this.#fileAction !== undefined ? -1 : this.#base + this.#done;
  }

  #file(action: FileAction): Answer {
    assert(this.#thread.process.alive, 'an agent acts after its exit');
    if (action.names.count === 0) return 0;
    this.#world.observer.fileCalled(this.#thread, action, this.#base + this.#done, this.#done);
    const session = 'session' in action ? this.#world.names.base(action.session) : -1;
    return this.#fileCalls.call(
      this.#thread,
      action,
      this.#memory,
      this.#base + this.#done,
      this.#done,
      session,
    );
  }

  #session(verb: SessionVerb, name: number): Answer {
    const argument = this.#argument;
    const { device, names } = this.#world;
    if (verb === 'create' || verb === 'retrieve') {
      argument.words[0] = SESSION_ARGUMENT.size;
      names.write(name, argument.words, SESSION_ARGUMENT.at.name / 4);
      const number = verb === 'create' ? LIVEUPDATE_IOCTL_CREATE_SESSION : LIVEUPDATE_IOCTL_RETRIEVE_SESSION;
      return device.ioctl(this.#thread, this.#memory.device, number, argument);
    }
    const fd = this.#memory.sessions.get(name) - 1;
    if (verb === 'close') return this.#world.calls.close(this.#thread, fd);
    if (verb === 'dup') return this.#world.calls.dup(this.#thread, fd);
    argument.words[0] = FINISH_ARGUMENT.size;
    argument.words[1] = 0;
    return device.ioctl(this.#thread, fd, LIVEUPDATE_SESSION_FINISH, argument);
  }

  #answered(result: number): void {
    const action = this.#actions[this.#action] as Action;
    const { observer, system } = this.#world;
    if (this.#fileAction !== undefined) this.#fileAnswered(this.#fileAction, result);
    else if (this.#names > 0) this.#remember(action.do as SessionVerb, this.#base + this.#done, result);
    if (action.do === 'open') this.#memory.device = result;
    // Its number may be a session's next: what is asked of that is not asked of the device.
    else if (action.do === 'close-device' && result >= 0) this.#memory.device = NO_DEVICE;
    observer.answered(this.#thread, action.do, this.#sessionName(), result);
    if (result >= 0 && this.#names !== 0 && ++this.#done < this.#names) return;
    observer.acted(
      this.#thread,
      action,
      this.#done,
      result,
      this.#from,
      system.kernel.machine.cpus.current.now(),
    );
    this.#done = 0;
    this.#action++;
  }

  #fileAnswered(action: FileAction, result: number): void {
    if (action.names.count === 0) return;
    const name = this.#base + this.#done;
    const { files } = this.#memory;
    if (result >= 0) {
      if (action.do === 'memfd' || action.do === 'open-file') files.set(name, result + 1);
      else if (action.do === 'retrieve-fd') files.set(name, this.#fileCalls.answeredFd + 1);
      else if (action.do === 'close-file') files.set(name, 0);
    }
    this.#world.observer.fileAnswered(this.#thread, action, name, this.#done, result, files.get(name) - 1);
  }

  #remember(verb: SessionVerb, name: number, result: number): void {
    const { sessions, before } = this.#memory;
    if (result < 0 || verb === 'finish') return;
    const last = sessions.get(name);
    if (verb === 'close') {
      const older = before.get(last - 1);
      sessions.set(name, older);
      if (older !== 0) before.set(last - 1, 0);
      return;
    }
    const fd = verb === 'dup' ? result : (this.#argument.words[SESSION_ARGUMENT.at.fd / 4] as number);
    if (last !== 0) before.set(fd, last);
    sessions.set(name, fd + 1);
  }
}

/** An agent as the body of a task. */
export const agentBody = (agent: Agent): Op<number> => agent as unknown as Op<number>;

/** No descriptor: what a process that has not opened the device remembers. */
export const NO_DEVICE = -ERRNO.EBADF;
