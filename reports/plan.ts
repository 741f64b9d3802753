/*
 * A plan on one screen: times by every price list, memory, limits, and what it all rests on.
 */
import type picocolors from 'picocolors';
import type { Plan, PlanLimit, Priced } from '../sim/index.ts';
import { clip, counted, grouped, roundSize, size, span } from './words.ts';

type Colors = ReturnType<typeof picocolors.createColors>;

export function planReport(
  plan: Plan,
  { again, colours }: { readonly again: string; readonly colours: Colors },
): string {
  const { ramBytes, sessions, revision } = plan;
  const profiles = Object.keys(plan.create.times);
  const lines = [
    colours.bold(`${counted(sessions, 'session')} on ${revision}, ${size(ramBytes)} RAM`),
    '',
    colours.dim(row('', ...profiles)),
    row('create all of them', ...times(plan.create)),
    row('blackout: reboot, boot, first open', ...times(plan.blackout)),
    row('until every session is retrieved', ...times(plan.usable)),
    '',
    row('memory once created', roundSize(plan.bytesCreated)),
    row('of that crossing the jump', roundSize(plan.bytesCrossing)),
    row('memory once retrieved', roundSize(plan.bytesRetrieved)),
    '',
    colours.dim(row('limits', 'needed', 'there are')),
    ...plan.limits.flatMap((limit) => limitLines(limit, colours)),
    '',
    `extrapolated from updates of ${plan.samples.slice(0, -1).map(grouped).join(', ')} sessions;`,
    `one of ${grouped(plan.samples.at(-1) ?? 0)} came out within ${plan.residualPercent.toFixed(2)} %`,
    again,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const row = (label: string, ...values: readonly string[]): string =>
  clip(label, 44).padEnd(44) + values.map((value) => value.padStart(18)).join('');

const times = ({ times: by }: Priced): string[] => Object.values(by).map(span);

function limitLines({ what, needed, available, beyond }: PlanLimit, colours: Colors): string[] {
  const line = row(what, grouped(needed), grouped(available));
  return needed <= available ? [line] : [colours.yellow(line), colours.yellow(clip(`  ${beyond}`, 80))];
}
