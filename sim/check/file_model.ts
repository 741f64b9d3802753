/*
 * The reference model of files: what users were told. Who was told "preserved" finds the file in the next kernel: under
 * its token, with the size and the seals of when it was preserved, the position and the contents of the reboot.
 *
 *   open       by process and name: files as their users know them (model_file.ts)
 *   outgoing   by session and token: acknowledged in this kernel
 *   incoming   by session and token: acknowledged in the kernel before, and not finished
 *
 * A call that had not answered when the machine jumped may have happened or not.
 */
import { ERRNO } from '../base/errno.ts';
import type { System } from '../boot/boot.ts';
import { F_SEAL_EXEC, F_SEAL_SEAL, type InodeHandle } from '../files/shmem_inode.ts';
import { MEMFD_SEALS } from '../kernel/patches.ts';
import { type FileHandle, O_LARGEFILE, O_RDWR } from '../kernel/vfs.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Thread } from '../user/process.ts';
import { type FileAction, tokenAt, type U64 } from '../user/program.ts';
import { ModelFile } from './model_file.ts';
import type { Violations } from './violation.ts';

/** What F_SEAL_EXEC brings on a new memfd, which can be executed. */
const IMPLIED = 0x1e;

/** A file in a session. */
interface Preserved {
  readonly file: ModelFile;
  /** As they were at preserve. */
  readonly seals: number;
  readonly size: number;
  retrieved: boolean;
  uncertain: boolean;
}

type Sessions = Map<number, Map<U64, Preserved>>;

interface InFlight {
  readonly process: string;
  readonly action: FileAction;
  readonly name: number;
  readonly token: U64;
  /** What it is to retrieve: once found it is the caller's, even where another call finishes the session first. */
  readonly preserved: Preserved | undefined;
}

export class FileModel implements Stateful {
  readonly #violations: Violations;
  readonly #describe: (name: number) => string;
  readonly #sessionId: (action: FileAction) => number;
  readonly #system: () => System;
  #open = new Map<string, Map<number, ModelFile>>();
  #outgoing: Sessions = new Map();
  #incoming: Sessions = new Map();
  readonly #inFlight = new Map<number, InFlight>();

  constructor(
    violations: Violations,
    describe: (name: number) => string,
    sessionId: (action: FileAction) => number,
    system: () => System,
  ) {
    this.#violations = violations;
    this.#describe = describe;
    this.#sessionId = sessionId;
    this.#system = system;
  }

  called({ task, process }: Thread, action: FileAction, name: number, i: number): void {
    const token = 'token' in action ? tokenAt(action.token, i) : 0;
    const preserved =
      action.do === 'retrieve-fd' ? this.#incoming.get(this.#sessionId(action))?.get(token) : undefined;
    this.#inFlight.set(task.id, { process: process.name, action, name, token, preserved });
  }

  answered(thread: Thread, action: FileAction, name: number, i: number, result: number, fd: number): void {
    const asked = this.#inFlight.get(thread.task.id)?.preserved;
    this.#inFlight.delete(thread.task.id);
    const { process } = thread;
    const inode = this.#inodeOf(thread, fd);
    if (action.do === 'retrieve-fd')
      this.#retrieved(thread, action, name, tokenAt(action.token, i), asked, result, fd);
    if (result === -ERRNO.ENOMEM || result === -ERRNO.EFAULT) this.#filledInPart(process.name, action, name);
    if (result < 0) return;
    if (action.do === 'memfd') {
      const file = new ModelFile();
      file.size = action.bytes;
      this.#filesOf(process.name).set(name, file);
      return;
    }
    if (action.do === 'open-file') {
      this.#opened(process.name, name, inode);
      return;
    }
    const file = this.#filesOf(process.name).get(name);
    if (file === undefined) return;
    if (action.do === 'write' && result > 0) file.write(action.at, result, action.seed);
    else if (action.do === 'fill') file.fill(action.every, action.seed);
    else if (action.do === 'truncate') file.truncate(action.bytes);
    else if (action.do === 'allocate') file.size = Math.max(file.size, action.bytes);
    else if (action.do === 'seek') file.pos = action.at;
    else if (action.do === 'seal') file.seals = withImplied(file.seals | action.seals);
    else if (action.do === 'close-file') this.#filesOf(process.name).delete(name);
    else if (action.do === 'read') this.#compare(inode, name, file);
    else if (action.do === 'preserve') this.#preserved(action, tokenAt(action.token, i), file);
  }

