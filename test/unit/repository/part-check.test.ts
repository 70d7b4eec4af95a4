import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FrameRecord, PartRecord } from '../../../src/repository/backup-record.ts';
import { PartCheck } from '../../../src/repository/part-check.ts';
import { sha256 } from '../../../src/stream/checksum.ts';
import { FileRepository } from '../../support/file-repository.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';

const FILES = { PG_VERSION: '15\n', 'base/1/empty': '', 'base/1/1259': 'a table'.repeat(5000), last: 'x' };

let bytes: Buffer;
let part: PartRecord;
beforeAll(async () => {
  await using repository = await FileRepository.create();
  const record = await putBackup(repository, { startLsn: inSegment(3), stopLsn: inSegment(3, 80), parts: [FILES] });
  part = record.parts[0] as PartRecord;
  bytes = await readFile(join(repository.root, `backup/${record.id}/part-1.tar.zst`));
});

function check(change: Partial<PartRecord>, content: Buffer = bytes, size = 1000): Map<string, string> {
  const seen = new Map<string, string>();
  const stored = { ...part, ...change };
  const reader = new PartCheck({
    object: 'it',
    stored,
    frames: stored.frames,
    onFile: ({ path }, digest, fault) => seen.set(String(path), fault ?? digest),
  });
  for (let at = 0; at < content.length; at += size) reader.write(content.subarray(at, at + size));
  reader.end();
  return seen;
}

/** The first frame, changed. */
const framed = (change: Partial<FrameRecord>): Partial<PartRecord> => {
  const [first, ...rest] = part.frames;
  return { frames: [{ ...(first as FrameRecord), ...change }, ...rest] };
};

describe('PartCheck', () => {
  it.each([1, 13, 511, 1024, 1_000_000])('gives the digest of every file, in pieces of %i bytes', (size) => {
    const expected = Object.entries(FILES).map(([path, text]) => [path, sha256(Buffer.from(text))]);
    expect([...check({}, bytes, size)]).toEqual(expected);
  });

  const faults: [what: string, change: () => Partial<PartRecord>, detail: string][] = [
    ['another CRC', () => ({ crc32c: 1 }), 'the CRC-32C of its bytes is'],
    ['another SHA-256', () => ({ sha256: 'ab'.repeat(32) }), 'the SHA-256 of its bytes is'],
    ['more plain bytes', () => ({ plainBytes: part.plainBytes + 512 }), 'bytes of content, not'],
    ['a frame with more in it', () => framed({ plainBytes: (part.frames[0]?.plainBytes ?? 0) + 512 }), 'holds'],
    [
      'a frame with less in it',
      () => framed({ plainBytes: (part.frames[0]?.plainBytes ?? 0) - 512 }),
      'holds more than',
    ],
    ['one frame less', () => ({ frames: part.frames.slice(0, -1) }), 'bytes follow its last frame'],
  ];
  it.each(faults)('refuses a record that tells of %s', (_, change, detail) => {
    expect(() => check(change())).toThrow(
      expect.objectContaining({ detail: expect.stringContaining(detail) as string }),
    );
  });

  const cuts: [what: string, change: (whole: Buffer) => Buffer, detail: string][] = [
    ['is cut short', (whole) => whole.subarray(0, -1), 'bytes, not'],
    ['goes on', (whole) => Buffer.concat([whole, Buffer.from('x')]), 'longer than the record says'],
    ['has another tail', (whole) => Buffer.concat([whole.subarray(0, -1024), Buffer.alloc(1024)]), 'no description'],
  ];
  it.each(cuts)('refuses an object that %s', (_, change, detail) => {
    expect(() => check({}, change(bytes))).toThrow(
      expect.objectContaining({ detail: expect.stringContaining(detail) as string }),
    );
  });

  it('sees a tar header that leads to another file, since tar alone must find the same ones', () => {
    const [first] = part.frames;
    const files = (first?.files ?? []).map((file) => (file.path === 'PG_VERSION' ? { ...file, path: 'other' } : file));
    expect(check(framed({ files })).get('other')).toBe('its tar header names "PG_VERSION"');
  });
});
