/**
 * One copying thread of a backup: takes units of files from the main thread one after another, and carries each through the whole
 * pipeline itself, into parts of its own and every repository.
 */
import { getPriority, setPriority } from 'node:os';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { accountNames } from '../base/account-names.ts';
import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { plainError } from '../base/plain-error.ts';
import { partKey, type BackupId } from '../repository/layout.ts';
import { PartWriter } from '../repository/part-writer.ts';
import { openStore } from '../store/open-store.ts';
import { retryPolicy } from '../store/retry.ts';
import { sentAgain } from '../store/send-again.ts';
import type { Store } from '../store/store.ts';
import { FrameWriter } from '../stream/zstd.ts';
import { FileCopier } from './backup/file-copier.ts';
import { SharedCounters } from './backup/shared-counters.ts';
import type {
  CopiedUnit,
  CopyUnit,
  FinishedPart,
  FromThread,
  ThreadInput,
  ToThread,
} from './backup/thread-protocol.ts';

/** A part and what goes into it, so that it can be made again. */
interface Part {
  number: number;
  writer: PartWriter;
  units: CopyUnit[];
  copied: CopiedUnit[];
  /** Counted as read for it. */
  readBytes: number;
}

type Stored = Omit<FinishedPart, 'part'>;

class CopyThread {
  readonly #input: ThreadInput;
  readonly #stores: readonly Store[];
  readonly #say: (message: FromThread) => void;
  readonly #counters: SharedCounters;
  readonly #frames: FrameWriter;
  readonly #copier: FileCopier;
  readonly #stop = new AbortController();
  #open: Part | undefined;
  /** Written to its end, and on its way; never more than one. */
  #sending: { part: Part; durable: Promise<Stored> } | undefined;
  /** Of all parts that are not settled. */
  readonly #writers = new Set<PartWriter>();
  #readBytes = 0;

  constructor(input: ThreadInput, stores: readonly Store[], say: (message: FromThread) => void) {
    this.#input = input;
    this.#stores = stores;
    this.#say = say;
    this.#counters = new SharedCounters(input.counters);
    this.#frames = new FrameWriter(input.level);
    const { dataDirectory, pages, increment } = input;
    const advanced = (bytes: number): Promise<void> => this.#advanced(bytes);
    const names = accountNames();
    this.#copier = new FileCopier({
      dataDirectory,
      pages,
      increment,
      names,
      clock: systemClock,
      signal: this.#stop.signal,
      advanced,
    });
  }

  async copy(unit: CopyUnit): Promise<void> {
    this.#open ??= this.#begin(this.#counters.nextPart());
    const { writer } = this.#open;
    await this.#copyInto(this.#open, unit);
    if (writer.plainBytes >= this.#input.partBytes) await this.#end();
    this.#say({ kind: 'copied' });
  }

  async finish(): Promise<FromThread> {
    await this.#end();
    await this.#settle();
    return { kind: 'finished' };
  }

  /** Whatever runs fails with this reason, and nothing more becomes visible. */
  abort(reason: unknown): void {
    this.#stop.abort(reason);
    for (const writer of this.#writers) writer.abort(reason);
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#writers].map((writer) => writer.durable()));
    await Promise.all(this.#stores.map((store) => store.close()));
  }

  #begin(number: number): Part {
    const { backupId, systemId, by } = this.#input;
    const key = partKey(backupId as BackupId, number);
    const about = {
      kind: 'backup-part' as const,
      name: key.slice(key.indexOf('/') + 1),
      systemId,
      by,
      at: new Date(systemClock.now()).toISOString(),
    };
    const target = { key, about, stores: this.#stores, signal: this.#stop.signal };
    const writer = new PartWriter(target, this.#frames);
    this.#writers.add(writer);
    return { number, writer, units: [], copied: [], readBytes: 0 };
  }

  async #copyInto(part: Part, unit: CopyUnit): Promise<void> {
    const before = this.#readBytes;
    part.units.push(unit);
    part.copied.push(await this.#copier.copy(unit, part.writer, part.number));
    part.readBytes += this.#readBytes - before;
  }

  /** The next part begins while this one is still on its way; more than one on its way there never is. */
  async #end(): Promise<void> {
    if (this.#open === undefined) return;
    await this.#settle();
    void this.#send(this.#open);
    this.#open = undefined;
  }

  #send(part: Part): Promise<Stored> {
    const stored = part.writer.end();
    const durable = part.writer.durable().then(() => stored);
    durable.catch(() => undefined);
    this.#sending = { part, durable };
    return durable;
  }

  /** Waits for the part that is on its way; between units, when the codec and the copier are free to make it again. */
  async #settle(): Promise<void> {
    if (this.#sending === undefined) return;
    let { part } = this.#sending;
    const stored = await sentAgain(this.#sending.durable, async () => {
      part = await this.#makeAgain(part);
      return this.#send(part);
    });
    this.#sending = undefined;
    this.#writers.delete(part.writer);
    this.#say({ kind: 'stored', part: { part: part.number, ...stored }, copied: part.copied });
  }

  /** From the files as they are now: any reading of them within the backup is as good as the first. */
  async #makeAgain({ number, writer, units, readBytes }: Part): Promise<Part> {
    this.#writers.delete(writer);
    this.#counters.addBytes(-readBytes);
    const part = this.#begin(number);
    for (const unit of units) await this.#copyInto(part, unit);
    return part;
  }

  async #advanced(bytes: number): Promise<void> {
    this.#counters.addBytes(bytes);
    this.#readBytes += bytes;
    const { maxRate } = this.#input;
    if (maxRate === undefined) return;
    const waitMs = this.#counters.takeTime(systemClock.now(), (bytes / maxRate) * 1000);
    if (waitMs > 0) await systemClock.sleep(waitMs, this.#stop.signal);
  }
}

