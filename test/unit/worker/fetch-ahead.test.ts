import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { SILENT } from '../../../src/base/log.ts';
import { parseWalName, type SegmentFile } from '../../../src/postgres/wal-name.ts';
import { FetchAnswers } from '../../../src/spool/fetch-answers.ts';
import { FetchAhead } from '../../../src/worker/fetch-ahead.ts';
import { segmentAfter } from '../../../src/worker/recovery-order.ts';
import { nameOf } from '../../support/made-segments.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MIB = 1024 * 1024;
const DOWN = new WalholdError('unreachable', 'could not reach it');

let folder: string;
let answers: FetchAnswers;
let ahead: FetchAhead;
let running: Promise<void>;
let stop: AbortController;
const clock = new ManualClock();
/** Asked for and not answered: the test says what there is. */
let asked: { name: string; answer: (found: boolean | Error) => Promise<void> }[];
let errors: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-fetch-ahead-'));
  answers = await FetchAnswers.create(join(folder, 'spool'), folder);
  asked = [];
  errors = [];
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await running.catch(() => undefined);
  await rm(folder, { recursive: true });
});

async function start({ jobs = 2, window = 4, taken = 5 } = {}): Promise<void> {
  const fetch = async (name: string): Promise<boolean> => {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    asked.push({
      name,
      async answer(found) {
        if (found === true) await writeFile(answers.pathOf(name), name);
        if (found instanceof Error) reject(found);
        else resolve(found);
        await pass();
      },
    });
    return await promise;
  };
  const after = (name: string): string | undefined =>
    segmentAfter(parseWalName(name) as SegmentFile, { segmentBytes: MIB, target: undefined });
  const log = { ...SILENT, error: (message: string) => void errors.push(message) };
  ahead = new FetchAhead({ fetch, after, answers, clock, log }, { jobs, window }, nameOf(taken));
  running = ahead.run(stop.signal);
  running.catch(() => undefined);
  await pass();
}

async function pass(): Promise<void> {
  for (let at = 0; at < 100; at += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    await readdir(answers.path).catch(() => []);
  }
}

const names = (): string[] => asked.map(({ name }) => name).toSorted();

async function answerAll(found: boolean | Error = true): Promise<void> {
  for (const { answer } of asked.splice(0).toSorted((a, b) => (a.name < b.name ? -1 : 1))) await answer(found);
}

/** As a call does. */
async function take(segno: number): Promise<void> {
  await writeFile(`${answers.pathOf(nameOf(segno))}.taken`, '');
  ahead.nudge();
  await pass();
}

const here = async (): Promise<string[]> => (await readdir(answers.path)).toSorted();
const segments = (...segnos: number[]): string[] => segnos.map((segno) => nameOf(segno));

describe('fetching ahead', () => {
  it('brings the next ones in order, so many at a time, until the window is full', async () => {
    await start();
    expect(names()).toEqual(segments(6, 7));
    expect(await here()).toEqual([`${nameOf(6)}.coming`, `${nameOf(7)}.coming`]);
    await answerAll();
    expect(names()).toEqual(segments(8, 9));
    await answerAll();
    expect(names()).toEqual([]);
    expect(await here()).toEqual(segments(6, 7, 8, 9));
    expect(ahead.state).toMatchObject({ state: 'idle', inFlight: 0, fetched: 4 });
  });

  it('goes on as they are taken', async () => {
    await start();
    for (let round = 0; round < 2; round += 1) await answerAll();
    await take(6);
    expect(names()).toEqual(segments(10));
    await answerAll();
    await take(7);
    await take(8);
    await take(9);
    expect(names()).toEqual(segments(11, 12));
  });

  it('does not take for taken what comes while it looks, and skips nothing before that', async () => {
    await start();
    const [sixth, seventh] = asked.splice(0);
    const looking = Promise.withResolvers<void>();
    const read = answers.names.bind(answers);
    answers.names = async () => {
      answers.names = read;
      const found = await read();
      await looking.promise;
      return found;
    };
    ahead.nudge();
    await pass();
    await seventh?.answer(true);
    looking.resolve();
    await pass();
    await sixth?.answer(true);
    expect(await here()).toEqual([...segments(6, 7), `${nameOf(8)}.coming`, `${nameOf(9)}.coming`]);
  });

  it('leaves what is taken until the call has surely linked it, then drops the segment before the note', async () => {
    await start({ window: 1 });
    await answerAll();
    await take(6);
    expect(await here()).toEqual([nameOf(6), `${nameOf(6)}.taken`, `${nameOf(7)}.coming`]);
    await clock.advance(999);
    await pass();
    expect(await here()).toContain(nameOf(6));
    await clock.advance(1);
    await pass();
    expect(await here()).toEqual([`${nameOf(7)}.coming`]);
  });

  it('gives a segment again that it has brought again', async () => {
    await start({ window: 1 });
    await answerAll();
    await take(6);
    ahead.broughtByCall(nameOf(5));
    await pass();
    await answerAll();
    expect(await here()).toEqual([nameOf(6)]);
  });

  it('stops at the first that is not simply there, and goes on where a call that brought it says', async () => {
    await start();
    const [six, seven] = asked.splice(0).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    await six?.answer(false);
    await seven?.answer(true);
    expect(names()).toEqual([]);
    expect(await here()).toEqual(segments(7));
    expect(ahead.state.state).toBe('waiting');
    ahead.broughtByCall(nameOf(6));
    await pass();
    expect(names()).toEqual(segments(8, 9));
  });

  it('stops when nobody can tell, says so once, and leaves it to the calls', async () => {
    await start();
    await answerAll(DOWN);
    expect(names()).toEqual([]);
    expect(errors).toEqual(['could not reach it']);
    expect(ahead.state).toMatchObject({
      state: 'waiting',
      lastError: { file: nameOf(7), message: 'could not reach it' },
    });
    expect(await here()).toEqual([]);
    ahead.broughtByCall(nameOf(6));
    await pass();
    expect(names()).toEqual(segments(7, 8));
  });

  it('drops what is of no use when recovery asks somewhere else', async () => {
    await start();
    for (let round = 0; round < 2; round += 1) await answerAll();
    ahead.broughtByCall(nameOf(8));
    await pass();
    expect(await here()).toEqual([...segments(9), `${nameOf(10)}.coming`, `${nameOf(11)}.coming`]);
    ahead.broughtByCall(nameOf(20));
    await pass();
    for (const { name, answer } of asked.splice(0)) if (name < nameOf(20)) await answer(true);
    expect((await here()).filter((name) => !name.endsWith('.coming'))).toEqual([]);
  });

  it('ends when answers cannot be given', async () => {
    await start();
    await rm(answers.path, { recursive: true });
    ahead.nudge();
    await pass();
    await expect(running).rejects.toThrow('could not look into the spool');
  });
});
