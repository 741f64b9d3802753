/*
 * Programs as text. Laws: what is printed is read as it was; what a person may write otherwise means the same and is
 * printed the same; every line that is printed is needed; and whatever is read, the answer is an input that can be run,
 * or one complaint with its place.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import khoTest from '../../scenarios/kho_test.ts';
import manySessions from '../../scenarios/many_sessions.ts';
import { printProgram } from '../../sim/input/program_print.ts';
import { isTextProblem, parseProgram } from '../../sim/input/program_text.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import type { Program } from '../../sim/user/program.ts';
import { ACTIONS, anyInputs } from '../support/any_input.ts';
import { checkMutants } from '../support/mutated_text.ts';
import { runs } from '../support/seed.ts';

function parsed(text: string): RunInput {
  const input = parseProgram(text);
  if (isTextProblem(input)) throw new Error(`${input.line}:${input.column}: ${input.message}\n${text}`);
  return input;
}

const inputOf = (program: Program): RunInput => ({ ...parsed('luosim 1\nkernel v7.3'), program });
const printed = (text: string): string => printProgram(parsed(text));

describe('a printed input', () => {
  it('is read as it was', () => {
    fc.assert(
      fc.property(anyInputs, (input) => {
        expect(parsed(printProgram(input))).toEqual(input);
      }),
      { numRuns: runs(100) },
    );
  });

  it.each(Object.entries(ACTIONS))('is read as it was, whatever stands behind %s', (verb, actions) => {
    fc.assert(
      fc.property(actions, (action) => {
        const input = inputOf({
          generations: [{ revision: 'v7.3', stages: [[{ process: 'p', actions: [action] }]] }],
        });
        expect(parsed(printProgram(input))).toEqual(input);
        expect(printProgram(input)).toMatch(new RegExp(`^ {4}${verb}\\b.*\\n$`, 'm'));
      }),
      { numRuns: 50 },
    );
  });

  it('is lines of what can be seen, the last one ended', () => {
    fc.assert(
      fc.property(anyInputs, (input) => {
        const text = printProgram(input);
        expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Z}](?<![ \n])/u);
        expect(text).toMatch(/^luosim 1\n(?:.*[^\n])?\n$/s);
      }),
      { numRuns: runs(100) },
    );
  });

  it('has no line that could be left out', () => {
    fc.assert(
      fc.property(anyInputs, (input) => {
        const lines = printProgram(input).split('\n');
        for (const [i, line] of lines.entries()) {
          if (line === '') continue;
          const shorter = parseProgram(lines.toSpliced(i, 1).join('\n'));
          if (!isTextProblem(shorter)) expect(shorter, line).not.toEqual(input);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('says what kernels in a row do once', () => {
    const text = (generations: number): string => {
      const params = { revisions: ['v7.3'], generations, sessions: 60, pattern: 's%d' };
      return printProgram(inputOf(manySessions(params)));
    };
    expect(text(100)).toBe(text(4).replace('times 2', 'times 98'));
    expect(parsed(text(100_000)).program.generations).toHaveLength(100_000);
  });

  it('is as short as a person would write it', () => {
    const program = khoTest({ revisions: ['v7.1 +get-name'], generations: 2 });
    expect(printProgram({ ...inputOf(program), seed: 'two words', departures: [] })).toBe(`luosim 1
seed "two words"

kernel v7.1 +get-name
stage
  task test_kho
    kho-test save
stage
  task init
    load
    reboot

kernel v7.1 +get-name
stage
  task test_kho
    kho-test restore

choose defaults
`);
  });
});

describe('a text', () => {
  /** What a person may do that means nothing. */
  const habits: ((line: string) => string)[] = [
    (line) => `${line} # ${line}`,
    (line) => `# "\\\n${line}`,
    (line) => `\t${line.trimStart()}\t`,
    (line) => `${line}\n  `,
    (line) => `${line}\r`,
    (line) => line.trimStart(),
  ];

  it('means the same with comments, blanks, and defaults said', () => {
    fc.assert(
      fc.property(anyInputs, fc.array(fc.nat(habits.length - 1), { minLength: 1 }), (input, chosen) => {
        const [first, ...lines] = printProgram(input).split('\n');
        const seed = lines.some((line) => line.startsWith('seed')) ? [] : ['seed "1"'];
        const changed = lines.map((line, i) => habits[chosen[i % chosen.length] as number]?.(line));
        const text = [`\ufeff${first}  # the format`, 'profile icount', ...seed, ...changed].join('\n');
        expect(parsed(text)).toEqual(input);
        expect(printed(text)).toBe(printProgram(input));
      }),
    );
  });

  it.each<[string, string, string]>([
    ['kernels one by one', 'kernel v7.3\nkernel v7.3\nkernel v7.1', 'kernel v7.3 times 2\n\nkernel v7.1'],
    ['a number of one', 'kernel v7.3 times 1', 'kernel v7.3'],
    ['sizes in a small unit', 'machine ram 65536K\nkernel v7.3', 'machine ram 64M\n\nkernel v7.3'],
    ['sizes in bytes', 'machine ram 16777216\nkernel v7.3', 'machine ram 16M\n\nkernel v7.3'],
    ['units as others write them', 'machine ram 2048mib\nkernel v7.3', 'machine ram 2G\n\nkernel v7.3'],
    [
      'shattered memory',
      'machine fragmented 50 ram 64M\nkernel v7.3',
      'machine ram 64M fragmented 50\n\nkernel v7.3',
    ],
    [
      'a command line in any order',
      'kernel v7.3\nboot "mem=64 M" liveupdate= "kho=off"\nstage',
      'kernel v7.3\nboot kho=off liveupdate= "mem=64 M"\nstage',
    ],
    ['a machine that is like any', 'kernel v7.3\nmachine cpus 2 ram 1024M nodes 1', 'kernel v7.3'],
    [
      'choices behind defaults',
      'kernel v7.3\nchoose defaults\nchoose schedule:start 0x10 = 1',
      'kernel v7.3\n\nchoose schedule:start 16 = 1',
    ],
    [
      'faults before the kernels',
      'fault alloc_file:filp probability .50 nth 0x3\nkernel v7.3',
      'kernel v7.3\n\nfault alloc_file:filp nth 3 probability 0.5',
    ],
    [
      'bytes in groups',
      'kernel v7.3 times 2\ncorrupt 0 at 4096 = AB cd 00',
      'kernel v7.3 times 2\n\ncorrupt 0 at 0x1000 = abcd00',
    ],
    [
      'words in quotation marks',
      'kernel "v7.3"\nstage\ntask "p"\ncreate "s%d" "5..5"',
      'kernel v7.3\nstage\n  task p\n    create s%d 5',
    ],
    [
      'codes of what can be seen',
      'kernel v7.3\nstage\ntask "\\u{61}\\u{1F600}\\u{d83d}\\u{de00}é"',
      'kernel v7.3\nstage\n  task "a\u{1f600}\u{1f600}é"',
    ],
  ])('with %s is printed as any other', (_what, text, canonical) => {
    expect(printed(`luosim 1\n${text}`)).toBe(
      `luosim 1\n${canonical.startsWith('machine') ? '' : '\n'}${canonical}\n`,
    );
    expect(printed(printed(`luosim 1\n${text}`))).toBe(printed(`luosim 1\n${text}`));
  });
});

