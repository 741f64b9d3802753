/*
 * What the programs did whose handovers are in test/golden/: the same sessions, names, tokens, sizes, seals and contents,
 * as far as the images and the command lines in them tell. What cannot be told from them stands here:
 *
 *   golden N K   the first session, and with the FLB test the last, gets K memfds: "data of session N file K", and behind
 *                the text of file k another k * 12288 bytes 'P', of which the extract shows the first 40
 *   files N      memfds with the text "file K", made without MFD_ALLOW_SEALING (seals 1)
 *   mem          the same, and mapped and filled: the extract has no bytes of them
 */
import type { System } from '../../sim/boot/boot.ts';
import { type Revision, V7_1, V7_3 } from '../../sim/kernel/revisions.ts';
import { MFD_ALLOW_SEALING } from '../../sim/user/syscalls.ts';
import { Caller } from './caller.ts';
import { leave, sessionName } from './handovers.ts';
import { bootOn, MIB, machineFor } from './system.ts';

export interface GoldenFile {
  readonly token: number;
  /** undefined where nobody knows what it was. */
  readonly contents: string | undefined;
  readonly size: number;
  readonly pos: number;
  readonly seals: number;
}

export interface GoldenSession {
  readonly name: string;
  readonly files: readonly GoldenFile[];
}

export interface GoldenScenario {
  readonly stem: string;
  readonly revision: Revision;
  readonly ramBytes: number;
  readonly liveupdateTest: boolean;
  readonly sessions: readonly GoldenSession[];
}

const written = (token: number, contents: string, seals: number): GoldenFile => {
  return { token, contents, size: contents.length, pos: contents.length, seals };
};

/** N sessions, K files in those of `withFiles`. */
const golden = (sessions: number, withFiles: readonly number[]): GoldenSession[] =>
  Array.from({ length: sessions }, (_, n) => ({
    name: sessionName(n),
    files: (withFiles.includes(n) ? [0, 1] : []).map((k) => {
      return written(0x1000 + k, `data of session ${n} file ${k}${'P'.repeat(k * 3 * 4096)}`, 0);
    }),
  }));

const MEMFD_BYTES = [4096, 65536, MIB, 4 * MIB, 16 * MIB, 32 * MIB];

export const GOLDEN_SCENARIOS: readonly GoldenScenario[] = [
  {
    stem: 'k734-3sessions-2files',
    revision: V7_3,
    ramBytes: 256 * MIB,
    liveupdateTest: false,
    sessions: golden(3, [0]),
  },
  {
    stem: 'k7113-3sessions-2files',
    revision: V7_1,
    ramBytes: 256 * MIB,
    liveupdateTest: false,
    sessions: golden(3, [0]),
  },
  {
    stem: 'k734-flb-test-4sessions',
    revision: V7_3,
    ramBytes: 256 * MIB,
    liveupdateTest: true,
    sessions: golden(4, [0, 3]),
  },
  {
    stem: 'k734-130files',
    revision: V7_3,
    ramBytes: 256 * MIB,
    liveupdateTest: false,
    sessions: [{ name: 'files', files: Array.from({ length: 130 }, (_, k) => written(k, `file ${k}`, 1)) }],
  },
  {
    stem: 'k734-6memfds-4K-to-32M',
    revision: V7_3,
    ramBytes: 384 * MIB,
    liveupdateTest: false,
    sessions: [
      {
        name: 'mem',
        files: MEMFD_BYTES.map((size, token) => ({ token, contents: undefined, size, pos: 0, seals: 1 })),
      },
    ],
  },
];

/** A simulated kernel that did the same, at the jump. */
export function leftLike({ revision, ramBytes, liveupdateTest, sessions }: GoldenScenario): System {
  const system = bootOn(machineFor({ ramBytes }), { revision, options: { liveupdateTest } });
  const user = new Caller(system);
  user.open();
  for (const { name, files } of sessions) {
    const session = user.create(name);
    for (const { token, contents, size, seals } of files) {
      const fd = user.memfd(contents, seals === 0 ? MFD_ALLOW_SEALING : 0);
      const answers = [
        contents === undefined ? user.truncate(fd, size) : 0,
        user.preserve(session, fd, token),
        user.close(fd),
      ];
      if (answers.some((answer) => answer !== 0)) throw new Error(`${name} ${token}: ${answers}`);
    }
  }
  leave(system);
  return system;
}
