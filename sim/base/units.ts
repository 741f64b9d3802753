/*
 * Branded integers. An address, a frame number and an order are all numbers; mixing them is a type error.
 * Addresses stay below 2^52, so plain numbers are exact.
 */
import { PAGE_SHIFT, PAGE_SIZE } from './limits.ts';

declare const unit: unique symbol;

/** Physical address in bytes. */
export type Phys = number & { readonly [unit]: 'phys' };
/** Page frame number: physical address / 4096. */
export type Pfn = number & { readonly [unit]: 'pfn' };
/** Power-of-two size of a block in pages. */
export type Order = number & { readonly [unit]: 'order' };

/**
 * A field begins with this where it comes to be beyond 31 bits. To the engine it would otherwise be another field from
 * then on, and code that was made for it would be of no use (build/fields.mjs).
 */
export const wide = (n: number): number => n;

export const phys = (bytes: number): Phys => bytes as Phys;
export const pfn = (frames: number): Pfn => frames as Pfn;
export const order = (n: number): Order => n as Order;

export const physOf = (frame: Pfn): Phys => (frame * PAGE_SIZE) as Phys;
export const pfnOf = (address: Phys): Pfn => Math.floor(address / PAGE_SIZE) as Pfn;
/** An order read from memory may be of any size. All others are small, and a power is a call. */
export const pagesOf = (o: Order): number => (o < 31 ? 1 << o : 2 ** o);
export const bytesOf = (o: Order): number => PAGE_SIZE * pagesOf(o);

/** Smallest order whose block holds `bytes`. @kernel get_order */
export function orderOf(bytes: number): Order {
  const pages = Math.ceil(bytes / PAGE_SIZE);
  let o = 0;
  while (2 ** o < pages) o++;
  return o as Order;
}

const HIGH_WORD = 2 ** 32;

/** The number that two words of 32 bits make: a u64, rounded where it is above 2^53. */
export const fromWords = (low: number, high: number): number => (low >>> 0) + (high >>> 0) * HIGH_WORD;
/** The upper of those words; the lower one is `n | 0`. */
export const highWord = (n: number): number => Math.floor(n / HIGH_WORD) | 0;

/** Rounds up to a multiple of `to`. */
export const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
/** Rounds down to a multiple of `to`. */
export const roundDown = (n: number, to: number): number => Math.floor(n / to) * to;

export const hex = (n: number): string => `0x${n.toString(16)}`;
export const isPageAligned = (address: number): boolean => address % (1 << PAGE_SHIFT) === 0;
