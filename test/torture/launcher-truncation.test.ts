import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { LONG } from '../support/effort.ts';
import { launchersOver } from '../support/launcher-stub.ts';
import { nameOf } from '../support/made-segments.ts';
import { run } from '../support/run.ts';
import { ServedCluster, SHELLS } from '../support/served-call.ts';

/**
 * How PostgreSQL calls it, where the kernel finds the interpreter in the first line, and the interpreters that `/bin/sh` may be: those
 * run the file itself, since the one of this machine is what it is.
 */
const CALLS = ['sh -c', 'dash', 'bash --posix', 'busybox sh'];

/** Makes the cuts one after the other, each from the one before by the bytes that it reads, and runs each: no program but that is started. */
const LOOP = `
cd "$1" || exit 1
call=$2 name=$3
while read -r length bytes; do
  printf "$bytes" >>"$name" || exit 1
  case $call in
  *-c) $call "./$name x y" ;;
  *) $call "./$name" x y ;;
  esac </dev/null >/dev/null 2>&1
  echo "$length $?"
done
`;

/** The same in a data directory whose worker has answered, anew before each cut. */
const ANSWERED_LOOP = `
cd "$1" || exit 1
call=$2 bin=$3 wal=$4 answer=$5
cp -p "$answer" "$bin/answer"
while read -r length bytes; do
  printf "$bytes" >>"$bin/walhold-push" || exit 1
  cp -p "$bin/answer" "$answer"
  $call "$bin/walhold-push" "$wal" </dev/null >/dev/null 2>&1
  echo "$length $?"
done
`;

/** So many bytes apart where one cut is like the next: within comments, and within the long list of variables. */
const SAMPLE = LONG ? 1 : 60;

/** Where a launcher is cut: behind every byte of its code from `from` on, or behind one of so many. */
function cutsOf(whole: string, { from = 0, step = 1 } = {}): number[] {
  const cuts: number[] = [];
  let at = 0;
  for (const line of whole.split(/(?<=\n)/)) {
    const alike = /^(?: *# | {2}key="|\t\$\{| {2}"\t)/.test(line);
    const isCut = (place: number): boolean => !alike || place < 3 || place > line.length - 3 || place % SAMPLE === 0;
    for (let place = 0; place < line.length; place += 1) if (at + place >= from && isCut(place)) cuts.push(at + place);
    at += line.length;
  }
  return [...cuts.filter((_, index) => index % step === 0), whole.length];
}

/** What came of each cut of the launcher, which is whole again at the end. */
async function statusesOf(
  argv: readonly string[],
  launcher: string,
  cuts: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const whole = await readFile(launcher);
  await truncate(launcher);
  // As `printf` takes them: three octal digits for each byte.
  const octal = (bytes: Buffer): string =>
    bytes.reduce((text, byte) => `${text}\\${byte.toString(8).padStart(3, '0')}`, '');
  const input = cuts.map((length, at) => `${length} ${octal(whole.subarray(cuts[at - 1] ?? 0, length))}\n`).join('');
  const result = await run(argv, { timeoutMs: 1_500_000, input });
  const lines = result.stdout.trim().split('\n');
  const statuses = new Map(lines.map((line) => line.split(' ').map(Number) as [number, number]));
  expect(statuses.size).toBe(cuts.length);
  expect(await readFile(launcher)).toEqual(whole);
  return statuses;
}

/** What the program claims in its last breath, and what a whole launcher makes of it. */
const CLAIMS = [
  { name: 'walhold-push', script: 'exit 64', status: 0 },
  { name: 'walhold-push', script: 'exit 0', status: 1 },
  { name: 'walhold-fetch', script: 'exit 65', status: 0 },
  { name: 'walhold-fetch', script: 'exit 66', status: 1 },
  { name: 'walhold-fetch', script: 'exit 0', status: 200 },
];

/** Failure for push is any other status than 0; for fetch only what PostgreSQL does not take for "absent". */
const isFailure = (name: string, status: number): boolean => (name === 'walhold-push' ? status !== 0 : status > 125);

/**
 * The beginnings that no launcher can guard, since the shell has not heard of the guard yet: nothing, a comment, the first line, and
 * a `trap` that is not whole. `tr` is a program of that name.
 */
const UNGUARDED: Readonly<Record<string, readonly string[]>> = {
  'walhold-push': ['', '#', '#!/bin/sh', '#!/bin/sh\n', '#!/bin/sh\ntrap', '#!/bin/sh\ntrap '],
  'walhold-fetch': [
    '',
    '#',
    '#!/bin/sh',
    '#!/bin/sh\n',
    '#!/bin/sh\ntr',
    '#!/bin/sh\ntrap',
    '#!/bin/sh\ntrap ',
    ...Array.from({ length: 'exit\\ 200 '.length }, (_, at) => `#!/bin/sh\ntrap ${'exit\\ 200 '.slice(0, at + 1)}`),
  ],
};

/** In the long run every byte is cut. */
const LIMIT_MS = LONG ? 1_800_000 : 280_000;

const isHere = (call: string): boolean => spawnSync('sh', ['-c', `command -v ${call.split(' ')[0]}`]).status === 0;

describe.each(CALLS)('a launcher cut off at any byte, run with %s', (call) => {
  let place: string;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'walhold-truncation-'));
  });
  afterAll(async () => await rm(place, { recursive: true, force: true }));

  /** An interpreter that is given the file takes all of the first line for a comment. */
  const unguarded = (name: string, beginning: string): boolean =>
    UNGUARDED[name]?.includes(beginning) === true || (call !== 'sh -c' && '#!/bin/sh\n'.startsWith(beginning));
  const claims =
    call === 'sh -c' ? CLAIMS : CLAIMS.filter(({ script }) => script === 'exit 64' || script === 'exit 66');

  /** In CI the one that is this machine's `/bin/sh` anyhow is left out, and the others are cut less often. */
  const isTwin = !LONG && basename(realpathSync('/bin/sh')) === call;
  const step = LONG || call === 'sh -c' ? 1 : 3;

  it.skipIf(!isHere(call) || isTwin).each(claims)(
    '$name over a program that says "$script" fails but for the beginnings listed',
    async (claim) => {
      const { name, script, status } = claim;
      const bin = await launchersOver(join(place, `${name}-${script.replace(' ', '-')}`), script);
      const whole = readFileSync(join(ROOT, 'bin', name), 'utf8');
      const decided = whole.indexOf('esac', whole.indexOf('case $status')) + 'esac'.length;
      const argv = ['sh', '-c', LOOP, 'sh', bin, call, name];
      const statuses = await statusesOf(argv, join(bin, name), cutsOf(whole, { step }));

      const wrong = [...statuses.keys()].filter((length) => {
        const found = statuses.get(length) ?? 0;
        return length >= decided && isFailure(name, status) === false ? found !== status : !isFailure(name, found);
      });
      const beginnings = wrong.map((length) => whole.slice(0, length));
      // Another shell may refuse more of them; none may be added.
      expect(beginnings.filter((text) => !unguarded(name, text))).toEqual([]);
      expect(beginnings.length).toBeGreaterThan(0);
      expect(statuses.get(whole.length)).toBe(status);
    },
    LIMIT_MS,
  );
});

