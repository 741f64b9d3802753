/*
 * What checking an image answers: plain data, for reports and JSON. The same size for three sessions and for eight
 * million: the first and the last of whatever there may be many of, and their number.
 */
import type { Piece as WalkedPiece } from '../check/anatomy.ts';
import type { Violation } from '../explore/result.ts';
import type { BootKind, KernelState } from '../kernel/kernel.ts';
import type { ScratchArea } from '../kho/scratch.ts';
import type { MemoryRange } from './image_memory.ts';
import type { Root } from './image_root.ts';

export const IMAGE_SCHEMA_VERSION = 1;

/** A piece of the image with its fields decoded; check is for explore alone, so it hands it on. */
export type Piece = WalkedPiece;
export type ImageKind = 'ram-file' | 'flat-dump' | 'elf-core' | 'extracted';

export interface ImageProblem {
  /** The piece it is about, as `Piece.path` has it. */
  readonly path: string;
  readonly phys: number;
  readonly text: string;
}

/** Whether a problem may come of what a file does not have. */
export type Doubt = (problem: ImageProblem) => boolean;

export interface ImageSession {
  readonly name: string;
  readonly phys: number;
  readonly files: number;
}

/** Pieces whose paths differ in numbers only. */
export interface PieceKind {
  /** Path of the first, and of the last where there are several. */
  readonly first: string;
  readonly last: string;
  readonly struct: string;
  readonly phys: number;
  readonly pieces: number;
  readonly bytes: number;
  readonly problems: number;
}

export interface PreservedBlock {
  readonly phys: number;
  readonly order: number;
}

export interface PreservedBlocks {
  /** From order 0. */
  readonly byOrder: readonly number[];
  readonly pages: number;
  readonly trackerPages: number;
  /** The first blocks that no address in the image leads to. */
  readonly unreached: readonly PreservedBlock[];
  readonly unreachedBlocks: number;
  readonly unreachedPages: number;
}

/** What became of the handover in the kernel that was booted from it. */
export interface IncomingReport {
  readonly bootKind: BootKind;
  readonly state: KernelState;
  readonly liveupdateNum: number;
  /** Of the first open of the device: OK, an errno, `crashed`; `no device` where the kernel panicked before. */
  readonly open: string;
  /** Sessions on the incoming list after it. */
  readonly sessions: number;
  readonly warnings: number;
  readonly oopses: number;
  readonly dmesg: readonly string[];
  readonly violations: readonly Violation[];
}

export interface ImageReport {
  readonly schemaVersion: typeof IMAGE_SCHEMA_VERSION;
  readonly kind: ImageKind;
  readonly ramBytes: number;
  /** Where the machine had memory. */
  readonly ranges: readonly MemoryRange[];
  /** The root that was followed, then the others that were found. */
  readonly roots: readonly Root[];
  /** The revision whose formats these are; undefined where no revision has them. */
  readonly recognised: string | undefined;
  /** The revision that read it. */
  readonly revision: string;
  /** Where the next kernel boots, and the memory nodes that follow from it. */
  readonly scratch:
    | { readonly source: string; readonly areas: readonly ScratchArea[]; readonly nodes: number }
    | undefined;
  /** What was assumed, and why. */
  readonly notes: readonly string[];
  /** What belongs to the handover and is not in the file, as it says itself. */
  readonly missing: readonly string[];
  readonly pieces: number;
  readonly kinds: readonly PieceKind[];
  /** The first pieces, whole, but for pages of the map, of data, and of lists of pages. */
  readonly outline: readonly Piece[];
  /** With those that are not in the list. */
  readonly outlineCount: number;
  readonly problems: readonly ImageProblem[];
  /** With those that are not in the list. */
  readonly problemCount: number;
  /** What may be a problem, or come of what the file does not have. */
  readonly doubtful: readonly ImageProblem[];
  readonly doubtfulCount: number;
  readonly preserved: PreservedBlocks;
  readonly sessions: {
    readonly count: number;
    readonly files: number;
    readonly first: readonly ImageSession[];
    readonly last: readonly ImageSession[];
  };
  /** Undefined where the image could not be booted; a note says why. */
  readonly incoming: IncomingReport | undefined;
  /** Frames that were looked at and are not in the file. */
  readonly absentPages: readonly number[];
  /** Whether a reader refuses or stumbles over it, or a law is broken. */
  readonly isBroken: boolean;
}
