/**
 * A stream as one object, whatever its length. What fits into one part goes in one request; the rest as a multipart upload, with a
 * few parts on the way at once. Each request is repeated by the policy, from the buffer; the stream is read once.
 *
 * The condition is only judged when the upload is completed, so `exists` can come after all bytes were sent. When the answer to
 * that last request is lost, a repetition finds the name taken, the upload gone, or the first try still under way (409): the object's
 * own checksum then says whether it is this one. A 409 to a first try kills the upload, and with it the parts, which nobody has any
 * more: `upload-lost`, and whoever can make the stream again sends it from its beginning.
 */
import { WalholdError } from '../base/errors.ts';
import { addCrc32c } from './checksum.ts';
import { PartGatherer, type Part } from './part-gatherer.ts';
import type { RetryPolicy } from './retry.ts';
import type { BegunUpload, FinishedPart, MultipartRequests } from './s3-multipart.ts';
import type { Written } from './s3-write.ts';

export interface UploadSettings {
  policy: RetryPolicy;
  partBytes: number;
  /** How many parts may be in memory, being filled or sent. */
  partBuffers: number;
}

/** What became of a stream. `settled`: known by its checksum only, after an answer was lost; its lock was perhaps never ours. */
export type Uploaded =
  'exists' | ({ way: 'single' | 'stream'; settled: false } & Written) | { settled: true; version: string | undefined };

export async function uploadStream(
  requests: MultipartRequests,
  settings: UploadSettings,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Uploaded> {
  const { policy, partBytes, partBuffers } = settings;
  const gatherer = new PartGatherer(chunks, partBytes, partBuffers);
  try {
    signal.throwIfAborted();
    const first = await gatherer.next(signal);
    if (first.last) return await putWhole(requests, policy, first.bytes, signal);
    return await multipart(requests, policy, gatherer, first, signal);
  } finally {
    gatherer.stop();
  }
}

async function putWhole(
  requests: MultipartRequests,
  policy: RetryPolicy,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Uploaded> {
  const { result, tries } = await counted(policy, requests.what, (once) => requests.put(bytes, once), signal);
  if (result !== 'exists') return { way: 'single', settled: false, ...result };
  if (tries === 1) return 'exists';
  return settle(requests, policy, { sum: addCrc32c(0, bytes), bytes: bytes.byteLength }, signal);
}

async function multipart(
  requests: MultipartRequests,
  policy: RetryPolicy,
  gatherer: PartGatherer,
  first: Part,
  signal: AbortSignal,
): Promise<Uploaded> {
  const upload = await policy.run(requests.what, (once) => requests.begin(once), { signal });
  let isOver = false;
  try {
    const whole = await sendParts(requests, policy, upload.id, gatherer, first, signal);
    const result = await complete(requests, policy, upload, whole, signal);
    isOver = result !== 'exists';
    return result;
  } finally {
    if (!isOver) await requests.abort(upload.id, signal);
  }
}

interface Whole {
  parts: FinishedPart[];
  sum: number;
  bytes: number;
}

/** Sends parts while others are gathered. The first failure stops everything: the source, and the requests on the way. */
async function sendParts(
  requests: MultipartRequests,
  policy: RetryPolicy,
  uploadId: string,
  gatherer: PartGatherer,
  first: Part,
  signal: AbortSignal,
): Promise<Whole> {
  const failures: unknown[] = [];
  const failure = new AbortController();
  const fail = (error: unknown): void => {
    failures.push(error);
    failure.abort(error);
  };
  const either = AbortSignal.any([signal, failure.signal]);
  const whole: Whole = { parts: [], sum: 0, bytes: 0 };
  const sending = new Set<Promise<void>>();
  const send = async (part: Part): Promise<void> => {
    try {
      whole.parts[part.number - 1] = await policy.run(
        requests.what,
        (once) => requests.part(uploadId, part.number, part.bytes, once),
        { signal: either },
      );
    } catch (error) {
      fail(error);
    } finally {
      part.release();
    }
  };
  try {
    for (let part = first; ; part = await gatherer.next(either)) {
      whole.sum = addCrc32c(whole.sum, part.bytes);
      whole.bytes += part.bytes.byteLength;
      // The stream ended just with the part before.
      if (part.bytes.byteLength > 0) track(sending, send(part));
      if (part.last) break;
    }
  } catch (error) {
    fail(error);
  }
  await Promise.all(sending);
  // What the store did says more than the deadline that ended it.
  if (failures.length > 0) throw failures.find((error) => error !== signal.reason) ?? signal.reason;
  return whole;
}

function track(sending: Set<Promise<void>>, one: Promise<void>): void {
  sending.add(one);
  void one.finally(() => sending.delete(one));
}

async function complete(
  requests: MultipartRequests,
  policy: RetryPolicy,
  upload: BegunUpload,
  whole: Whole,
  signal: AbortSignal,
): Promise<Uploaded> {
  const send = (once: AbortSignal): ReturnType<MultipartRequests['complete']> =>
    requests.complete(upload, whole.parts, whole.sum, once);
  const { result, tries } = await counted(policy, requests.what, send, signal);
  if (typeof result === 'object') return { way: 'stream', settled: false, ...result };
  if (result === 'exists' && tries === 1) return 'exists';
  if (tries > 1) return settle(requests, policy, whole, signal);
  throw uploadLost(
    requests,
    result === 'conflict' ? 'another request for the same name came in between' : 'it is gone',
  );
}

function uploadLost({ what }: MultipartRequests, why: string): WalholdError {
  return new WalholdError('upload-lost', `could not ${what}`, {
    detail: `the upload was lost: ${why}`,
    hint: 'Start over: nothing was stored under that name by this attempt.',
  });
}

/** Repeats by the policy, and tells how often: an answer after the first try may be to an earlier one, whose own was lost. */
async function counted<T>(
  policy: RetryPolicy,
  what: string,
  attempt: (once: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<{ result: T; tries: number }> {
  let tries = 0;
  const result = await policy.run(
    what,
    (once) => {
      tries += 1;
      return attempt(once);
    },
    { signal },
  );
  return { result, tries };
}

/** How often to look for an object whose completion may be under way. */
const MOST_LOOKS = 5;

/** After an answer was lost: is what lies there what was sent? Otherwise somebody else's, or nothing. */
async function settle(
  requests: MultipartRequests,
  policy: RetryPolicy,
  sent: { sum: number; bytes: number },
  signal: AbortSignal,
): Promise<Uploaded> {
  const patience = policy.series(requests.what, { signal });
  for (let looks = 1; ; looks += 1) {
    const found = await policy.run(requests.what, (once) => requests.stored(once), { signal });
    if (found !== undefined) {
      const isOurs = found.bytes === sent.bytes && found.sum === sent.sum;
      return isOurs ? { settled: true, version: found.version } : 'exists';
    }
    const lost = uploadLost(requests, 'it is gone, and nothing is stored under the name');
    if (looks === MOST_LOOKS) throw lost;
    await patience.failed(new WalholdError('unreachable', lost.message, { detail: lost.detail ?? '' }));
  }
}
