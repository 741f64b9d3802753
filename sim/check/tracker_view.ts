/*
 * The map of preserved memory as its reader finds it in memory, with nothing believed: an address that is no page is as
 * if it were 0, and each page of the map counts once. Layouts: kho/abi.ts.
 *
 *   radix     root -> tables of 512 addresses, levels 5 to 1 -> bitmaps            kho-v2 and later
 *   bitmaps   chunks in a list, 255 {phys_start, bitmap} each                      kho-v1
 */
import { PAGE_SIZE } from '../base/limits.ts';
import {
  bytesOf,
  hex,
  isPageAligned,
  type Order,
  type Pfn,
  type Phys,
  pagesOf,
  pfnOf,
  physOf,
} from '../base/units.ts';
import {
  KHO_BITMAP_SIZE_LOG2,
  KHO_PRESERVE_BITS_LOG2,
  KHO_TABLE_SIZE_LOG2,
  KHO_TREE_MAX_DEPTH,
  KHOSER_BITMAP_SIZE,
  KHOSER_MEM_BITMAP_PTR,
  KHOSER_MEM_CHUNK,
} from '../kho/abi.ts';
import { bitmapIndex, radixBlock, radixKey, tableIndex } from '../kho/radix.ts';
import type { DecodedField, Memory, Piece } from './anatomy.ts';
import { numberOf, structFields } from './decode.ts';
import { FrameSet } from './frame_set.ts';

export interface PreservedBlock {
  readonly phys: Phys;
  readonly order: Order;
}

export interface TrackerView {
  /** Orders with which a block that begins at a frame is preserved, ascending; more than one is a fault. */
  ordersOf(frame: Pfn): Order[];
  /** Every block, as its reader meets them. */
  blocks(): Generator<PreservedBlock, void, void>;
  /** Its pages as pieces. `met` gets their frames. */
  pieces(met: FrameSet): Generator<Piece, void, void>;
}

const WORDS = PAGE_SIZE / 4;
const TOP = KHO_TREE_MAX_DEPTH - 1;
const SLOTS = 2 ** KHO_TABLE_SIZE_LOG2;
const BITS = 2 ** KHO_BITMAP_SIZE_LOG2;

const PATHS = {
  kho_radix_node: 'radix-node',
  kho_radix_leaf: 'radix-leaf',
  khoser_mem_chunk: 'bitmap-chunk',
  kho_mem_phys_bits: 'bitmap',
} as const;
type MapStruct = keyof typeof PATHS;

/** A page of a map: a table or a list, or a bitmap with what its first bit stands for. */
interface MapPage {
  readonly phys: Phys;
  readonly struct: MapStruct;
  readonly fields: readonly DecodedField[];
  readonly problems: string[];
  readonly bitmap: ((bit: number) => { readonly frame: number; readonly order: number }) | undefined;
}

const isPage = (memory: Memory, address: number): boolean =>
  address > 0 && isPageAligned(address) && memory.has(address, PAGE_SIZE);

/** What both kinds of map have in common. */
abstract class MapView implements TrackerView {
  readonly memory: Memory;
  readonly #orders: readonly Order[];

  constructor(memory: Memory) {
    this.memory = memory;
    const orders: Order[] = [];
    for (let order = 0; 2 ** order * PAGE_SIZE <= memory.bytes; order++) orders.push(order as Order);
    this.#orders = orders;
  }

  abstract has(frame: Pfn, order: Order): boolean;
  abstract pages(seen: FrameSet): Generator<MapPage, void, void>;

  ordersOf(frame: Pfn): Order[] {
    return this.#orders.filter((order) => frame % pagesOf(order) === 0 && this.has(frame, order));
  }

  *blocks(): Generator<PreservedBlock, void, void> {
    for (const { phys, bitmap } of this.pages(new FrameSet())) {
      if (bitmap === undefined) continue;
      for (const bit of setBits(this.memory, phys)) {
        const { frame, order } = bitmap(bit);
        if (fits(this.memory, frame, order)) yield { phys: physOf(frame as Pfn), order: order as Order };
      }
    }
  }

