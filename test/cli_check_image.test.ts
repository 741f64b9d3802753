/*
 * luosim check-image from the command line: what a person sees of a dump, the exit codes, and one line for what is none.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HandoverWalk } from '../sim/check/handover_walk.ts';
import { at, checkBuilt, cleanUp, expectRefused, linesOf, luosim, ROOT } from './support/cli.ts';
import { saveRamFile, writeElfCore, writeFlatDump } from './support/image_files.ts';

const GOLDEN = join(ROOT, 'test/golden');
const golden = (stem: string): string => join(GOLDEN, `${stem}.json`);
const check = (...args: string[]): ReturnType<typeof luosim> => luosim(['check-image', ...args]);

beforeAll(() => {
  checkBuilt();
  const saved = saveRamFile(at('update.ram'), { revision: 'v7.3', sessions: 3 });
  writeFlatDump(at('flat.img'), saved.ram);
  writeElfCore(at('vmcore'), saved.ram, [{ phys: 0, bytes: saved.ram.bytes }]);
  scratch = `0x${saved.scratchPhys.toString(16)}`;
  // The first block comes back to itself.
  const { ram } = saved;
  const pieces = [...new HandoverWalk(ram, saved.fdtPhys).pieces()];
  const block = pieces.find(({ path }) => path === 'session-block[0]');
  ram.store64(block?.phys as number, block?.phys as number);
  writeFlatDump(at('cyclic.img'), ram);
  // Sessions whose names move the cursor, counts beyond all numbers, a map full of blocks.
  for (const { path, phys, struct } of pieces) {
    if (struct === 'luo_session_ser')
      ram.storeBytes(phys, new Uint8Array(80).fill(path === 'session[1]' ? 0x1b : 0xff));
    if (path === 'radix-leaf[0]') ram.storeBytes(phys, new Uint8Array(4096).fill(0xff));
  }
  writeFlatDump(at('wild.img'), ram);
});
afterAll(cleanUp);

let scratch = '';

/** One screen, each line but the last at most 80 columns, and the last the command. */
function expectScreen(out: string, again: string): void {
  const lines = linesOf(out);
  expect(lines.length).toBeLessThanOrEqual(40);
  for (const line of lines.slice(0, -1)) expect([...line].length, line).toBeLessThanOrEqual(80);
  expect(lines.at(-1)).toBe(`npx luosim check-image ${again}`);
}

