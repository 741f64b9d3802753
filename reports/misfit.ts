/*
 * A recording that the code no longer fits, in one line: the first departure that found no place, and how many more.
 */
import type { Misfit } from '../sim/index.ts';
import { counted } from './words.ts';

export function misfitText(misfits: readonly Misfit[]): string | undefined {
  const [first] = misfits;
  if (first === undefined) return undefined;
  const { point, occurrence } = first.departure;
  const where = `departure ${first.index + 1}, ${point} occurrence ${occurrence}`;
  const others = misfits.length - 1;
  const more = others === 0 ? '' : `; nor ${others === 1 ? 'does' : 'do'} ${counted(others, 'other')}`;
  return `${where}, no longer fits: ${whyOf(first)}${more}`;
}

function whyOf({ why, count, departure }: Misfit): string {
  switch (why) {
    case 'no such point':
      return 'this luosim has no such point';
    case 'no such choice':
      return `it takes choice ${departure.choice}, and there are ${count}, from 0`;
    case 'not reached':
      return count === 0 ? 'the run does not come there' : `the run comes there ${counted(count, 'time')}`;
  }
}
