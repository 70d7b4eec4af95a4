import { describe, expect, it, test } from 'vitest';
import { crc32c } from '@node-rs/crc32';
import { parseControlFile, type ControlFile } from '../../../src/postgres/control-file.ts';
import { parseLsn } from '../../../src/postgres/lsn.ts';
import { ALL_MAJORS, fixture } from '../../support/postgres-fixture.ts';

function control(file: Buffer): ControlFile {
  const read = parseControlFile(file);
  if (!read.ok) throw new Error(read.message);
  return read.control;
}

const CATALOG = { 13: 202007201, 14: 202107181, 15: 202209061, 16: 202307071, 17: 202406281, 18: 202506291 };
const FORMAT = { 13: 1300, 14: 1300, 15: 1300, 16: 1300, 17: 1700, 18: 1800 };

describe.each(ALL_MAJORS)('pg_control of a real PostgreSQL %i', (major) => {
  it('says what initdb and postgresql.conf had set', () => {
    expect(control(fixture(major, 'pg_control'))).toMatchObject({
      controlVersion: FORMAT[major],
      catalogVersion: CATALOG[major],
      state: 'in production',
      checkpointTimeline: 1,
      previousTimeline: 1,
      fullPageWrites: true,
      minRecoveryPoint: 0n,
      minRecoveryPointTimeline: 0,
      walLevel: 'logical',
      walLogHints: true,
      maxConnections: 123,
      maxWorkerProcesses: 13,
      maxWalSenders: 7,
      maxPreparedXacts: 5,
      maxLocksPerXact: 77,
      blockBytes: 8192,
      blocksPerFile: 131072,
      walBlockBytes: 8192,
      segmentBytes: 1024 * 1024,
      dataChecksumVersion: 1,
    });
  });

  it('says that the server was stopped', () => {
    const stopped = control(fixture(major, 'pg_control.stopped'));
    expect(stopped.state).toBe('shut down');
    expect(stopped.checkpoint).toBe(stopped.redo);
    expect(stopped.systemId).toBe(control(fixture(major, 'pg_control')).systemId);
  });

  it('says up to where a standby must replay, as the server told', () => {
    const [position, timeline] = fixture(major, 'recovery-point.txt').toString().trim().split('|');
    expect(control(fixture(major, 'pg_control.standby'))).toMatchObject({
      state: 'in archive recovery',
      minRecoveryPoint: parseLsn(position ?? ''),
      minRecoveryPointTimeline: Number(timeline),
    });
  });

  it('is torn where any of its bytes is another one', () => {
    const good = fixture(major, 'pg_control');
    const end = major === 18 ? 296 : 292;
    for (let at = 0; at < end; at++) {
      if (at >= 8 && at < 12) continue;
      const torn = Buffer.from(good);
      torn.writeUInt8(torn.readUInt8(at) ^ 0x10, at);
      expect([at, parseControlFile(torn)]).toMatchObject([at, { ok: false, reason: 'torn' }]);
    }
    expect(parseControlFile(Buffer.concat([good.subarray(0, end), Buffer.alloc(512)])).ok).toBe(true);
  });
});

describe('pg_control', () => {
  it('that is too short is no torn one', () => {
    expect(parseControlFile(Buffer.alloc(295))).toEqual({
      ok: false,
      reason: 'short',
      message: 'pg_control has 295 bytes, expected 8192',
    });
  });

  it('of a format to come gives its system identifier, unproven', () => {
    const file = fixture(18, 'pg_control');
    const systemId = file.readBigUInt64LE(0);
    file.writeUInt32LE(1900, 8);
    expect(parseControlFile(file)).toEqual({
      ok: false,
      reason: 'unsupported',
      message: 'pg_control has format version 1900, known here are 1300, 1700, 1800',
      version: 1900,
      systemId,
    });
  });

  it('of the other byte order is named so', () => {
    const file = fixture(18, 'pg_control');
    file.subarray(8, 12).swap32();
    expect(parseControlFile(file)).toMatchObject({ ok: false, reason: 'byte-order' });
  });

  test.each([
    [16, 7, 'state'],
    [172, 9, 'walLevel'],
  ])('with a value at %i that is not known says so', (at, value, field) => {
    const file = fixture(15, 'pg_control');
    file.writeUInt32LE(value, at);
    file.writeUInt32LE(crc32c(file.subarray(0, 288)), 288);
    expect(control(file)).toMatchObject({ [field]: 'unknown' });
  });
});
