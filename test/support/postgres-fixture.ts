import { readdirSync, readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { parseWalName, type PartialFile, type SegmentFile } from '../../src/postgres/wal-name.ts';

const ROOT = new URL('../unit/postgres/fixtures/', import.meta.url);

export const ALL_MAJORS = [13, 14, 15, 16, 17, 18] as const;
/** The majors of which there are pages, a promotion and a record that a crash cut off, too. */
export const WAL_MAJORS = [13, 15, 18] as const;
/** initdb --wal-segsize=1. */
export const FIXTURE_SEGMENT_BYTES: number = 1024 * 1024;

/** A file that a real server of this major wrote (scripts/make-fixtures). */
export function fixture(major: number, name: string): Buffer {
  return zstdDecompressSync(readFileSync(new URL(`${major}/${name}.zst`, ROOT)));
}

export interface FixtureSegment {
  readonly file: SegmentFile | PartialFile;
  /** Of the record that a crash cut off, and of its overwriting. */
  readonly overwritten: boolean;
  readonly bytes: Buffer;
}

/** Every segment of a major, in the order of their names. */
export function fixtureSegments(major: number): FixtureSegment[] {
  const found: FixtureSegment[] = [];
  for (const entry of readdirSync(new URL(`${major}/`, ROOT)).toSorted()) {
    const name = entry.slice(0, -'.zst'.length);
    const overwritten = name.startsWith('overwritten-');
    const file = parseWalName(name.replace('overwritten-', ''));
    if (file?.kind !== 'segment' && file?.kind !== 'partial') continue;
    found.push({ file, overwritten, bytes: fixture(major, name) });
  }
  return found;
}
