/** One part of a backup, or its configuration: every byte, and every file against the manifest. */
import type { ManifestEntry } from '../postgres/manifest-reader.ts';
import type { CallOptions } from '../store/store.ts';
import { oldestAuthentic } from './authentic.ts';
import type { StreamedObject } from './backup-objects.ts';
import type { FileRecord } from './backup-record.ts';
import { PartCheck } from './part-check.ts';
import type { Repository } from './repository.ts';
import { concernsOneObject, problemOf, type Problem } from './verify-problem.ts';
import type { Reading } from './verify-reader.ts';

export interface PartQuestion extends StreamedObject {
  readonly systemId: bigint;
  /** What the manifest says of each file, in the order in which the frames name them; `undefined`: it is not known, which has been told. */
  readonly checksums: readonly (ManifestEntry['checksum'] | undefined)[];
}

/** What is wrong with it is in the answer. Throws what the store says when it does not answer. */
export async function readPart(
  { store, url }: Repository,
  question: PartQuestion,
  { signal }: CallOptions,
): Promise<Reading> {
  const { key, stored } = question;
  const fits = ({ bytes }: { bytes: number }): boolean => bytes === stored.storedBytes;
  const accepts = (problems: readonly Problem[]): boolean => problems.length === 0;
  const read: number[] = [];
  const problems = await oldestAuthentic(store, key, { signal, fits, accepts }, async (which) => {
    const opened = await store.open(key, { signal, ...which });
    if (opened === undefined) return undefined;
    const found = await checkPart(opened.chunks, `${url}/${key}`, question);
    read.push(opened.info.bytes);
    return found;
  });
  return { problems: problems ?? [], read };
}

/** What is wrong with the bytes, and what they say or hold that does not fit the record and the manifest. */
async function checkPart(
  chunks: AsyncIterable<Uint8Array>,
  object: string,
  { key, kind, stored, frames, systemId, checksums }: PartQuestion,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const found = (code: 'misfit' | 'manifest-mismatch', message: string): void => {
    problems.push({ code, object: key, message });
  };
  const wanted = checksums.values();
  const onFile = ({ path }: FileRecord, digest: string, headerFault: string | undefined): void => {
    if (headerFault !== undefined) found('misfit', `${shown(path)}: ${headerFault}`);
    const checksum = wanted.next().value;
    if (checksum === undefined || (checksum.algorithm === 'SHA256' && checksum.hex === digest)) return;
    const says = `the manifest says ${checksum.algorithm} ${checksum.hex}`;
    found('manifest-mismatch', `${shown(path)} has the SHA-256 ${digest}, ${says}`);
  };
  try {
    const check = new PartCheck({ object, stored, frames: frames?.map(withBuffers), onFile });
    for await (const chunk of chunks) check.write(chunk);
    const tail = check.end();
    const name = key.slice('backup/'.length);
    if (tail.name !== name || tail.kind !== kind || tail.systemId !== String(systemId)) {
      found('misfit', `it says that it is ${tail.name} of cluster ${tail.systemId}`);
    }
  } catch (error) {
    if (!concernsOneObject(error)) throw error;
    problems.push(problemOf(error, key));
  }
  return problems;
}

/** Between threads buffers become plain arrays of bytes. */
function withBuffers<F extends { files: readonly FileRecord[] }>(frame: F): F {
  const files = frame.files.map((file) => {
    return typeof file.path === 'string' ? file : { ...file, path: Buffer.from(file.path) };
  });
  return { ...frame, files };
}

function shown(path: string | Buffer): string {
  return JSON.stringify(path.toString());
}
