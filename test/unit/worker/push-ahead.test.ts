import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { SILENT } from '../../../src/base/log.ts';
import { parseWalName } from '../../../src/postgres/wal-name.ts';
import type { PreparedWal } from '../../../src/repository/wal-object.ts';
import { readState, type FileState } from '../../../src/spool/file-state.ts';
import { PushAnswers } from '../../../src/spool/push-answers.ts';
import { PushAhead, type PushAheadLimits } from '../../../src/worker/push-ahead.ts';
import type { PreparedFile } from '../../../src/worker/prepared-file.ts';
import { nameOf } from '../../support/made-segments.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MIB = 1024 * 1024;

/** A worker whose store and threads are the test's: each call waits until the test lets it end. */
class Bench {
  readonly clock = new ManualClock();
  readonly preparing: Held[] = [];
  readonly storing: Held[] = [];
  readonly errors: string[] = [];
  /** Whose memory may be used again. */
  readonly released: string[] = [];
  readonly ahead: PushAhead;
  readonly answers: PushAnswers;
  readonly #folder: string;
  readonly #stop = new AbortController();
  readonly running: Promise<void>;
  #ready: string[] = [];

  private constructor(folder: string, answers: PushAnswers, limits: Partial<PushAheadLimits>, bytes: number) {
    this.#folder = folder;
    this.answers = answers;
    this.ahead = new PushAhead(
      {
        readyNames: () => Promise.resolve([...this.#ready]),
        pathOf: (name) => join(folder, name),
        prepare: async (name, path) => {
          const state = (await readState(path)) as FileState;
          await held(this.preparing, name);
          return preparedFile(name, state, bytes, this.released);
        },
        store: async ({ file }) => await held(this.storing, file.name),
        answers,
        clock: this.clock,
        random: () => 1,
        log: { ...SILENT, error: (message) => void this.errors.push(message) },
      },
      { jobs: 2, segmentBytes: 16 * MIB, pushAheadBytes: 1024 * MIB, ...limits },
    );
    this.running = this.ahead.run(this.#stop.signal);
    this.running.catch(() => undefined);
  }

  static async create(folder: string, limits: Partial<PushAheadLimits> = {}, bytes = 100): Promise<Bench> {
    return new Bench(folder, await PushAnswers.create(join(folder, 'spool'), folder), limits, bytes);
  }

  /** These wait for the archiver from now on, and no others. */
  async ready(...segnos: number[]): Promise<void> {
    this.#ready = segnos.map((segno) => nameOf(segno));
    for (const name of this.#ready) await writeFile(join(this.#folder, name), name, { flag: 'a' });
    this.ahead.nudge();
    await this.clock.advance(100);
    await this.pass();
  }

  /** Lets time pass, and what is asked of the filesystem happen. */
  async pass(ms = 0): Promise<void> {
    for (let at = 0; at < 100; at += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      await readdir(this.answers.path).catch(() => []);
    }
    if (ms > 0) await this.clock.advance(ms);
    if (ms > 0) await this.pass();
  }

  async prepareAll(): Promise<void> {
    for (const { end } of this.preparing.splice(0)) end();
    await this.pass();
  }

  async storeAll(error?: unknown): Promise<void> {
    for (const { end } of this.storing.splice(0)) end(error);
    await this.pass();
  }

  async answered(): Promise<string[]> {
    const names = await readdir(this.answers.path);
    return names.filter((name) => !name.includes('.')).toSorted();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.running.catch(() => undefined);
  }
}

interface Held {
  name: string;
  end: (error?: unknown) => void;
}

async function held(list: Held[], name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    list.push({ name, end: (error) => (error === undefined ? resolve() : reject(error as Error)) });
  });
}

function preparedFile(name: string, state: FileState, bytes: number, released: string[]): PreparedFile {
  const file = parseWalName(name);
  const encoded = { head: { sha256: name }, bytes: new Uint8Array(bytes) };
  return { wal: { file, encoded, warnings: [] } as unknown as PreparedWal, state, release: () => released.push(name) };
}

const DOWN = new WalholdError('unreachable', 'could not store it');

let folder: string;
let bench: Bench;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-push-ahead-'));
});
afterEach(async () => {
  await bench.stop();
  await rm(folder, { recursive: true });
});

