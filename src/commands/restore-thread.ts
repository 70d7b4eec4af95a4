/** One thread of a restore: takes pieces of parts from the main thread, and carries each from the repository to the files. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { SILENT } from '../base/log.ts';
import { closeRepositories, openRepositories, type Repository } from '../repository/repository.ts';
import { plainError } from '../base/plain-error.ts';
import { PieceRestorer } from './restore/piece-restorer.ts';
import { RestoreCounters } from './restore/restore-counters.ts';
import { RestoredFiles } from './restore/restored-files.ts';
import type { FromThread, ThreadInput, ToThread } from './restore/thread-protocol.ts';

/** A person waits: a store that does not answer is given up after some seconds, not after hours. */
const TRIES = 5;

/** Answers the messages in their order, one at a time, until the first failure or the `end`. */
async function serve(port: MessagePort, input: ThreadInput): Promise<void> {
  const stop = new AbortController();
  const say = (message: FromThread): void => port.postMessage(message);
  // oxlint-disable-next-line no-restricted-properties -- this is an entry, as those of src/cli are: it hands randomness in
  const { random } = Math;
  const repositories = await openRepositories(input, {
    clock: systemClock,
    random,
    log: SILENT,
    tries: TRIES,
    asOf: input.asOf,
    onStranger: (repository, stranger) => say({ kind: 'stranger', repository, stranger }),
  });
  const files = new RestoredFiles(input.layout);
  const restorer = restorerOf(input, { repositories, files, signal: stop.signal, say });
  let work: Promise<void> = Promise.resolve();
  const fail = (error: unknown): void => {
    stop.abort(error);
    say({ kind: 'failed', error: plainError(error) });
    port.close();
  };
  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'restore':
        if (!stop.signal.aborted) restorer.begin(message.piece);
        work = work.then(async () => {
          const steps = await restorer.restore(message.piece);
          say({ kind: 'restored', steps });
        });
        break;
      case 'blank':
        work = work.then(() => {
          stop.signal.throwIfAborted();
          files.makeBlank(message.files, message.mode);
          say({ kind: 'blanked' });
        });
        break;
      case 'sync':
        work = work.then(async () => {
          await files.sync();
          await closeRepositories(repositories);
          say({ kind: 'synced' });
        });
        break;
      case 'abort':
        stop.abort(new WalholdError('interrupted', 'told to stop'));
        break;
      case 'end':
        stop.abort(new WalholdError('interrupted', 'told to end'));
        work = work.finally(() => port.close());
    }
    work.catch(fail);
  });
}

function restorerOf(
  input: ThreadInput,
  {
    repositories,
    files,
    signal,
    say,
  }: {
    repositories: readonly Repository[];
    files: RestoredFiles;
    signal: AbortSignal;
    say: (message: FromThread) => void;
  },
): PieceRestorer {
  const counters = new RestoreCounters(input.counters);
  return new PieceRestorer({
    holders: (backup) => repositories.filter(({ number }) => input.holders[backup]?.includes(number) === true),
    files,
    signal,
    progress: (stored, plain) => counters.add(stored, plain),
    warn({ repository, error }, object) {
      say({ kind: 'warning', message: `${repository.url}/${object} is read from elsewhere`, error: plainError(error) });
    },
  });
}

if (parentPort !== null) await serve(parentPort, workerData as ThreadInput);
