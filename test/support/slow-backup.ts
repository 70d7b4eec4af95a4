import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { asAccount } from '../../scripts/server-user.ts';
import type { Archived } from './archived-cluster.ts';
import { built } from './hook.ts';
import { descendants, signalAll } from './process-tree.ts';
import { waitFor } from './wait-for.ts';

/** Some five seconds for an empty cluster of twenty-odd megabytes. */
const SLOWLY = ['--max-rate', '4M'];

/** A backup that takes its time, copying when this returns. */
export class SlowBackup implements AsyncDisposable {
  readonly #child: ReturnType<typeof spawn>;
  readonly #exit: Promise<unknown[]>;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];

  private constructor(child: ReturnType<typeof spawn>) {
    this.#child = child;
    this.#exit = once(child, 'exit');
    child.stdout?.on('data', (chunk: Buffer) => this.#stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.#stderr.push(chunk));
  }

  /** `flags`: instead of the rate. `until`: returns when it has said this, or has ended. */
  static async start(
    { cluster, config }: Pick<Archived, 'cluster' | 'config'>,
    flags: readonly string[] = SLOWLY,
    until = 'copying',
  ): Promise<SlowBackup> {
    const argv = ['--config', config, 'backup', '-c', 'fast', ...flags, '-d', cluster.connectionString];
    const child = spawn(await built('walhold'), argv, {
      ...asAccount(cluster.user),
      detached: true,
      env: cluster.env,
      cwd: '/',
    });
    const slow = new SlowBackup(child);
    const hasSaid = (): boolean => slow.stderr.includes(until) || slow.hasEnded;
    await waitFor(hasSaid, { what: `the backup to say "${until}"`, everyMs: 5 });
    return slow;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('the backup was not started');
    return pid;
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString('utf8');
  }

  /** As it happens: SIGTERM comes from a supervisor, SIGINT from the terminal to the whole group, SIGKILL for want of memory. */
  kill(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): void {
    const { pid } = this;
    const targets = { SIGTERM: [pid], SIGINT: [-pid], SIGKILL: descendants(pid) };
    signalAll(targets[signal], signal);
  }

  async ended(): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const [status] = (await this.#exit) as [number | null];
    return { status, stdout: Buffer.concat(this.#stdout).toString('utf8'), stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.hasEnded) return;
    this.kill('SIGKILL');
    await this.#exit;
  }
}