  *pieces(met: FrameSet): Generator<Piece, void, void> {
    const preserved = new FrameSet();
    const numbers = new Map<MapStruct, number>();
    for (const page of this.pages(met)) {
      const { phys, struct, problems, bitmap } = page;
      const number = numbers.get(struct) ?? 0;
      numbers.set(struct, number + 1);
      let { fields } = page;
      if (bitmap !== undefined) {
        let blocks = 0;
        for (const bit of setBits(this.memory, phys)) {
          const { frame, order } = bitmap(bit);
          blocks++;
          if (problems.length > PROBLEMS_MAX) continue;
          const block = `${hex(frame * PAGE_SIZE)} of order ${order}`;
          if (!fits(this.memory, frame, order)) problems.push(`names ${block}, which is not in memory`);
          else if (!preserved.add(frame, 2 ** order))
            problems.push(`names ${block}, part of which is named before`);
        }
        fields = [{ name: 'blocks', offset: 0, bytes: PAGE_SIZE, kind: 'number', value: blocks }];
      }
      const path = `${PATHS[struct]}[${number}]`;
      yield { path, struct, phys, bytes: PAGE_SIZE, order: undefined, fields, problems };
    }
  }
}

/** A page of garbage names thousands of blocks. */
const PROBLEMS_MAX = 16;

/** Blocks beyond are larger than any memory, and numbers do not hold them. */
const ORDER_MAX = 28;

const fits = (memory: Memory, frame: number, order: number): boolean =>
  order <= ORDER_MAX && memory.has(frame * PAGE_SIZE, bytesOf(order as Order));

function* setBits(memory: Memory, bitmap: Phys): Generator<number, void, void> {
  const words = new Int32Array(WORDS);
  memory.loadWords(bitmap, words, 0, WORDS);
  for (let w = 0; w < WORDS; w++) {
    for (let word = words[w] as number; word !== 0; word &= word - 1)
      yield w * 32 + 31 - Math.clz32(word & -word);
  }
}

const bitAt = (memory: Memory, bitmap: number, bit: number): boolean =>
  ((memory.load32(bitmap + 4 * (bit >>> 5)) >>> (bit & 31)) & 1) === 1;

class RadixView extends MapView {
  readonly #root: Phys;

  /** `root` is a page of memory. */
  constructor(memory: Memory, root: Phys) {
    super(memory);
    this.#root = root;
  }

  has(frame: Pfn, order: Order): boolean {
    const key = radixKey(frame, order);
    let node: number = this.#root;
    for (let level = TOP; level > 0; level--) {
      node = this.memory.load64(node + 8 * tableIndex(key, level));
      if (!isPage(this.memory, node)) return false;
    }
    return bitAt(this.memory, node, bitmapIndex(key));
  }

  pages(seen: FrameSet): Generator<MapPage, void, void> {
    seen.add(pfnOf(this.#root), 1);
    return this.#below(this.#root, TOP, 0, seen, []);
  }

  *#below(
    phys: Phys,
    level: number,
    prefix: number,
    seen: FrameSet,
    problems: string[],
  ): Generator<MapPage, void, void> {
    if (level === 0) {
      const bitmap = (bit: number): ReturnType<typeof radixBlock> => radixBlock(prefix + bit);
      yield { phys, struct: 'kho_radix_leaf', fields: [], problems, bitmap };
      return;
    }
    const fields: DecodedField[] = [];
    const below: (readonly [Phys, number])[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      const value = this.memory.load64(phys + 8 * slot);
      if (value === 0) continue;
      const name = `slot[${slot}]`;
      fields.push({ name, offset: 8 * slot, bytes: 8, kind: 'address', value });
      if (!isPage(this.memory, value)) problems.push(`${name} is ${hex(value)}: no page of memory`);
      else if (!seen.add(pfnOf(value as Phys), 1))
        problems.push(`${name} is ${hex(value)}, where another piece lies`);
      else below.push([value as Phys, (prefix + slot) * (level === 1 ? BITS : SLOTS)]);
    }
    yield { phys, struct: 'kho_radix_node', fields, problems, bitmap: undefined };
    for (const [child, childPrefix] of below) yield* this.#below(child, level - 1, childPrefix, seen, []);
  }
}

class BitmapView extends MapView {
  readonly #first: Phys;
  /** Bitmaps by `order frame`, where the frame is what the first bit stands for. */
  readonly #bitmaps = new Map<string, Phys>();