  /** A session of this kernel, or of the one before, is finished or closed. */
  gone(side: 'incoming' | 'outgoing', session: number): void {
    const sessions = side === 'incoming' ? this.#incoming : this.#outgoing;
    if (sessions.size > 0) sessions.delete(session);
  }

  exited(process: string): void {
    this.#open.delete(process);
  }

  jumped(): void {
    for (const { process, action, name, token } of this.#inFlight.values()) {
      const file = this.#open.get(process)?.get(name);
      if (file === undefined) continue;
      if (action.do === 'preserve') this.#preserved(action, token, file).uncertain = true;
      else if (action.do !== 'read' && action.do !== 'close-file') file.uncertain = true;
    }
    this.#inFlight.clear();
    // One file may be in several sessions: it comes back as one for each.
    this.#incoming = cloneSessions(this.#outgoing);
    this.#outgoing = new Map();
    this.#open = new Map();
  }

  /** The previous kernel's sessions are lost and everybody can see it. */
  lostOpenly(): void {
    this.#incoming.clear();
  }

  capture(): unknown {
    const copies = new Map<ModelFile, ModelFile>();
    const open = new Map(
      [...this.#open].map(([process, files]) => {
        return [process, new Map([...files].map(([name, file]) => [name, copyOf(copies, file)]))];
      }),
    );
    return [open, cloneSessions(this.#outgoing, copies), cloneSessions(this.#incoming, copies)];
  }

  reinstate(state: unknown): void {
    const [open, outgoing, incoming] = state as [Map<string, Map<number, ModelFile>>, Sessions, Sessions];
    const copies = new Map<ModelFile, ModelFile>();
    this.#open = new Map(
      [...open].map(([process, files]) => {
        return [process, new Map([...files].map(([name, file]) => [name, copyOf(copies, file)]))];
      }),
    );
    this.#outgoing = cloneSessions(outgoing, copies);
    this.#incoming = cloneSessions(incoming, copies);
    this.#inFlight.clear();
  }

