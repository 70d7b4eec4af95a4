/**
 * A stream as one object, whatever its length. What fits into one chunk goes in one request; the rest by a resumable upload, chunk
 * after chunk, the next one gathered while one is on its way. Each request is repeated by the policy, from the buffer, from where the
 * store says that it has got; the stream is read once.
 *
 * When the answer to the last chunk is lost, a repetition finds the object done, the name taken or the session gone: the object's own
 * checksum then says whether it is this one.
 */
import { WalholdError } from '../base/errors.ts';
import { addCrc32c } from './checksum.ts';
import type { ResumableRequests, SessionState } from './gcs-resumable.ts';
import { isSame, requireStored, type Inserted } from './gcs-write.ts';
import { PartGatherer, type Part } from './part-gatherer.ts';
import type { RetryPolicy } from './retry.ts';

export interface ChunkSettings {
  policy: RetryPolicy;
  /** A multiple of 256 KiB, as the store asks of every chunk but the last. */
  chunkBytes: number;
  /** How many chunks may be in memory, being filled, held back or sent; at least 3. */
  chunkBuffers: number;
}

export async function uploadInChunks(
  requests: ResumableRequests,
  settings: ChunkSettings,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Inserted> {
  const { policy, chunkBytes, chunkBuffers } = settings;
  const gatherer = new PartGatherer(chunks, chunkBytes, chunkBuffers, () => chunkBytes);
  try {
    signal.throwIfAborted();
    const first = await gatherer.next(signal);
    if (first.last) return await insertWhole(requests, policy, first.bytes, signal);
    return await resumable(requests, policy, gatherer, first, signal);
  } finally {
    gatherer.stop();
  }
}

interface Sent {
  sum: number;
  bytes: number;
}

async function insertWhole(
  requests: ResumableRequests,
  policy: RetryPolicy,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Inserted> {
  let tries = 0;
  const attempt = (once: AbortSignal): Promise<Inserted> => {
    tries += 1;
    return requests.insert(bytes, once);
  };
  const inserted = await policy.run(requests.what, attempt, { signal });
  if (inserted.result === 'created' || tries === 1) return inserted;
  return settle(requests, policy, { sum: addCrc32c(0, bytes), bytes: bytes.byteLength }, signal);
}

async function resumable(
  requests: ResumableRequests,
  policy: RetryPolicy,
  gatherer: PartGatherer,
  first: Part,
  signal: AbortSignal,
): Promise<Inserted> {
  const begun = await policy.run(requests.what, (once) => requests.begin(once), { signal });
  if (begun === 'exists') return { result: 'exists' };
  const sender = new ChunkSender(requests, policy, begun.session);
  let settled = false;
  try {
    const parts = endingFull(gatherer, first, signal);
    for (let coming = parts.next(); ;) {
      const part = await coming.then(({ value }) => value);
      // Gathered while this one is sent.
      if (!part.last) (coming = parts.next()).catch(() => undefined);
      const state = await sender.send(part, signal);
      part.release();
      if (part.last) {
        const inserted = await ended(requests, policy, sender, state, signal);
        settled = inserted.result === 'created';
        return inserted;
      }
      if (state.kind !== 'open') throw lost(requests, state.kind);
    }
  } finally {
    if (!settled) await requests.cancel(begun.session, signal);
  }
}

/** The stream's parts, the last one never empty: a last request without bytes is not in the protocol. One is held back to know. */
async function* endingFull(
  gatherer: PartGatherer,
  first: Part,
  signal: AbortSignal,
): AsyncGenerator<Part, never, undefined> {
  let part = first;
  for (;;) {
    const next = await gatherer.next(signal);
    const last = next.last && next.bytes.byteLength === 0;
    yield last ? { ...part, last } : part;
    if (next.last) yield next;
    part = next;
  }
}

/** Sends chunks of one session in order, and knows what was sent. */
class ChunkSender {
  readonly sent: Sent = { sum: 0, bytes: 0 };
  /** Whether the last chunk was tried more than once: then an answer may be to an earlier try, whose own was lost. */
  repeated = false;
  private readonly requests: ResumableRequests;
  private readonly policy: RetryPolicy;
  private readonly session: string;

  constructor(requests: ResumableRequests, policy: RetryPolicy, session: string) {
    this.requests = requests;
    this.policy = policy;
    this.session = session;
  }

  /** `open` when the store has all of the chunk. Any other state ends the upload, well or not. */
  async send(part: Part, signal: AbortSignal): Promise<SessionState> {
    const { requests, session } = this;
    const from = this.sent.bytes;
    this.sent.sum = addCrc32c(this.sent.sum, part.bytes);
    this.sent.bytes += part.bytes.byteLength;
    const to = this.sent.bytes;
    const end = part.last ? { end: { size: to, sum: this.sent.sum } } : {};
    let kept = from;
    let tries = 0;
    const attempt = async (once: AbortSignal): Promise<SessionState> => {
      tries += 1;
      let state: SessionState = tries === 1 ? { kind: 'open', kept } : await requests.ask(session, once);
      while (state.kind === 'open' && state.kept >= from && state.kept <= to) {
        kept = state.kept;
        if (kept === to && !part.last) return state;
        state = await requests.send(session, { offset: kept, bytes: part.bytes.subarray(kept - from), ...end }, once);
        if (state.kind === 'open' && state.kept === kept) throw stuck(requests, kept);
      }
      return state;
    };
    const state = await this.policy.run(requests.what, attempt, { signal });
    this.repeated = tries > 1;
    return state;
  }
}

/** What the last chunk's answer comes to. */
async function ended(
  requests: ResumableRequests,
  policy: RetryPolicy,
  { sent, repeated }: ChunkSender,
  end: SessionState,
  signal: AbortSignal,
): Promise<Inserted> {
  if (end.kind === 'done') return { result: 'created', object: requireStored(requests.what, end.answer, sent) };
  if (end.kind === 'exists' && !repeated) return { result: 'exists' };
  if (repeated && (end.kind === 'exists' || end.kind === 'gone')) return settle(requests, policy, sent, signal);
  throw lost(requests, end.kind);
}

/** After an answer was lost: is what lies there what was sent? Otherwise somebody else's, or nothing. */
async function settle(
  requests: ResumableRequests,
  policy: RetryPolicy,
  sent: Sent,
  signal: AbortSignal,
): Promise<Inserted> {
  const found = await policy.run(requests.what, (once) => requests.stored(once), { signal });
  if (found === undefined) throw lost(requests, 'gone');
  return isSame(found, sent) ? { result: 'created', object: found } : { result: 'exists' };
}

function stuck(requests: ResumableRequests, kept: number): WalholdError {
  return new WalholdError('unreachable', `could not ${requests.what}`, {
    detail: `the store took no byte after the first ${kept}`,
  });
}

/** Repeating the chunk mends none of these. */
function lost(requests: ResumableRequests, kind: SessionState['kind']): WalholdError {
  const details: Record<SessionState['kind'], string> = {
    open: 'the store has not kept what it had confirmed',
    done: 'the store ended the upload early',
    exists: 'another request for the same name came in between',
    gone: 'the upload is gone and nothing is stored under the name',
    corrupted: 'the bytes that arrived were not those sent',
  };
  return new WalholdError('unreachable', `could not ${requests.what}`, {
    detail: details[kind],
    hint: 'Start over: nothing was stored under that name by this attempt.',
  });
}
