/*
 * A plan on one screen: times by every price list, memory, limits, and what it all rests on.
 */
import type { Plan, PlanLimit, Priced } from '../sim/index.ts';
import {
  COLUMNS,
  type Colors,
  clip,
  counted,
  grouped,
  printable,
  roundSize,
  size,
  span,
  wrap,
} from './words.ts';

const LABEL = 44;

export function planReport(
  plan: Plan,
  { again, colours }: { readonly again: string; readonly colours: Colors },
): string {
  const { ramBytes, sessions, files, revision, fragmentedPercent, violations } = plan;
  const all = `${counted(sessions, 'session')}${files === 0 ? '' : `, ${counted(files, 'file')}`}`;
  const memory = `${size(ramBytes)} RAM${fragmentedPercent > 0 ? `, ${fragmentedPercent} % of it shattered` : ''}`;
  const withFiles = files === 0 ? '' : ' and files';
  const lines = [
    colours.bold(clip(`${all} on ${revision}, ${memory}`, COLUMNS)),
    '',
    colours.dim(row('', ...Object.keys(plan.create.times))),
    row(files === 0 ? 'create all of them' : 'create every session', ...times(plan.create)),
    ...(files === 0 ? [] : [row('preserve every file', ...times(plan.preserve))]),
    row('blackout: reboot, boot, first open', ...times(plan.blackout)),
    row(`until every session${files === 0 ? '' : ' and file'} is retrieved`, ...times(plan.usable)),
    '',
    row(`memory of the sessions${withFiles}, created`, roundSize(plan.bytesCreated)),
    row('memory that crosses the jump', roundSize(plan.bytesCrossing)),
    row(`memory of the sessions${withFiles}, retrieved`, roundSize(plan.bytesRetrieved)),
    '',
    colours.dim(row('limits', 'needed', 'there are')),
    ...plan.limits.flatMap((limit) => limitLines(limit, colours)),
    '',
    ...shatteredLines(plan, colours),
    `extrapolated from updates of ${plan.samples.map(grouped).join(', ')} sessions;`,
    `one of ${grouped(plan.checkedWith)} came out within ${plan.residualPercent.toFixed(2)} %`,
    ...basisOfFiles(plan),
    ...violations
      .slice(0, 1)
      .map(({ law, text }) => colours.red(clip(`broken, ${law}: ${printable(text)}`, COLUMNS))),
    again,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** What the files' part rests on: memfds of a page each. */
function basisOfFiles({ ofFiles }: Plan): string[] {
  if (ofFiles === undefined) return [];
  const { samples, checkedWith, residualPercent } = ofFiles;
  const said = samples.map(({ sessions, files }) => `${grouped(files)} in ${grouped(sessions)}`);
  return [
    ...wrap(`files, of 4 KiB each, from updates of ${said.join(', ')} sessions;`, COLUMNS),
    `one of ${grouped(checkedWith.files)} in ${checkedWith.sessions} came out within ${residualPercent.toFixed(2)} %`,
  ];
}

const row = (label: string, ...values: readonly string[]): string =>
  clip(label, LABEL).padEnd(LABEL) + values.map((value) => value.padStart((COLUMNS - LABEL) / 2)).join('');

const times = ({ times: by }: Priced): string[] => Object.values(by).map(span);

function limitLines({ what, needed, available, beyond }: PlanLimit, colours: Colors): string[] {
  const line = row(what, grouped(needed), grouped(available));
  return needed <= available ? [line] : [colours.yellow(line), colours.yellow(clip(`  ${beyond}`, COLUMNS))];
}

function shatteredLines({ sessions: planned, shattered }: Plan, colours: Colors): string[] {
  if (shattered.length === 0) return [];
  return [
    colours.dim(row('how far memory may be shattered', 'creates fail', 'tried at')),
    ...shattered.flatMap(({ revision, blockPages, failsFromPercent, ramBytes, sessions, files, runs }) => {
      const fails = failsFromPercent === undefined ? 'never' : `from ${failsFromPercent} % on`;
      const went = runs.map(({ percent, result, created, asForetold }) => {
        const what = result === 'OK' ? 'all created' : `${result} after ${grouped(created)}`;
        return `${percent} % ${what}${asForetold ? '' : ', not as foretold'}`;
      });
      const tried = `${counted(sessions, 'session')}${files === 0 ? '' : `, ${counted(files, 'file')}`}`;
      const line = clip(`  ${size(ramBytes)}, ${tried}: ${went.join('; ')}`, COLUMNS);
      return [
        row(
          `blocks of ${counted(blockPages, 'page')}, ${revision}`,
          fails,
          `1 : ${grouped(Math.round(planned / sessions))}`,
        ),
        runs.every(({ asForetold }) => asForetold) ? line : colours.yellow(line),
      ];
    }),
    '',
  ];
}
