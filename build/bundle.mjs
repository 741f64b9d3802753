/*
 * Makes a file to run of a program and its modules: node build/bundle.mjs ENTRY FILE [--command]. Packages stay outside;
 * a command is executable and has a source map.
 *
 * What stands at the top of a module stays `const`, and the engine folds it into the code that it makes. A bundler that
 * makes it `var` has each of those constants loaded, and its type looked at, wherever it is used: a fifth of the time
 * of a large run.
 */
import { chmodSync } from 'node:fs';
import { build } from 'rolldown';
import { fields } from './fields.mjs';

const [input, file, kind] = process.argv.slice(2);
const isCommand = kind === '--command';
await build({
  input,
  platform: 'node',
  external: /^[^./]/,
  plugins: [fields],
  transform: { target: 'node20.19' },
  output: {
    file,
    format: 'esm',
    comments: false,
    ...(isCommand ? { banner: '#!/usr/bin/env node', sourcemap: true } : {}),
  },
});
if (isCommand) chmodSync(file, 0o755);
