/*
 * The kernel's own stress case (tools/testing/selftests/liveupdate, luo_stress_sessions): many empty sessions are
 * created, handed over, each retrieved, finished and closed in order, and created anew for the next update. The state
 * session of that test keeps its stage number in a memfd; here every kernel knows its generation.
 *
 * One process can have 1,048,576 descriptors, so more sessions are spread over as many agents as that takes. The
 * device is exclusive: agents take turns.
 */
import {
  type Action,
  type GenerationProgram,
  NR_OPEN,
  type Program,
  type TaskProgram,
} from '../sim/index.ts';

export interface ManySessionsParams {
  /** One revision for each generation, the last repeated. */
  readonly revisions: readonly string[];
  readonly generations: number;
  readonly sessions: number;
  /** Pattern of the names, with %d unless there is one session. */
  readonly pattern: string;
  /** Whoever retrieved them keeps them: nothing is finished and closed. */
  readonly keep?: boolean;
}

/** Descriptors an agent keeps for itself: standard streams and the device. */
export const OWN_DESCRIPTORS = 16;
const SESSIONS_PER_AGENT = NR_OPEN - OWN_DESCRIPTORS;

const GIB = 2 ** 30;
/**
 * What a session takes: its struct, its file and dentry, its place in a block, measured below 700 bytes; and the share
 * of memory that scratch and struct pages take away.
 */
const BYTES_PER_SESSION = 1024;

/** RAM with room for so many sessions: 1 GiB as the kernel's own test machine has, or the next power of two. */
export const ramBytesFor = (sessions: number): number => ramBytesWith(sessions * BYTES_PER_SESSION);

/** The same for what takes so many bytes. */
export function ramBytesWith(bytes: number): number {
  let ramBytes = GIB;
  while (ramBytes < bytes) ramBytes *= 2;
  return ramBytes;
}

export default function manySessions(params: ManySessionsParams): Program {
  const { revisions, generations, sessions } = params;
  const last = generations - 1;
  return {
    generations: Array.from({ length: generations }, (_, generation): GenerationProgram => {
      const stages: TaskProgram[][] = [];
      for (let first = 0, agent = 0; first < Math.max(sessions, 1); first += SESSIONS_PER_AGENT, agent++) {
        const count = Math.min(SESSIONS_PER_AGENT, sessions - first);
        const names = { pattern: params.pattern, first, count };
        const actions: Action[] = [{ do: 'open' }];
        if (generation > 0 && count > 0) {
          actions.push({ do: 'retrieve', names });
          if (params.keep !== true) actions.push({ do: 'finish', names }, { do: 'close', names });
        }
        if (generation < last && count > 0) actions.push({ do: 'create', names });
        actions.push({ do: 'close-device' });
        stages.push([{ process: `agent-${agent}`, actions }]);
      }
      if (generation < last) stages.push([{ process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] }]);
      return { revision: revisions[Math.min(generation, revisions.length - 1)] as string, stages };
    }),
  };
}
