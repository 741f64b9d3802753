/*
 * luosim map: which kernel functions are modelled, where, and how faithfully.
 */
import { mapReport } from '../reports/map.ts';
import { FUNCTION_STATUSES, type MapAnswer, type MapQuery, queryMap } from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, quoted, text } from './command.ts';
import { colours } from './terminal.ts';

interface MapOrder extends MapQuery {
  readonly json: boolean;
}

export const MAP = entry({
  name: 'map',
  summary: 'list the kernel functions that are modelled, how faithfully, and those that are not',
  arguments: [['[name]', 'tell all that is known of the functions with this in their names']],
  options: [
    ['--status <status>', `only these: ${FUNCTION_STATUSES.join(', ')}`],
    ['--json', 'print the map as JSON'],
  ],
  order: mapOrder,
  work: mapWork,
  render: (answer: MapAnswer, { name, json }: MapOrder) =>
    json
      ? [`${JSON.stringify(answer)}\n`]
      : mapReport(answer, { inFull: name !== undefined, colours: colours() }),
  exitCode: () => EXIT.held,
});

function mapOrder(given: Given, [name]: readonly string[]): MapOrder {
  const wanted = text(given, 'status');
  const status = FUNCTION_STATUSES.find((known) => known === wanted);
  if (wanted !== undefined && status === undefined) {
    throw new BadInput(
      `--status ${quoted(wanted)} is not known; give one of: ${FUNCTION_STATUSES.join(', ')}`,
    );
  }
  return { name, status, json: given.json === true };
}

function mapWork(order: MapOrder): MapAnswer {
  const answer = queryMap(order);
  if (answer.functions.length > 0) return answer;
  const which = order.status === undefined ? 'kernel function' : `${order.status} kernel function`;
  throw new BadInput(
    `no ${which} has ${quoted(order.name ?? '')} in its name; give another part of a name, or none to see all`,
  );
}
