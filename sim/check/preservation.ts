/*
 * Session preservation: the kernel's lists against what users were told.
 *
 *   at every quiescence           outgoing list == acknowledged and not closed, in order
 *   when the device first opens   incoming list == what the previous kernel owes, in order
 *
 * Where several tasks created sessions at the same time acknowledgement and insertion may come in different orders; then
 * only the order within each task is a law. Names that were in flight at the jump may be there or not.
 */
import type { SessionList } from '../luo/session_list.ts';
import { NO_SESSION, OTHER_NAME, type SessionTable } from '../luo/session_table.ts';
import type { NameBook } from '../user/names.ts';
import type { SessionModel } from './model.ts';
import type { Order } from './side.ts';
import type { Law, Violations } from './violation.ts';

export interface PreservationParts {
  readonly model: SessionModel;
  readonly names: NameBook;
  readonly violations: Violations;
}

/** The outgoing list against the model. */
export function checkOutgoing(
  parts: PreservationParts,
  table: SessionTable,
  list: SessionList,
  ordered: boolean,
): void {
  compare(
    parts,
    table,
    list,
    parts.model.outgoing,
    parts.model.created,
    'list-matches-acknowledged',
    ordered,
  );
}

/** The incoming list, right after it was deserialized, against the model. */
export function checkIncoming(
  parts: PreservationParts,
  table: SessionTable,
  list: SessionList,
  ordered: boolean,
): void {
  compare(parts, table, list, parts.model.incoming, parts.model.expected, 'preservation', ordered);
}

function compare(
  parts: PreservationParts,
  table: SessionTable,
  list: SessionList,
  expected: Order,
  count: number,
  law: Law,
  ordered: boolean,
): void {
  const { model, names, violations } = parts;
  if (!ordered || model.uncertain.size > 0) {
    compareSets(parts, table, list, expected, law);
    return;
  }
  if (list.count !== count) {
    violations.add(law, `the ${list.name} list has ${list.count} sessions, ${count} were acknowledged`);
  }
  let session = list.head;
  let place = 0;
  for (let i = 0; i < expected.length; i++) {
    const name = expected.at(i);
    if (name === -1) continue;
    if (session === NO_SESSION) {
      violations.add(law, `"${names.text(name)}" was acknowledged and is not on the ${list.name} list`);
      return;
    }
    const next = table.nextIfNamed(session, names.words(name), 0);
    if (next === OTHER_NAME) {
      const found = table.name(session);
      violations.add(law, `place ${place} of the ${list.name} list is "${found}", not "${names.text(name)}"`);
      return;
    }
    session = next;
    place++;
  }
  if (session !== NO_SESSION) {
    violations.add('no-invention', `"${table.name(session)}" is on the ${list.name} list, unacknowledged`);
  }
}

function compareSets(
  { model, names, violations }: PreservationParts,
  table: SessionTable,
  list: SessionList,
  expected: Order,
  law: Law,
): void {
  const places = new Map<string, number>();
  for (let session = list.head; session !== NO_SESSION; session = table.next(session)) {
    places.set(table.name(session), places.size);
  }
  const lastOf = new Map<number, number>();
  for (let i = 0; i < expected.length; i++) {
    const name = expected.at(i);
    if (name === -1) continue;
    const place = places.get(names.text(name));
    if (place === undefined) {
      if (!model.uncertain.has(name)) {
        violations.add(law, `"${names.text(name)}" was acknowledged and is not on the ${list.name} list`);
      }
      continue;
    }
    places.delete(names.text(name));
    const creator = model.creator(name, list.name);
    if ((lastOf.get(creator) ?? -1) > place) {
      violations.add(law, `"${names.text(name)}" stands before a session that its task created earlier`);
    }
    lastOf.set(creator, place);
  }
  for (const text of places.keys()) {
    const known = [...model.uncertain].some((name) => names.text(name) === text);
    if (!known) violations.add('no-invention', `"${text}" is on the ${list.name} list, unacknowledged`);
  }
}
