/** One thread that reads contents for `verify`: object by object, each from the store to its verdict. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { SILENT } from '../base/log.ts';
import { plainError } from '../base/plain-error.ts';
import { closeRepositories, openRepositories, type Repository } from '../repository/repository.ts';
import { readHere, type Reading } from '../repository/verify-reader.ts';
import type { Stranger } from '../store/store.ts';
import type { FromThread, Question, ThreadInput, ToThread } from './verify/thread-protocol.ts';
import { PATIENCE } from './with-repositories.ts';

/** Answers one question at a time until the `end`. */
async function serve(port: MessagePort, input: ThreadInput): Promise<void> {
  const stop = new AbortController();
  // oxlint-disable-next-line no-restricted-properties -- this is an entry, as those of src/cli are: it hands randomness in
  const { random } = Math;
  const met: Stranger[] = [];
  const repositories = await openRepositories(input, {
    clock: systemClock,
    random,
    log: SILENT,
    ...PATIENCE,
    asOf: input.asOf,
    onStranger: (_, stranger) => met.push(stranger),
  });
  const reader = readHere({ signal: stop.signal });
  const read = async (question: Question): Promise<Reading> => {
    const repository = repositories.find(({ number }) => number === question.repository) as Repository;
    return await (question.kind === 'wal'
      ? reader.wal(repository, question.about)
      : reader.part(repository, question.about));
  };
  port.on('message', (message: ToThread) => {
    if (message.kind === 'end') {
      stop.abort(new WalholdError('interrupted', 'told to end'));
      void closeRepositories(repositories).finally(() => port.close());
      return;
    }
    void read(message)
      .then((reading): FromThread => ({ kind: 'read', reading, strangers: met.splice(0) }))
      .catch((error: unknown): FromThread => ({ kind: 'failed', error: plainError(error) }))
      .then((answer) => port.postMessage(answer));
  });
}

if (parentPort !== null) await serve(parentPort, workerData as ThreadInput);
