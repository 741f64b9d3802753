/*
 * The known name that somebody may have meant: the one that the fewest typing mistakes lead to.
 *
 * A mistake is a letter too many, one missing, one wrong, or two neighbours exchanged (optimal string alignment).
 */

/** More mistakes make another word. */
const MISTAKES_MAX = 3;

/** The nearest of the names, the first of several; undefined where none is near. */
export function nearest(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let fewest = MISTAKES_MAX + 1;
  for (const name of names) {
    const length = Math.max(word.length, name.length);
    if (Math.abs(word.length - name.length) >= fewest) continue;
    const mistakes = mistakesBetween(word, name);
    // Of a short word something must be left.
    if (mistakes >= fewest || mistakes > length * 0.6) continue;
    best = name;
    fewest = mistakes;
  }
  return best;
}

/** " (Did you mean ...?)", or nothing. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const name = nearest(word, names);
  return name === undefined ? '' : ` (Did you mean ${name}?)`;
}

function mistakesBetween(a: string, b: string): number {
  let before: number[] = [];
  let last: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    [before, last, row] = [last, row, [i]];
    for (let k = 1; k <= b.length; k++) {
      const same = a[i - 1] === b[k - 1] ? 0 : 1;
      let least = Math.min(
        (last[k] as number) + 1,
        (row[k - 1] as number) + 1,
        (last[k - 1] as number) + same,
      );
      const exchanged = i > 1 && k > 1 && a[i - 1] === b[k - 2] && a[i - 2] === b[k - 1];
      if (exchanged) least = Math.min(least, (before[k - 2] as number) + 1);
      row[k] = least;
    }
  }
  return row[b.length] as number;
}
