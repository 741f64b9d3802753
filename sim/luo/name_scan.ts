/*
 * Finding a session by walking the list, as every kernel does: up to the session that has the name, or over all of them.
 */
import { chargeHops, type IndexedList, type NameIndex } from './name_index.ts';
import { NO_SESSION, type SessionHandle } from './session_table.ts';

export class ListScan implements NameIndex {
  readonly checksAtInsert = true;
  readonly #list: IndexedList;

  constructor(list: IndexedList) {
    this.#list = list;
  }

  search(found: SessionHandle): void {
    const list = this.#list;
    chargeHops(list, found === NO_SESSION ? list.count : list.rankOf(found) + 1);
  }

  add(): number {
    return 0;
  }

  remove(): void {}

  settle(): number {
    return 0;
  }
}