  /** A fill ended in a fault: nobody says how far it came. */
  #filledInPart(process: string, action: FileAction, name: number): void {
    const file = this.#open.get(process)?.get(name);
    if (file !== undefined && action.do === 'fill') file.uncertain = true;
  }

  /** A file of any kind; what is not shmem nobody preserves. */
  #opened(process: string, name: number, inode: InodeHandle | undefined): void {
    const files = this.#filesOf(process);
    files.delete(name);
    if (inode === undefined) return;
    const file = new ModelFile();
    file.seals = F_SEAL_SEAL;
    files.set(name, file);
  }

  #filesOf(process: string): Map<number, ModelFile> {
    let files = this.#open.get(process);
    if (files === undefined) {
      files = new Map();
      this.#open.set(process, files);
    }
    return files;
  }

  #preserved(action: FileAction, token: U64, file: ModelFile): Preserved {
    const session = this.#sessionId(action);
    let tokens = this.#outgoing.get(session);
    if (tokens === undefined) {
      tokens = new Map();
      this.#outgoing.set(session, tokens);
    }
    if (tokens.has(token)) {
      this.#violations.add('one-token', `a second file of token ${token} was acknowledged`);
    }
    const { seals, size } = file;
    const preserved = { file, seals, size, retrieved: false, uncertain: false };
    tokens.set(token, preserved);
    return preserved;
  }

  #retrieved(
    thread: Thread,
    action: FileAction,
    name: number,
    token: U64,
    asked: Preserved | undefined,
    result: number,
    fd: number,
  ): void {
    const owed = this.#incoming.get(this.#sessionId(action))?.get(token);
    const known = owed ?? asked;
    const text = `file ${token} of "${this.#describe(this.#sessionId(action))}"`;
    if (result === 0 && known === undefined) {
      this.#violations.add('no-invention', `${text} was retrieved and should not be there`);
      return;
    }
    if (known === undefined || known.uncertain) return;
    if (owed !== undefined && (result === -2 || result === -5 || result === -22)) {
      this.#violations.add('preservation', `${text} was acknowledged and does not come back: ${-result}`);
    }
    if (result !== 0) return;
    const files = this.#filesOf(thread.process.name);
    files.set(name, known.file);
    if (known.retrieved) return;
    known.retrieved = true;
    const seals = this.#system().kernel.has(MEMFD_SEALS) ? withImplied(known.seals) : 0;
    known.file.seals = seals;
    const handle = thread.process.file(fd);
    const wrong = handle < 0 ? 'there is no descriptor of it' : this.#differs(handle as FileHandle, known);
    if (wrong !== undefined) this.#violations.add('file-contents', `${text}: ${wrong}`);
  }

  /** What is wrong with a file that came back; undefined where nothing is. */
  #differs(handle: FileHandle, { file, size }: Preserved): string | undefined {
    const system = this.#system();
    const { shmem } = system.files;
    const inode = shmem.inodeOf(handle);
    const pos = system.vfs.pos(handle);
    if (!file.uncertain && pos !== file.pos) return `its position is ${pos}, it was ${file.pos}`;
    if (shmem.inodes.size(inode) !== size) {
      return `it has ${shmem.inodes.size(inode)} bytes, ${size} were preserved`;
    }
    const seals = shmem.inodes.seals(inode);
    if (seals !== file.seals) return `its seals are ${seals}, not ${file.seals}`;
    const flags = system.vfs.flags(handle);
    if (flags !== (O_RDWR | O_LARGEFILE)) return `its flags are ${flags.toString(8)}`;
    return file.differsFrom(system, inode);
  }

  #compare(inode: InodeHandle | undefined, name: number, file: ModelFile): void {
    const wrong = inode === undefined ? undefined : file.differsFrom(this.#system(), inode);
    if (wrong !== undefined) this.#violations.add('file-contents', `"${this.#describe(name)}": ${wrong}`);
  }

  /** The shmem inode that a descriptor leads to. */
  #inodeOf({ process }: Thread, fd: number): InodeHandle | undefined {
    const file = process.file(fd);
    const { shmem } = this.#system().files;
    const isShmem = file >= 0 && shmem.isShmem(file as FileHandle);
    return isShmem ? shmem.inodeOf(file as FileHandle) : undefined;
  }
}

const withImplied = (seals: number): number => ((seals & F_SEAL_EXEC) !== 0 ? seals | IMPLIED : seals);

function copyOf(copies: Map<ModelFile, ModelFile>, file: ModelFile): ModelFile {
  const known = copies.get(file) ?? file.clone();
  copies.set(file, known);
  return known;
}

/** With files of their own, each as often as it stands in `sessions`, or once where `copies` says so. */
function cloneSessions(sessions: Sessions, copies?: Map<ModelFile, ModelFile>): Sessions {
  const clone = (file: ModelFile): ModelFile => (copies === undefined ? file.clone() : copyOf(copies, file));
  return new Map(
    [...sessions].map(([session, tokens]) => {
      const copied = [...tokens].map(([token, preserved]): [U64, Preserved] => {
        return [token, { ...preserved, file: clone(preserved.file) }];
      });
      return [session, new Map(copied)];
    }),
  );
}
