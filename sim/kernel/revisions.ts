/*
 * Revisions of the modelled system: a name, the upstream patches applied, and the designs chosen where whole designs
 * differ. What rests on inference rather than on a source is said at the revision.
 *
 *   april-v1-p1   v7.0 plus patch 1/5 of the April 2026 series, the mail under review. The body of the patch could
 *                 not be read: block size, header, chain, LUO_MAX_BLOCKS = 10000 and allocation in insert are certain;
 *                 inferred from the author's next version: header field order {next, count}, -ENOSPC at the block
 *                 limit, blocks kept for reuse until the kernel ends, the first block allocated at late init, trailing
 *                 blocks with count 0 tolerated, no check of counts when the chain is read.
 */
import { type Patch, SESSION_BLOCKS } from './patches.ts';

/** Designs that are whole parts; one of each is chosen. */
export interface Parts {
  readonly sessionStore: 'block-chain-16';
  readonly tracker: 'radix';
  readonly rebootExclusion: 'list-rwsem';
}

export interface Revision {
  readonly name: string;
  /** What `uname -r` says; carried in kexec-metadata. */
  readonly release: string;
  readonly patches: readonly Patch[];
  readonly parts: Parts;
  /** compatible of the root FDT. */
  readonly khoCompatible: string;
  /** compatible of the luo-session node. */
  readonly sessionCompatible: string;
}

export const APRIL_V1_P1: Revision = {
  name: 'april-v1-p1',
  release: '7.0.0-april-v1-p1',
  patches: [SESSION_BLOCKS],
  parts: { sessionStore: 'block-chain-16', tracker: 'radix', rebootExclusion: 'list-rwsem' },
  khoCompatible: 'kho-v3',
  sessionCompatible: 'luo-session-v3',
};

export const REVISIONS: readonly Revision[] = [APRIL_V1_P1];

export const revisionByName = (name: string): Revision | undefined =>
  REVISIONS.find((revision) => revision.name === name);
