/** One thread of the worker that fetches segments ahead, each by the judgement of a direct fetch. One after another. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { SILENT } from '../base/log.ts';
import { plainError } from '../base/plain-error.ts';
import { releaseBeyond } from '../base/release-memory.ts';
import { keptRoom } from '../base/room.ts';
import { parseWalName } from '../postgres/wal-name.ts';
import { openRepositories, worstOf, type Repository } from '../repository/repository.ts';
import type { FetchRooms } from '../repository/wal-archive.ts';
import type { Answer, END } from '../worker/thread-pool.ts';
import { installFile, syncAhead } from './fetch-install.ts';
import type { FetchThreadInput, Fetched, ToFetch } from './fetch-protocol.ts';
import { askOnce } from './fetch-round.ts';
import { FETCH_TRIES } from './fetch.ts';

/** What is in buffers before a segment is begun: the rooms of the last one, and what stores without use for a room have left behind. */
const MOST_BUFFER_BYTES = 48 * 1024 * 1024;

/** Throws when nobody can tell. */
async function fetchOne(
  { name, latest, target }: ToFetch,
  repositories: readonly Repository[],
  input: FetchThreadInput,
  rooms: FetchRooms | undefined,
): Promise<boolean> {
  const file = parseWalName(name);
  if (file?.kind !== 'segment') throw new WalholdError('bad-wal-name', `${name} is not the name of a segment`);
  const { systemId, segmentBytes, reachMs, answers } = input;
  const { signal } = new AbortController();
  const known = { systemId, segmentBytes, latest, target };
  const options = { ...known, signal, clock: systemClock, reachMs, probeFirst: false, rooms };
  const round = await askOnce(repositories, file, options);
  if (round.kind === 'unknown') throw worstOf(round.failures);
  if (round.kind === 'found') {
    await installFile(round.plain, `${answers}/${name}`, { spool: undefined, beforeRename: () => undefined });
  }
  return round.kind === 'found';
}

async function serve(port: MessagePort, input: FetchThreadInput): Promise<void> {
  // oxlint-disable-next-line no-restricted-properties -- this is an entry, as those of src/cli are: it hands randomness in
  const { random } = Math;
  const deps = { clock: systemClock, random, log: SILENT, tries: FETCH_TRIES, asOf: input.asOf };
  const repositories = await openRepositories(input, deps);
  // One segment is in its place before the next begins.
  const rooms = repositories.length === 1 ? { stored: keptRoom(), plain: keptRoom() } : undefined;
  let synced = Promise.resolve();
  let told = 0;
  const answer = async (question: ToFetch): Promise<Answer<Fetched>> => {
    const found = await fetchOne(question, repositories, input, rooms);
    // Beside the next segment, and one after the other: the process has few threads for the disk.
    if (found) synced = synced.then(async () => await syncAhead(`${input.answers}/${question.name}`));
    const met = repositories.reduce((sum, { strangers }) => sum + strangers.length, 0);
    const all = repositories.map(({ number, url, strangers }) => ({ number, url, strangers: [...strangers] }));
    const traces = met > told ? all : [];
    told = met;
    return { kind: 'fetched', found, traces };
  };
  port.on('message', (message: ToFetch | typeof END) => {
    if (message.kind === 'end') return port.close();
    releaseBeyond(MOST_BUFFER_BYTES);
    answer(message)
      .catch((error: unknown): Answer<Fetched> => ({ kind: 'failed', error: plainError(error) }))
      .then((said) => port.postMessage(said))
      .catch((error: unknown) => {
        throw error;
      });
  });
}

if (parentPort !== null) await serve(parentPort, workerData as FetchThreadInput);
