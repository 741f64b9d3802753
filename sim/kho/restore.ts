/*
 * The incoming side of KHO: blocks of the previous kernel, reserved and stamped at boot, are taken over one by one.
 *
 *   stamp    page->private of the first page: {order, "KHOP"}; restore checks it, takes the order from it, clears it
 *
 * Data may be read before it is restored; restoring is only about who owns the frames. v6.19 refuses a stamp above the
 * largest buddy order, later kernels do not look.
 */

import { MAX_PAGE_ORDER } from '../base/limits.ts';
import { type Order, type Pfn, type Phys, pagesOf, pfnOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KHO_RESTORE_ANY_ORDER } from '../kernel/patches.ts';
import type { Owner } from '../machine/frames.ts';
import { trailingZeros } from './preserve.ts';

export class KhoIn {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Takes a folio over with one reference, or -1 where nothing is stamped. @kernel kho_restore_folio */
  restoreFolio(address: Phys, owner: Owner): Pfn | -1 {
    return this.#restorePage(address, owner, true);
  }

  /** Takes `nr` pages over, a reference each; false where a block of the range is not stamped. @kernel kho_restore_pages */
  restorePages(address: Phys, nr: number, owner: Owner): boolean {
    let at = pfnOf(address) as number;
    const end = at + nr;
    while (at < end) {
      let order = at === 0 ? 52 : trailingZeros(at);
      while (at + 2 ** order > end) order--;
      if (this.#restorePage(physOf(at as Pfn), owner, false) === -1) return false;
      at += 2 ** order;
    }
    return true;
  }

  /** Restores and frees; NULL is a no-op, nothing stamped a warning. @kernel kho_restore_free */
  restoreFree(address: Phys | 0): void {
    if (address === 0) return;
    const frame = this.restoreFolio(address, this.#kernel.frames.owner('kho restored'));
    if (frame === -1) this.#kernel.warn('kho_restore_free: not restorable');
    else this.#kernel.pages.put(frame);
  }

  /** @kernel kho_restore_page @simplified it warns every time, not once */
  #restorePage(address: Phys, owner: Owner, isFolio: boolean): Pfn | -1 {
    const { frames, buddy, machine } = this.#kernel;
    const frame = pfnOf(address);
    if (!frames.online(frame)) return -1;
    const order = frames.stampOrder(frame);
    const tooLarge = order > MAX_PAGE_ORDER && !this.#kernel.has(KHO_RESTORE_ANY_ORDER);
    if (order === -1 || tooLarge) {
      this.#kernel.warn(`kho_restore_page: no stamp at 0x${address.toString(16)}`);
      return -1;
    }
    frames.clearStamp(frame);
    machine.ram.guardPages(frame, pagesOf(order as Order), false);
    buddy.adopt(frame, order as Order, owner);
    if (!isFolio) buddy.split(frame, order as Order);
    return frame;
  }
}
