/*
 * Many memfds in many sessions, as evenly as they go: created, filled and preserved by one agent, handed over, and
 * retrieved with their sessions, which the agent keeps. The first sessions have one file more where they do not go evenly.
 */
import type { Action, GenerationProgram, Names, Program } from '../sim/index.ts';

export interface ManyFilesParams {
  readonly revision: string;
  /** One or more. */
  readonly sessions: number;
  /** In all sessions together. */
  readonly files: number;
  /** Of every file; each page of it is written to. */
  readonly fileBytes: number;
  /** Pattern of the sessions' names, with %d. */
  readonly pattern: string;
}

const PAGE_BYTES = 4096;
const FILES = 'memfd-%d';
const AGENT = 'agent-0';

export default function manyFiles(params: ManyFilesParams): Program {
  const { revision, sessions, files, fileBytes, pattern } = params;
  const all: Names = { pattern, first: 0, count: sessions };
  const memfds: Names = { pattern: FILES, first: 0, count: files };
  const inSessions = (verb: 'preserve' | 'retrieve-fd'): Action[] =>
    filesOfSessions(sessions, files).flatMap((count, i, counts): Action[] => {
      if (count === 0) return [];
      const more = counts[0] as number;
      const withMore = Math.min(i, files % sessions);
      const first = withMore * more + (i - withMore) * Math.floor(files / sessions);
      const session: Names = { pattern, first: i, count: 1 };
      return [{ do: verb, names: { ...memfds, first, count }, session, token: 0 }];
    });
  const before: Action[] = [
    { do: 'open' },
    { do: 'create', names: all },
    { do: 'memfd', names: memfds, bytes: fileBytes },
    { do: 'fill', names: memfds, every: PAGE_BYTES, seed: 1 },
    ...inSessions('preserve'),
    { do: 'close-device' },
  ];
  const after: Action[] = [
    { do: 'open' },
    { do: 'retrieve', names: all },
    ...inSessions('retrieve-fd'),
    { do: 'close-device' },
  ];
  const generation = (...stages: (readonly [string, readonly Action[]])[]): GenerationProgram => ({
    revision,
    stages: stages.map(([process, actions]) => [{ process, actions }]),
  });
  return {
    generations: [
      generation([AGENT, before], ['init', [{ do: 'load' }, { do: 'reboot' }]]),
      generation([AGENT, after]),
    ],
  };
}

/** How many files every session has. */
export const filesOfSessions = (sessions: number, files: number): number[] =>
  Array.from({ length: sessions }, (_, i) => Math.floor(files / sessions) + (i < files % sessions ? 1 : 0));
