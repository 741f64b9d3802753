/*
 * Which session store a revision has.
 */

import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KhoBlockTable } from '../kho/block_table.ts';
import { APRIL_CHAIN, BlockChain, blockChainOpener } from './block_chain.ts';
import { BlockSetStore, blockSetOpener, SESSION_BLOCK_SET } from './block_set_store.ts';
import { SESSION_ARRAY, SessionArray, sessionArrayOpener } from './session_array.ts';
import type { OpenIncoming, OutgoingStore } from './session_store.ts';

export interface SessionStores {
  readonly outgoing: OutgoingStore;
  readonly openIncoming: OpenIncoming;
  /** The table of blocks, where the store has one: block sets of files use it, too. */
  readonly blocks?: KhoBlockTable;
}

/** `restoreFree` takes over a region of the previous kernel and frees it. */
export function sessionStores(kernel: Kernel, restoreFree: (address: Phys) => void): SessionStores {
  const { storage, machine, revision } = kernel;
  const { journal, ram } = machine;
  switch (revision.parts.sessionStore) {
    case 'array-16':
      return {
        outgoing: new SessionArray(journal, ram, SESSION_ARRAY),
        openIncoming: sessionArrayOpener(journal, ram, restoreFree),
      };
    case 'block-chain-16':
      return {
        outgoing: new BlockChain(storage, ram, APRIL_CHAIN),
        openIncoming: blockChainOpener(journal, ram, restoreFree, APRIL_CHAIN),
      };
    case 'block-set-1': {
      const table = new KhoBlockTable(kernel);
      return {
        outgoing: new BlockSetStore(table, SESSION_BLOCK_SET),
        openIncoming: blockSetOpener(table, restoreFree, SESSION_BLOCK_SET),
        blocks: table,
      };
    }
  }
}
