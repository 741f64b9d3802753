/*
 * What becomes of calls: pages that have to be waited for, and SIGKILL in the middle of it all.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../sim/explore/result.ts';
import { recordingOf } from '../../sim/explore/result_token.ts';
import { RETRIEVE_FD_GUARD } from '../../sim/kernel/patches.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { deepestYield } from '../sched/generator_depth.ts';
import { inputOf, LEAVE, play, ran, told } from '../support/play.ts';
import { runs } from '../support/seed.ts';

const names = REVISIONS.map(({ name }) => name);

const LIFE = [
  'stage\ntask init\nslow-pages on\ntask p\nopen\nslow-pages on',
  'stage\ntask p\ncreate a%d 0..1\nmemfd f%d 0..1 bytes 4096\npreserve f%d 0..1 in a%d 0 token 1\nclose a%d 1',
  'task p\ncreate b%d 0..1\nmemfd g bytes 4096\npreserve g in b%d 0 token 1\nclose b%d 1',
  'task q\ncreate c\n',
].join('\n');
const NEXT = [
  'stage\ntask p\nopen\nslow-pages on\nretrieve a%d 0..1\nretrieve b%d 0..1',
  'stage\ntask p\nretrieve-fd f%d 0..1 in a%d 0 token 1\nfinish a%d 0\nclose a%d 0',
  'task p\nretrieve-fd g in b%d 0 token 1\nread g\nfinish b%d 0\nclose b%d 0',
  'task q\ncreate d',
].join('\n');

it('callers that wait for their pages lose nothing, in any order, and locks stay in order', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.nat(100_000), (revision, seed) => {
      const input = inputOf(
        `kernel ${revision}\n${LIFE}\n${LEAVE}\nkernel ${revision}\n${NEXT}`,
        String(seed),
      );
      let result: RunResult | undefined;
      expect(deepestYield(() => (result = ran(input)))).toBeLessThanOrEqual(5);
      expect(result?.violations).toEqual([]);
      expect(result?.generations[1]?.incomingSessions).toBe(0);
    }),
    { numRuns: runs(6) },
  );
});

it('a process that is killed in the middle of anything leaves nothing behind', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.nat(100_000),
      fc.constantFrom('on', 'off'),
      fc.boolean(),
      (revision, seed, slow, late) => {
        const life = LIFE.replaceAll('slow-pages on', `slow-pages ${slow}`);
        const kill = `task killer\n${late ? 'reclaim\nreclaim\nopen\nreclaim\n' : ''}kill p`;
        const input = inputOf(
          `kernel ${revision}\n${life}\n${kill}\n${LEAVE}\nkernel ${revision}\nstage\ntask p\nopen`,
          String(seed),
        );
        const result = ran(input);
        expect(result.violations).toEqual([]);
        expect(result.generations[1]?.incomingSessions).toBe(0);
        const recorded = ran(recordingOf(input, result));
        expect([recorded.digest, recorded.misfits]).toEqual([result.digest, []]);
      },
    ),
    { numRuns: runs(6) },
  );
});

describe('a page that is waited for', () => {
  const two = (waits: string, choice: string): RunResult =>
    ran(
      inputOf(
        `kernel v7.3\nstage\ntask p\nopen\nstage\ntask p\nslow-pages on\ncreate s\ntask q\n${waits}\n` +
          `choose defaults\n${choice}`,
      ),
    );

  it('lets others run: before anything is looked at, before the rest is copied, and before the answer', () => {
    const plain = two('memfd f bytes 0', '').generations[0]?.actions.map(({ verb }) => verb);
    expect(plain).toEqual(['open', 'slow-pages', 'create', 'memfd']);
    for (const point of ['get_user:page', 'copy_struct_from_user:page', 'luo_ucmd_respond:page']) {
      const result = two('memfd f bytes 0', `choose ${point} 0 = 1`);
      expect([point, result.misfits]).toEqual([point, []]);
      expect(result.generations[0]?.actions.map(({ verb }) => verb)).toEqual([
        'open',
        'slow-pages',
        'memfd',
        'create',
      ]);
    }
  });

  /** A kernel that gets session s with file f from another of its kind. */
  const next = (revision: string, tasks: string): RunResult =>
    ran(
      inputOf(
        `kernel ${revision}\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 4096\npreserve f in s token 0\n${LEAVE}\n` +
          `kernel ${revision}\nstage\ntask p\nopen\n${tasks}\nchoose defaults\nchoose luo_ucmd_respond:page 0 = 1`,
      ),
    );

  it('is waited for with the file in hand, whoever finishes the session meanwhile', () => {
    const result = next(
      'v7.3',
      'retrieve s\nstage\ntask p\nslow-pages on\nretrieve-fd f in s token 0\nread f\ntask p\nfinish s',
    );
    expect([result.misfits, result.violations]).toEqual([[], []]);
    expect(told(result, 1).slice(-3)).toEqual(['finish 1 OK', 'retrieve-fd 1 OK', 'read 1 OK']);
  });

  it.each(names)(
    'never comes for who was killed in retrieve on %s, and the session is finished',
    (revision) => {
      const result = next(
        revision,
        'stage\ntask p\nslow-pages on\nretrieve s\ntask q\nkill p\nstage\ntask r\nopen\nretrieve s',
      );
      expect([result.misfits, result.violations]).toEqual([[], []]);
      expect(told(result, 1)).toContain('retrieve 0 EFAULT');
      expect(told(result, 1).at(-1)).toBe('retrieve 0 ENOENT');
      expect(result.generations[1]?.incomingSessions).toBe(0);
    },
  );

  it('never comes for who was killed: EFAULT, and the session that was made goes again', () => {
    for (const point of ['get_user:page', 'copy_struct_from_user:page', 'luo_ucmd_respond:page']) {
      const result = two('kill p', `choose ${point} 0 = 1`);
      expect(result.violations).toEqual([]);
      expect(told(result)).toEqual(['open 1 OK', 'slow-pages 1 OK', 'kill 1 OK', 'create 0 EFAULT']);
      expect(result.generations[0]?.outgoingSessions).toBe(0);
    }
  });

  it('is waited for with the locks of the call: a reboot hook waits for the caller that was let in', () => {
    const text = (revision: string): string =>
      `kernel ${revision}\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 4096\nslow-pages on\nstage\ntask p\n` +
      'preserve f in s token 0\ntask init\nload\nreboot\n' +
      `kernel ${revision}\nstage\ntask p\nopen\nretrieve s\nretrieve-fd f in s token 0\n` +
      'choose luo_ucmd_respond:page 0 = 1';
    for (const revision of names) {
      const result = ran(inputOf(text(revision)));
      expect([revision, result.misfits, result.violations]).toEqual([revision, [], []]);
      expect(told(result, 1)).toEqual(['open 1 OK', 'retrieve 1 OK', 'retrieve-fd 1 OK']);
    }
  });
});

