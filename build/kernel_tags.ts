/*
 * The tags in doc comments that say which kernel function a declaration models, and how faithfully:
 *
 *   @kernel luo_session_insert            as the kernel does it
 *   @kernel down_read, down_write         the same of several
 *   @simplified no spinning on the owner  not so in what the clause says; of the names in front of it, to the end of
 *                                         the comment or the next tag
 *
 * A tag stands in the doc comment right in front of its declaration. The scan goes by the layout that the formatter
 * gives to sources: what is declared at the left margin contains what is declared one step to the right.
 */

/** A declaration that models a kernel function. */
export interface Tag {
  /** The kernel function. */
  readonly kernel: string;
  /** Path from the top. */
  readonly file: string;
  /** `Kho.finalize`, `radixKey`; a constructor has the name of its class. */
  readonly declaration: string;
  /** What is not as in the kernel; undefined for a faithful one. */
  readonly how: string | undefined;
}

export interface Scan {
  readonly tags: Tag[];
  /** What is wrong, a line each. */
  readonly complaints: string[];
}

const DOC_COMMENT = /^( *)\/\*\*(?:[^*]|\*(?!\/))*\*\//gm;
const OURS = /(?<![\w`])@(?:kernel|simplified)\b/g;
const LIST = /^[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*$/;

/** All tags of a source file. */
export function tagsOf(file: string, text: string): Scan {
  const tags: Tag[] = [];
  const complaints: string[] = [];
  const complain = (at: number, what: string): void => {
    complaints.push(`${file}:${text.slice(0, at).split('\n').length}: ${what}`);
  };
  let seen = 0;
  for (const { 0: comment, 1: indent = '', index } of text.matchAll(DOC_COMMENT)) {
    const count = comment.match(OURS)?.length ?? 0;
    if (count === 0) continue;
    seen += count;
    const declaration = declarationAt(text, index + comment.length, indent.length);
    if (declaration === undefined) {
      complain(index, 'a tag stands in front of nothing that has a name');
      continue;
    }
    const read = clauses(comment);
    if (typeof read === 'string') complain(index, read);
    else tags.push(...read.map((clause) => ({ ...clause, file, declaration })));
  }
  if ((text.match(OURS)?.length ?? 0) !== seen) {
    const first = outside(text);
    complain(first, 'a tag stands outside of any doc comment');
  }
  return { tags, complaints };
}

/** Where the first tag stands that is in no doc comment. */
function outside(text: string): number {
  const blank = text.replace(DOC_COMMENT, (comment) => comment.replace(/[^\n]/g, ' '));
  return Math.max(blank.search(OURS), 0);
}

/** What a comment says of kernel functions, or what is wrong with it. */
function clauses(comment: string): Pick<Tag, 'kernel' | 'how'>[] | string {
  const prose = comment
    .replace(/^ *\/\*\*|\*\/$/g, '')
    .replace(/\n *\*/g, ' ')
    .replace(/\s+/g, ' ');
  const [, ...parts] = prose.split(/(?<![\w`])@(?=[a-z])/);
  const found: { kernel: string; how: string | undefined }[] = [];
  let open: { kernel: string; how: string | undefined }[] = [];
  for (const part of parts) {
    const [tag = '', ...words] = part.trim().split(' ');
    const body = words.join(' ');
    if (tag === 'kernel') {
      if (!LIST.test(body)) return `@kernel "${body}": give names with a comma between, and nothing else`;
      open = body.split(', ').map((kernel) => ({ kernel, how: undefined }));
      found.push(...open);
    } else if (tag === 'simplified') {
      if (body === '') return '@simplified does not say how';
      if (open.length === 0) return `@simplified "${body}" follows no @kernel`;
      for (const one of open) one.how = body.replace(/\.$/, '');
      open = [];
    } else {
      open = [];
    }
  }
  return found;
}

const TOP = /^(?:export )?(?:abstract )?(?:function\*?|class|interface|const|let|type) (\w+)/;
const MEMBER =
  /^(?:(?:static|readonly|override|private|public|declare) )*(?:get |set )?\*?(#?\w+)[?!]?(?:[(<:=;]| =|\()/;

/** Name of what is declared behind a comment that is indented by `indent`, with that of what contains it. */
function declarationAt(text: string, end: number, indent: number): string | undefined {
  const rest = text.slice(end).replace(/^\n */, '');
  if (indent === 0) return TOP.exec(rest)?.[1];
  const name = MEMBER.exec(rest)?.[1];
  const container = text
    .slice(0, end)
    .split('\n')
    .findLast((line) => TOP.test(line));
  const owner = container === undefined ? undefined : TOP.exec(container)?.[1];
  if (name === undefined || owner === undefined || indent !== 2) return undefined;
  return name === 'constructor' ? owner : `${owner}.${name}`;
}
