/*
 * The file store of v6.19 to v7.1: a region of 2 pages with 128 entries and no header, allocated for the first file of
 * a session and freed with the last. Layout: abi.ts.
 *
 *   file_set_ser.files --> | file 0 | file 1 | ... | file 127 |      file_set_ser.count says how many
 *
 * Nobody checks the count: the next kernel reads on behind the region if it says so.
 *
 *   row   address of the region
 */
import { ERRNO } from '../base/errno.ts';
import type { Phys } from '../base/units.ts';
import { LUO_FILE_MAX } from './abi.ts';
import { FileRegions, RegionSlots } from './file_regions.ts';
import type { FileSlots } from './file_store.ts';
import type { SessionHandle } from './session_table.ts';

export class FileArray extends FileRegions {
  readonly growsFirst = false;

  room(set: SessionHandle, count: number): number {
    if (count >= LUO_FILE_MAX) return -ERRNO.ENOSPC;
    return this.headPhys(set) === 0 ? 1 : 0;
  }

  addBlock(set: SessionHandle, address: Phys): number {
    this.setHead(set, address);
    return 0;
  }

  dropBlock(set: SessionHandle, count: number): Phys | 0 {
    const head = this.headPhys(set);
    if (count > 0 || head === 0) return 0;
    this.setHead(set, 0);
    return head as Phys;
  }

  write(set: SessionHandle): FileSlots {
    return slotsOf(this.headPhys(set), LUO_FILE_MAX);
  }

  clear(set: SessionHandle): void {
    this.zero(set, 0);
  }

  open(set: SessionHandle, head: Phys, count: number): FileSlots {
    this.setHead(set, head);
    return slotsOf(head, count);
  }

  regions(set: SessionHandle): Phys[] {
    const head = this.headPhys(set);
    return head === 0 ? [] : [head as Phys];
  }
}

function slotsOf(head: number, count: number): FileSlots {
  const slots = new RegionSlots(head, 0);
  return {
    next: () =>
      slots.next(
        () => count,
        () => 0,
      ),
    // The count stands in the session's slot.
    commit: () => undefined,
  };
}