describe.each(SHELLS.map((shell) => shell.join(' ')))('a launcher with its answer ready, run with %s', (call) => {
  let place: string;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'walhold-answered-'));
  });
  afterAll(async () => await rm(place, { recursive: true, force: true }));

  it(
    'says so from the byte on with which that part is whole, and fails when it is cut off before, whatever the program says',
    async () => {
      const served = await ServedCluster.create(join(place, 'data'));
      const walPath = await served.store(5);
      await served.announce([walPath]);
      const bin = await launchersOver(join(place, 'program'), 'exit 68');
      const whole = readFileSync(join(ROOT, 'bin/walhold-push'), 'utf8');
      const answer = join(served.answers.path, nameOf(5));
      const argv = ['sh', '-c', ANSWERED_LOOP, 'sh', served.cluster.path, call, bin, walPath, answer];
      const cuts = cutsOf(whole, { from: whole.indexOf('service=') });
      const statuses = await statusesOf(argv, join(bin, 'walhold-push'), cuts);
      const said = [...statuses].filter(([, status]) => status === 0).map(([length]) => length);
      // busybox cannot tell: it never says so.
      if (call.startsWith('busybox')) return expect(said).toEqual([]);
      const decided = said[0] ?? 0;
      expect(whole.slice(0, decided)).toMatch(/\nfi\n?$/);
      expect(said).toEqual([...statuses.keys()].filter((length) => length >= decided));
    },
    LIMIT_MS,
  );
});

describe('a launcher that cannot be used', () => {
  let place: string;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'walhold-unusable-'));
  });
  afterAll(async () => await rm(place, { recursive: true, force: true }));

  it.each(['walhold-push', 'walhold-fetch'])('%s fails when this user may not run it', async (name) => {
    const bin = await launchersOver(join(place, name), 'exit 64');
    await chmod(join(bin, name), 0o644);
    const { status } = await run(['sh', '-c', `${join(bin, name)} x y`]);
    expect(status).toBe(126);
  });
});