it('retrieve-fd waits for its page with the mutex of the session, until it was told not to', () => {
  for (const revision of REVISIONS) {
    const ended = (other: string): string[] => {
      const result = ran(
        inputOf(
          `kernel ${revision.name}\nstage\ntask p\nopen\ncreate s\nmemfd f%d 0..2 bytes 0\n` +
            `preserve f%d 0..2 in s token 0\n${LEAVE}\nkernel ${revision.name}\nstage\ntask p\nopen\nretrieve s\n` +
            `slow-pages on\nstage\ntask p\nretrieve-fd f%d 0 in s token 0\ntask p\n${other}\n` +
            'choose defaults\nchoose luo_ucmd_respond:page 0 = 1',
        ),
      );
      expect([revision.name, result.violations, result.misfits]).toEqual([revision.name, [], []]);
      return told(result, 1).slice(-2);
    };
    const isGuarded = revision.patches.includes(RETRIEVE_FD_GUARD);
    const both = ended('retrieve-fd f%d 1..2 in s token 1');
    expect(isGuarded ? both.reverse() : both).toEqual(['retrieve-fd 1 OK', 'retrieve-fd 2 OK']);
    if (!isGuarded) expect(ended('finish s')).toEqual(['retrieve-fd 1 OK', 'finish 1 OK']);
  }
});

it('a session stays for others where whoever asked was killed before the question was read', () => {
  for (const revision of names) {
    for (const point of ['get_user:page', 'copy_struct_from_user:page']) {
      const result = ran(
        inputOf(
          `kernel ${revision}\nstage\ntask p\nopen\ncreate s\n${LEAVE}\nkernel ${revision}\nstage\ntask p\nopen\n` +
            'slow-pages on\nstage\ntask p\nretrieve s\ntask q\nkill p\nstage\ntask r\nopen\nretrieve s\n' +
            `choose defaults\nchoose ${point} 0 = 1`,
        ),
      );
      expect([revision, point, result.violations, result.misfits]).toEqual([revision, point, [], []]);
      expect(told(result, 1).slice(2)).toEqual([
        'kill 1 OK',
        'retrieve 0 EFAULT',
        'open 1 OK',
        'retrieve 1 OK',
      ]);
    }
  }
});

it('whoever is killed in a call that waits for no page is still answered', () => {
  const result = play(
    `kernel v7.3\nstage\ntask p\nopen\ncreate s\n${LEAVE}\nkernel v7.3\nstage\ntask p\nopen\nstage\ntask p\n` +
      'retrieve s\ntask q\nkill p\nchoose defaults\nchoose luo_session_retrieve:unlocked 0 = 1',
  );
  expect([result.violations, result.misfits]).toEqual([[], []]);
  expect(told(result, 1)).toEqual(['open 1 OK', 'kill 1 OK', 'retrieve 1 OK']);
});

it('the last thread of a killed process closes what is open, when all have ended their calls', () => {
  const result = ran(
    inputOf(
      'kernel v7.3\nstage\ntask p\nopen\ncreate s\nmemfd f%d 0..1 bytes 0\nslow-pages on\nstage\n' +
        'task p\npreserve f%d 0 in s token 0\ntask p\npreserve f%d 1 in s token 1\ntask q\nkill p\n' +
        // The first waits for its page, the second for the mutex of the session, and that is when the signal comes.
        'choose luo_ucmd_respond:page 0 = 1\nchoose mutex_lock:wait 0 = 1',
    ),
  );
  expect([result.misfits, result.violations]).toEqual([[], []]);
  expect(told(result).slice(4)).toEqual(['kill 1 OK', 'preserve 0 EFAULT', 'preserve 0 EFAULT']);
  expect(result.generations[0]?.outgoingSessions).toBe(0);
});

it('a descriptor that another thread closes stays good for the call that has begun with it', () => {
  for (const revision of names) {
    for (const verb of ['preserve f in s token 0', 'finish s', 'truncate f bytes 4096']) {
      const closes = verb.startsWith('truncate') ? 'close-file f' : 'close s';
      const result = ran(
        inputOf(
          `kernel ${revision}\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 0\nslow-pages on\n` +
            `stage\ntask p\n${verb}\ntask p\n${closes}\nchoose defaults\nchoose get_user:page 0 = 1`,
        ),
      );
      expect([revision, verb, result.violations]).toEqual([revision, verb, []]);
      expect(result.generations[0]?.oopses).toBe(0);
    }
  }
});
