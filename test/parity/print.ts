/*
 * `npm run parity`: a line of JSON for every row of the errno runs, those that withhold their answer included.
 */
import { errnoRuns } from './rows.ts';
import { runRows } from './run.ts';

for (const { revision, rows } of errnoRuns(process.cwd())) {
  for (const answer of runRows(revision, rows)) console.log(JSON.stringify(answer));
}
