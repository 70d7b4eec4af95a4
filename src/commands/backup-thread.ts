/**
 * One copying thread of a backup: takes units of files from the main thread one after another, and carries each through the whole
 * pipeline itself, into parts of its own and every repository.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { accountNames } from '../base/account-names.ts';
import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { partKey, type BackupId } from '../repository/layout.ts';
import { PartWriter } from '../repository/part-writer.ts';
import { openStore } from '../store/open-store.ts';
import { retryPolicy } from '../store/retry.ts';
import type { Store } from '../store/store.ts';
import { FrameWriter } from '../stream/zstd.ts';
import { FileCopier } from './backup/file-copier.ts';
import { plainError } from './backup/plain-error.ts';
import { SharedCounters } from './backup/shared-counters.ts';
import type { CopyUnit, FinishedPart, FromThread, ThreadInput, ToThread } from './backup/thread-protocol.ts';

class CopyThread {
  readonly #input: ThreadInput;
  readonly #stores: readonly Store[];
  readonly #counters: SharedCounters;
  readonly #frames: FrameWriter;
  readonly #copier: FileCopier;
  readonly #stop = new AbortController();
  #open: { writer: PartWriter; part: number } | undefined;
  readonly #ended: { writer: PartWriter; durable: Promise<FinishedPart> }[] = [];

  constructor(input: ThreadInput, stores: readonly Store[]) {
    this.#input = input;
    this.#stores = stores;
    this.#counters = new SharedCounters(input.counters);
    this.#frames = new FrameWriter(input.level);
    const { dataDirectory, pages } = input;
    const advanced = (bytes: number): Promise<void> => this.#advanced(bytes);
    const names = accountNames();
    this.#copier = new FileCopier({
      dataDirectory,
      pages,
      names,
      clock: systemClock,
      signal: this.#stop.signal,
      advanced,
    });
  }

  async copy(unit: CopyUnit): Promise<FromThread> {
    this.#open ??= this.#begin();
    const { writer, part } = this.#open;
    const copied = await this.#copier.copy(unit, writer, part);
    if (writer.plainBytes >= this.#input.partBytes) await this.#end();
    return { kind: 'copied', copied };
  }

  async finish(): Promise<FromThread> {
    await this.#end();
    return { kind: 'finished', parts: await Promise.all(this.#ended.map(({ durable }) => durable)) };
  }

  /** Whatever runs fails with this reason, and nothing more becomes visible. */
  abort(reason: unknown): void {
    this.#stop.abort(reason);
    this.#open?.writer.abort(reason);
    for (const { writer } of this.#ended) writer.abort(reason);
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#ended.map(({ durable }) => durable), this.#open?.writer.durable()]);
    await Promise.all(this.#stores.map((store) => store.close()));
  }

  #begin(): { writer: PartWriter; part: number } {
    const { backupId, systemId, by } = this.#input;
    const part = this.#counters.nextPart();
    const key = partKey(backupId as BackupId, part);
    const about = {
      kind: 'backup-part' as const,
      name: key.slice(key.indexOf('/') + 1),
      systemId,
      by,
      at: new Date(systemClock.now()).toISOString(),
    };
    const target = { key, about, stores: this.#stores, signal: this.#stop.signal };
    return { writer: new PartWriter(target, this.#frames), part };
  }

  /** The next part begins while this one is still on its way; more than one on its way there never is. */
  async #end(): Promise<void> {
    if (this.#open === undefined) return;
    const { writer, part } = this.#open;
    await this.#ended.at(-1)?.durable;
    const stored = writer.end();
    this.#open = undefined;
    const durable = writer.durable().then(() => ({ part, ...stored }));
    durable.catch(() => undefined);
    this.#ended.push({ writer, durable });
  }

  async #advanced(bytes: number): Promise<void> {
    this.#counters.addBytes(bytes);
    const { maxRate } = this.#input;
    if (maxRate === undefined) return;
    const waitMs = this.#counters.takeTime(systemClock.now(), (bytes / maxRate) * 1000);
    if (waitMs > 0) await systemClock.sleep(waitMs, this.#stop.signal);
  }
}

/** Answers the messages in their order, one at a time. Ends with `finish` or the first failure. */
async function serve(port: MessagePort, input: ThreadInput): Promise<void> {
  const { requestTimeoutMs, tries } = input;
  // oxlint-disable-next-line no-restricted-properties -- this is an entry, as those of src/cli are: it hands randomness in
  const { random } = Math;
  const policy = retryPolicy({ clock: systemClock, random, requestTimeoutMs, tries });
  const stores = await Promise.all(input.repositories.map((settings) => openStore(settings, policy)));
  const thread = new CopyThread(input, stores);
  const { promise: over, resolve: end } = Promise.withResolvers<FromThread>();
  let work: Promise<unknown> = Promise.resolve();
  const fail = (error: unknown): void => {
    thread.abort(error);
    end({ kind: 'failed', error: plainError(error) });
  };
  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'copy':
        work = work.then(async () => port.postMessage(await thread.copy(message.unit)));
        break;
      case 'finish':
        work = work.then(async () => end(await thread.finish()));
        break;
      case 'abort':
        fail(new WalholdError('interrupted', 'told to stop'));
    }
    work.catch(fail);
  });
  const last = await over;
  await thread.close();
  port.postMessage(last);
  port.close();
}

if (parentPort !== null) await serve(parentPort, workerData as ThreadInput);
