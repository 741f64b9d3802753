/*
 * Many sessions, and before each update one attempt to create a session whose name is taken, which is refused.
 *
 * On v7.3 this finds what a refusal leaves behind: insert grows the block set for the new session before it sees that
 * the name is taken, and does not shrink it. With the blocks exactly full (51 sessions, or a multiple) the chain ends in
 * a block with count 0, which the next kernel refuses: it panics.
 */
import type { Action, Program, TaskProgram } from '../sim/index.ts';
import manySessions, { type ManySessionsParams } from './many_sessions.ts';

export default function takenName(params: ManySessionsParams): Program {
  const again: Action = { do: 'create', names: { pattern: params.pattern, first: 0, count: 1 } };
  const withAttempt = (task: TaskProgram): TaskProgram => ({
    ...task,
    actions: task.actions.flatMap((action) => (action.do === 'create' ? [action, again] : [action])),
  });
  const { generations } = manySessions(params);
  return {
    generations: generations.map(({ revision, stages }) => ({
      revision,
      stages: stages.map((stage) => stage.map(withAttempt)),
    })),
  };
}
