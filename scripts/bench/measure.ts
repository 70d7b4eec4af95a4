import { spawn } from 'node:child_process';
import { descendants, signalAll } from '../../test/support/process-tree.ts';
import { asAccount, type Account } from '../server-user.ts';
import { sampleMemory } from './memory.ts';

/** One command to measure. */
export interface Trial {
  argv: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
}

export interface Measurement {
  seconds: number;
  /** The most that it and all below it had at once, see {@link sampleMemory}; `undefined` if it was not asked for. */
  peakBytes: number | undefined;
}

const LIMIT_MS = 900_000;

/**
 * Runs a command and measures it from its start to its end.
 *
 * @param sampleEveryMs how often to sample its memory; 0: never, so that nothing disturbs the clock.
 * @throws with what it printed when it does not end with 0.
 */
export async function measure(account: Account, trial: Trial, sampleEveryMs: number): Promise<Measurement> {
  const [program = '', ...args] = trial.argv;
  const { cwd, env } = trial;
  const started = performance.now();
  const child = spawn(program, args, { ...asAccount(account), cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  // Before other listeners remove the files in which it works.
  const kill = (): void => {
    if (child.pid !== undefined) signalAll([...descendants(child.pid), child.pid], 'SIGKILL');
  };
  process.prependOnceListener('exit', kill);
  const printed: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => printed.push(chunk));
  const memory = sampleEveryMs > 0 && child.pid !== undefined ? sampleMemory(child.pid, sampleEveryMs) : undefined;
  const timer = setTimeout(kill, LIMIT_MS);
  const status = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  const seconds = (performance.now() - started) / 1000;
  process.removeListener('exit', kill);
  clearTimeout(timer);
  const peakBytes = memory?.stop();
  if (status !== 0) {
    throw new Error(`${trial.argv.join(' ')} ended with ${status}\n${Buffer.concat(printed).toString('utf8')}`);
  }
  return { seconds, peakBytes };
}
