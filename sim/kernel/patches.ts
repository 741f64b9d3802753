/*
 * Patches: what tells one revision from another. Code that differs asks `kernel.has(PATCH)`; a reported bug is a
 * revision without a patch. Dates are of posting or merge, as known; an empty commit means "never merged" or "not
 * known".
 */

export interface Patch {
  readonly name: string;
  readonly subject: string;
  readonly commit: string;
  readonly date: string;
}

const patch = (name: string, subject: string, commit: string, date: string): Patch => ({
  name,
  subject,
  commit,
  date,
});

/** Session metadata in a chain of 16-page blocks instead of one array; v1 1/5 of "remove limits". */
export const SESSION_BLOCKS = patch(
  'session-blocks',
  'liveupdate: remove limit on the number of sessions (v1 1/5)',
  '',
  '2026-04-14',
);

export const PATCHES: readonly Patch[] = [SESSION_BLOCKS];
