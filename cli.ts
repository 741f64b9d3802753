/*
 * The front door. Placeholder: the table of commands comes with the first run.
 */
process.stdout.write(`luosim ${process.argv.slice(2).join(' ')}\n`);
