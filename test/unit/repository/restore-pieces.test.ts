import { describe, expect, it } from 'vitest';
import type { ParsedManifest } from '../../../src/postgres/manifest-reader.ts';
import type { FrameRecord, PartRecord } from '../../../src/repository/backup-record.ts';
import type { BackupId } from '../../../src/repository/layout.ts';
import { piecesOf } from '../../../src/repository/restore-pieces.ts';

const MIB = 1024 * 1024;
const id = '20261122T174500Z-full' as BackupId;
const digest = 'a'.repeat(64);

/** A part whose frames each hold one file of so many stored MiB, and a last one with the end of the tar. */
function part(number: number, sizes: readonly number[]): PartRecord {
  const frames: FrameRecord[] = [];
  let offset = 0;
  for (const [index, mib] of [...sizes, 0].entries()) {
    const storedBytes = Math.max(100, mib * MIB);
    const files = index < sizes.length ? [{ path: `${number}/${index}`, size: mib, at: 512 }] : [];
    frames.push({ offset, storedBytes, plainBytes: storedBytes * 2, files });
    offset += storedBytes;
  }
  return { number, plainBytes: offset * 2, storedBytes: offset + 1024, sha256: digest, crc32c: 0, frames };
}

function manifestOf(
  parts: readonly PartRecord[],
  change: (files: ParsedManifest['files']) => ParsedManifest['files'] = (f) => f,
): ParsedManifest {
  const files = parts
    .flatMap(({ frames }) => frames.flatMap((frame) => frame.files))
    .map(({ path, size }) => ({
      path,
      size,
      modifiedAt: 0,
      checksum: { algorithm: 'SHA256', hex: digest } as const,
    }));
  return { version: 1, systemId: undefined, files: change(files), walRanges: [] };
}

describe('the pieces of a backup', () => {
  it('cover every frame once, without gaps, the largest first', () => {
    const parts = [part(1, [1, 1, 30, 2]), part(2, [5]), part(3, [])];
    const pieces = piecesOf({ id, parts }, manifestOf(parts), 2);
    for (const { number, frames } of parts) {
      const own = pieces.filter((piece) => piece.part === number).sort((a, b) => a.offset - b.offset);
      let at = 0;
      for (const piece of own) {
        expect(piece.offset).toBe(at);
        at += piece.storedBytes;
      }
      expect(at).toBe(frames.reduce((sum, frame) => sum + frame.storedBytes, 0));
      expect(own.map(({ ends }) => ends)).toEqual(own.map((_, index) => index === own.length - 1));
    }
    expect(pieces.flatMap(({ files }) => files)).toHaveLength(5);
    expect(pieces.map(({ plainBytes }) => plainBytes)).toEqual(
      pieces.map(({ plainBytes }) => plainBytes).toSorted((a, b) => b - a),
    );
  });

  it('hold no more than 2000 files, which are put together when they are asked for', () => {
    const files = (first: number): FrameRecord['files'] =>
      Array.from({ length: 700 }, (_, index) => ({ path: `base/5/${first + index}`, size: 1, at: 512 + 1024 * index }));
    const frames = Array.from({ length: 10 }, (_, index) => {
      return { offset: index * 100, storedBytes: 100, plainBytes: 716_800, files: files(1000 * index) };
    });
    const whole = { number: 1, plainBytes: 7_168_000, storedBytes: 2024, sha256: digest, crc32c: 0, frames };
    const pieces = piecesOf({ id, parts: [whole] }, manifestOf([whole]), 1);
    expect(pieces.map((piece) => piece.files.length)).toEqual([1400, 1400, 1400, 1400, 1400]);
    expect(pieces[0]?.files).not.toBe(pieces[0]?.files);
    expect(structuredClone(pieces[0])?.files).toEqual(pieces[0]?.files);
  });

  it('are no larger than 64 MiB unless one frame is, and let several threads share one part', () => {
    const parts = [part(1, [...Array.from({ length: 400 }, () => 10), 900])];
    const pieces = piecesOf({ id, parts }, manifestOf(parts), 4);
    const large = pieces.filter(({ storedBytes }) => storedBytes > 64 * MIB);
    expect(large).toHaveLength(1);
    expect(pieces.length).toBeGreaterThan(60);
  });

  const parts = [part(1, [1, 2])];
  const table: [string, (files: ParsedManifest['files']) => ParsedManifest['files'], RegExp][] = [
    ['lacks a file', (files) => files.slice(1), /1\/0 is in a part and not in the manifest/],
    [
      'has one more',
      (files) => [...files, ...files.slice(0, 1).map((file) => ({ ...file, path: 'base/x' }))],
      /base\/x is in the manifest and in no part/,
    ],
    [
      'has another size',
      (files) => files.map((file) => ({ ...file, size: file.size + 1 })),
      /1\/0 has 1 bytes in a part, 2 in the manifest/,
    ],
    [
      'has another kind of digest',
      (files) => files.map((file) => ({ ...file, checksum: { algorithm: 'CRC32C', hex: '00000000' } as const })),
      /has no SHA-256/,
    ],
    ['has no digest', (files) => files.map((file) => ({ ...file, checksum: undefined })), /has no SHA-256/],
  ];
  it.each(table)('are refused where the manifest %s', (_, change, message) => {
    expect(() => piecesOf({ id, parts }, manifestOf(parts, change), 2)).toThrowError(
      expect.objectContaining({ code: 'damaged', detail: expect.stringMatching(message) as string }) as Error,
    );
  });
});
