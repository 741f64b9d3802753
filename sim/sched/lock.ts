/*
 * Lock names. Every lock of a kernel is registered once, under the name its users grep for, and is a number
 * from then on: tasks' held lists, waits and reports speak of (lock, row). A lock that exists once has row 0; a
 * lock that exists in every session or file is one registered lock with a row per object, as a lock class in
 * lockdep.
 */
import { assert } from '../base/assert.ts';
import { nameHash } from '../base/point.ts';

declare const brand: unique symbol;

/** A registered lock; its numbers start at 0 in each kernel. */
export type LockId = number & { readonly [brand]: 'lock' };

/** How a task wants a lock: a mutex knows only `lock`. */
export type LockMode = 'lock' | 'read' | 'write';

export class LockRegistry {
  readonly #names: string[] = [];
  readonly #hashes: number[] = [];

  /** Number of locks registered. */
  get count(): number {
    return this.#names.length;
  }

  /** Registers a lock under a name that no other lock of the kernel has. */
  register(name: string): LockId {
    assert(name !== '', 'a lock has a name');
    assert(!this.#names.includes(name), `lock ${name} is registered twice`);
    this.#names.push(name);
    this.#hashes.push(nameHash(name));
    return (this.#names.length - 1) as LockId;
  }

  name(lock: LockId): string {
    return this.#names[lock] as string;
  }

  /** The same in every process: what trace events carry. */
  hash(lock: LockId): number {
    return this.#hashes[lock] as number;
  }

  /** Forgets the locks registered after the first `count`: rollback. */
  truncate(count: number): void {
    assert(count <= this.#names.length, 'locks cannot be unforgotten');
    this.#names.length = count;
    this.#hashes.length = count;
  }
}
