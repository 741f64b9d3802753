/*
 * Files of the host, read and written in pieces, or read here and there. What can go wrong is a FileProblem with one
 * line that says what.
 *
 * A file is replaced whole or not at all: pieces go to FILE.<pid>.part beside it, which takes FILE's name when all is on
 * disk. What stood there before is lost at no moment.
 */
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';

const PIECE_BYTES = 2 ** 20;

/** The host cannot read or write a file; the message is to be said after the file's name. */
export class FileProblem extends Error {
  override readonly name = 'FileProblem';
}

/** The file's bytes, in pieces that hold until the next is asked for. */
export function* readPieces(path: string): Generator<Uint8Array, void, void> {
  const fd = problems('cannot be read', () => {
    // Asked before it is opened: opening a pipe would wait for its writer.
    if (!statSync(path).isFile()) throw new FileProblem('cannot be read: it is no regular file');
    return openSync(path, 'r');
  });
  try {
    const buffer = new Uint8Array(PIECE_BYTES);
    for (;;) {
      const bytes = problems('cannot be read', () => readSync(fd, buffer));
      if (bytes === 0) return;
      yield buffer.subarray(0, bytes);
    }
  } finally {
    closeSync(fd);
  }
}

/** Text in a file is not longer than this. */
const TEXT_BYTES_MAX = 2 ** 26;
const STDIN = 0;

/** The text in a file; `-` is standard input. */
export function readText(path: string): string {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of path === '-' ? readStdin() : readPieces(path)) {
    parts.push(piece.slice());
    bytes += piece.length;
    if (bytes > TEXT_BYTES_MAX) throw new FileProblem(`is no text: it has more than ${TEXT_BYTES_MAX} bytes`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw new FileProblem('is no text: it is not in UTF-8');
  }
}

function* readStdin(): Generator<Uint8Array, void, void> {
  const buffer = new Uint8Array(PIECE_BYTES);
  for (;;) {
    const bytes = problems('cannot be read', () => readSync(STDIN, buffer));
    if (bytes === 0) return;
    yield buffer.subarray(0, bytes);
  }
}

/** All of a file. */
export function readWhole(path: string): Uint8Array {
  return Buffer.concat(Array.from(readPieces(path), (piece) => piece.slice()));
}

/** Names in the directory of a file that begin with its own, without its extension and with a dot behind. */
export function namesBeside(path: string): string[] {
  const stem = `${basename(path, extname(path))}.`;
  const names = problems('cannot be read', () => readdirSync(dirname(path)));
  return names.filter((name) => name.startsWith(stem)).map((name) => name.slice(stem.length));
}

/** A file to be read here and there, of any size. */
export class OpenFile {
  readonly bytes: number;
  readonly #fd: number;
  #isOpen = true;

  constructor(path: string) {
    [this.#fd, this.bytes] = problems('cannot be read', () => {
      const status = statSync(path);
      if (!status.isFile()) throw new FileProblem('cannot be read: it is no regular file');
      return [openSync(path, 'r'), status.size];
    });
  }

  /** Fills `target` from a place in the file on: how many bytes there were, fewer at its end only. */
  read(target: Uint8Array, position: number): number {
    let filled = 0;
    while (filled < target.length && position + filled < this.bytes) {
      const bytes = problems('cannot be read', () =>
        readSync(this.#fd, target, filled, target.length - filled, position + filled),
      );
      if (bytes === 0) break;
      filled += bytes;
    }
    return filled;
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

/** A file to be replaced. Made early, so that a path that cannot be written is known before the work is done. */
export class Replacement {
  readonly #path: string;

  constructor(path: string) {
    this.#path = problems('cannot be written', () => {
      const there = statSync(path, { throwIfNoEntry: false });
      if (there !== undefined && !there.isFile())
        throw new FileProblem('cannot be written: it is no regular file');
      const target = there === undefined ? resolve(path) : realpathSync(path);
      accessSync(dirname(target), constants.W_OK);
      if (there !== undefined) accessSync(target, constants.W_OK);
      return target;
    });
  }

  write(pieces: Iterable<Uint8Array>): void {
    const part = `${this.#path}.${process.pid}.part`;
    const fd = problems('cannot be written', () => openSync(part, 'wx'));
    try {
      for (const piece of pieces) writeWhole(fd, piece);
      problems('cannot be written', () => fsyncSync(fd));
      problems('cannot be written', () => renameSync(part, this.#path));
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
  }
}

function writeWhole(fd: number, piece: Uint8Array): void {
  for (let at = 0; at < piece.length; ) {
    at += problems('cannot be written', () => writeSync(fd, piece, at));
  }
}

/** Runs one file operation; what the host refuses becomes a FileProblem. */
function problems<T>(what: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    if (error instanceof FileProblem || !(error instanceof Error) || !('syscall' in error)) throw error;
    // "ENOENT: no such file or directory, open 'name'": the name is said by the caller.
    throw new FileProblem(`${what}: ${error.message.split(', ')[0]}`);
  }
}
