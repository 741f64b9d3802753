/*
 * Tokens in, one a line on standard input; digests out, one a line. Bundled by tests to run in processes of their own,
 * on whatever Node.
 */
import { readFileSync } from 'node:fs';
import { givenInput } from '../../commands/given_input.ts';
import { simulate } from '../../sim/index.ts';

for (const token of readFileSync(0, 'utf8').split('\n')) {
  if (token === '') continue;
  const result = simulate(givenInput([token]).input);
  process.stdout.write(`${typeof result === 'string' ? result : result.digest}\n`);
}
