/*
 * What an oracle reports: which law, what is wrong, where. Oracles read and never take part; the laws are named here
 * with a sentence each, which is what a person sees first.
 */

export const LAWS = {
  preservation: 'what was acknowledged before the update is there after it, in order, or the failure is open',
  'no-invention': 'no session appears that nobody created',
  'one-name': 'no two sessions of a list have the same name',
  'one-token': 'no two files of a session have the same token',
  'file-contents':
    'a file that comes back has the size and seals it was preserved with, and its contents and position at the reboot',
  'list-matches-acknowledged': 'the outgoing list is what was acknowledged',
  chain: 'the session store has room for its list, and its chain is what it says',
  handover: 'every address handed over points at preserved memory of the right order',
  ownership: 'every frame is free, owned once, or reserved; every preserved block has one owner',
  'wild-write': 'nothing writes to preserved memory before it is restored',
  'early-allocation': 'before memory is handed out, a handover boot allocates in scratch only',
  stamp: 'after a handover boot, exactly the blocks that were preserved are stamped, and none is handed out',
  leak: 'when all is finished and closed, only the pages that the real system keeps are left',
  'committed-memory': 'vm_committed_as is the pages of files, as each accounts for its own',
  'no-hang': 'every task ends',
  'no-warning': 'user input makes no kernel warn or crash',
} as const;

export type Law = keyof typeof LAWS;

export interface Violation {
  readonly law: Law;
  /** What is wrong, with the names and numbers concerned. */
  readonly text: string;
  readonly generation: number;
}

/** Collects violations: the first of each law and generation is enough to know. */
export class Violations {
  readonly all: Violation[] = [];
  generation = 0;
  /** Told of each that is kept, when it is found. */
  onFound: ((violation: Violation) => void) | undefined;

  add(law: Law, text: string): void {
    const known = this.all.some((v) => v.law === law && v.generation === this.generation);
    if (known) return;
    const violation = { law, text, generation: this.generation };
    this.all.push(violation);
    this.onFound?.(violation);
  }
}
