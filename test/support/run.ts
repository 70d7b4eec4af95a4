import { spawn } from 'node:child_process';
import { asAccount, type Account } from '../../scripts/server-user.ts';
import { signalAll } from './process-tree.ts';

export interface RunOptions {
  /** Added to {@link plainEnvironment}; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** After it the whole process group is killed and `timedOut` is true. Default 60 s. */
  timeoutMs?: number;
  input?: string | Uint8Array;
}

export interface RunResult {
  /** The exit status, or `null` when a signal ended it. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  elapsedMs: number;
  timedOut: boolean;
  /** True when something that outlived the program still held its stdout or stderr two seconds later. */
  heldOpen: boolean;
}

const DRAIN_MS = 2_000;

/**
 * The environment that programs under test get: nothing of the developer's own settings and credentials (`WALHOLD_*`,
 * `PG*`, `AWS_*`) gets in.
 */
export function plainEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: '/nonexistent', LC_ALL: 'C', TZ: 'UTC' };
}

/** Runs a program (no shell) as the current user until it ends or its time is over. It never throws for a failing one. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return await runWith({}, argv, options);
}

/** {@link run}, but as another account; only root may. */
export async function runAs(account: Account, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return await runWith(asAccount(account), argv, options);
}

/**
 * {@link runAs} for steps that must succeed.
 *
 * @throws with the command and what it printed when it does not end with 0.
 */
export async function runOk(account: Account, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await runAs(account, argv, options);
  if (result.status !== 0) {
    const how = result.timedOut ? 'did not end in time' : `ended with ${result.status ?? result.signal}`;
    throw new Error(`${argv.join(' ')} ${how}\n${result.stdout}${result.stderr}`);
  }
  return result;
}

async function runWith(
  identity: { uid?: number; gid?: number },
  argv: readonly string[],
  { env = {}, cwd = '/', timeoutMs = 60_000, input }: RunOptions,
): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error('there is no program to run');
  const started = performance.now();
  // Its own group, so that a launcher's children are ended with it.
  const child = spawn(program, args, { ...identity, cwd, detached: true, env: merged(env), stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => {}); // a program may end without reading what it is given
  child.stdin.end(input);

  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) signalAll([-child.pid], 'SIGKILL');
  }, timeoutMs);
  try {
    const { promise: closed, resolve: close } = Promise.withResolvers<'closed'>();
    child.once('close', () => close('closed'));
    const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, by) => resolve([code, by]));
    });
    const elapsedMs = performance.now() - started;
    const heldOpen = (await Promise.race([closed, afterDrain()])) !== 'closed';
    child.stdout.destroy();
    child.stderr.destroy();
    const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('utf8');
    return { status, signal, stdout: text(stdout), stderr: text(stderr), elapsedMs, timedOut, heldOpen };
  } finally {
    clearTimeout(timer);
  }
}

function merged(env: Record<string, string | undefined>): Record<string, string> {
  const all = Object.entries({ ...plainEnvironment(), ...env });
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

async function afterDrain(): Promise<'held'> {
  return await new Promise((resolve) => {
    setTimeout(() => resolve('held'), DRAIN_MS).unref();
  });
}