describe('pushing ahead', () => {
  it('answers for each file once it is stored, and not before', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5, 6, 7);
    expect(bench.preparing.map(({ name }) => name).toSorted()).toEqual([nameOf(5), nameOf(6)]);
    await bench.prepareAll();
    expect(await bench.answered()).toEqual([]);
    expect(bench.storing.map(({ name }) => name).toSorted()).toEqual([nameOf(5), nameOf(6)]);
    await bench.storeAll();
    expect(await bench.answered()).toEqual([nameOf(5), nameOf(6)]);
    await bench.prepareAll();
    await bench.storeAll();
    expect(await bench.answered()).toEqual([nameOf(5), nameOf(6), nameOf(7)]);
    expect(bench.ahead.state).toMatchObject({ state: 'idle', stored: 3, inFlight: 0 });
  });

  it('forgets its answers when the archiver is done with the files', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5, 6);
    await bench.prepareAll();
    await bench.storeAll();
    await bench.ready(6);
    expect(await bench.answered()).toEqual([nameOf(6)]);
    await bench.ready();
    expect(await readdir(bench.answers.path)).toEqual([]);
  });

  it('gives no answer for a file that changed on the way, and has calls look for themselves', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5);
    await bench.prepareAll();
    await writeFile(join(folder, nameOf(5)), 'other');
    await bench.storeAll();
    expect(await readdir(bench.answers.path)).toContain(`${nameOf(5)}.failed`);
    expect(await bench.answered()).toEqual([]);
  });

  it('leaves the file to the call that stores it, unless that takes long', async () => {
    bench = await Bench.create(folder, { withCall: nameOf(5) });
    await bench.ready(5, 6, 7);
    expect(bench.preparing.map(({ name }) => name)).toEqual([nameOf(6), nameOf(7)]);
    await bench.prepareAll();
    await bench.storeAll();
    await bench.pass(1000);
    expect(bench.preparing).toEqual([]);
    await bench.pass(2000);
    expect(bench.preparing.map(({ name }) => name)).toEqual([nameOf(5)]);
  });

  it('takes up no more than push_ahead, but one file always', async () => {
    bench = await Bench.create(folder, { jobs: 8, pushAheadBytes: 3 * 16 * MIB });
    await bench.ready(5, 6, 7, 8, 9);
    expect(bench.preparing).toHaveLength(3);
    await bench.stop();
    bench = await Bench.create(folder, { jobs: 8, pushAheadBytes: 1 });
    await bench.ready(5, 6, 7);
    expect(bench.preparing).toHaveLength(1);
  });

  it('does not run further ahead of the archiver than push_ahead, and tells since when that does not ask', async () => {
    bench = await Bench.create(folder, { pushAheadBytes: 2 * 16 * MIB });
    await bench.ready(5, 6, 7);
    expect(bench.ahead.unusedSince).toBeUndefined();
    await bench.prepareAll();
    await bench.storeAll();
    const since = bench.clock.now();
    await bench.pass(60_000);
    expect(bench.preparing).toEqual([]);
    expect(bench.ahead.unusedSince).toBe(since);
    await bench.ready(6, 7);
    expect(bench.preparing.map(({ name }) => name)).toEqual([nameOf(7)]);
  });

  it('holds no more compressed bytes than fit into its memory', async () => {
    bench = await Bench.create(folder, { jobs: 2 }, 30 * MIB);
    await bench.ready(...Array.from({ length: 20 }, (_, at) => at + 5));
    for (let round = 0; round < 10; round += 1) await bench.prepareAll();
    expect(bench.ahead.state.inFlight).toBeLessThanOrEqual(4);
  });
});

describe('when a file cannot be stored, pushing ahead', () => {
  it('leaves its memory to whoever may still be sending it, and gives back that of what is stored', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5, 6);
    await bench.prepareAll();
    expect(bench.released).toEqual([]);
    bench.storing.shift()?.end(DOWN);
    await bench.storeAll();
    expect(bench.released).toHaveLength(1);
    expect(bench.released).toEqual(await bench.answered());
  });

  it('has calls look for themselves, begins nothing new, and goes on when the first that failed could be stored', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5, 6, 7, 8);
    await bench.prepareAll();
    await bench.storeAll(DOWN);
    expect(bench.ahead.state).toMatchObject({ state: 'failing', lastError: { message: 'could not store it' } });
    expect((await readdir(bench.answers.path)).toSorted()).toEqual([`${nameOf(5)}.failed`, `${nameOf(6)}.failed`]);
    await bench.prepareAll();
    await bench.storeAll(DOWN);
    expect(bench.preparing).toEqual([]);
    await bench.pass(10_000);
    expect(bench.preparing.map(({ name }) => name).toSorted()).toEqual([nameOf(5)]);
    await bench.prepareAll();
    await bench.storeAll();
    expect(bench.preparing.map(({ name }) => name).toSorted()).toEqual([nameOf(6), nameOf(7)]);
    for (let round = 0; round < 3; round += 1) {
      await bench.prepareAll();
      await bench.storeAll();
    }
    expect(await bench.answered()).toEqual([5, 6, 7, 8].map((segno) => nameOf(segno)));
    expect((await readdir(bench.answers.path)).filter((name) => name.endsWith('.failed'))).toEqual([]);
    expect(bench.errors).toHaveLength(1);
  });

  it('tries again less and less often, and at once when a call could store it', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5);
    const tries: number[] = [];
    for (let second = 0; second < 60; second += 1) {
      await bench.pass(1000);
      if (bench.preparing.length > 0) tries.push(second);
      await bench.prepareAll();
      await bench.storeAll(DOWN);
    }
    expect(tries.length).toBeGreaterThan(5);
    expect(tries.length).toBeLessThan(14);
    bench.ahead.nudge({ retry: true });
    await bench.pass(100);
    expect(bench.preparing).toHaveLength(1);
  });

  it('goes on with the others when the archiver has done without it', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5);
    await bench.prepareAll();
    await bench.storeAll(DOWN);
    await bench.ready(6, 7);
    expect(bench.preparing.map(({ name }) => name).toSorted()).toEqual([nameOf(6), nameOf(7)]);
    expect(bench.ahead.state.state).toBe('pushing');
  });

  it('for being unreadable, is no different', async () => {
    bench = await Bench.create(folder);
    await bench.ready(5);
    for (const { end } of bench.preparing.splice(0)) end(new WalholdError('io', 'could not read it'));
    await bench.pass();
    expect(bench.ahead.state).toMatchObject({ state: 'failing', inFlight: 0 });
    expect(await readdir(bench.answers.path)).toEqual([`${nameOf(5)}.failed`]);
  });
});

it('ends when answers cannot be given: nobody shall wait for them', async () => {
  bench = await Bench.create(folder);
  await bench.ready(5);
  await rm(bench.answers.path, { recursive: true });
  await bench.prepareAll();
  await bench.storeAll();
  await bench.pass(2000);
  await expect(bench.running).rejects.toThrow('could not write to the spool');
});