  /** `first` is a page of memory: the first chunk. */
  constructor(memory: Memory, first: Phys) {
    super(memory);
    this.#first = first;
    for (const { phys, bitmap } of this.pages(new FrameSet())) {
      if (bitmap === undefined) continue;
      const { frame, order } = bitmap(0);
      this.#bitmaps.set(`${order} ${frame}`, phys);
    }
  }

  has(frame: Pfn, order: Order): boolean {
    const span = 2 ** (KHO_PRESERVE_BITS_LOG2 + order);
    const start = Math.floor(frame / span) * span;
    const bitmap = this.#bitmaps.get(`${order} ${start}`);
    return bitmap !== undefined && bitAt(this.memory, bitmap, (frame - start) / pagesOf(order));
  }

  *pages(seen: FrameSet): Generator<MapPage, void, void> {
    const { next: NEXT } = KHOSER_MEM_CHUNK.at;
    seen.add(pfnOf(this.#first), 1);
    for (let chunk: number = this.#first; chunk !== 0; ) {
      const problems: string[] = [];
      const fields = structFields(this.memory, chunk, KHOSER_MEM_CHUNK, ['next']);
      const order = numberOf(fields, 'order');
      const count = numberOf(fields, 'num_elms');
      const isOrder = order <= ORDER_MAX;
      if (!isOrder) problems.push(`has order ${order}: no block of memory`);
      if (count > KHOSER_BITMAP_SIZE) problems.push(`counts ${count} bitmaps of ${KHOSER_BITMAP_SIZE}`);
      const bitmaps: MapPage[] = [];
      for (let i = 0; isOrder && i < Math.min(count, KHOSER_BITMAP_SIZE); i++) {
        const offset = KHOSER_MEM_CHUNK.size + i * KHOSER_MEM_BITMAP_PTR.size;
        const page = this.#entry(chunk + offset, i, order, problems, seen);
        for (const field of structFields(this.memory, chunk + offset, KHOSER_MEM_BITMAP_PTR, ['bitmap'])) {
          fields.push({ ...field, name: `entry[${i}].${field.name}`, offset: field.offset + offset });
        }
        if (page !== undefined) bitmaps.push(page);
      }
      const next = this.memory.load64(chunk + NEXT);
      const follows = next !== 0 && isPage(this.memory, next) && seen.add(pfnOf(next as Phys), 1);
      if (next !== 0 && !follows) problems.push(`next is ${hex(next)}: no page of memory of its own`);
      yield { phys: chunk as Phys, struct: 'khoser_mem_chunk', fields, problems, bitmap: undefined };
      yield* bitmaps;
      chunk = follows ? next : 0;
    }
  }

  #entry(at: number, i: number, order: number, problems: string[], seen: FrameSet): MapPage | undefined {
    const start = this.memory.load64(at + KHOSER_MEM_BITMAP_PTR.at.phys_start);
    const bitmap = this.memory.load64(at + KHOSER_MEM_BITMAP_PTR.at.bitmap);
    if (!isPage(this.memory, bitmap) || !seen.add(pfnOf(bitmap as Phys), 1)) {
      problems.push(`entry[${i}].bitmap is ${hex(bitmap)}: no page of memory of its own`);
      return undefined;
    }
    const span = PAGE_SIZE * 2 ** (KHO_PRESERVE_BITS_LOG2 + order);
    if (start % span !== 0)
      problems.push(`entry[${i}].phys_start is ${hex(start)}: no multiple of ${hex(span)}`);
    const first = pfnOf(start as Phys);
    return {
      phys: bitmap as Phys,
      struct: 'kho_mem_phys_bits',
      fields: [],
      problems: [],
      bitmap: (bit) => ({ frame: first + bit * 2 ** order, order }),
    };
  }
}

/** The map that begins at a page of memory. */
export const mapView = (memory: Memory, phys: Phys, bitmaps: boolean): TrackerView =>
  bitmaps ? new BitmapView(memory, phys) : new RadixView(memory, phys);

/** Whether a piece is a page of the map itself. */
export const isMapPiece = ({ struct }: Piece): boolean => Object.hasOwn(PATHS, struct);
