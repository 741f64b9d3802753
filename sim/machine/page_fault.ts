/*
 * What an access outside memory ends in: the kernel that runs makes an oops of it.
 */
import { hex } from '../base/units.ts';

/** An access to an address that no memory answers. */
export class PageFault extends Error {
  override readonly name = 'PageFault';
  readonly address: number;

  constructor(address: number) {
    super(`unable to handle page fault for address: ${hex(address)}`);
    this.address = address;
  }
}
