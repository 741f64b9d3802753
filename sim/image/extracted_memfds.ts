/*
 * The memfds of an extract: records, arrays of folios, the beginning of the contents, as far as they are told.
 *
 *   memfd           [ {pa, hex, nr_folios, size, folios, folio_entries, first_page_text} ]      may end before all files
 *   folios          {first_pa, total_pages, chunk_next, pages_pa}                               pages_pa may be cut
 *   folio_entries   [ {hex, pfn} ]                                                              may be cut
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Pfn, physOf } from '../base/units.ts';
import type { Stretch } from '../check/unknown_bytes.ts';
import { MEMFD_LUO_FOLIO_SER, MEMFD_LUO_SER } from '../files/memfd_abi.ts';
import { KHO_VMALLOC_CHUNK, KHO_VMALLOC_ENTRY, KHO_VMALLOC_SIZE } from '../kho/abi.ts';
import { u64Bytes } from '../kho/fdt_abi.ts';
import type { Place } from './extracted_json.ts';
import type { Sheets } from './sheets.ts';

const ENTRY_BYTES = MEMFD_LUO_FOLIO_SER.size;
const PER_PAGE = PAGE_SIZE / ENTRY_BYTES;

export class ExtractedMemfds {
  readonly #sheets: Sheets;
  readonly #missing: string[];
  readonly #unknown: Stretch[];

  /** Says in `missing` what is not told, and in `unknown` where that would stand. */
  constructor(sheets: Sheets, missing: string[], unknown: Stretch[]) {
    this.#sheets = sheets;
    this.#missing = missing;
    this.#unknown = unknown;
  }

  /** Places all records of a list; `addresses`: where those of all files are. */
  place(records: readonly Place[], addresses: readonly number[]): void {
    for (const record of records) this.#record(record);
    if (records.length >= addresses.length) return;
    this.#missing.push(`${addresses.length - records.length} of ${addresses.length} memfd records`);
    const told = new Set<number>(records.map((record) => record.get('pa').page()));
    for (const phys of addresses) if (!told.has(phys)) this.#knowsNothing(phys, MEMFD_LUO_SER.size);
  }

  #record(record: Place): void {
    this.#sheets.put(record.get('pa'), record.get('hex').hex());
    const folios = record.optional('folios');
    if (folios === undefined) return;
    const where = `of the memfd at ${record.get('pa').text()}`;
    const nrFolios = record.get('nr_folios').whole(2 ** 32);
    const pages = this.#chunk(folios, where);
    const entries = [...record.each('folio_entries')];
    const [first] = pages;
    if (first !== undefined) {
      for (const [i, entry] of entries.entries()) {
        this.#sheets.putAt(first + i * ENTRY_BYTES, entry.get('hex').hex(), entry);
      }
    }
    for (const [i, page] of pages.entries()) {
      const told = i === 0 ? entries.length : 0;
      const there = Math.min(nrFolios - i * PER_PAGE, PER_PAGE);
      this.#knowsNothing(page + told * ENTRY_BYTES, (there - told) * ENTRY_BYTES);
    }
    this.#lacks(nrFolios - entries.length, `folios ${where}`);
    this.#contents(record, entries, where);
  }

  /** The list of the array's pages: those that are told. */
  #chunk(folios: Place, where: string): number[] {
    const pages = folios.get('pages_pa').list();
    if (pages.length >= KHO_VMALLOC_SIZE) folios.get('pages_pa').wrong('more pages than a chunk has');
    const chunk = new Uint8Array(KHO_VMALLOC_CHUNK.size + pages.length * KHO_VMALLOC_ENTRY.size);
    chunk.set(u64Bytes(folios.get('chunk_next').number()));
    for (const [i, page] of pages.entries()) {
      chunk.set(u64Bytes(page.page()), KHO_VMALLOC_CHUNK.size + i * KHO_VMALLOC_ENTRY.size);
    }
    this.#sheets.put(folios.get('first_pa'), chunk);
    const total = folios.get('total_pages').whole(2 ** 32);
    const there = KHO_VMALLOC_CHUNK.size + Math.min(total, KHO_VMALLOC_SIZE) * KHO_VMALLOC_ENTRY.size;
    this.#knowsNothing(folios.get('first_pa').page() + chunk.length, there - chunk.length);
    this.#lacks(total - pages.length, `pages with folios ${where}`);
    return pages.map((page) => page.page());
  }

  /** The text that a memfd begins with: bytes only where all of it is ASCII. */
  #contents(record: Place, entries: readonly Place[], where: string): void {
    const text = record.optional('first_page_text');
    const size = record.get('size').whole(Number.MAX_SAFE_INTEGER);
    let known = 0;
    for (const entry of entries) {
      const page = physOf(entry.get('pfn').number() as Pfn);
      const isFirst = entry === entries[0];
      if (isFirst && text !== undefined && !/[^ -~]/.test(text.text())) {
        const bytes = new TextEncoder().encode(text.text()).subarray(0, size);
        this.#sheets.putAt(page, bytes, text);
        known = bytes.length;
      }
      const told = isFirst ? known : 0;
      if (known < size) this.#knowsNothing(page + told, PAGE_SIZE - told);
    }
    this.#lacks(size - known, `bytes ${where}`, size);
  }

  #knowsNothing(phys: number, bytes: number): void {
    if (bytes > 0) this.#unknown.push({ phys, bytes });
  }

  #lacks(n: number, what: string, of?: number): void {
    if (n > 0) this.#missing.push(of === undefined ? `${n} ${what}` : `${n} of ${of} ${what}`);
  }
}
