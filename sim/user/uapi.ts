/*
 * The user interface of live update: include/uapi/linux/liveupdate.h. ioctl type 0xBA, numbers without a size; the
 * first u32 of every argument is the caller's idea of its size.
 */
import { s32, struct, text, u32, u64 } from '../base/layout.ts';
import { SESSION_NAME_LENGTH } from '../base/limits.ts';

const TYPE = 0xba << 8;

export const LIVEUPDATE_IOCTL_CREATE_SESSION = TYPE | 0x00;
export const LIVEUPDATE_IOCTL_RETRIEVE_SESSION = TYPE | 0x01;
export const LIVEUPDATE_SESSION_PRESERVE_FD = TYPE | 0x40;
export const LIVEUPDATE_SESSION_RETRIEVE_FD = TYPE | 0x41;
export const LIVEUPDATE_SESSION_FINISH = TYPE | 0x42;
/** v7.3. */
export const LIVEUPDATE_SESSION_GET_NAME = TYPE | 0x43;

/** Argument of create and retrieve: the answer is fd. */
export const SESSION_ARGUMENT = struct('liveupdate_ioctl_create_session', {
  size: u32,
  fd: s32,
  name: text(SESSION_NAME_LENGTH),
});

/** Argument of preserve and retrieve of a descriptor. */
export const FD_ARGUMENT = struct('liveupdate_session_preserve_fd', { size: u32, fd: s32, token: u64 });

export const FINISH_ARGUMENT = struct('liveupdate_session_finish', { size: u32, reserved: u32 });

/** Answer of GET_NAME; reserved must be 0. */
export const NAME_ARGUMENT = struct('liveupdate_session_get_name', {
  size: u32,
  reserved: u32,
  name: text(SESSION_NAME_LENGTH),
});

/** Largest argument in words. */
export const ARGUMENT_WORDS = SESSION_ARGUMENT.size / 4;
