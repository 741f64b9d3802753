/*
 * Which name index a revision has.
 */
import { NameHash } from './name_hash.ts';
import { type IndexedList, ListScan, type NameIndex } from './name_index.ts';
import { NameSort } from './name_sort.ts';
import { NameRbtree, NameXarray } from './name_trees.ts';

/** The index of a list in the kernel's design. */
export function nameIndex(list: IndexedList): NameIndex {
  switch (list.kernel.revision.parts.nameIndex) {
    case 'list-scan':
      return new ListScan(list);
    case 'hash':
      return new NameHash(list);
    case 'rbtree':
      return new NameRbtree(list);
    case 'xarray':
      return new NameXarray(list);
    case 'sort-at-deserialize':
      return list.name === 'incoming' ? new NameSort(list) : new ListScan(list);
  }
}
