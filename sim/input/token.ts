/*
 * Tokens: the input of a run in one word that a person can mail. bech32m (BIP 350) over the packed text of the input:
 *
 *   luo 1 p p ...................................... 6 letters
 *       |  | |  a letter is 5 bits                    checksum of all letters
 *       |  | +- kind: p a program, as text; s a scenario of this luosim with its options
 *       |  +--- format version, 1 is p
 *       +------ ends the prefix
 *
 *   bytes   length of the text in UTF-8 (LEB128) | the text, deflated with the dictionary of the version | u32 check
 *   check   first half of the digest over version, kind, length and text: bech32m alone misses one in 2^30 of what
 *           happens to a long token, and knows nothing of the packing
 *
 * One input has one token: fflate packs alike on every Node, given `mem` (its default goes by Math.log). A token may
 * come in capitals, and with whatever a mail program puts between its letters.
 */
import { bech32m } from '@scure/base';
import { deflateSync, inflateSync } from 'fflate';
import { assert } from '../base/assert.ts';
import { Digest } from '../base/digest.ts';
import { isObject } from './program_json.ts';
import { DICTIONARY } from './token_dictionary.ts';

/** Options of the command line as words, each given. */
export type ScenarioOptions = Readonly<Record<string, string>>;

export type TokenContent =
  | { readonly kind: 'program'; readonly text: string }
  | { readonly kind: 'scenario'; readonly options: ScenarioOptions };

const PREFIX = 'luo';
const VERSION = 1;
const KINDS = { program: 1, scenario: 16 } as const;
/** Letters of the check word, and of the checksum behind it: what is shorter is no token. */
const LETTERS_MIN = 2 + 10 + 6;
const CHECK_BYTES = 4;
/** Bytes of text in a token. A program that is longer is a file. */
const TEXT_BYTES_MAX = 2 ** 20;
/** Letters of the longest token: what does not pack at all, with room to spare. */
const LETTERS_MAX = 2 * TEXT_BYTES_MAX;

/** Whether this is meant as a token, rather than as the name of a file or the text of a program. */
export const looksLikeToken = (typed: string): boolean => plain(typed.slice(0, 256)).startsWith(`${PREFIX}1`);

/** The token; undefined where the text is too long for one. */
export function encodeToken(content: TokenContent): string | undefined {
  const text = content.kind === 'program' ? content.text : JSON.stringify(content.options);
  assert(!/\p{Surrogate}/u.test(text), 'text that is no Unicode has no bytes');
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > TEXT_BYTES_MAX) return undefined;
  const kind = KINDS[content.kind];
  const packed = deflateSync(bytes, { level: 9, mem: 4, dictionary: DICTIONARY });
  const all = [...lengthBytes(bytes.length), ...packed, ...checkBytes(kind, bytes)];
  return bech32m.encode(PREFIX, [VERSION, kind, ...bech32m.toWords(Uint8Array.from(all))], false);
}

/** What a token holds; or what is wrong with it, to be said after the word "token". */
export function decodeToken(typed: string): TokenContent | string {
  const token = plain(typed);
  if (!token.startsWith(`${PREFIX}1`)) return `begins with ${PREFIX}1; this does not`;
  const odd = /[^qpzry9x8gf2tvdw0s3jn54khce6mua7l]/u.exec(token.slice(PREFIX.length + 1));
  if (odd !== null) return `has ${JSON.stringify(odd[0])} in it, which no token has: ${MEND}`;
  if (token.length < PREFIX.length + 1 + LETTERS_MIN)
    return `is cut off after ${token.length} letters: ${MEND}`;
  if (token.length > LETTERS_MAX) return `has ${token.length} letters, more than any: ${MEND}`;
  const decoded = bech32m.decodeUnsafe(token, false);
  if (decoded === undefined) return `is mistyped or cut off: its checksum does not fit; ${MEND}`;
  const [version, kind, ...words] = decoded.words;
  if (version !== VERSION) {
    return `is of format ${version}, this luosim reads format ${VERSION}: use the luosim that printed it`;
  }
  const bytes = bech32m.fromWordsUnsafe(words);
  const text = bytes === undefined ? undefined : unpack(kind ?? 0, bytes);
  return text === undefined ? DAMAGED : contentOf(kind ?? 0, text);
}

const MEND = 'copy it again, whole';
const DAMAGED = 'is damaged inside, though its checksum fits: use the luosim that printed it';

/** Without what does not belong to it: white space, quotation marks of mails, and soft breaks; in small letters. */
const plain = (typed: string): string =>
  typed.replace(/=(?=\s|$)|[\s>|"'`\u00ad\u200b-\u200d\u2060\ufeff]/g, '').toLowerCase();

function unpack(kind: number, bytes: Uint8Array): string | undefined {
  const header = readLength(bytes);
  if (header === undefined) return undefined;
  const { length, at } = header;
  // One byte more than there should be, to see whether there is more.
  const out = new Uint8Array(length + 1);
  let text: Uint8Array;
  try {
    text = inflateSync(bytes.subarray(at, -CHECK_BYTES), { out, dictionary: DICTIONARY });
    if (text.length !== length) return undefined;
    const check = checkBytes(kind, text);
    if (!bytes.subarray(-CHECK_BYTES).every((byte, i) => byte === check[i])) return undefined;
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    return undefined;
  }
}

function contentOf(kind: number, text: string): TokenContent | string {
  if (kind === KINDS.program) return { kind: 'program', text };
  if (kind !== KINDS.scenario)
    return `is of a kind that this luosim does not know: use the luosim that printed it`;
  let options: unknown;
  try {
    options = JSON.parse(text);
  } catch {
    return DAMAGED;
  }
  if (!isObject(options) || Object.values(options).some((value) => typeof value !== 'string')) return DAMAGED;
  return { kind: 'scenario', options: options as ScenarioOptions };
}

/** LEB128. */
function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  let rest = length;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function readLength(bytes: Uint8Array): { length: number; at: number } | undefined {
  let length = 0;
  for (let at = 0; at < 3; at++) {
    const byte = bytes[at] ?? 0;
    length |= (byte & 0x7f) << (7 * at);
    if (byte < 0x80) return length <= TEXT_BYTES_MAX ? { length, at: at + 1 } : undefined;
  }
  return undefined;
}

function checkBytes(kind: number, text: Uint8Array): Uint8Array {
  const digest = new Digest();
  for (const word of [VERSION, kind, text.length]) digest.mix(word);
  for (const byte of text) digest.mix(byte);
  const check = Number.parseInt(digest.toString().slice(0, 8), 16);
  return Uint8Array.of(check >>> 24, check >>> 16, check >>> 8, check);
}
