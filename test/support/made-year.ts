import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sampleMemory } from '../../scripts/bench/memory.ts';
import { ROOT } from '../../scripts/build.ts';
import { asAccount } from '../../scripts/server-user.ts';
import { Place } from './place.ts';
import { plainEnvironment, runOk } from './run.ts';

/** What a command cost. */
export interface Measured {
  seconds: number;
  peakBytes: number;
  status: number | null;
}

export interface YearOptions {
  name: string;
  segments: number;
  backups: number;
  /** Further words for `scripts/bench/make-year.ts`. */
  words?: readonly string[];
  timeoutMs: number;
}

/** A repository of files as a year leaves it, with locks. */
export class MadeYear implements AsyncDisposable {
  /** Of the repository. */
  readonly root: string;
  readonly #place: Place;
  readonly #config: string;

  private constructor(place: Place) {
    this.#place = place;
    this.root = join(place.path, 'repository');
    this.#config = join(place.path, 'walhold.conf');
  }

  static async make({ name, segments, backups, words = [], timeoutMs }: YearOptions): Promise<MadeYear> {
    const place = await Place.create(name);
    const year = new MadeYear(place);
    const script = join(ROOT, 'scripts/bench/make-year.ts');
    const size = ['--segments', String(segments), '--backups', String(backups), ...words];
    await runOk(place.owner, [process.execPath, script, year.root, ...size], { timeoutMs });
    const settings = `repo = 'file://${year.root}'\nlock_mode = governance\nlock_period = 60d\n`;
    await writeFile(year.#config, settings, { mode: 0o644 });
    return year;
  }

  /** Runs the companion on it. Not as root, who would set the immutable attribute on every file. */
  async walhold<T>(words: readonly string[]): Promise<T & Measured> {
    const begun = performance.now();
    const argv = [...words, '--json', '--config', this.#config];
    const options = { ...asAccount(this.#place.owner), env: plainEnvironment(), cwd: '/' };
    const child = spawn(join(ROOT, 'bin/walhold'), argv, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
    const memory = sampleMemory(child.pid ?? 0, 100);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    const seconds = (performance.now() - begun) / 1000;
    return { ...(JSON.parse(Buffer.concat(chunks).toString()) as T), seconds, peakBytes: memory.stop(), status };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place[Symbol.asyncDispose]();
  }
}