describe('check-image', () => {
  it.each(['k7113-3sessions-2files', 'k734-3sessions-2files'])(
    '%s: shown on one screen, exit 0',
    async (stem) => {
      const { code, out, err } = await check(golden(stem));
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expectScreen(out, golden(stem));
      const [kho, revision] = stem.startsWith('k7113') ? ['kho-v3', 'v7.1'] : ['kho-v4', 'v7.3'];
      expect(out).toMatch(new RegExp(`^root +0x[0-9a-f]+, ${kho}, .*; from 7\\.[13]\\.\\d+, jump 1$`, 'm'));
      expect(out).toContain('session[0]           session-0000, 2 files');
      expect(out).toContain('memfd            12,312 bytes, 4 folios');
      expect(out).toContain(`the next kernel, ${revision}: boots with the handover, live update 1`);
      expect(out).toMatch(/^verdict +nothing broken, 3 sessions with 2 files$/m);
    },
  );

  it('tells the same of a RAM file, a flat dump and an ELF core', async () => {
    const outs = await Promise.all([
      check('update.ram'),
      check('flat.img', '--scratch', scratch),
      check('vmcore', '--scratch', scratch),
    ]);
    const told = outs.map(({ code, out, err }) => {
      expect({ code, err }).toEqual({ code: 0, err: '' });
      return linesOf(out).slice(1, -1);
    });
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
  });

  it('assumes scratch areas where they are not known, and says so', async () => {
    const { code, out } = await check('flat.img');
    expect(code).toBe(0);
    expect(out).toMatch(/^scratch .*\(assumed\)$/m);
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      'note scratch areas not known: assumed in the largest stretches',
    );
  });

  it('calls what is broken so, before anything else, and shows the panic: exit 1', async () => {
    const { code, out, err } = await check('cyclic.img');
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expectScreen(out, 'cyclic.img');
    expect(out).toMatch(/^broken +session-block\[1\] at 0x[0-9a-f]+: lies where another piece does$/m);
    expect(out.indexOf('broken ')).toBeLessThan(out.indexOf('holds'));
    expect(out).toMatch(/^the next kernel, v7\.3: panics$/m);
    expect(out).toContain('kho_block: Block set is corrupted');
    expect(out).toMatch(/^verdict +1 problem, 3 sessions with 0 files$/m);
  });

  it('keeps to its screen and its lines whatever memory holds', async () => {
    const [screen, fields, json] = await Promise.all([
      check('wild.img'),
      check('wild.img', '--fields'),
      check('wild.img', '--json', '--fields'),
    ]);
    for (const { code, out, err } of [screen, fields, json]) {
      expect({ code, err }).toEqual({ code: 1, err: '' });
      expect(out).not.toMatch(/[^\n -~\u00a0-\u00ff]/);
    }
    expectScreen(screen.out, 'wild.img');
    expect(fields.out).toContain('\\u001b\\u001b');
    expect(JSON.parse(json.out).all).toHaveLength(JSON.parse(json.out).pieces);
  });

  it('shows how a kernel of another revision refuses it', async () => {
    const { code, out } = await check(golden('k7113-0sessions'), '--revision', 'v7.3');
    expect(code).toBe(1);
    expect(out).toMatch(/^written +by v7\.1, read by v7\.3$/m);
    expect(out).toContain("KHO: setup: handover FDT (0x868000) is incompatible with 'kho-v4': 1");
    expect(out).toMatch(/^the next kernel, v7\.3: refuses the handover and boots cold$/m);
  });

  it('--fields prints every piece with every field', async () => {
    const { code, out } = await check(golden('k734-3sessions-2files'), '--fields');
    expect(code).toBe(0);
    expect(out).toMatch(/^session\[0\] {2}luo_session_ser at 0xa2c010, 80 bytes$/m);
    expect(out).toMatch(/^ +0x0 {2}name +"session-0000"$/m);
    expect(out).toMatch(/^ +0x40 {2}file_set_ser\.files +0xa2d000$/m);
    expect(out).toMatch(/^ +0x20 {2}folios\.first +0xa31000$/m);
    expect(out).toMatch(/^radix-leaf\[0\] {2}kho_radix_leaf at 0x869000/m);
    expect(out).toMatch(/^verdict +nothing broken/m);
    expect(linesOf(out).at(-1)).toMatch(/ --fields$/);
  });

  it('--json has the report, and all pieces with --fields', async () => {
    const [plain, full] = await Promise.all([
      check('update.ram', '--json'),
      check('update.ram', '--json', '--fields'),
    ]);
    const report = JSON.parse(plain.out);
    expect(report).toMatchObject({
      schemaVersion: 1,
      kind: 'ram-file',
      recognised: 'v7.3',
      problemCount: 0,
      isBroken: false,
    });
    expect(report.incoming).toMatchObject({
      state: 'running',
      bootKind: 'handover',
      open: 'OK',
      sessions: 3,
    });
    expect(report.again).toBe('npx luosim check-image update.ram');
    const { all, ...rest } = JSON.parse(full.out);
    expect(rest).toEqual({ ...report, again: `${report.again} --fields` });
    expect(all).toHaveLength(report.pieces);
    expect(all[0]).toMatchObject({ path: 'kho-root', struct: 'fdt' });
  });

  it('refuses in one line what is no image, and what was asked for and is not there: exit 2', async () => {
    writeFileSync(at('kdump'), 'KDUMP   and more');
    writeFileSync(at('zero.img'), new Uint8Array(1 << 24));
    await Promise.all([
      expectRefused(['check-image', 'nothing'], /"nothing" cannot be read: ENOENT.*; give a file/),
      expectRefused(['check-image', 'kdump'], /"kdump" is a compressed kdump; write it/),
      expectRefused(
        ['check-image', 'zero.img'],
        /has no page that begins a KHO root .*; give --fdt, or another/,
      ),
      expectRefused(
        ['check-image', 'flat.img', '--fdt', 'here'],
        /--fdt "here" is no multiple of 4096; give an address like/,
      ),
      expectRefused(['check-image', 'flat.img', '--with', 'get-name'], /give --revision, too/),
    ]);
  });
});
