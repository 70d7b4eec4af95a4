import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BaseMember } from '../../../../src/commands/restore/base-member.ts';
import { writeSparse } from '../../../../src/commands/restore/sparse-write.ts';
import { sha256 } from '../../../../src/stream/checksum.ts';

const BLOCK_BYTES = 8192;
const KIB = 1024;

let folder: string;
let path: string;
let fd: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-sparse-'));
  path = join(folder, 'file');
  fd = openSync(path, 'w+');
});
afterEach(async () => await rm(folder, { recursive: true }));

it('leaves holes, and tells of one at the end', () => {
  const bytes = randomBytes(256 * KIB);
  bytes.fill(0, 64 * KIB, 128 * KIB);
  expect(writeSparse(fd, Buffer.from(path), bytes, 0)).toBe(false);
  expect(writeSparse(fd, Buffer.from(path), Buffer.alloc(100 * KIB), bytes.length)).toBe(true);
  ftruncateSync(fd, 356 * KIB);
  closeSync(fd);
  expect(readFileSync(path).equals(Buffer.concat([bytes, Buffer.alloc(100 * KIB)]))).toBe(true);
  expect(statSync(path).blocks * 512).toBe(192 * KIB);
});

it('writes the zeros of a base where an earlier reading of it has left something else', () => {
  const base = randomBytes(256 * KIB);
  base.fill(0, 64 * KIB, 192 * KIB);
  const state = { blocks: base.length / BLOCK_BYTES, limit: base.length / BLOCK_BYTES, taken: undefined };
  const expected = { path: 'base/1/100', size: base.length, sha256: sha256(base), use: 'base' as const, join: state };
  const target = { blockBytes: BLOCK_BYTES, fd, path: Buffer.from(path), name: 'base/1/100' };
  const damaged = Buffer.from(base);
  damaged.fill(7, 100 * KIB, 120 * KIB);
  const first = new BaseMember(expected, state, target);
  first.write(damaged);
  const second = new BaseMember(expected, state, { ...target, fd: openSync(path, 'r+') });
  first.close();
  second.write(base);
  second.end();
  expect(readFileSync(path).equals(base)).toBe(true);
  expect(statSync(path).blocks * 512).toBeLessThan(256 * KIB);
});
