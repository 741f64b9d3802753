/*
 * Cases of the errno runs in the kernel after the update, by the text of their row; see stage1.ts.
 */
import { UserMemory } from '../../sim/user/uaccess.ts';
import { FINISH_ARGUMENT, LIVEUPDATE_SESSION_FINISH } from '../../sim/user/uapi.ts';
import type { Guest } from './guest.ts';
import type { Case } from './stage1.ts';

function finish(guest: Guest, session: number, reserved: number, size = FINISH_ARGUMENT.size): number {
  const argument = new UserMemory(FINISH_ARGUMENT.size);
  argument.words[0] = size;
  argument.words[1] = reserved;
  return guest.user.ioctl(session, LIVEUPDATE_SESSION_FINISH, argument);
}

/** A token of alpha, its descriptor kept for the row that says what came back. */
const token = (text: string): Case => {
  return (guest) => guest.retrieveFd('alpha', text);
};

export const STAGE_2: Record<string, Case> = {
  'open /dev/liveupdate': ({ user }) => user.open(),
  "create: name that waits in the incoming list ('alpha')": ({ user }) => user.create('alpha'),
  'retrieve: unknown name': ({ user }) => user.retrieve('nobody'),
  "retrieve: 'ALPHA'": ({ user }) => user.retrieve('ALPHA'),
  'retrieve: empty': ({ user }) => user.retrieve(''),
  'retrieve: 64 non-NUL bytes whose first 63 match a session': ({ user }) => user.retrieve('n'.repeat(64)),
  'retrieve: the 63-byte name': ({ user }) => user.retrieve('n'.repeat(63)),
  "retrieve: a session never closed, no files ('a/b')": ({ user }) => user.retrieve('a/b'),
  "retrieve: 'after-load'": ({ user }) => user.retrieve('after-load'),
  "retrieve: 'alpha'": (guest) => guest.retrieve('alpha'),
  "retrieve: 'alpha' twice": ({ user }) => user.retrieve('alpha'),
  'preserve on an incoming session': ({ user, fds }) =>
    user.preserve(fds.alpha as number, user.memfd('x'), 77),
  'retrieve_fd: unknown token': ({ user, fds }) => user.retrieveFd(fds.alpha as number, 4711),
  'retrieve_fd: token 1': token('1'),
  'retrieve_fd: token 1 twice': (guest) => {
    guest.fds.twice = guest.user.retrieveFd(guest.fds.alpha as number, 1);
    return guest.fds.twice;
  },
  'retrieve_fd: token 0': token('0'),
  'retrieve_fd: token 18446744073709551615': token('18446744073709551615'),
  'retrieve_fd: token 21': token('21'),
  'retrieve_fd: token 22': token('22'),
  'retrieve_fd: token 30': token('30'),
  'retrieve_fd: token 31': token('31'),
  'retrieve_fd: token 32': token('32'),
  'retrieve_fd: token 33': token('33'),
  'retrieve_fd: token 34': token('34'),
  'after retrieve: ftruncate grow': ({ user, fds }) => user.truncate(fds['alpha/1'] as number, 8192),
  'after retrieve: pwrite': ({ user, fds }) => user.pwrite(fds['alpha/1'] as number, 4096, 'x'),
  'preserve a retrieved, unfinished memfd in an outgoing session': (guest) => {
    guest.fds.next = guest.user.create('next');
    return guest.user.preserve(guest.fds.next, guest.fds['alpha/1'] as number, 1);
  },
  'finish: reserved=1': (guest) => finish(guest, guest.fds.alpha as number, 1),
  'finish: size 4': (guest) => finish(guest, guest.fds.alpha as number, 0, 4),
  "finish: 'alpha', all retrieved": (guest) => finish(guest, guest.fds.alpha as number, 0),
  "finish: 'alpha' second time": (guest) => finish(guest, guest.fds.alpha as number, 0),
  'retrieve_fd after finish': ({ user, fds }) => user.retrieveFd(fds.alpha as number, 1),
  'retrieve session after finish, fd still open': ({ user }) => user.retrieve('alpha'),
  'memfd still readable after finish': ({ user, fds }) => user.readResult(fds['alpha/1'] as number),
  'preserve the retrieved memfd after finish': ({ user, fds }) =>
    user.preserve(fds.next as number, fds['alpha/1'] as number, 1),
  'close(alpha)': ({ user, fds }) => user.close(fds.alpha as number),
  'retrieve session after finish and close': ({ user }) => user.retrieve('alpha'),
  "retrieve: 'beta'": (guest) => guest.retrieve('beta'),
  "finish: 'beta' with one file not retrieved": (guest) => finish(guest, guest.fds.beta as number, 0),
  'retrieve_fd after that finish': ({ user, fds }) => user.retrieveFd(fds.beta as number, 1),
  "retrieve: 'gamma'": (guest) => guest.retrieve('gamma'),
  'retrieve_fd gamma/1': (guest) => guest.retrieveFd('gamma', '1'),
  'close(gamma) without finish': ({ user, fds }) => user.close(fds.gamma as number),
  "retrieve: 'gamma' after close without finish": ({ user }) => user.retrieve('gamma'),
  "create: 'gamma' as outgoing now": ({ user }) => user.create('gamma'),
};
