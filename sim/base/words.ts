/*
 * Runs of words. Eight at a time: in a loop the engine looks at both arrays again at every turn, which costs more than
 * the copying.
 */

/** Copies eight words: what many records have, without a loop. */
export const copyEight = (target: Int32Array, to: number, source: Int32Array, from: number): void => {
  target[to] = source[from] as number;
  target[to + 1] = source[from + 1] as number;
  target[to + 2] = source[from + 2] as number;
  target[to + 3] = source[from + 3] as number;
  target[to + 4] = source[from + 4] as number;
  target[to + 5] = source[from + 5] as number;
  target[to + 6] = source[from + 6] as number;
  target[to + 7] = source[from + 7] as number;
};

/** Copies `n` words: source[from..] to target[to..]; the runs do not overlap, or are one. */
export const copyWords = (
  target: Int32Array,
  to: number,
  source: Int32Array,
  from: number,
  n: number,
): void => {
  let k = 0;
  for (; k + 8 <= n; k += 8) copyEight(target, to + k, source, from + k);
  for (; k < n; k++) target[to + k] = source[from + k] as number;
};

/** Makes target[at..], `n` words, `word`. Four at a time: objects of few words are filled too. */
export const fillWords = (target: Int32Array, at: number, n: number, word: number): void => {
  let k = 0;
  for (; k + 4 <= n; k += 4) {
    const t = at + k;
    target[t] = word;
    target[t + 1] = word;
    target[t + 2] = word;
    target[t + 3] = word;
  }
  for (; k < n; k++) target[at + k] = word;
};

/** How many of the words at `at`, at + step ... below `end` are negative. Four at a time. */
export const countNegative = (words: Int32Array, at: number, end: number, step: number): number => {
  let negative = 0;
  let i = at;
  for (const last = end - 3 * step; i < last; i += 4 * step) {
    negative -=
      ((words[i] as number) >> 31) +
      ((words[i + step] as number) >> 31) +
      ((words[i + 2 * step] as number) >> 31) +
      ((words[i + 3 * step] as number) >> 31);
  }
  for (; i < end; i += step) negative -= (words[i] as number) >> 31;
  return negative;
};
