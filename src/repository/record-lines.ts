/**
 * The parts of `backup.json` line by line, as `formatBackupRecord` writes them: as one value the list of millions of files would be in
 * memory several times over.
 */
const BEGIN = Buffer.from('\n"parts": [\n');

/** One part as it stands there: its own fields, `frames` among them but empty, and the rows of its frames. */
export interface RawPart {
  head: unknown;
  rows: Iterable<unknown>;
}

/**
 * Splits the document before its last line: everything but the parts as JSON with none, and the parts, to be gone through once. `undefined`: it
 * is laid out in another way. The parts throw a SyntaxError where they are.
 */
export function splitRecord(document: Buffer): { rest: string; parts: Iterable<RawPart> } | undefined {
  const at = document.indexOf(BEGIN);
  if (at < 0) return undefined;
  const rest = `${document.toString('utf8', 0, at)}"parts": []}`;
  return { rest, parts: partsOf(linesOf(document, at + BEGIN.length)) };
}

function* partsOf(lines: Iterator<string>): Generator<RawPart> {
  for (let more = true; more;) {
    const head = JSON.parse(`${nextOf(lines)}]}`) as unknown;
    let last = '';
    const rows = rowsOf(lines, (line) => (last = line));
    yield { head, rows };
    if (last !== ']}' && last !== ']},') throw new SyntaxError('a part has no end');
    more = last === ']},';
  }
  if (nextOf(lines) !== '],' || lines.next().done !== true) throw new SyntaxError('the parts have no end');
}

function* rowsOf(lines: Iterator<string>, ended: (line: string) => void): Generator<unknown> {
  for (let more = true; ;) {
    const line = nextOf(lines);
    if (line === ']}' || line === ']},') return ended(line);
    if (!more) throw new SyntaxError('no comma between rows');
    more = line.endsWith(',');
    yield JSON.parse(more ? line.slice(0, -1) : line) as unknown;
  }
}

function* linesOf(document: Buffer, from: number): Generator<string> {
  for (let at = from; at < document.length;) {
    const end = document.indexOf(0x0a, at);
    if (end < 0) throw new SyntaxError('the last line does not end');
    yield document.toString('utf8', at, end);
    at = end + 1;
  }
}

function nextOf(lines: Iterator<string>): string {
  const next = lines.next();
  if (next.done === true) throw new SyntaxError('it ends too early');
  return next.value;
}
