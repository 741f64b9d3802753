/*
 * Modules, as far as their code is someone's handler: who may run it holds a reference.
 *
 *   live -- unload asked for, no reference --> going   (its code is gone; a reference cannot be had any more)
 *
 * What is built in (`module` undefined in the modelled structs) has always a reference to give.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Kernel } from './kernel.ts';

export class KernelModule implements Stateful {
  readonly name: string;
  references = 0;
  going = false;

  constructor(kernel: Kernel, name: string) {
    this.name = name;
    kernel.machine.journal.enlist(this);
  }

  /** @kernel try_module_get */
  tryGet(): boolean {
    if (this.going) return false;
    this.references++;
    return true;
  }

  /** @kernel module_put */
  put(): void {
    assert(this.references > 0, `module ${this.name} is put once too often`);
    this.references--;
  }

  /** Its code goes: 0, or -EBUSY while someone may run it. @kernel delete_module */
  unload(): number {
    if (this.references > 0) return -ERRNO.EBUSY;
    this.going = true;
    return 0;
  }

  capture(): unknown {
    return [this.references, this.going];
  }

  reinstate(state: unknown): void {
    [this.references, this.going] = state as [number, boolean];
  }
}

/** A reference to whoever owns the code; what is built in has no module. @kernel try_module_get */
export const moduleTryGet = (owner: KernelModule | undefined): boolean => owner?.tryGet() ?? true;

/** @kernel module_put */
export const modulePut = (owner: KernelModule | undefined): void => owner?.put();