describe('a text that is refused', () => {
  const kernel = 'luosim 1\nkernel v7.3 times 2\n';
  const task = `${kernel}stage\n  task p\n    `;

  /** Text, line, column, complaint. */
  it.each<[string, number, number, RegExp]>([
    ['', 1, 1, /^the first line of a program is luosim 1$/],
    ['\n\nluosim 1', 1, 1, /the first line/],
    ['Luosim 1', 1, 1, /the first line/],
    ['luosim', 1, 7, /^here the format, 1, is missing$/],
    ['luosim 2\nanything', 1, 8, /^format "2" is not read here, only 1: use the luosim that wrote it$/],
    ['luosim 1 kernel v7.3', 1, 10, /"kernel" is too much/],
    ['luosim 1', 1, 1, /^a run needs a line before it like: kernel v7.3$/],
    ['luosim 1\n\n# nothing\n', 4, 1, /a run needs a line before it like: kernel v7.3/],
    ['luosim 1\n kernl v7.3', 2, 2, /^no line begins with "kernl" \(Did you mean kernel\?\)$/],
    [`${task}retreive x`, 5, 5, /\(Did you mean retrieve\?\)$/],
    [
      `${task}toString`,
      5,
      5,
      /^no line begins with "toString"; it begins with machine, .* or a verb: open, /,
    ],
    [`${task}"open"`, 5, 5, /not in quotation marks$/],
    ['luosim 1\nkernel', 2, 7, /^here a revision, like v7.3, is missing$/],
    ['luosim 1\nkernel v7.33', 2, 8, /^no revision is named "v7.33" \(Did you mean v7.3\?\)$/],
    ['luosim 1\nkernel linux-next', 2, 8, /^no revision is named "linux-next"; there are v6.19, v7.0, /],
    ['luosim 1\nkernel v7.3 -get-nam', 2, 13, /^no patch is named "get-nam" \(Did you mean get-name\?\)$/],
    ['luosim 1\nkernel v7.3 get-name', 2, 13, /stands where \+PATCH, -PATCH or times should be$/],
    ['luosim 1\nkernel v7.0 +session-blocks +luo-ser', 2, 8, /two designs for one thing/],
    ['luosim 1\nkernel v7.3 times', 2, 18, /^here how many kernels do the same is missing$/],
    ['luosim 1\nkernel v7.3 times 0', 2, 19, /give a whole number from 1 to 100000$/],
    ['luosim 1\nkernel v7.3 times 99999\nkernel v7.3 times 2', 3, 19, /from 1 to 1$/],
    ['luosim 1\nkernel v7.3 times 100000\nkernel v7.3', 3, 1, /there are 100000 kernels before this one/],
    [`${kernel}boot`, 3, 5, /^here a parameter: kho=, liveupdate=, mem=, kho_scratch=; is missing$/],
    [`${kernel}boot men=64M`, 3, 6, /^no parameter is named "men" \(Did you mean mem\?\)$/],
    [`${kernel}boot kho`, 3, 9, /^here = and a value are missing$/],
    [`${kernel}boot kho=on kho=off`, 3, 13, /^kho= is said twice: leave one away$/],
    [`${kernel}boot kho=on\nboot mem=1G`, 4, 1, /^a command line needs a line before it like: kernel v7.3$/],
    [`${kernel}stage\nboot kho=on`, 4, 1, /^a command line needs a line before it/],
    ['luosim 1\nboot kho=on', 2, 1, /^a command line needs a line before it/],
    [`${kernel}machine`, 3, 8, /^here ram, nodes, cpus or fragmented is missing$/],
    [`${kernel}machine rma 1G`, 3, 9, /\(Did you mean ram\?\)/],
    [`${kernel}machine ram 1G ram 1G`, 3, 16, /^ram is said twice/],
    [`${kernel}machine ram much`, 3, 13, /like 512M$/],
    [`${kernel}machine cpus 2 ram 17M`, 3, 20, /^RAM is a multiple of 4 MiB$/],
    [`${kernel}machine cpus 65`, 3, 14, /from 1 to 64$/],
    [`${kernel}machine fragmented 101`, 3, 20, /^"101" is not the percentage of memory: .* 0 to 100$/],
    [`${kernel}machine fragmented 1 ram 68G`, 3, 26, /^fragmented memory: at most 64 GiB of RAM$/],
    [`${kernel}machine ram 64M nodes 8 cpus 1`, 3, 23, /^every node has at least 16 MiB$/],
    [`${kernel}seed 1\nseed 1`, 4, 1, /^seed is said twice: leave one line away$/],
    [`${kernel}seed two words`, 3, 10, /"words" is too much/],
    [`${kernel}profile free`, 3, 9, /^no profile is named "free"; there are icount, dram$/],
    ['luosim 1\nstage', 2, 1, /^a stage needs a line before it like: kernel v7.3$/],
    [`${kernel}task p`, 3, 1, /^a task needs a line before it like: stage$/],
    [`${kernel}stage\nopen`, 4, 1, /^open needs a line before it like: task agent$/],
    [`${task}open\nkernel v7.3\nopen`, 7, 1, /^open needs a line/],
    [`${task}open\nfault alloc_file:filp nth 1\nopen`, 7, 1, /^open needs a line/],
    [`${task}open now`, 5, 10, /^"now" is too much: give open$/],
    [`${task}create`, 5, 11, /^here a name is missing$/],
    [`${task}create a%d`, 5, 15, /^here the numbers that %d stands for, like 0..9, is missing$/],
    [`${task}create a%d 1..0`, 5, 19, /from 1 to 16777215$/],
    [`${task}create a%d x..1`, 5, 16, /^"x" is not a number of a name/],
    [`${task}create a%d 1..16777216`, 5, 19, /from 1 to 16777215$/],
    [`${task}create a%d 1..2..3`, 5, 16, /give FIRST..LAST$/],
    [`${task}create a%d-%d 1`, 5, 12, /more than one %d: give it once$/],
    [`${task}create a 0..9`, 5, 14, /too much: give create NAME, or NAME-%d FIRST..LAST$/],
    [`${task}create a b`, 5, 14, /too much: give create NAME, or/],
    [`${task}kho-test both`, 5, 14, /^"both" stands where save or restore should be$/],
    [`${task}kho-test sav`, 5, 14, /\(Did you mean save\?\)$/],
    [`${task}exit\n open`, 6, 2, /^process "p" acts after its exit$/],
    [`${task}exit\nstage\n task p`, 7, 2, /^process "p" has exited before$/],
    [`${task}open\n task p\nexit`, 7, 1, /^process "p" exits beside another task of it$/],
    [
      task + Array.from({ length: 127 }, (_, i) => `close ${i}-%d 0`).join('\n'),
      131,
      1,
      /^127 name patterns with a %d are more than 126$/,
    ],
    [`${task}create "a`, 5, 12, /does not end: close it with a "$/],
    [`${task}create a"b"`, 5, 13, /a space is missing, or the whole word should stand in "..."$/],
    [`${task}create "a"b`, 5, 15, /a space is missing/],
    [`${task}create s#1`, 5, 13, /a space is missing/],
    [`${task}create a\\b`, 5, 13, /a space is missing/],
    [`${task}create \\b`, 5, 12, /stands in quotation marks only/],
    [`${task}create "a\\q"`, 5, 14, /means nothing; there are/],
    [`${task}create "\\u{110000}"`, 5, 13, /is no character: the last is \\u\{10ffff\}$/],
    [`${task}create "\\u200b"`, 5, 13, /means nothing; .* \\u\{...\}$/],
    [`${task}create a\u200bb`, 5, 13, /cannot be seen: take it out, or write \\u\{200b\} in/],
    [`${task}create "a\tb"`, 5, 14, /write \\u\{9\} in/],
    [`${task}create\u00a0a`, 5, 11, /write \\u\{a0\} in/],
    [`${kernel}fault`, 3, 6, /^here a point, like luo_session_insert:block, is missing$/],
    [`${kernel}fault luo_sesion_insert:block nth 0`, 3, 7, /\(Did you mean luo_session_insert:block\?\)$/],
    [`${kernel}fault nowhere nth 0`, 3, 7, /^no point that can fail is named "nowhere"; there are /],
    [`${kernel}fault schedule:start nth 0`, 3, 7, /^nothing can fail at schedule:start; it can at /],
    [`${kernel}fault alloc_file:filp`, 3, 22, /^here nth or probability is missing$/],
    [`${kernel}fault alloc_file:filp nth -1`, 3, 27, /from 0 to 2147483647$/],
    [`${kernel}fault alloc_file:filp nth 1 nth 2`, 3, 29, /each once$/],
    [`${kernel}fault alloc_file:filp probability 0`, 3, 35, /give a number above 0, up to 1$/],
    [`${kernel}fault alloc_file:filp probability 1.5`, 3, 35, /give a number above 0/],
    [`${kernel}fault alloc_file:filp probability 1e-999`, 3, 35, /give a number above 0/],
    [`${kernel}fault alloc_file:filp nth 0\nchoose defaults`, 3, 1, /^fault and choose exclude each other/],
    [`${kernel}choose schedule:strat 0 = 1`, 3, 8, /\(Did you mean schedule:start\?\)$/],
    [`${kernel}choose schedule:start 0 1`, 3, 25, /^"1" stands where = should be$/],
    [`${kernel}choose schedule:start 0 = 0`, 3, 27, /not the default: give a whole number from 1/],
    [`${kernel}choose schedule:start 0 = 1\nchoose schedule:start 0x0 = 2`, 4, 8, /is chosen before/],
    [`${kernel}choose defaults now`, 3, 17, /"now" is too much/],
    [`${kernel}corrupt`, 3, 8, /is missing$/],
    [`${kernel}corrupt 0 in 0 = 00`, 3, 11, /^"in" stands where at should be$/],
    [`${kernel}corrupt 0 at 0 = 123`, 3, 18, /give two hexadecimal digits for each$/],
    [`${kernel}corrupt 0 at 0 =`, 3, 17, /^here bytes in hexadecimal is missing$/],
    [`${kernel}corrupt 1 at 0 = 00`, 3, 9, /^"1" is no kernel that jumps: kernel 1 is the last/],
    [`${kernel}corrupt 0 at 0x3fffffff = 0000\nmachine ram 2G`, 0, 0, /./],
    [
      `${kernel}corrupt 0 at 0x3fffffff = 0000\nmachine cpus 1`,
      3,
      14,
      /outside of RAM, which ends at 0x40000000$/,
    ],
    [`${kernel}corrupt 0 at 0x10000000000000000 = 00`, 3, 14, /is not a physical address/],
  ])('%j is refused at line %i, column %i', (text, line, column, complaint) => {
    const answer = parseProgram(text);
    if (line === 0) {
      expect(isTextProblem(answer)).toBe(false);
      return;
    }
    expect(answer).toEqual({ line, column, message: expect.stringMatching(complaint) });
  });

  it('may choose at points of another luosim, where that is asked for', () => {
    const text = `${kernel}choose "a point of old" 3 = 1\n`;
    expect(parseProgram(text)).toMatchObject({ line: 3, column: 8 });
    const input = parseProgram(text, { anyPoint: true });
    expect(input).toMatchObject({ departures: [{ point: 'a point of old', occurrence: 3, choice: 1 }] });
    expect(parseProgram(printProgram(input as RunInput), { anyPoint: true })).toEqual(input);
    expect(parseProgram(`${kernel}fault "a point of old" nth 1`, { anyPoint: true })).toHaveProperty(
      'message',
    );
  });

  it('is refused with a place after any damage, or is an input still', () => {
    const texts = fc.sample(anyInputs, { numRuns: 30, seed: 4 }).map(printProgram);
    const { refused, read } = checkMutants(texts, runs(6000), 'mutants');
    expect(refused).toBeGreaterThan(1500);
    expect(read).toBeGreaterThan(600);
  });
});