/**
 * On Linux for the calling thread alone, and the system reads and writes for it with as little haste (best effort, 6 of 7, where the
 * disk's scheduler knows priorities): the server comes first. A disk or processor that nobody else wants is used as ever.
 */
const NICE = 10;

function beNice(): void {
  try {
    if (getPriority(0) < NICE) setPriority(0, NICE);
  } catch {
    // A sandbox that forbids it; then it is as hasty as its caller.
  }
}

/** Answers the messages in their order, one at a time. Ends with `finish` or the first failure. */
async function serve(port: MessagePort): Promise<void> {
  beNice();
  const { promise: over, resolve: end } = Promise.withResolvers<FromThread>();
  let begun: Promise<CopyThread> | undefined;
  let work: Promise<unknown> = Promise.resolve();
  const fail = (error: unknown): void => {
    void begun?.then((thread) => thread.abort(error)).catch(() => undefined);
    end({ kind: 'failed', error: plainError(error) });
  };
  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'begin':
        begun = beginThread(message.input, (answer) => port.postMessage(answer));
        work = begun;
        break;
      case 'copy':
        work = work.then(async () => await (await begun)?.copy(message.unit));
        break;
      case 'finish':
        work = work.then(async () => end((await (await begun)?.finish()) ?? { kind: 'finished' }));
        break;
      case 'abort':
        fail(new WalholdError('interrupted', 'told to stop'));
    }
    work.catch(fail);
  });
  const last = await over;
  const thread = await begun?.catch(() => undefined);
  await thread?.close();
  port.postMessage(last);
  port.close();
}

async function beginThread(input: ThreadInput, say: (message: FromThread) => void): Promise<CopyThread> {
  const { requestTimeoutMs, tries } = input;
  // oxlint-disable-next-line no-restricted-properties -- this is an entry, as those of src/cli are: it hands randomness in
  const { random } = Math;
  const policy = retryPolicy({ clock: systemClock, random, requestTimeoutMs, tries });
  const stores = await Promise.all(
    input.repositories.map(({ settings, lock }) => openStore(settings, policy, { lock })),
  );
  return new CopyThread(input, stores, say);
}

if (parentPort !== null) await serve(parentPort);
